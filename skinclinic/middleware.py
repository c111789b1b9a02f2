"""What every request gets, signed in or not."""

import re
import uuid
from collections.abc import Callable
from contextvars import ContextVar
from urllib.parse import urlsplit

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils.translation import gettext as _

GIVEN_ID = re.compile(r"[A-Za-z0-9-]{8,64}")
_request_id: ContextVar[str] = ContextVar("request_id", default="-")


def current_request_id() -> str:
    """Of the request that is being answered; "-" outside of one."""
    return _request_id.get()


class RequestId:
    """One id for a request, in its answer, its log lines and its ledger lines; a proxy's own is kept."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = request.headers.get("X-Request-Id", "")
        request.request_id = given if GIVEN_ID.fullmatch(given) else uuid.uuid4().hex
        token = _request_id.set(request.request_id)
        try:
            response = self.get_response(request)
        finally:
            _request_id.reset(token)
        response["X-Request-Id"] = request.request_id
        return response


# Everything comes from ourselves; nothing stands in the page that could run or be styled by itself.
# The viewer of photographs looks for a style of its own, and finds an empty one (`photograph.js`).
EMPTY_STYLE = "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"
CONTENT = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": f"'self' {EMPTY_STYLE}",
    "img-src": "'self' data: blob:",
    "font-src": "'self'",
    "connect-src": "'self'",
    "manifest-src": "'self'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
    "base-uri": "'none'",
}
# A photograph is taken by the telephone's own camera program, which needs no leave of ours.
UNUSED = (
    "accelerometer", "autoplay", "camera", "display-capture", "encrypted-media", "geolocation", "gyroscope", "hid",
    "magnetometer", "microphone", "midi", "payment", "screen-wake-lock", "serial", "usb", "xr-spatial-tracking",
)  # fmt: skip
PERMISSIONS = ", ".join([*(f"{each}=()" for each in UNUSED), "publickey-credentials-get=(self)", "fullscreen=(self)"])


def content_policy(**changes: str) -> str:
    """changes: of single directives, with _ for -."""
    own = CONTENT | {name.replace("_", "-"): value for name, value in changes.items()}
    return "; ".join(f"{name} {value}" for name, value in own.items())


class SecurityHeaders:
    """What the browser may do with any answer; a view may have said something stricter of its own."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response.setdefault("Content-Security-Policy", content_policy())
        response.setdefault("Permissions-Policy", PERMISSIONS)
        response.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        return response


class LeadsAway:
    """From a form to another site by a page between: browsers hold redirects to the policy's `form-action` as well."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        address = response.get("Location", "")
        host = urlsplit(address).netloc
        if request.method != "POST" or not host or host == request.get_host():
            return response
        del response["Location"]
        response.status_code, response["Refresh"] = 200, f"0; url={address}"
        context = {"address": address, "title": _("On to %(site)s") % {"site": host}}
        response.content = render_to_string("accounts/leading_away.html", context)
        return response
