"""allauth's OpenID Connect for the provider of one clinic; what the provider says is verified by us."""

import secrets
import time
from typing import Any
from uuid import UUID

from allauth.socialaccount.adapter import get_adapter
from allauth.socialaccount.models import SocialApp, SocialLogin, SocialToken
from allauth.socialaccount.providers.base.constants import AuthProcess
from allauth.socialaccount.providers.openid_connect.provider import OpenIDConnectProvider
from allauth.socialaccount.providers.openid_connect.views import OpenIDConnectOAuth2Adapter
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from skinclinic.accounts.models import IdentityProvider
from skinclinic.accounts.oidc.discovery import read_discovery
from skinclinic.accounts.oidc.errors import NotLetIn
from skinclinic.accounts.oidc.tokens import read_id_token, refused
from skinclinic.audit.acting import acting, system
from skinclinic.ciphers import unseal
from skinclinic.text import uuid_or_none

PURPOSE = "identity-providers"  # of the key that secrets of theirs are kept with
AGAIN = {"prompt": "login", "max_age": "0"}


def provider_of(key: object) -> IdentityProvider | None:
    """The enabled one of the clinic whose key stands in its addresses; of no other is anything told."""
    clinic_id = key if isinstance(key, UUID) else uuid_or_none(str(key))
    if clinic_id is None:
        return None
    with acting(system(clinic_id=clinic_id)):
        return IdentityProvider.objects.enabled().select_related("clinic").filter(clinic=clinic_id).first()


def app_of(provider: IdentityProvider) -> SocialApp:
    """As allauth wants it; it is stored nowhere."""
    app = SocialApp(
        provider="openid_connect",
        provider_id=str(provider.clinic_id),
        name=provider.name,
        client_id=provider.client_id,
        secret=unseal(PURPOSE, provider.client_secret),
        settings={"server_url": provider.issuer, "oauth_pkce_enabled": True},
    )
    app.row = provider
    return app


class ClinicAdapter(OpenIDConnectOAuth2Adapter):
    made_by: "ClinicProvider"

    @property
    def openid_config(self) -> dict[str, Any]:
        if not hasattr(self, "_openid_config"):
            self._openid_config = read_discovery(self.row.issuer)
        return self._openid_config

    @property
    def row(self) -> IdentityProvider:
        row: IdentityProvider = self.get_provider().app.row
        return row

    def get_provider(self) -> "ClinicProvider":
        """The one that made it, so that its row is read once."""
        return self.made_by

    def get_callback_url(self, request: HttpRequest, app: SocialApp) -> str:
        return callback_address(self.row.clinic_id)

    def complete_login(self, request: HttpRequest, app: SocialApp, token: SocialToken, **kwargs: Any) -> SocialLogin:
        claims = read_id_token(app.row, kwargs["response"].get("id_token"))
        if not claims.get("email") and self.openid_config.get("userinfo_endpoint"):
            told = self._fetch_user_info(token.token)
            claims = (told | claims) if told.get("sub") == claims["sub"] else claims
        login = self.get_provider().sociallogin_from_response(request, {"id_token": claims})
        login.claims = claims
        return login


class ClinicProvider(OpenIDConnectProvider):
    oauth2_adapter_class = ClinicAdapter

    def get_default_scope(self) -> list[str]:
        row: IdentityProvider = self.app.row
        asks_offline = row.offers_offline and not row.offers_logout
        return [*super().get_default_scope(), *(["offline_access"] if asks_offline else [])]

    def get_oauth2_adapter(self, request: HttpRequest) -> ClinicAdapter:
        made = ClinicAdapter(request, self.sub_id)
        made.made_by = self
        return made

    def extract_extra_data(self, data: dict[str, Any]) -> dict[str, Any]:
        """Nothing of what a provider tells of a person is kept beside what links her."""
        return {}

    def serialize(self) -> dict[str, Any]:
        """Found again by its clinic: two clinics may have one client id."""
        return {"id": self.sub_id}

    def lead_to(self, request: HttpRequest, *, next_url: str | None, again: bool = False) -> HttpResponse:
        """To the provider; again: she is to sign in there anew, and comes back as who she is here.

        Raises ProviderUnfit.
        """
        nonce = secrets.token_urlsafe(24)
        response: HttpResponse = self.redirect(
            request,
            AuthProcess.REDIRECT if again else AuthProcess.LOGIN,
            next_url=next_url,
            auth_params={"nonce": nonce} | (AGAIN if again else {}),
            nonce=nonce,
            begun=int(time.time()),
        )
        return response


def clinic_provider(request: HttpRequest, clinic_id: UUID) -> ClinicProvider:
    """Raises NotLetIn where the clinic has none that is enabled."""
    try:
        found: ClinicProvider = get_adapter(request).get_provider(request, str(clinic_id))
    except SocialApp.DoesNotExist as error:
        raise NotLetIn("") from error
    return found


def refuse_other_nonce(login: SocialLogin) -> None:
    """A token that was given for another sign-in than the one begun here."""
    asked, told = login.state.get("nonce"), login.claims.get("nonce")
    if not (isinstance(asked, str) and isinstance(told, str) and secrets.compare_digest(asked, told)):
        raise refused()


def callback_address(clinic_id: UUID) -> str:
    return settings.SITE_URL + reverse("oidc_callback", args=[clinic_id])
