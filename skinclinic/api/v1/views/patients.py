"""Patients, their consents, visits and lesions: who and where."""

from uuid import UUID

from django.conf import settings
from django.urls import reverse
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from patients.models import Consent, Lesion, Patient, Visit
from patients.services import (
    IDENTITY_FIELDS,
    add_identifier,
    add_lesion,
    correct_patient,
    merge_patients,
    note_consent,
    open_visit,
    register_patient,
    unmerge_patient,
)
from skinclinic.api.etags import PreconditionFailed, refuse_stale, tagged
from skinclinic.api.idempotency import PARAMETER, once
from skinclinic.api.links import make_link
from skinclinic.api.v1.filters import LesionFilter, PatientFilter, VisitFilter
from skinclinic.api.v1.serializers import (
    ConsentSerializer,
    IdentifierSerializer,
    LesionSerializer,
    LinkSerializer,
    MergeSerializer,
    PatientCorrectionSerializer,
    PatientSerializer,
    SearchSerializer,
    VisitSerializer,
    checked,
)
from skinclinic.api.v1.views.base import ClinicViewSet, Listed, Retrieved, visible
from skinclinic.audit.record import record, record_page
from skinclinic.errors import StaleForm

IF_MATCH = OpenApiParameter(
    "If-Match", str, OpenApiParameter.HEADER, required=True, description="The ETag of what is changed."
)


class PatientViewSet(Listed, Retrieved, ClinicViewSet):
    queryset = Patient.objects.with_identity().order_by("-created_at", "-id")
    serializer_class = PatientSerializer
    filterset_class = PatientFilter
    scope = "patients"

    @once
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
        wanted = checked(SearchSerializer(data=request.data))
        everybody = self.get_queryset().current()
        narrowed = (
            everybody.matching(wanted["words"]) if "words" in wanted else everybody.known_as(**wanted["identifier"])
        )
        found = list(narrowed[:50])
        record_page("api_listed", subject_type="patients_patient", ids=[patient.pk for patient in found])
        return Response(self.get_serializer(found, many=True).data)

    @extend_schema(request=PatientCorrectionSerializer, responses=PatientSerializer, parameters=[IF_MATCH])
    def partial_update(self, request: Request, pk: UUID) -> Response:
        """Correct some of the details; what is not sent stays."""
        patient = self.get_object()
        refuse_stale(request, self.get_serializer(patient).data)
        wanted = checked(PatientCorrectionSerializer(data=request.data, partial=True))
        kept = {name: getattr(patient.identity, name) for name in IDENTITY_FIELDS}
        try:
            correct_patient(
                patient=patient,
                version=patient.version,
                identity=kept | wanted.pop("identity", {}),
                **{name: wanted.get(name, getattr(patient, name)) for name in ("sex", "skin_type", "risk_factors")},
            )
        except StaleForm as stale:
            raise PreconditionFailed from stale
        return tagged(request, self.get_serializer(self.get_object()).data)

    @extend_schema(responses=ConsentSerializer(many=True))
    @action(detail=True, methods=["get"], pagination_class=None)
    def consents(self, request: Request, pk: UUID) -> Response:
        patient = self.get_object()
        record("api_read", subject_type="patients_consent", patient_id=patient.pk)
        consents = Consent.objects.visible_to(request.auth).filter(patient=patient).order_by("-created_at")
        return Response(ConsentSerializer(consents, many=True).data)

    @extend_schema(request=ConsentSerializer, responses={201: ConsentSerializer})
    @consents.mapping.post
    @once
    def note_consent(self, request: Request, pk: UUID) -> Response:
        wanted = checked(ConsentSerializer(data=request.data))
        consent = note_consent(actor=request.auth, patient=self.get_object(), **wanted)
        return Response(ConsentSerializer(consent).data, status=status.HTTP_201_CREATED)

    @extend_schema(request=IdentifierSerializer, responses={201: PatientSerializer}, parameters=[PARAMETER])
    @action(detail=True, methods=["post"])
    @once
    def identifiers(self, request: Request, pk: UUID) -> Response:
        """Another number that some system knows her by."""
        number = checked(IdentifierSerializer(data=request.data))
        kind = number["type"]
        add_identifier(patient=self.get_object(), system=number["system"], value=number["value"], number_type=kind)
        return Response(self.get_serializer(self.get_object()).data, status=status.HTTP_201_CREATED)

    @extend_schema(request=MergeSerializer, responses=PatientSerializer)
    @action(detail=True, methods=["post"])
    def merge(self, request: Request, pk: UUID) -> Response:
        """Say that this record is the same person as another one, which remains. Both keep their ids."""
        duplicate, wanted = self.get_object(), checked(MergeSerializer(data=request.data))
        merge_patients(duplicate=duplicate, into=visible(Patient, request.auth, wanted["into"]))
        return Response(self.get_serializer(self.get_object()).data)

    @extend_schema(request=None, responses=LinkSerializer)
    @action(detail=True, methods=["post"], required_right="read")
    def link(self, request: Request, pk: UUID) -> Response:
        """An address that leads a person of the clinic to the chart, once, within ten minutes; she signs in first."""
        link, token = make_link(patient=self.get_object())
        told = {"url": f"{settings.SITE_URL}{reverse('open_chart')}?token={token}", "ends_at": link.ends_at}
        return Response(LinkSerializer(told).data)

    @extend_schema(request=None, responses=PatientSerializer)
    @action(detail=True, methods=["post"])
    def unmerge(self, request: Request, pk: UUID) -> Response:
        unmerge_patient(duplicate=self.get_object())
        return Response(self.get_serializer(self.get_object()).data)


class VisitViewSet(Listed, Retrieved, ClinicViewSet):
    queryset = Visit.objects.order_by("-created_at", "-id")
    serializer_class = VisitSerializer
    filterset_class = VisitFilter
    scope = "patients"

    @once
    def create(self, request: Request) -> Response:
        visit = open_visit(actor=request.auth, **checked(self.get_serializer(data=request.data)))
        return Response(self.get_serializer(visit).data, status=status.HTTP_201_CREATED)


class LesionViewSet(Listed, Retrieved, ClinicViewSet):
    queryset = Lesion.objects.order_by("-created_at", "-id")
    serializer_class = LesionSerializer
    filterset_class = LesionFilter
    scope = "patients"

    @once
    def create(self, request: Request) -> Response:
        lesion = add_lesion(**checked(self.get_serializer(data=request.data)))
        return Response(self.get_serializer(lesion).data, status=status.HTTP_201_CREATED)
