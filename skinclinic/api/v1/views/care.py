"""What comes of reviews: follow-ups, pathology, signed reports; and which models there are."""

from typing import Any
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from patients.models import Lesion
from screening.models import FollowUp, ModelVersion, Outcome, Signature
from screening.services.follow_ups import close_follow_up
from screening.services.outcomes import Finding, enter_outcome
from screening.views.report import NothingToReport, report_as_pdf
from skinclinic.api.idempotency import key_of, once
from skinclinic.api.v1.filters import FollowUpFilter, OutcomeFilter, ReportFilter
from skinclinic.api.v1.serializers import (
    CloseSerializer,
    FollowUpSerializer,
    ModelVersionSerializer,
    OutcomeSerializer,
    ReportSerializer,
    checked,
)
from skinclinic.api.v1.views.base import ClinicViewSet, Listed, Retrieved, visible


class FollowUpViewSet(Listed, Retrieved, ClinicViewSet):
    queryset = FollowUp.objects.order_by("-created_at", "-id")
    serializer_class = FollowUpSerializer
    filterset_class = FollowUpFilter
    scope = "reviews"

    @extend_schema(request=CloseSerializer, responses=FollowUpSerializer)
    @action(detail=True, methods=["post"], scope="screenings")
    def close(self, request: Request, pk: UUID) -> Response:
        """What was asked for is done, declined by the patient, or she was lost to it."""
        close_follow_up(follow_up=self.get_object(), status=checked(CloseSerializer(data=request.data))["status"])
        return Response(self.get_serializer(self.get_object()).data)


class OutcomeViewSet(Listed, Retrieved, ClinicViewSet):
    """Pathology reports. One is never changed: a later one `supersedes` it."""

    queryset = Outcome.objects.order_by("-created_at", "-id")
    serializer_class = OutcomeSerializer
    filterset_class = OutcomeFilter
    scope = "screenings"

    @once
    def create(self, request: Request) -> Response:
        wanted = checked(self.get_serializer(data=request.data))
        corrected = wanted.get("supersedes_id")
        outcome = enter_outcome(
            actor=request.auth,
            lesion=visible(Lesion, request.auth, wanted["lesion_id"]),
            submission=key_of(request),
            supersedes=visible(Outcome, request.auth, corrected) if corrected else None,
            finding=Finding(**{name: wanted[name] for name in ("diagnosis", "reported_on", "words")}),
        )
        return Response(self.get_serializer(outcome).data, status=status.HTTP_201_CREATED)


class ReportViewSet(Listed, Retrieved, ClinicViewSet):
    """Signed visits; each has its report as a PDF."""

    queryset = Signature.objects.select_related("reviewer").order_by("-created_at", "-id")
    serializer_class = ReportSerializer
    filterset_class = ReportFilter
    scope = "reviews"

    @extend_schema(responses={(200, "application/pdf"): OpenApiTypes.BINARY})
    @action(detail=True, methods=["get"])
    def pdf(self, request: Request, pk: UUID) -> HttpResponse:
        """Of the whole visit as it is signed now."""
        http = request._request
        try:
            return report_as_pdf(http, self.get_object().visit_id)
        except NothingToReport as refusal:
            raise NotFound(str(refusal)) from refusal


class ModelVersionViewSet(ClinicViewSet):
    """Models that are installed, the same for every clinic, and which of them reads for this one."""

    queryset = ModelVersion.objects.all()
    serializer_class = ModelVersionSerializer
    lookup_value_regex = "[^/]+"
    pagination_class = None
    scope = "screenings"

    def get_queryset(self) -> Any:
        return self.queryset.for_clinic(self.request.auth) if self.request.auth else self.queryset.none()

    @extend_schema(responses=ModelVersionSerializer(many=True))
    def list(self, request: Request) -> Response:
        return Response(self.get_serializer(self.get_queryset().newest_first(), many=True).data)

    def retrieve(self, request: Request, pk: str) -> Response:
        return Response(self.get_serializer(self.get_object()).data)
