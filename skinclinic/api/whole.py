"""Everything about one patient in one file, for herself or for another clinic (GDPR, articles 15 and 20)."""

import json
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import Prefetch, Q
from django.http import HttpRequest, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST
from zipstream import ZipStream

from patients.codes import ConsentKind
from patients.models import Lesion, Patient, PatientIdentifier, Visit
from patients.services import consents_of, ids_of_person
from screening.codes import WithdrawalReason
from screening.deeds import line_of
from screening.models import FollowUp, LesionImage, Outcome, Review, Screening
from screening.tables import as_csv
from screening.views.history import COLUMNS, cells_of
from screening.views.report import signed_pdf
from skinclinic.accounts.forms import ReasonForm
from skinclinic.accounts.models import Clinic
from skinclinic.accounts.permissions import get_visible, member_required
from skinclinic.api.fhir.paging import bundle, with_addresses
from skinclinic.api.fhir.views import everything_of, with_provenances
from skinclinic.audit.acting import MANAGER, Actor, acting
from skinclinic.audit.models import AuditEvent
from skinclinic.audit.record import record
from skinclinic.errors import ClinicError

ALL = 1_000_000
OF_ANOTHER = Q(withdrawn_reason=WithdrawalReason.WRONG_PATIENT) | Q(moved_to__isnull=False)
SHOWS_ANOTHER = (
    Q(screening__withdrawn_reason=WithdrawalReason.WRONG_PATIENT)
    | Q(screening__moved_to__isnull=False)
    | Q(overview__withdrawn_reason=WithdrawalReason.WRONG_PATIENT)
)


class KeptFromYou(ClinicError):
    def __init__(self) -> None:
        super().__init__(
            _("A reading of this patient is kept from you until your opinion. Another manager takes the record.")
        )


@dataclass(frozen=True)
class Whole:
    """What is told at once. Photographs and reports are fetched when their turn comes."""

    actor: Actor
    clinic: Clinic
    language: str
    texts: dict[str, str]
    images: list[UUID]
    signed_visits: list[UUID]


@require_POST
@member_required(MANAGER)
def patient_export(request: HttpRequest, patient_id: UUID) -> HttpResponseBase:
    patient = get_visible(Patient.objects.with_identity().select_related("merged_into"), request.actor, patient_id)
    form = ReasonForm(request.POST)
    try:
        if not form.is_valid():
            problem = form.errors["reason"][0]
            raise ClinicError(_("The reason is kept on the ledger. %(problem)s") % {"problem": problem})
        with acting(request.actor, reason=form.cleaned_data["reason"]):
            whole = whole_of(request.actor, request.clinic, patient)
            counted = {"photographs": len(whole.images), "reports": len(whole.signed_visits)}
            key = patient.pk
            record("patient_exported", subject_type="patients_patient", subject_id=key, patient_id=key, detail=counted)
    except ClinicError as refusal:
        messages.error(request, str(refusal))
        return redirect("patient_chart", patient.pk)
    name = f"record-{str(patient.pk)[:8]}-{timezone.localdate():%Y-%m-%d}"
    response = StreamingHttpResponse(packed(whole, name), content_type="application/zip")
    response["Content-Disposition"] = f'attachment; filename="{name}.zip"'
    return response


def whole_of(actor: Actor, clinic: Clinic, patient: Patient) -> Whole:
    """Raises KeptFromYou."""
    records = ids_of_person(patient.pk)
    screenings = list(hers(actor, records))
    if any(screening.is_hidden for screening in screenings):
        raise KeptFromYou
    images = LesionImage.objects.visible_to(actor).filter(patient__in=records).exclude(SHOWS_ANOTHER)
    signed = Screening.objects.visible_to(actor).in_use().signed().filter(patient__in=records)
    return Whole(
        actor=actor,
        clinic=clinic,
        language=translation.get_language() or settings.LANGUAGE_CODE,
        texts={
            "summary.html": summary_of(actor, patient, records, screenings),
            "record.fhir.json": as_fhir(actor, records),
            "photographs.json": json.dumps([told(each) for each in screenings], indent=1, cls=DjangoJSONEncoder),
            "ledger.csv": ledger_of(actor, records),
        },
        images=list(images.order_by("created_at").values_list("pk", flat=True)),
        signed_visits=list(signed.order_by("visit").values_list("visit", flat=True).distinct()),
    )


def keys_of_others(actor: Actor, records: list[UUID]) -> set[UUID]:
    """Screenings and photographs that lay in her record and show somebody else."""
    found = LesionImage.objects.visible_to(actor).filter(SHOWS_ANOTHER, patient__in=records)
    return {key for pair in found.values_list("pk", "screening") for key in pair if key}


