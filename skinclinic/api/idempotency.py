"""A create that is sent again is answered as before, and done once."""

import hashlib
import json
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any
from uuid import UUID

from django.core.files.uploadedfile import UploadedFile
from django.db import connection
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from skinclinic.api.models import StoredAnswer
from skinclinic.audit.acting import Actor
from skinclinic.errors import ClinicError, StaleForm

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
KEPT_HEADERS = ("Location", "Retry-After", "ETag")
PARAMETER = OpenApiParameter(
    HEADER,
    UUID,
    OpenApiParameter.HEADER,
    required=True,
    description="A uuid drawn for this create. Sent again with the same content, it is answered as before.",
)

Create = Callable[..., Response]


class KeyUsedOtherwise(ClinicError):
    code = "idempotency-key-reused"


class KeyInUse(StaleForm):
    code = "idempotency-key-in-flight"


def once(create: Create) -> Create:
    """A create of a viewset, in the request's own transaction."""

    @extend_schema(parameters=[PARAMETER])
    @wraps(create)
    def answered(view: Any, request: Request, *args: Any, **kwargs: Any) -> Response:
        key, fingerprint = key_of(request), fingerprint_of(request.path, request.data)
        hold(request.auth, key)
        before = answer_before(request.auth, key, fingerprint)
        return before or store(request.auth, key, fingerprint, create(view, request, *args, **kwargs))

    return answered


def key_of(request: Request) -> UUID:
    """Raises ValidationError."""
    said = request.headers.get(HEADER, "").strip().strip('"')
    try:
        return UUID(said)
    except ValueError as error:
        sentence = f"Send a uuid of your own in {HEADER}, another one for each create that you want."
        raise ValidationError({HEADER: [sentence]}) from error


def fingerprint_of(path: str, fields: Any) -> str:
    """Of what was asked for, whatever its order or its multipart boundary."""
    return hashlib.sha256(json.dumps([path, told(fields)], sort_keys=True, default=str).encode()).hexdigest()


def told(value: Any) -> Any:
    if isinstance(value, UploadedFile):
        return digest_of(value)
    if hasattr(value, "lists"):  # a form, whose fields may have several values
        return {name: [told(each) for each in values] for name, values in value.lists()}
    if isinstance(value, Mapping):
        return {str(name): told(inner) for name, inner in value.items()}
    return [told(inner) for inner in value] if isinstance(value, list) else value


def digest_of(file: UploadedFile) -> str:
    digest = hashlib.sha256()
    for chunk in file.chunks():
        digest.update(chunk)
    file.seek(0)
    return digest.hexdigest()


def hold(actor: Actor, key: UUID) -> None:
    """For this transaction. Raises KeyInUse."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0))", [f"{actor.id} {key}"])
        if not cursor.fetchone()[0]:
            raise KeyInUse("The same create is being worked on; ask again in a moment.")


def answer_before(actor: Actor, key: UUID, fingerprint: str) -> Response | None:
    """Raises KeyUsedOtherwise."""
    stored = StoredAnswer.objects.visible_to(actor).filter(client=actor.id, key=key).first()
    if stored is None:
        return None
    if stored.fingerprint != fingerprint:
        raise KeyUsedOtherwise(f"This {HEADER} was sent with other content before. Draw a new one for a new create.")
    return Response(stored.body, status=stored.status, headers=stored.headers | {REPLAYED: "true"})


def store(actor: Actor, key: UUID, fingerprint: str, answer: Response) -> Response:
    if status.is_success(answer.status_code):
        StoredAnswer.objects.create(
            clinic_id=actor.own_clinic(),
            client=actor.id,
            key=key,
            fingerprint=fingerprint,
            status=answer.status_code,
            body=json.loads(json.dumps(answer.data, default=str)),
            headers={name: answer.headers[name] for name in KEPT_HEADERS if name in answer.headers},
        )
    return answer


def sweep_answers(actor: Actor) -> None:
    StoredAnswer.objects.visible_to(actor).stale().delete()
