"""One request, one transaction, one actor."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlencode, urlsplit
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.http.request import RawPostDataException
from django.shortcuts import redirect
from django.urls import Resolver404, ResolverMatch, resolve
from django.utils import timezone

from skinclinic.accounts.entry import enter_clinic, signed_in
from skinclinic.accounts.language import speak_to
from skinclinic.accounts.models import Clinic
from skinclinic.audit.acting import ANONYMOUS, Actor, acting
from skinclinic.audit.record import record
from skinclinic.error_pages import answer
from skinclinic.errors import ClinicError, Elsewhere, Gone

REFUSALS = {403, 404}
SAFE_METHODS = {"GET", "HEAD", "OPTIONS", "TRACE"}


class Refused(Exception):
    """Carries an answer of 400 or more out of the transaction that it undoes."""

    def __init__(self, response: HttpResponse):
        self.response = response


class ActingMiddleware:
    """Wraps the view and its rendering in `acting(…)`; an answer of 400 or more undoes everything but the ledger line.

    A view marked `own_transaction` (uploads, streams) opens short transactions of its own with `request_acting`.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        match = find_match(request)
        # An API client is known before any transaction; a person once her memberships are read.
        request.actor, request.clinic, request.memberships = getattr(request, "caller", None) or ANONYMOUS, None, []
        if match is not None and getattr(match.func, "no_acting", False):
            return self.get_response(request)
        speak_to(request)
        if match is not None and opens_own_transaction(match, request.method or ""):
            response = self.get_response(request)
        else:
            receive_body(request)
            response = self.answer_in_transaction(request)
        if request.actor is not ANONYMOUS and not response.has_header("Cache-Control"):
            # What a person was shown stays in no cache of a shared computer.
            response["Cache-Control"] = "no-store, private"
        if response.status_code in REFUSALS and (match is not None or request.actor is not ANONYMOUS):
            record_refusal(request, match, response.status_code)
        return response

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """A refusal that a page did not expect is told all the same: what it says is meant for people."""
        if isinstance(exception, Elsewhere):
            return lead_to(request, exception.address)
        if isinstance(exception, ClinicError):
            return answer(request, 410 if isinstance(exception, Gone) else 409, str(exception))
        return None

    def answer_in_transaction(self, request: HttpRequest) -> HttpResponse:
        try:
            with request_acting(request):
                response = self.get_response(request)
                if response.status_code >= 400:
                    raise Refused(response)
                return response
        except Refused as refused:
            return refused.response


@contextmanager
def request_acting(request: HttpRequest, *, reason: str = "") -> Iterator[Actor]:
    """A transaction in which the request's person, or its API client, acts in her clinic."""
    caller = getattr(request, "caller", None) or signed_in(request)
    with acting(caller, request_id=getattr(request, "request_id", ""), reason=reason):
        request.actor = enter_clinic(request, caller) if caller.user_id else caller
        if request.clinic is None and caller.clinic_id:
            request.clinic = Clinic.objects.get(pk=caller.clinic_id)
        zone = request.clinic.time_zone if request.clinic else "UTC"
        with timezone.override(zone):
            yield request.actor


def find_match(request: HttpRequest) -> ResolverMatch | None:
    try:
        return resolve(request.path_info)
    except Resolver404:
        return None


def opens_own_transaction(match: ResolverMatch, method: str) -> bool:
    """A view says so of itself; of a viewset's actions, those named in `own_transaction_actions` do."""
    actions = getattr(match.func, "actions", None)
    if actions:
        return actions.get(method.lower()) in getattr(match.func.cls, "own_transaction_actions", ())
    return bool(getattr(match.func, "own_transaction", False))


def receive_body(request: HttpRequest) -> None:
    """Read a form or JSON to its end before a transaction opens, so that a slow line holds no lock."""
    if request.method not in SAFE_METHODS:
        # A form was read to its end already where the token was looked for in it.
        with suppress(RawPostDataException):
            _ = request.body


def lead_to(request: HttpRequest, address: str) -> HttpResponse:
    """To a page that is to be seen first, and that knows where to go on; a part of a page takes the whole with it."""
    if request.headers.get("HX-Request"):
        here = urlsplit(request.headers.get("HX-Current-URL", "")).path
        return HttpResponse(headers={"HX-Redirect": f"{address}?{urlencode({'next': here})}"})
    here = request.get_full_path() if request.method in SAFE_METHODS else ""
    return redirect(f"{address}?{urlencode({'next': here})}")


def record_refusal(request: HttpRequest, match: ResolverMatch | None, status: int) -> None:
    detail = {
        "status": status,
        "method": request.method,
        "view": match.view_name if match else "",
        "ids": [str(value) for value in match.kwargs.values() if isinstance(value, UUID)] if match else [],
    }
    with acting(request.actor, request_id=getattr(request, "request_id", "")):
        record("refused", detail=detail)
