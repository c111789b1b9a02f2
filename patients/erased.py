"""Patients whose record was erased: what is left is under opaque ids, and on no page but the one that says so."""

from uuid import UUID

from django.db.models import Model
from django.urls import reverse
from django.utils.translation import gettext as _

from patients.models import Patient
from skinclinic.audit.acting import Actor
from skinclinic.errors import Elsewhere, Gone


class RecordErased(Gone):
    code = "patient-erased"

    def __init__(self) -> None:
        super().__init__(_("This patient's record was erased. Nothing is read from it or written into it any more."))


class ChartErased(Elsewhere):
    """Of pages: her chart's address says when, and why."""

    def __init__(self, patient_id: UUID):
        super().__init__(str(RecordErased()), reverse("patient_chart", args=[patient_id]))


def patient_of(found: Model) -> UUID | None:
    key: UUID | None = found.pk if isinstance(found, Patient) else getattr(found, "patient_id", None)
    return None if getattr(found, "outlives_erasure", False) else key


def is_erased(found: Model) -> bool:
    """From the row itself where the patient was fetched with it."""
    patient_id = patient_of(found)
    if patient_id is None:
        return False
    patient = found if isinstance(found, Patient) else found._state.fields_cache.get("patient")
    if patient is not None:
        return patient.erased_at is not None
    return Patient.objects.erased().filter(pk=patient_id).exists()


def lead_to_what_is_left(found: Model, actor: Actor) -> None:
    """Asked of every row that a page fetches by its key. Raises ChartErased."""
    if (patient_id := patient_of(found)) and is_erased(found):
        raise ChartErased(patient_id)


def refuse_erased(found: Model) -> None:
    """Raises RecordErased."""
    if is_erased(found):
        raise RecordErased
