"""Version 1: what an integrating system can do. The rules are the services'; here are only names and shapes."""

from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.http import HttpResponse
from django.urls import reverse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import mixins, status
from rest_framework.decorators import action
from rest_framework.exceptions import NotFound
from rest_framework.parsers import BaseParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from patients.models import Consent, Lesion, Patient, Visit
from patients.services import add_identifier, add_lesion, note_consent, open_visit, register_patient
from screening.images import clean_photograph, file_name
from screening.media import as_image, draw_map
from screening.models import Screening
from screening.services.photographs import add_photograph, withdraw_screening
from screening.status import REVIEW_IS_SIGNED
from screening.views.history import ids_of_screening
from skinclinic.accounts.middleware import request_acting
from skinclinic.api.paging import NewestLines
from skinclinic.api.parsers import BoundedJSONParser
from skinclinic.api.v1.serializers import (
    ConsentSerializer,
    HistorySerializer,
    LesionSerializer,
    PatientSerializer,
    ReviewSerializer,
    ScreeningSerializer,
    SearchSerializer,
    UploadSerializer,
    VisitSerializer,
    WithdrawSerializer,
    checked,
)
from skinclinic.audit.acting import acting
from skinclinic.audit.models import AuditEvent
from skinclinic.audit.record import record, record_page
from skinclinic.errors import ClinicError


class ClinicViewSet(GenericViewSet):
    """Rows of the client's clinic; an id of another clinic is not found. Every look is on the ledger."""

    scope: str
    # Where the method does not say it: a search is a POST that reads.
    required_right: str | None = None

    def get_queryset(self) -> Any:
        return self.queryset.visible_to(self.request.auth) if self.request.auth else self.queryset.none()


class Listed(mixins.ListModelMixin):
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        response = super().list(request, *args, **kwargs)
        table = self.queryset.model._meta.db_table  # type: ignore[attr-defined]
        record_page("api_listed", subject_type=table, ids=[row["id"] for row in response.data["results"]])
        return response


class Retrieved(mixins.RetrieveModelMixin):
    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        found = self.get_object()  # type: ignore[attr-defined]
        table = found._meta.db_table
        patient_id = found.pk if isinstance(found, Patient) else found.patient_id
        record("api_read", subject_type=table, subject_id=found.pk, patient_id=patient_id)
        return Response(self.get_serializer(found).data)  # type: ignore[attr-defined]


class PatientViewSet(Listed, Retrieved, ClinicViewSet):
    queryset = Patient.objects.with_identity().order_by("-created_at", "-id")
    serializer_class = PatientSerializer
    scope = "patients"

    def create(self, request: Request) -> Response:
        wanted = checked(self.get_serializer(data=request.data))
        numbers = wanted.pop("identifiers", [])
        patient = register_patient(actor=request.auth, **wanted)
        for number in numbers:
            kind = number["type"]
            add_identifier(patient=patient, system=number["system"], value=number["value"], number_type=kind)
        return Response(
            self.get_serializer(self.get_queryset().get(pk=patient.pk)).data, status=status.HTTP_201_CREATED
        )

    @extend_schema(request=SearchSerializer, responses=PatientSerializer(many=True))
    @action(detail=False, methods=["post"], pagination_class=None, required_right="read")
    def search(self, request: Request) -> Response:
        """Free text is sent in the body: a name in a URL would be in every log on the way."""
        words = checked(SearchSerializer(data=request.data))["words"]
        found = list(self.get_queryset().current().matching(words)[:50])
        record_page("api_listed", subject_type="patients_patient", ids=[patient.pk for patient in found])
        return Response(self.get_serializer(found, many=True).data)

    @extend_schema(methods=["GET"], responses=ConsentSerializer(many=True))
    @extend_schema(methods=["POST"], request=ConsentSerializer, responses={201: ConsentSerializer})
    @action(detail=True, methods=["get", "post"], pagination_class=None)
    def consents(self, request: Request, pk: UUID) -> Response:
        patient = self.get_object()
        if request.method == "GET":
            record("api_read", subject_type="patients_consent", patient_id=patient.pk)
            consents = Consent.objects.visible_to(request.auth).filter(patient=patient).order_by("-created_at")
            return Response(ConsentSerializer(consents, many=True).data)
        wanted = checked(ConsentSerializer(data=request.data))
        consent = note_consent(actor=request.auth, patient=patient, **wanted)
        return Response(ConsentSerializer(consent).data, status=status.HTTP_201_CREATED)


