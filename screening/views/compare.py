"""Two photographs of one patient beside each other, or one over the other."""

from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from patients.models import Patient
from patients.services import ids_of_person
from screening.course import taken_at
from screening.models import Screening
from skinclinic.accounts.permissions import get_visible, member_required
from skinclinic.audit.record import record
from skinclinic.text import uuid_or_none


@require_GET
@member_required()
def compare(request: HttpRequest, patient_id: UUID) -> HttpResponse:
    """`?first=` and `?second=` are photographs; without them the two newest of the patient's."""
    patient = get_visible(Patient.objects.with_identity(), request.actor, patient_id)
    record("photographs_compared", subject_type="patients_patient", subject_id=patient.pk, patient_id=patient.pk)
    screenings = sorted(screenings_of_person(request, patient), key=taken_at)
    pair = [chosen(request.GET.get(name), screenings) for name in ("first", "second")]
    if None in pair:
        pair = screenings[-2:]
    by_lesion = sorted(screenings, key=lambda each: (each.image.lesion.number, taken_at(each)))
    return render(request, "screening/compare.html", {"patient": patient, "pair": pair, "screenings": by_lesion})


def screenings_of_person(request: HttpRequest, patient: Patient) -> list[Screening]:
    screenings = Screening.objects.visible_to(request.actor).in_use().filter(patient__in=ids_of_person(patient.pk))
    return list(screenings.with_reading().shown_to(request.actor))


def chosen(key: str | None, screenings: list[Screening]) -> Screening | None:
    """The screening of the photograph of this key; None without a key. Raises Http404 when it is not this patient's."""
    if not key:
        return None
    for screening in screenings:
        if screening.image_id == uuid_or_none(key):
            return screening
    raise Http404
