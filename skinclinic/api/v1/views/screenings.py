"""Screenings: photographs in, readings and signed reviews out."""

from typing import Any
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

from django.http import HttpResponse
from django.urls import reverse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.exceptions import APIException, NotFound
from rest_framework.parsers import BaseParser, MultiPartParser
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from patients.models import Lesion, Visit
from screening.images import CleanPhotograph, clean_photograph, file_name
from screening.media import as_dicom_file, as_image, draw_map, stored
from screening.models import Screening
from screening.services.photographs import add_photograph, withdraw_screening
from screening.status import REVIEW_IS_SIGNED
from screening.views.history import ids_of_screening
from skinclinic.accounts.middleware import request_acting
from skinclinic.api.idempotency import PARAMETER, answer_before, fingerprint_of, hold, key_of, store
from skinclinic.api.paging import NewestLines
from skinclinic.api.parsers import BoundedJSONParser, DicomParser, PhotographParser
from skinclinic.api.problems import problem_response
from skinclinic.api.v1.filters import ScreeningFilter
from skinclinic.api.v1.serializers import (
    BulkAnswerSerializer,
    BulkSerializer,
    HistorySerializer,
    ReviewSerializer,
    ScreeningSerializer,
    UploadSerializer,
    WithdrawSerializer,
    checked,
)
from skinclinic.api.v1.uploads import items_of, upload_of
from skinclinic.api.v1.views.base import ClinicViewSet, Listed, Retrieved, visible
from skinclinic.audit.acting import Actor, acting
from skinclinic.audit.models import AuditEvent
from skinclinic.audit.record import record
from skinclinic.errors import ClinicError


class DicomFile(JSONRenderer):
    """For who accepts nothing else; a refusal is JSON all the same."""

    media_type = "application/dicom"


