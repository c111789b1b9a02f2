"""Errors as RFC 9457 problem documents."""

from collections.abc import Iterator
from typing import Any

from django.http import Http404
from rest_framework import exceptions, status
from rest_framework.response import Response
from rest_framework.views import exception_handler

from skinclinic.errors import ClinicError, Gone, NotAllowed, StaleForm

CONTENT_TYPE = "application/problem+json"
NOT_HERE = "Nothing of this clinic has this id. Look whether it is whole, and of which clinic."


def problem_response(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's own errors and our refusals as problem documents; anything else goes on and becomes a 500."""
    if isinstance(error, ClinicError):
        return problem(context["request"], status_of(error), str(error), type_=kind_of(error))
    response = exception_handler(error, context)
    if response is None:
        return None
    errors = list(field_errors(response.data)) if isinstance(error, exceptions.ValidationError) else []
    detail = "Some fields cannot be taken as they are." if errors else sentence_of(error)
    answer = problem(context["request"], response.status_code, detail, errors=errors)
    keep_headers(response, answer)
    return answer


def sentence_of(error: Exception) -> str:
    """Django's 404 has none of its own where an id is no id, and names our models where it has one."""
    return NOT_HERE if isinstance(error, Http404) else str(getattr(error, "detail", error))


def keep_headers(response: Response, answer: Response) -> None:
    """What DRF tells of a refusal beside its body."""
    for name in ("WWW-Authenticate", "Retry-After"):
        if name in response.headers:
            answer[name] = response.headers[name]


def problem(
    request: Any, code: int, detail: str, *, type_: str = "about:blank", errors: list[dict[str, str]] | None = None
) -> Response:
    body = {
        "type": type_,
        "title": TITLES.get(code, "The request was refused"),
        "status": code,
        "detail": detail,
        "instance": f"urn:request:{getattr(request, 'request_id', '')}",
    }
    return Response(body | ({"errors": errors} if errors else {}), status=code, content_type=CONTENT_TYPE)


TITLES = {
    400: "The request cannot be taken as it is",
    401: "Who is calling is not known",
    403: "This client may not do this",
    404: "There is nothing here",
    405: "This cannot be done here",
    409: "Something changed meanwhile",
    410: "It was erased, and does not come back",
    412: "It was changed since",
    415: "This kind of content is not taken",
    422: "What was sent is refused",
    428: "Say what you are changing",
    429: "Too many requests",
}


def status_of(error: ClinicError) -> int:
    if isinstance(error, NotAllowed):
        return status.HTTP_403_FORBIDDEN
    if isinstance(error, Gone):
        return status.HTTP_410_GONE
    if isinstance(error, StaleForm):
        return status.HTTP_409_CONFLICT
    return status.HTTP_422_UNPROCESSABLE_ENTITY


def kind_of(error: ClinicError) -> str:
    code = getattr(error, "code", "")
    return f"urn:skinclinic:problem:{code}" if code else "about:blank"


def field_errors(data: Any, path: str = "") -> Iterator[dict[str, str]]:
    """One entry a message, with the field's path such as `identity.birth_date` or `identifiers.0.value`."""
    if isinstance(data, dict):
        for name, inner in data.items():
            yield from field_errors(inner, f"{path}.{name}" if path else str(name))
    elif isinstance(data, list):
        for number, inner in enumerate(data):
            yield from field_errors(inner, f"{path}.{number}" if isinstance(inner, dict) and path else path)
    else:
        yield {"field": path, "detail": str(data)}
