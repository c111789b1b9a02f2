"""Finds the API client behind a bearer token, before the request's transaction opens."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from oauth2_provider.oauth2_backends import get_oauthlib_core

from skinclinic.audit.acting import INTEGRATION, Actor
from skinclinic.error_pages import answer

OURS = ("/api/", "/fhir/", "/dicomweb/")


class LengthRequired:
    """Django takes a body that does not say its length for none at all, and a refusal would tell of missing fields.

    DICOM objects are read in chunks as they come.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        is_cut = "Transfer-Encoding" in request.headers and not request.headers.get("Content-Length")
        if is_cut and request.path_info.startswith(("/api/", "/fhir/")):
            return answer(request, 411)
        return self.get_response(request)


class ClientTokenMiddleware:
    """Sets `request.caller` to the client's actor; a wrong or spent token leaves None, which the API refuses."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.caller = None
        if request.path_info.startswith(OURS) and brings_token(request):
            request.caller = find_caller(request)
        response = self.get_response(request)
        for name, value in getattr(request, "rate_limit", {}).items():
            response[name] = value
        if request.path_info.startswith(OURS):
            response.setdefault("Cache-Control", "no-store")
        return response


def brings_token(request: HttpRequest) -> bool:
    """The scheme's name is written in any case (RFC 9110)."""
    scheme, space, _token = request.headers.get("Authorization", "").partition(" ")
    return bool(space) and scheme.lower() == "bearer"


def find_caller(request: HttpRequest) -> Actor | None:
    valid, verified = get_oauthlib_core().verify_request(request, scopes=[])
    if not valid or verified.client is None or verified.client.disabled_at:
        return None
    client, token = verified.client, verified.access_token
    return Actor(
        id=f"client:{client.client_id}",
        name=client.name,
        clinic_id=client.clinic_id,
        roles=frozenset({INTEGRATION}),
        scopes=frozenset(token.scope.split()),
    )
