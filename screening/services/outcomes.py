"""What pathology found, entered by hand: kept for ever, corrected by a later entry."""

from dataclasses import dataclass
from datetime import date
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _

from patients.models import Lesion
from screening.models import Outcome
from screening.services.errors import ReasonMissing, StaleTransition
from screening.services.follow_ups import answer_by_report, close_by_report, reopen_by_report
from skinclinic.audit.acting import Actor


@dataclass(frozen=True)
class Finding:
    """What the report says. Without a diagnosis it takes an entry back, and `words` say why."""

    diagnosis: str
    reported_on: date
    words: str = ""


def enter_outcome(
    *,
    actor: Actor,
    lesion: Lesion,
    submission: UUID,
    finding: Finding,
    supersedes: Outcome | None = None,
    keeps_open: bool = False,
) -> Outcome:
    """Add a report to the lesion, or put it in the place of one. The same form sent twice is one entry.

    A report closes what is open for tissue of this lesion, unless it `keeps_open`; one that is corrected or taken back
    opens that again.

    Raises StaleTransition when the entry to be corrected has been corrected already, and ReasonMissing when one is
    taken back without a word.
    """
    if not finding.diagnosis and not (supersedes and finding.words):
        raise ReasonMissing(_("Say why the entry is taken back."))
    with transaction.atomic():
        # Two corrections of one entry wait for each other here.
        Lesion.objects.select_for_update(no_key=True).get(pk=lesion.pk)
        if again := Outcome.objects.filter(
            clinic=lesion.clinic_id, entered_by=actor.user_id, submission=submission
        ).first():
            return again
        if supersedes and not Outcome.objects.in_force().filter(pk=supersedes.pk, lesion=lesion).exists():
            raise StaleTransition(
                _("This entry was corrected by somebody else just now. Load the page again and look.")
            )
        outcome = Outcome.objects.create(
            clinic_id=lesion.clinic_id,
            patient_id=lesion.patient_id,
            lesion=lesion,
            entered_by_id=actor.user_id,
            submission=submission,
            supersedes=supersedes,
            **vars(finding),
        )
        if supersedes:
            reopen_by_report(actor=actor, outcome=supersedes, correction=outcome)
            return outcome
        answer_by_report(outcome=outcome)
        if not keeps_open:
            close_by_report(actor=actor, outcome=outcome)
        return outcome
