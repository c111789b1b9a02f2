"""What a representation is known by, so that nobody writes over what she has not seen."""

import hashlib
from typing import Any

from django.utils.http import parse_etags
from rest_framework import exceptions, status
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response


class PreconditionFailed(exceptions.APIException):
    status_code = status.HTTP_412_PRECONDITION_FAILED
    default_detail = "It was changed since you fetched it. Fetch it again, and repeat your change."


class PreconditionRequired(exceptions.APIException):
    status_code = status.HTTP_428_PRECONDITION_REQUIRED
    default_detail = "Send the ETag of what you are changing in If-Match."


def etag_of(data: Any) -> str:
    return f'"{hashlib.sha256(JSONRenderer().render(data)).hexdigest()[:32]}"'


def tagged(request: Request, data: Any) -> Response:
    """The representation with its ETag, or 304 where the caller has it."""
    tag = etag_of(data)
    if tag in parse_etags(request.headers.get("If-None-Match", "")):
        return Response(status=status.HTTP_304_NOT_MODIFIED, headers={"ETag": tag})
    return Response(data, headers={"ETag": tag})


def refuse_stale(request: Request, data: Any) -> None:
    """`data`: as it stands now. Raises PreconditionRequired, PreconditionFailed."""
    said = request.headers.get("If-Match", "")
    if not said:
        raise PreconditionRequired
    if said.strip() != "*" and etag_of(data) not in parse_etags(said):
        raise PreconditionFailed
