"""The pages and problem documents for what went wrong. They touch no database: it may be what is away."""

import logging
import sys
from collections.abc import Callable

from django.core.exceptions import RequestDataTooBig, TooManyFilesSent
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template import loader
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from skinclinic.api.fhir.outcomes import issue, outcome

logger = logging.getLogger(__name__)

WORDS = {
    400: (_("This request cannot be read"), _("Go back, load the page again and repeat what you did.")),
    403: (_("You may not do this"), _("Your role in this clinic does not allow it. Ask a manager if it should.")),
    404: (
        _("There is nothing here"),
        _("It may have been moved, or it belongs to another clinic. Start again from the list."),
    ),
    405: (
        _("There is no page here"),
        _("This address only takes what a form sends, and nothing was sent now. Start again from the list."),
    ),
    409: (_("This cannot be done as it stands"), _("Go back, load the page again and look at what has changed.")),
    410: (_("This is gone"), _("It was erased with the patient whom it was about. Nobody can bring it back.")),
    500: (
        _("Something went wrong on our side"),
        _("Nothing was saved by this step. Try again; if it happens again, tell your manager."),
    ),
    503: (_("The clinic's database cannot be reached"), _("Nothing is lost. Wait a minute and load this page again.")),
}

# Where no person reads it, instead of the above.
SYSTEM_WORDS = {
    400: ("This request cannot be read", "Its Host, its Content-Type or its body is not as it has to be."),
    411: ("This request says no length", "Send Content-Length: a body that comes in chunks is not read here."),
    413: (
        "This request is too large",
        "Send photographs as files of a form, as bytes or as DICOM objects, at most 100 at once, and less of the rest.",
    ),
}


def answer(request: HttpRequest, status: int, detail: str = "") -> HttpResponse:
    words = WORDS if is_page(request) else WORDS | SYSTEM_WORDS
    title, advice = map(str, words[status])
    request_id = getattr(request, "request_id", "")
    if request.path_info.startswith(("/api/", "/dicomweb/")):
        problem = {"type": "about:blank", "title": title, "status": status, "detail": detail or advice}
        return JsonResponse(
            problem | {"instance": f"urn:request:{request_id}"}, status=status, content_type="application/problem+json"
        )
    if request.path_info.startswith("/fhir/"):
        body = outcome(status, issue(status, detail or str(advice)))
        return JsonResponse(body, status=status, content_type="application/fhir+json")
    page = loader.render_to_string(
        f"{status if status in (403, 404) else 500}.html",
        {"status": status, "title": title, "advice": detail or advice, "request_id": request_id},
    )
    return HttpResponse(page, status=status)


def is_page(request: HttpRequest) -> bool:
    return not request.path_info.startswith(("/api/", "/dicomweb/", "/fhir/"))


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    is_large = isinstance(exception, RequestDataTooBig | TooManyFilesSent)
    return answer(request, 413 if is_large and not is_page(request) else 400)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    return answer(request, 403, str(exception))


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return answer(request, 404)


class NoPageHere:
    """Who comes to an address of forms, in a tab that was restored or by a sign-in, finds no blank page."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if response.status_code != 405 or response.content or not request.accepts("text/html"):
            return response
        page = answer(request, 405)
        page["Allow"] = response["Allow"]
        return page


def server_error(request: HttpRequest) -> HttpResponse:
    """Called while the exception is being handled, so that a database that is away can be told from a fault of ours."""
    if isinstance(sys.exc_info()[1], (OperationalError, InterfaceError)):
        logger.error("The database cannot be reached.")
        response = answer(request, 503)
        response["Retry-After"] = "10"
        return response
    return answer(request, 500)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    return answer(
        request, 403, gettext("This page was open too long or cookies are off. Load it again and repeat what you did.")
    )
