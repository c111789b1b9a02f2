from django.contrib.auth.models import AnonymousUser
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from skinclinic.audit.acting import Actor


class ClientToken(BaseAuthentication):
    """The API client that the middleware found behind the bearer token; `request.auth` is its actor."""

    def authenticate(self, request: Request) -> tuple[AnonymousUser, Actor] | None:
        caller = getattr(request._request, "caller", None)  # none while the schema is drawn
        if caller is None and request.headers.get("Authorization"):
            raise AuthenticationFailed("This token is unknown, or has ended. Fetch another one at /api/oauth2/token/.")
        return (AnonymousUser(), caller) if caller is not None else None

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="skinclinic"'
