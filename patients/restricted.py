"""Charts of staff and of people in the public eye: who opens one says why, for an hour, and the managers are told."""

from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import F, Model
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from patients.models import ChartOpening, Patient, Visit
from skinclinic.audit.acting import CLINICIAN, MANAGER, Actor
from skinclinic.errors import Elsewhere, NotAllowed, StaleForm
from skinclinic.events.models import EventType
from skinclinic.events.publish import publish

OPEN_FOR = timedelta(hours=1)


class ChartRestricted(Elsewhere):
    """She has not said why she opens it, or an hour has passed."""

    def __init__(self, patient_id: UUID):
        super().__init__(_("This chart is restricted. Say why you open it."), reverse("chart_open", args=[patient_id]))


def refuse_closed(found: Model, actor: Actor) -> None:
    """Asked of every row that a page fetches by its key. Raises ChartRestricted.

    API clients are asked for nothing: they are no people, and what they read is on the ledger.
    """
    patient_id = found.pk if isinstance(found, Patient) else getattr(found, "patient_id", None)
    if patient_id is None or actor.user_id is None or not getattr(found, "is_in_the_chart", True):
        return
    if is_restricted(found, patient_id) and not is_open_to(actor, patient_id):
        raise ChartRestricted(patient_id)


def is_restricted(found: Model, patient_id: UUID) -> bool:
    """From the row itself where the patient was fetched with it."""
    patient = found if isinstance(found, Patient) else found._state.fields_cache.get("patient")
    if patient is not None:
        return bool(patient.is_restricted)
    return Patient.objects.filter(pk=patient_id, is_restricted=True).exists()


def is_open_to(actor: Actor, patient_id: UUID) -> bool:
    """All records of one person are one chart."""
    openings = ChartOpening.objects.visible_to(actor).filter(person=actor.person(), ends_at__gt=timezone.now())
    return openings.filter(patient__in=Patient.objects.of_person(patient_id)).exists()


def open_chart(*, actor: Actor, patient: Patient, reason: str) -> ChartOpening:
    now = timezone.now()
    with transaction.atomic():
        opening = ChartOpening.objects.create(
            clinic_id=patient.clinic_id,
            patient=patient,
            person_id=actor.person(),
            reason=reason,
            created_at=now,
            ends_at=now + OPEN_FOR,
        )
        publish(EventType.CHART_OPENED, clinic_id=patient.clinic_id, patient=patient.pk, opening=opening.pk)
        return opening


def may_restrict(actor: Actor, patient: Patient) -> bool:
    """A manager, and who has seen this patient in a visit."""
    if actor.has_role(MANAGER):
        return True
    visits = Visit.objects.visible_to(actor).filter(
        clinician=actor.user_id, patient__in=Patient.objects.of_person(patient.pk)
    )
    return actor.has_role(CLINICIAN) and visits.exists()


def restrict(*, actor: Actor, patient: Patient, restricted: bool) -> None:
    """All records of the person, or free again. Raises NotAllowed, StaleForm."""
    if not may_restrict(actor, patient):
        raise NotAllowed(_("A manager does this, or a clinician who has seen this patient in a visit."))
    with transaction.atomic():
        of_person = Patient.objects.of_person(patient.pk).select_for_update(no_key=True)
        changed = [row.pk for row in of_person.order_by("pk") if row.is_restricted != restricted]
        if not changed:
            raise StaleForm(_("It is so already. Load the page again and look."))
        Patient.objects.filter(pk__in=changed).update(is_restricted=restricted, version=F("version") + 1)
