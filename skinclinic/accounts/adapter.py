from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.core import context as running
from allauth.mfa.adapter import DefaultMFAAdapter
from django.contrib.sites.shortcuts import get_current_site
from django.http import HttpRequest, HttpResponse
from django.utils import translation
from django.utils.translation import gettext_lazy as _

from skinclinic.accounts.confirm import is_confirmed
from skinclinic.accounts.entry import BOUND_TO
from skinclinic.accounts.language import is_spoken
from skinclinic.accounts.mailing import send_beside
from skinclinic.accounts.models import User
from skinclinic.accounts.oidc.binding import bind_session, provider_login
from skinclinic.accounts.oidc.leaving import end_there
from skinclinic.accounts.oidc.matching import TRUSTED
from skinclinic.accounts.oidc.requiring import refuse_password
from skinclinic.accounts.second_factor import PURPOSE, qr_code
from skinclinic.audit.acting import narrow_to
from skinclinic.ciphers import seal, unseal


class InvitedOnly(DefaultAccountAdapter):
    """Nobody opens an account for herself: a manager invites her."""

    error_messages = DefaultAccountAdapter.error_messages | {
        "too_many_login_attempts": _(
            "That was too often. Wait five minutes, then try again; if it goes on, ask a manager of your clinic."
        ),
        "incorrect_code": _("This code is not right, or was used already. Wait for the next one and enter it."),
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def pre_login(self, request: HttpRequest, user: User, **kwargs: Any) -> HttpResponse | None:
        """Her password was right: from here on the database shows what is hers, above all her second factor."""
        response = super().pre_login(request, user, **kwargs)
        if response is None:
            narrow_to(user.actor())
            response = None if provider_login(kwargs) else refuse_password(request, user)
        return response

    def post_login(self, request: HttpRequest, user: User, **kwargs: Any) -> HttpResponse:
        if login := provider_login(kwargs):
            bind_session(request, user, login)
        return super().post_login(request, user, **kwargs)

    def get_logout_redirect_url(self, request: HttpRequest) -> str:
        return end_there(request) or super().get_logout_redirect_url(request)

    def is_reauthentication_required(self, app: str = "") -> bool:
        """Not again while she gave her password lately, at the door too, as a signature has it."""
        if BOUND_TO in running.request.session:
            return not is_confirmed(running.request)
        return super().is_reauthentication_required(app=app) and not is_confirmed(running.request)

    def send_mail(self, template_prefix: str, email: str, context: dict) -> None:
        """In the language of whom it is for: who asks for it at the sign-in page may sit at another's browser."""
        chosen = getattr(context.get("user"), "language", "")
        with translation.override(chosen if is_spoken(chosen) else translation.get_language()):
            told = {"request": running.request, "current_site": get_current_site(running.request), "email": email}
            send_beside(self.render_mail(template_prefix, email, told | context))


class SecondFactor(DefaultMFAAdapter):
    """Keys are kept encrypted, and the QR code is drawn by the library that draws all of ours."""

    error_messages = DefaultMFAAdapter.error_messages | {
        "incorrect_code": InvitedOnly.error_messages["incorrect_code"],
    }

    def is_mfa_enabled(self, user: User, types: Any = None) -> bool:
        """Not asked for where the hospital has asked for one just now, if the clinic trusts it with that."""
        return not getattr(running.request, TRUSTED, False) and super().is_mfa_enabled(user, types)

    def encrypt(self, text: str) -> str:
        return seal(PURPOSE, text)

    def decrypt(self, encrypted_text: str) -> str:
        return unseal(PURPOSE, encrypted_text)

    def build_totp_svg(self, url: str) -> str:
        return qr_code(url)

    def generate_authenticator_name(self, user: User, type: str) -> str:  # noqa: A002 (allauth's name)
        return ""