class ScreeningViewSet(Listed, Retrieved, ClinicViewSet):
    queryset = Screening.objects.with_cautions().order_by("-created_at", "-id")
    serializer_class = ScreeningSerializer
    scope = "screenings"
    filterset_class = ScreeningFilter
    own_transaction_actions = ("create", "bulk")

    def get_parsers(self) -> list[BaseParser]:
        """Photographs come as forms or as bytes; their views alone receive bodies of any size, and no JSON."""
        match getattr(self, "action_map", {}).get("post"):
            case "create":
                return [MultiPartParser(), PhotographParser(), DicomParser()]
            case "bulk":
                return [MultiPartParser()]
        return [BoundedJSONParser()]

    @extend_schema(
        request={"multipart/form-data": UploadSerializer, "image/*": OpenApiTypes.BINARY},
        parameters=[PARAMETER],
        responses={202: OpenApiResponse(ScreeningSerializer, description="Stored, and queued for reading.")},
    )
    def create(self, request: Request) -> Response:
        """Take a photograph, as a form or as the bytes alone with `visit` and `lesion` in the query."""
        return self.take(request, upload_of(request), key_of(request))

    def take(self, request: Request, sent: Any, key: UUID) -> Response:
        """No transaction is open while it is received and cleaned; one that came before is not cleaned again."""
        fingerprint, http = fingerprint_of(request.path, sent), request._request
        with request_acting(http) as actor:
            if before := answer_before(actor, key, fingerprint):
                return before
            zone = ZoneInfo(http.clinic.time_zone)
        wanted = checked(UploadSerializer(data=sent))
        try:
            clean = clean_photograph(wanted["photograph"], zone=zone, takes_dicom=True)
            with request_acting(http) as actor:
                hold(actor, key)
                return answer_before(actor, key, fingerprint) or store(
                    actor, key, fingerprint, self.stored(request, actor, wanted, clean)
                )
        except ClinicError as refusal:
            with request_acting(http):
                record("upload_refused", detail={"reason": getattr(refusal, "code", "refused")})
            raise

    def stored(self, request: Request, actor: Actor, wanted: dict[str, Any], clean: CleanPhotograph) -> Response:
        screening = add_photograph(
            actor=actor,
            visit=visible(Visit, actor, wanted["visit"]),
            lesion=visible(Lesion, actor, wanted["lesion"]),
            clean=clean,
            original_name=file_name(wanted["photograph"].name),
            findings=wanted.get("findings", ()),
        )
        body = ScreeningSerializer(screening, context={"request": request}).data
        place = reverse("api_screening-detail", args=[screening.pk])
        return Response(body, status=status.HTTP_202_ACCEPTED, headers={"Location": place, "Retry-After": "1"})

    @extend_schema(
        request={"multipart/form-data": BulkSerializer},
        responses=BulkAnswerSerializer(many=True),
        parameters=[PARAMETER],
    )
    @action(detail=False, methods=["post"], pagination_class=None)
    def bulk(self, request: Request) -> Response:
        """Up to 100 photographs at once: `items` is a JSON list, each naming the form's file that it is. Each has an
        outcome and a key of its own, drawn from yours, so that what broke in the middle is sent again as it was."""
        key, outcomes = key_of(request), []
        for number, item in enumerate(items_of(request)):
            try:
                answer = self.take(request, item, uuid5(key, str(number)))
                outcomes.append({"status": answer.status_code, "screening": answer.data})
            except (ClinicError, APIException) as refusal:
                said = problem_response(refusal, {"request": request, "view": self})
                outcomes.append({"status": said.status_code, "problem": said.data} if said else {"status": 500})
        return Response(outcomes)

    @extend_schema(request=WithdrawSerializer, responses=ScreeningSerializer)
    @action(detail=True, methods=["post"])
    def withdraw(self, request: Request, pk: UUID) -> Response:
        screening = self.get_object()
        wanted = checked(WithdrawSerializer(data=request.data))
        with acting(request.auth, reason=wanted["reason"]):
            withdraw_screening(actor=request.auth, screening=screening, **wanted)
        return Response(self.get_serializer(self.get_object()).data)

    @extend_schema(responses=ReviewSerializer(many=True))
    @action(detail=True, methods=["get"], scope="reviews", pagination_class=None)
    def reviews(self, request: Request, pk: UUID) -> Response:
        """The signed reviews, newest first; an opinion that is not signed yet is nobody else's."""
        screening = self.get_object()
        record("api_read", subject_type="screening_review", patient_id=screening.patient_id)
        if screening.review_status not in REVIEW_IS_SIGNED:
            return Response([])
        signed, shown = screening.signed_review, []
        while signed is not None:
            shown.append(signed)
            signed = signed.supersedes
        return Response(ReviewSerializer(shown, many=True).data)

    @extend_schema(responses=HistorySerializer(many=True))
    @action(detail=True, methods=["get"], pagination_class=NewestLines)
    def history(self, request: Request, pk: UUID) -> Response:
        """Every step, without what opinions say: the signed ones are at `reviews/`, the others are nobody else's."""
        screening = self.get_object()
        table = screening._meta.db_table
        record("history_seen", subject_type=table, subject_id=screening.pk, patient_id=screening.patient_id)
        events = AuditEvent.objects.visible_to(request.auth).about_any(ids_of_screening(screening))
        page = self.paginate_queryset(events.exclude(subject_type="screening_review"))
        return self.get_paginated_response(HistorySerializer(page, many=True).data)

    @extend_schema(responses={(200, "image/jpeg"): OpenApiTypes.BINARY})
    @action(detail=True, methods=["get"])
    def photograph(self, request: Request, pk: UUID) -> HttpResponse:
        image = self.get_object().image
        table = image._meta.db_table
        record("photograph_seen", subject_type=table, subject_id=image.pk, patient_id=image.patient_id)
        return as_image(stored(image.photograph), "image/jpeg")

    @extend_schema(responses={(200, "application/dicom"): OpenApiTypes.BINARY})
    @action(detail=True, methods=["get"], renderer_classes=[JSONRenderer, DicomFile])
    def dicom(self, request: Request, pk: UUID) -> HttpResponse:
        """The photograph as a DICOM object, with patient, site and time; no reading is in it."""
        return as_dicom_file(self.get_object())

    @extend_schema(responses={(200, "image/jpeg"): OpenApiTypes.BINARY})
    @action(detail=True, methods=["get"])
    def thumbnail(self, request: Request, pk: UUID) -> HttpResponse:
        image = self.get_object().image
        record("thumbnail_seen", subject_type=image._meta.db_table, subject_id=image.pk, patient_id=image.patient_id)
        return as_image(stored(image.thumbnail), "image/jpeg")

    @extend_schema(responses={(200, "image/png"): OpenApiTypes.BINARY})
    @action(detail=True, methods=["get"])
    def map(self, request: Request, pk: UUID) -> HttpResponse:
        """Where the score came from: transparent, to be laid over the photograph."""
        screening = self.get_object()
        if screening.prediction is None:
            raise NotFound("There is no reading of this photograph.")
        record(
            "map_seen", subject_type=screening._meta.db_table, subject_id=screening.pk, patient_id=screening.patient_id
        )
        return as_image(draw_map(screening.prediction, screening.image, None), "image/png")
