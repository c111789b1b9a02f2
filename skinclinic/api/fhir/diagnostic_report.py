"""DiagnosticReport and DocumentReference: a visit that a doctor has signed, and its PDF.

A report is amended where one of its reviews is; corrected where a signed photograph was withdrawn from it, being the
wrong patient's or lesion's; entered-in-error where none is left.
"""

from typing import Any
from uuid import UUID

from django.db.models import (
    Case,
    CharField,
    DateTimeField,
    Exists,
    F,
    Func,
    Max,
    OuterRef,
    Prefetch,
    Q,
    QuerySet,
    Subquery,
    Value,
    When,
)
from django.db.models.functions import Coalesce
from django.utils import timezone

from patients.models import Visit
from screening.models import Screening
from screening.status import ReviewStatus
from skinclinic.accounts.models import User
from skinclinic.api.fhir import codes
from skinclinic.api.fhir.documents import document_of, state_of
from skinclinic.api.fhir.elements import (
    VISIT,
    Dict,
    clinic,
    doctor,
    filled,
    moment,
    reference,
    resource,
)
from skinclinic.api.fhir.models import SignedDocument
from skinclinic.api.fhir.observation import SIGNED, published_screenings
from skinclinic.api.fhir.resource import Resource, latest
from skinclinic.api.fhir.searching import Asked, Condition, by_date, by_reference, is_meant
from skinclinic.audit.acting import Actor, current_actor

STATUS = "http://hl7.org/fhir/diagnostic-report-status"
STATUSES = ("final", "amended", "corrected", "entered-in-error")
REPORT = "skin-lesion-report"
WITHDRAWN = Q(withdrawn_at__isnull=False)


def reported_visits(actor: Actor) -> QuerySet[Any]:
    """Visits of which something is or was signed, with `status`, and `told`: the signed screenings."""
    signed = Screening.objects.filter(SIGNED, visit=OuterRef("pk"))
    in_use = signed.exclude(WITHDRAWN)
    told = Prefetch("screenings", published_screenings(actor).filter(SIGNED).in_reading_order(), to_attr="told")
    seen = (
        Visit.objects.visible_to(actor)
        .filter(Exists(signed))
        .select_related("clinic")
        .prefetch_related(told, "documents")
    )
    return seen.annotate(
        signed_at=Subquery(last(signed, "signature__created_at")),
        updated=latest(
            "created_at", Subquery(last(signed, "signature__created_at")), Subquery(last(signed, "withdrawn_at"))
        ),
        effective=Coalesce(midnight_of("photographed_on"), F("created_at")),
        status=Case(
            When(~Exists(in_use), then=Value("entered-in-error")),
            When(Exists(signed.filter(WITHDRAWN)), then=Value("corrected")),
            When(Exists(in_use.filter(review_status=ReviewStatus.AMENDED)), then=Value("amended")),
            default=Value("final"),
            output_field=CharField(),
        ),
    )


def midnight_of(column: str) -> Func:
    """Of a day, in the clinic's zone. An imported visit has the day of its photographs alone."""
    zone = Value(timezone.get_current_timezone_name())
    return Func(zone, column, template="timezone(%(expressions)s::timestamp)", output_field=DateTimeField())


def last(rows: QuerySet[Any], column: str) -> QuerySet[Any]:
    return rows.order_by().values("visit").annotate(last=Max(column)).values("last")


def by_status(asked: Asked) -> Q:
    return Q(status__in=[each for each in STATUSES if is_meant(asked, STATUS, each)])


def by_code(system: str, code: str) -> Condition:
    """All have the same."""
    return lambda asked: Q() if is_meant(asked, system, code) else Q(pk__in=[])


class OfVisit(Resource):
    """What a signed visit is told as."""

    model = Visit
    has_provenance = True

    def rows(self, actor: Actor) -> QuerySet[Any]:
        return reported_visits(actor)


