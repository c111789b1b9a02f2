"""Incidents: opened by anybody, owned by one, closed with what was found."""

from uuid import UUID

from django.utils import timezone
from django.utils.translation import gettext as _

from patients.models import Patient
from screening.incidents import Incident, IncidentNote
from screening.models import Screening
from screening.services.errors import NotYours, ReasonMissing, StaleTransition
from skinclinic.accounts.models import Membership, MembershipQuerySet
from skinclinic.audit.acting import CLINICIAN, MANAGER, REVIEWER, Actor


def open_incident(
    *,
    actor: Actor,
    submission: UUID,
    kind: str,
    words: str,
    screening: Screening | None = None,
    patient: Patient | None = None,
) -> Incident:
    """The same form sent twice is one incident. `screening` was fetched with `shown_to(actor)`: what she was shown of
    it is kept."""
    shown = screening.prediction_id if screening and not screening.is_hidden else None
    about = screening.patient_id if screening else patient.pk if patient else None
    incident, _is_new = Incident.objects.get_or_create(
        opened_by_id=actor.person(),
        submission=submission,
        defaults={
            "clinic_id": actor.own_clinic(),
            "kind": kind,
            "words": words,
            "screening": screening,
            "patient_id": about,
            "prediction_id": shown,
        },
    )
    return incident


def may_own(actor: Actor) -> MembershipQuerySet:
    """Who can add to an incident; an auditor alone cannot."""
    members = Membership.objects.visible_to(actor).active().filter(user__is_active=True)
    return members.filter(roles__overlap=[CLINICIAN, REVIEWER, MANAGER])


def give_incident(*, actor: Actor, incident: Incident, owner: UUID | None) -> None:
    """To a member of the clinic, who sees to it from now on. Raises NotYours, StaleTransition."""
    if not may_own(actor).filter(user=owner).exists():
        raise NotYours(_("Choose an active member of this clinic who works with records."))
    if not Incident.objects.open().filter(pk=incident.pk).update(owner_id=owner):
        raise StaleTransition


def note_incident(*, actor: Actor, incident: Incident, words: str) -> IncidentNote:
    """By a manager, its opener or its owner; an auditor reads. Raises NotYours, ReasonMissing."""
    if not (actor.has_role(MANAGER) or actor.user_id in (incident.opened_by_id, incident.owner_id)):
        raise NotYours(_("Only managers, and who opened or owns it, add to an incident."))
    if not words.strip():
        raise ReasonMissing(_("Write what is to be added."))
    return IncidentNote.objects.create(
        clinic_id=incident.clinic_id, incident=incident, author_id=actor.person(), words=words.strip()
    )


def close_incident(*, actor: Actor, incident: Incident, finding: str) -> None:
    """Raises ReasonMissing, StaleTransition."""
    if not finding.strip():
        raise ReasonMissing(_("Say what was found, and what changes."))
    closed = {"finding": finding.strip(), "closed_by_id": actor.person(), "closed_at": timezone.now()}
    if not Incident.objects.open().filter(pk=incident.pk).update(**closed):
        raise StaleTransition(_("Somebody else has closed it meanwhile."))


def reopen_incident(*, actor: Actor, incident: Incident, words: str) -> None:
    """What was found the first time stays as a note. Raises ReasonMissing, StaleTransition."""
    before = Incident.objects.get(pk=incident.pk)
    is_closed = Incident.objects.filter(pk=incident.pk, closed_at=before.closed_at, closed_at__isnull=False)
    if not words.strip():
        raise ReasonMissing(_("Say why it is opened again."))
    if not is_closed.update(finding="", closed_by=None, closed_at=None):
        raise StaleTransition(_("It is open already."))
    note_incident(actor=actor, incident=incident, words=f"{_('Closed before')}: {before.finding}")
    note_incident(actor=actor, incident=incident, words=f"{_('Opened again')}: {words.strip()}")