class VisitViewSet(Listed, Retrieved, ClinicViewSet):
    queryset = Visit.objects.order_by("-created_at", "-id")
    serializer_class = VisitSerializer
    scope = "patients"

    def create(self, request: Request) -> Response:
        visit = open_visit(actor=request.auth, **checked(self.get_serializer(data=request.data)))
        return Response(self.get_serializer(visit).data, status=status.HTTP_201_CREATED)


class LesionViewSet(Listed, Retrieved, ClinicViewSet):
    queryset = Lesion.objects.order_by("-created_at", "-id")
    serializer_class = LesionSerializer
    scope = "patients"

    def create(self, request: Request) -> Response:
        lesion = add_lesion(**checked(self.get_serializer(data=request.data)))
        return Response(self.get_serializer(lesion).data, status=status.HTTP_201_CREATED)


class ScreeningViewSet(Listed, Retrieved, ClinicViewSet):
    queryset = Screening.objects.with_cautions().order_by("-created_at", "-id")
    serializer_class = ScreeningSerializer
    scope = "screenings"
    own_transaction_actions = ("create",)

    def get_parsers(self) -> list[BaseParser]:
        """A photograph comes as a form; its view alone receives bodies of any size, and no JSON."""
        uploads = getattr(self, "action_map", {}).get("post") == "create"
        return [MultiPartParser()] if uploads else [BoundedJSONParser()]

    @extend_schema(
        request={"multipart/form-data": UploadSerializer},
        responses={202: OpenApiResponse(ScreeningSerializer, description="Stored, and queued for reading.")},
    )
    def create(self, request: Request) -> Response:
        """Take a photograph. No transaction is open while it is received and cleaned."""
        wanted = checked(UploadSerializer(data=request.data))
        try:
            with request_acting(request._request):
                zone = ZoneInfo(request._request.clinic.time_zone)
            clean = clean_photograph(wanted["photograph"], zone=zone)
            with request_acting(request._request) as actor:
                screening = add_photograph(
                    actor=actor,
                    visit=visible(Visit, actor, wanted["visit"]),
                    lesion=visible(Lesion, actor, wanted["lesion"]),
                    clean=clean,
                    original_name=file_name(wanted["photograph"].name),
                    findings=wanted.get("findings", ()),
                )
                body = ScreeningSerializer(screening, context={"request": request}).data
        except ClinicError as refusal:
            with request_acting(request._request):
                record("upload_refused", detail={"reason": getattr(refusal, "code", "refused")})
            raise
        place = reverse("api_screening-detail", args=[screening.pk])
        return Response(body, status=status.HTTP_202_ACCEPTED, headers={"Location": place, "Retry-After": "1"})

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
        return as_image(image.photograph.read(), "image/jpeg")

    @extend_schema(responses={(200, "image/jpeg"): OpenApiTypes.BINARY})
    @action(detail=True, methods=["get"])
    def thumbnail(self, request: Request, pk: UUID) -> HttpResponse:
        image = self.get_object().image
        record("thumbnail_seen", subject_type=image._meta.db_table, subject_id=image.pk, patient_id=image.patient_id)
        return as_image(image.thumbnail.read(), "image/jpeg")

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


def visible(model: Any, actor: Any, key: UUID) -> Any:
    found = model.objects.visible_to(actor).filter(pk=key).first()
    if found is None:
        raise NotFound(f"There is no such {model._meta.verbose_name}.")
    return found
