"""What allauth asks of us about identity providers: each clinic's row is its SocialApp, and how they are reached."""

from typing import Any

import requests
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialApp, SocialLogin
from allauth.socialaccount.providers.base.constants import AuthProcess
from django.http import HttpRequest

from skinclinic.accounts.oidc.http import guarded_session


class ClinicProviders(DefaultSocialAccountAdapter):
    def get_requests_session(self) -> requests.Session:
        return guarded_session()

    def list_apps(self, request: HttpRequest, provider: Any = None, client_id: Any = None) -> list[SocialApp]:
        from skinclinic.accounts.oidc.provider import app_of, provider_of  # reads allauth's models, which read this

        found = provider_of(provider)
        return [app_of(found)] if found else []

    def get_provider(self, request: HttpRequest, provider: Any, client_id: Any = None) -> Any:
        """Raises SocialApp.DoesNotExist."""
        from skinclinic.accounts.oidc.provider import ClinicProvider  # likewise

        return ClinicProvider(request, app=self.get_app(request, provider=provider))

    def is_open_for_signup(self, request: HttpRequest, sociallogin: SocialLogin) -> bool:
        return False

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        from skinclinic.accounts.oidc.confirming import confirm_there
        from skinclinic.accounts.oidc.matching import let_in_by_provider

        if sociallogin.state.get("process") == AuthProcess.REDIRECT:
            confirm_there(request, sociallogin)
        else:
            let_in_by_provider(request, sociallogin)