def hers(actor: Actor, records: list[UUID]) -> Iterable[Screening]:
    """Without what was found to show somebody else."""
    seen = Screening.objects.visible_to(actor).filter(patient__in=records).exclude(OF_ANOTHER)
    reviews = Prefetch("reviews", Review.objects.select_related("reviewer"))
    return seen.shown_to(actor).select_related("image__lesion", "prediction", "visit").prefetch_related(reviews)


def told(screening: Screening) -> dict[str, object]:
    """A photograph with its reading and its reviews, for programs; the same is in the FHIR record in other words."""
    reading, image = screening.prediction, screening.image
    shown = ("created_at", "kind", "suspicious", "diagnosis", "recommendation", "follow_up_months", "words")
    return {
        "file": f"photographs/{image.pk}.jpg",
        "lesion": image.lesion.label,
        "taken_at": image.captured_at,
        "stored_at": image.created_at,
        "withdrawn_at": screening.withdrawn_at,
        "reading": reading
        and {
            "model": reading.model_version_id,
            "score_malignant_or_premalignant": reading.malignancy,
            "band": reading.band,
            "diagnoses": reading.probabilities,
            "cautions": reading.cautions,
            "unfit_because": reading.unscorable_reasons,
        },
        "reviews": [
            {name: getattr(review, name) for name in shown}
            | {"by": review.reviewer.full_name, "is_signed": review.pk == screening.signed_review_id}
            for review in screening.reviews.all()
        ],
    }


def summary_of(actor: Actor, patient: Patient, records: list[UUID], screenings: list[Screening]) -> str:
    """In the language of who takes it, as a page that wants nothing but the photographs beside it."""
    of_hers = {"patient__in": records}
    context = {
        "patient": patient,
        "identity": patient.identity,
        "numbers": PatientIdentifier.objects.visible_to(actor).filter(**of_hers).order_by("created_at"),
        "consents": [(ConsentKind(kind), consent) for kind, consent in consents_of(records).items()],
        "visits": Visit.objects.visible_to(actor).filter(**of_hers).select_related("clinician").newest_first(),
        "lesions": Lesion.objects.visible_to(actor).filter(**of_hers).order_by("number"),
        "screenings": screenings,
        "outcomes": Outcome.objects.visible_to(actor).in_force().filter(**of_hers).select_related("lesion"),
        "follow_ups": FollowUp.objects.visible_to(actor).filter(**of_hers).select_related("lesion").open_first(),
        "clinic": Clinic.objects.get(pk=actor.own_clinic()),
        "now": timezone.now(),
        "language": translation.get_language(),
    }
    return render_to_string("patients/whole.html", context)


def as_fhir(actor: Actor, records: list[UUID]) -> str:
    base = f"{settings.SITE_URL}/fhir"
    with translation.override("en"):
        entries, _after = everything_of(actor, records, None, ALL)
        others = keys_of_others(actor, records)
        mine = [entry for entry in entries if not others & {entry.row.pk, getattr(entry.row, "image_id", None)}]
        found = bundle(base, with_provenances(mine), {})
    return json.dumps(with_addresses(found | {"type": "collection"}, base), indent=1)


def ledger_of(actor: Actor, records: list[UUID]) -> str:
    events = AuditEvent.objects.visible_to(actor).about_patients(records)
    return as_csv(COLUMNS, (cells_of(event.pk, line_of(event)) for event in events.iterator()))


def packed(whole: Whole, folder: str) -> Iterator[bytes]:
    """While it is being made. JPEG and PDF are packed as they are: they grow no smaller."""
    pack = ZipStream(compress_type=zipfile.ZIP_STORED)
    for name, text in whole.texts.items():
        pack.add(text.encode(), f"{folder}/{name}", compress_type=zipfile.ZIP_DEFLATED)
    for image in whole.images:
        pack.add(photograph(whole, image), f"{folder}/photographs/{image}.jpg")
    for visit in whole.signed_visits:
        pack.add(report(whole, visit), f"{folder}/reports/{visit}.pdf")
    yield from pack


def photograph(whole: Whole, image: UUID) -> Iterator[bytes]:
    with acting(whole.actor):
        data = LesionImage.objects.visible_to(whole.actor).get(pk=image).photograph.read()
    yield data


def report(whole: Whole, visit: UUID) -> Iterator[bytes]:
    with translation.override(whole.language), timezone.override(whole.clinic.time_zone), acting(whole.actor):
        _patient, pdf = signed_pdf(actor=whole.actor, clinic=whole.clinic, visit_id=visit)
    yield pdf
