"""A legal hold keeps a patient's record from being erased: put by a manager with a reason, lifted by two people."""

from collections.abc import Mapping

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from patients.models import LegalHold, Patient
from patients.services import hold_kept
from screening.services.errors import NotYours, StaleTransition
from skinclinic.accounts.approval import refuse_who_may_not_agree
from skinclinic.audit.acting import Actor
from skinclinic.events.models import EventType
from skinclinic.events.publish import publish


def put_hold(*, actor: Actor, patient: Patient, words: str) -> LegalHold:
    """Raises StaleTransition, RecordErased."""
    try:
        with transaction.atomic():
            hold_kept(patient)
            return LegalHold.objects.create(
                clinic_id=patient.clinic_id, patient=patient, words=words, put_by_id=actor.person()
            )
    except IntegrityError as error:
        raise StaleTransition(_("A hold stands already. Load the page again and look.")) from error


def ask_to_lift(*, actor: Actor, hold: LegalHold) -> None:
    with transaction.atomic():
        move(hold, {"lift_asked_by": None}, lift_asked_by=actor.person(), lift_asked_at=timezone.now())
        publish(EventType.LIFT_ASKED, clinic_id=hold.clinic_id, patient=hold.patient_id, hold=hold.pk)


def take_back_lifting(*, actor: Actor, hold: LegalHold) -> None:
    """By any manager. The hold stays."""
    move(hold, {"lift_asked_by__isnull": False}, lift_asked_by=None, lift_asked_at=None)


def agree_to_lift(*, actor: Actor, hold: LegalHold) -> None:
    """By another person than the one who asked; raises NotYours, NotAllowed, StaleTransition."""
    refuse_who_may_not_agree(actor)
    if hold.lift_asked_by_id == actor.person():
        raise NotYours(_("You asked to lift it. Another manager or a reviewer has to agree."))
    asked = {"lift_asked_by": hold.lift_asked_by_id, "lift_asked_by__isnull": False}
    move(hold, asked, lifted_by=actor.person(), lifted_at=timezone.now())


def move(hold: LegalHold, was: Mapping[str, object], **columns: object) -> None:
    if LegalHold.objects.open().filter(pk=hold.pk, **was).update(**columns) != 1:
        raise StaleTransition
    hold.refresh_from_db()