class DiagnosticReportResource(OfVisit):
    name = "DiagnosticReport"
    conditions = {
        "patient": by_reference("patient"),
        "status": by_status,
        "code": by_code(codes.OBSERVED.url, REPORT),
        "category": by_code("http://terminology.hl7.org/CodeSystem/v2-0074", "IMG"),
        "date": by_date("effective"),
    }

    def build(self, row: Any) -> list[Dict]:
        told = shown(row)
        doctors = doctors_of(told)
        return [
            resource(
                "DiagnosticReport",
                row.pk,
                row.updated,
                identifier=[{"system": VISIT, "value": str(row.pk)}],
                status=row.status,
                category=[codes.IMAGING_REPORT],
                code=codes.OBSERVED.concept(REPORT),
                subject=reference("Patient", row.patient_id),
                effectiveDateTime=moment(row.effective),
                issued=moment(row.signed_at),
                performer=[clinic(row.clinic_id, row.clinic.name)],
                resultsInterpreter=doctors,
                result=results_of(told),
                media=[{"link": reference("Media", each.image_id)} for each in told],
                **({} if is_void(row) else conclusion_of(row, told)),
            )
        ]


class DocumentReferenceResource(OfVisit):
    name = "DocumentReference"
    conditions = {"patient": by_reference("patient")}

    def build(self, row: Any) -> list[Dict]:
        void = is_void(row)
        return [
            resource(
                "DocumentReference",
                row.pk,
                row.updated,
                identifier=[{"system": VISIT, "value": str(row.pk)}],
                status="entered-in-error" if void else "current",
                docStatus={"corrected": "amended"}.get(row.status, row.status),
                type=codes.OBSERVED.concept(REPORT),
                subject=reference("Patient", row.patient_id),
                date=moment(row.signed_at),
                author=doctors_of(shown(row)),
                custodian=clinic(row.clinic_id, row.clinic.name),
                content=[{"attachment": {"contentType": "application/pdf"} if void else attachment_of(row)}],
                context={"related": [reference("DiagnosticReport", row.pk)]},
            )
        ]


def is_void(row: Any) -> bool:
    return bool(row.status == "entered-in-error")


def shown(row: Any) -> list[Any]:
    """What is in use; where nothing is, what was, as entered in error."""
    return [each for each in row.told if not each.is_withdrawn] or row.told


def doctors_of(told: list[Any]) -> list[Dict]:
    people: dict[UUID, User] = {each.signed_review.reviewer_id: each.signed_review.reviewer for each in told}
    return [doctor(person) for person in people.values()]


def results_of(told: list[Any]) -> list[Dict]:
    """The doctor's first."""
    reviews = [reference("Observation", f"review-{each.pk}") for each in told]
    return reviews + [reference("Observation", f"reading-{each.pk}") for each in told if each.reading_fhir]


def conclusion_of(row: Any, told: list[Any]) -> Dict:
    return filled(
        conclusion="\n".join(map(sentence_of, told)),
        conclusionCode=[codes.diagnosis(each.signed_review.diagnosis, each.signed_review.words) for each in told],
        presentedForm=[attachment_of(row)],
    )


def sentence_of(row: Any) -> str:
    review = row.signed_review
    suspicion = "suspicious" if review.suspicious else "not suspicious"
    said = f"Lesion {row.image.lesion.label}: {review.get_diagnosis_display()}, {suspicion}. {review.recommended}."
    return f"{said} {review.words}".strip()


def attachment_of(row: Any) -> Dict:
    document = signed_document(row)
    return {
        "contentType": "application/pdf",
        "language": "en",
        "url": f"Binary/{document.pk}",
        "size": document.size,
        "hash": document.sha1,
        "title": "Skin lesion report",
        "creation": moment(document.created_at),
    }


def signed_document(row: Any) -> SignedDocument:
    """Of what is signed and in use now."""
    return document_of(actor=current_actor(), visit=row, state=state_of(shown(row)))
