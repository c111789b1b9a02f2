"""Errors as FHIR tells them."""

from collections.abc import Iterator
from typing import Any

from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import exception_handler

from skinclinic.api.problems import TITLES, field_errors, keep_headers, sentence_of, status_of
from skinclinic.errors import ClinicError

CONTENT_TYPE = "application/fhir+json"
# FHIR's issue types, by the status that says the same.
CODES = {
    400: "invalid",
    401: "login",
    403: "forbidden",
    404: "not-found",
    405: "not-supported",
    406: "not-supported",
    409: "conflict",
    410: "deleted",
    412: "multiple-matches",
    411: "invalid",
    413: "too-long",
    415: "not-supported",
    422: "business-rule",
    429: "throttled",
    503: "transient",
}
# All that R4 has.
ISSUE_TYPES = frozenset({
    "invalid", "structure", "required", "value", "invariant", "security", "login", "unknown", "expired", "forbidden",
    "suppressed", "processing", "not-supported", "duplicate", "multiple-matches", "not-found", "deleted", "too-long",
    "code-invalid", "extension", "too-costly", "business-rule", "conflict", "transient", "lock-error", "no-store",
    "exception", "timeout", "incomplete", "throttled", "informational",
})  # fmt: skip


def outcome(status: int, *issues: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "OperationOutcome", "issue": list(issues) or [issue(status, TITLES.get(status, "Refused"))]}


def issue(status: int, sentence: str, expression: str = "") -> dict[str, Any]:
    severity = "fatal" if status >= 500 else "error"
    told = {"severity": severity, "code": CODES.get(status, "exception"), "diagnostics": sentence}
    return told | ({"expression": [expression]} if expression else {})


def outcome_response(error: Exception, context: dict[str, Any]) -> Response | None:
    """Our refusals and DRF's own; anything else goes on and becomes a 500, which is an OperationOutcome as well."""
    if isinstance(error, ClinicError):
        status = status_of(error)
        return Response(outcome(status, issue(status, str(error))), status=status)
    response = exception_handler(error, context)
    if response is None:
        return None
    answer = Response(outcome(response.status_code, *issues_of(error, response)), status=response.status_code)
    keep_headers(response, answer)
    return answer


def issues_of(error: Exception, response: Response) -> Iterator[dict[str, Any]]:
    if isinstance(error, exceptions.ValidationError):
        for each in field_errors(response.data):
            yield issue(response.status_code, each["detail"], each["field"])
        return
    said = getattr(error, "issues", None) or [(sentence_of(error), "")]
    yield from (issue(response.status_code, sentence, expression) for sentence, expression in said)
