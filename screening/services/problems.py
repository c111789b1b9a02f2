"""What people find wrong with readings, and what a manager answers."""

from uuid import UUID

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from screening.models import ReadingProblem, Screening
from screening.services.errors import NotYours, StaleTransition
from skinclinic.audit.acting import Actor
from skinclinic.events.models import EventType
from skinclinic.events.publish import publish


def report_problem(*, actor: Actor, screening: Screening, submission: UUID, kind: str, words: str) -> ReadingProblem:
    """Keep it beside the reading that was shown. The same form sent twice is one report.

    `screening` was fetched with `shown_to(actor)`: raises NotYours while its reading is hidden from her.
    """
    if screening.is_hidden:
        raise NotYours(_("You have not seen the reading yet, so there is nothing to report of it."))
    with transaction.atomic():
        problem, is_new = ReadingProblem.objects.get_or_create(
            reported_by_id=actor.person(),
            submission=submission,
            defaults={
                "clinic_id": screening.clinic_id,
                "patient_id": screening.patient_id,
                "screening": screening,
                "prediction_id": screening.prediction_id,
                "kind": kind,
                "words": words,
            },
        )
        if is_new:
            publish(EventType.READING_PROBLEM, clinic_id=screening.clinic_id, screening=screening.pk)
    return problem


def answer_problem(*, actor: Actor, problem: ReadingProblem, answer: str) -> None:
    answered = ReadingProblem.objects.open().filter(pk=problem.pk)
    if answered.update(answer=answer, answered_by=actor.person(), answered_at=timezone.now()) != 1:
        raise StaleTransition(_("Another manager has answered this already. Load the page again and look."))
