"""Creating: Patients, and photographs as Media."""

import json
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from rest_framework import status
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response

from screening.images import MAX_BYTES
from skinclinic.accounts.middleware import request_acting
from skinclinic.api.fhir.base import FhirParser, base_of, resource_of
from skinclinic.api.fhir.creating import already_there, hold_creates
from skinclinic.api.fhir.errors import BodyTooLarge
from skinclinic.api.fhir.new_media import clean, create_media, read_media
from skinclinic.api.fhir.new_patient import create_patient
from skinclinic.api.fhir.outcomes import CONTENT_TYPE
from skinclinic.api.fhir.resource import Resource
from skinclinic.api.fhir.views import SearchView
from skinclinic.api.parsers import BoundedJSONParser
from skinclinic.audit.acting import Actor
from skinclinic.audit.record import record
from skinclinic.errors import ClinicError

# A photograph of the largest size in base64, and some words around it.
LARGEST = MAX_BYTES * 4 // 3 + 100_000


class CappedParser(BaseParser):
    """Reads no more than a photograph can be. No JSONParser, which would be given the body as the limit on small ones
    lets it be read."""

    media_type = CONTENT_TYPE

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        if int(parser_context["request"].META.get("CONTENT_LENGTH") or 0) > LARGEST:
            raise BodyTooLarge
        try:
            return json.loads(stream.read(LARGEST))
        except (ValueError, RecursionError) as error:
            raise ParseError("This is no JSON, or it is nested too deeply.") from error


class CappedJSONParser(CappedParser):
    media_type = "application/json"


class CreateView(SearchView):
    """A search by GET, a create by POST."""

    kind: str
    parser_classes = [FhirParser, BoundedJSONParser]

    @property
    def required_right(self) -> str:  # type: ignore[override]
        return "write" if self.request.method == "POST" else "read"

    def get(self, request: Request) -> Response:  # type: ignore[override]
        return super().get(request, self.kind)

    def found(self, request: Request, actor: Actor) -> Any | None:
        """What If-None-Exist finds, which then is not made; it waits for who asks the same."""
        condition = request.headers.get("If-None-Exist", "")
        if not condition:
            return None
        hold_creates(actor, self.kind)
        return already_there(resource_of(self.kind), actor, condition)

    def answer(self, request: Request, actor: Actor, row: Any, code: int) -> Response:
        """The row may be a key alone, of what was made just now."""
        resource = resource_of(self.kind)
        row = resource.rows(actor).get(pk=row) if isinstance(row, UUID) else row
        if code == status.HTTP_200_OK:
            record_found(resource, row)
        place = f"{base_of(request)}/{self.kind}/{row.pk}"
        return self.told(request, resource.build(row)[0], status=code, headers={"Location": place})


def record_found(resource: Resource, row: Any) -> None:
    record("api_read", subject_type=resource.table, subject_id=row.pk, patient_id=resource.patient_of(row))


class PatientView(CreateView):
    kind = "Patient"

    def post(self, request: Request) -> Response:
        body = request.data
        if (there := self.found(request, request.auth)) is not None:
            return self.answer(request, request.auth, there, status.HTTP_200_OK)
        made = create_patient(actor=request.auth, body=body)
        return self.answer(request, request.auth, made, status.HTTP_201_CREATED)


class MediaView(CreateView):
    """Opens transactions of its own: none is open while a photograph is received and cleaned."""

    kind = "Media"
    parser_classes = [CappedParser, CappedJSONParser]

    def get(self, request: Request) -> Response:  # type: ignore[override]
        with request_acting(request._request):
            return super().get(request)

    def post(self, request: Request) -> Response:
        http = request._request
        body = request.data
        with request_acting(http) as actor:
            if (there := self.found(request, actor)) is not None:
                return self.answer(request, actor, there, status.HTTP_200_OK)
            zone = ZoneInfo(http.clinic.time_zone)
        try:
            return self.take(request, body, zone)
        except ClinicError as refusal:
            with request_acting(http):
                record("upload_refused", detail={"reason": getattr(refusal, "code", "refused")})
            raise

    def take(self, request: Request, body: Any, zone: ZoneInfo) -> Response:
        sent = read_media(body, base_of(request))
        cleaned = clean(sent, zone)
        with request_acting(request._request) as actor:
            if (there := self.found(request, actor)) is not None:
                return self.answer(request, actor, there, status.HTTP_200_OK)
            made = create_media(actor=actor, sent=sent, cleaned=cleaned)
            return self.answer(request, actor, made, status.HTTP_201_CREATED)


patient = PatientView.as_view()
media = MediaView.as_view()
media.own_transaction = True  # type: ignore[attr-defined]
