"""Signing out here signs out there too, where the provider has a page for that."""

from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse

from skinclinic.accounts.oidc.confirming import bound_clinic
from skinclinic.accounts.oidc.provider import provider_of


def end_there(request: HttpRequest) -> str | None:
    """Without the token that says who she is: the address would hold her name. So some providers ask her first."""
    clinic_id = bound_clinic(request)
    provider = provider_of(clinic_id) if clinic_id else None
    if provider is None or not provider.end_session_endpoint:
        return None
    told = {
        "client_id": provider.client_id,
        "post_logout_redirect_uri": settings.SITE_URL + reverse("account_login"),
    }
    mark = "&" if "?" in provider.end_session_endpoint else "?"
    return f"{provider.end_session_endpoint}{mark}{urlencode(told)}"
