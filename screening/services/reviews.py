"""What doctors say of a photograph, and who holds its visit while she says it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from patients.models import Visit
from screening.codes import ReviewKind
from screening.models import Prediction, Review, Screening
from screening.services.errors import (
    NotYours,
    OpinionContradictsItself,
    ReadingUnseen,
    ReasonMissing,
    StaleTransition,
)
from screening.status import REVIEW_IS_OPEN, ReadingStatus, ReviewStatus, review_sources
from skinclinic.audit.acting import Actor
from skinclinic.events.models import EventType
from skinclinic.events.publish import publish

TAKEN_FOR = timedelta(minutes=15)


@dataclass(frozen=True)
class Opinion:
    """What the review form asks."""

    suspicious: bool
    diagnosis: str
    recommendation: str
    follow_up_months: int | None = None
    difference_reason: str = ""
    words: str = ""


def take_visit(*, actor: Actor, visit: Visit) -> None:
    """Hold a visit for this reviewer for a while, so that two do not read it at once; again holds it longer."""
    now = timezone.now()
    free = Visit.objects.filter(pk=visit.pk).exclude(taken_until__gt=now)
    mine = Visit.objects.filter(pk=visit.pk, taken_by=actor.user_id)
    if (free | mine).update(taken_by=actor.user_id, taken_until=now + TAKEN_FOR) != 1:
        raise NotYours(
            _("Another reviewer has taken this visit. Choose the next one, or look again in a quarter of an hour.")
        )


def release_visit(*, actor: Actor, visit: Visit) -> None:
    Visit.objects.filter(pk=visit.pk, taken_by=actor.user_id).update(taken_by=None, taken_until=None)


def shown_reading(screening: Screening) -> Prediction | None:
    """The reading that the page shows a reviewer: none before it is there or while it is hidden, none if unfit."""
    return screening.prediction if shown_reading_id(screening) else None


def shown_reading_id(screening: Screening) -> UUID | None:
    """Its key, without a look at the row: a locked screening may have got its reading while the lock was waited for."""
    if screening.is_hidden or screening.reading_status != ReadingStatus.PREDICTED:
        return None
    return screening.prediction_id


def save_opinion(
    *, actor: Actor, screening: Screening, submission: UUID, reading_shown: UUID | None, opinion: Opinion
) -> Review:
    """Record one opinion, at any reading status. The same form sent twice is one review.

    While the reading is hidden from her it is a blind one, and shows it to her from then on. `reading_shown` is the
    reading that stood beside the form. Raises ReadingUnseen when there is another by now, OpinionContradictsItself when
    a malignant diagnosis comes with “not suspicious” or “reassure”, ReasonMissing when the suspicion differs from the
    reading and no reason is given, NotYours while another reviewer holds the visit (who gives an opinion takes it), and
    StaleTransition when the screening is signed or withdrawn already.
    """
    with transaction.atomic():
        held = Screening.objects.in_use().select_for_update(of=("self",), no_key=True).filter(pk=screening.pk)
        current = held.select_related("visit").shown_to(actor).first()
        # Asked once the row is locked: the form's twin may have been saved while this one waited.
        if again := Review.objects.filter(reviewer=actor.user_id, submission=submission).first():
            return again
        if current is None or current.review_status not in REVIEW_IS_OPEN:
            raise StaleTransition(
                _("This screening is signed or withdrawn already. Load the page again; a signed one can be amended.")
            )
        refuse_unseen(current, reading_shown)
        take_visit(actor=actor, visit=current.visit)
        kind = kind_of_opinion(actor, current)
        review = write_review(actor=actor, screening=current, submission=submission, opinion=opinion, kind=kind)
        if current.review_status != ReviewStatus.DISPUTED:
            move_review(current, ReviewStatus.READ)
        publish(EventType.SCREENING_REVIEWED, clinic_id=current.clinic_id, screening=current.pk)
        return review


def kind_of_opinion(actor: Actor, screening: Screening) -> ReviewKind:
    """Raises NotYours when two readers differ and the actor is one of them."""
    if screening.is_hidden:
        return ReviewKind.BLIND
    if screening.review_status != ReviewStatus.DISPUTED:
        return ReviewKind.OPINION
    if may_not_adjudicate(actor, screening):
        raise NotYours(_("You are one of the two readers who differ here. A third reviewer decides."))
    return ReviewKind.ADJUDICATION


def may_not_adjudicate(actor: Actor, screening: Screening) -> bool:
    """She is one of the readers who differ: she said something before they were found to."""
    said = Review.objects.filter(screening=screening, reviewer=actor.user_id)
    return screening.disputed_at is not None and said.filter(created_at__lt=screening.disputed_at).exists()


def move_review(screening: Screening, target: ReviewStatus) -> None:
    moved = Screening.objects.filter(pk=screening.pk, review_status__in=review_sources(target)).update(
        review_status=target
    )
    if moved != 1:
        raise StaleTransition


def refuse_unseen(screening: Screening, reading_shown: UUID | None) -> None:
    if shown_reading_id(screening) != reading_shown:
        raise ReadingUnseen(_("A reading has arrived while you wrote. Look at it, and save your opinion again."))


def write_review(
    *,
    actor: Actor,
    screening: Screening,
    submission: UUID,
    opinion: Opinion,
    kind: str,
    supersedes: Review | None = None,
) -> Review:
    review = Review(
        clinic_id=screening.clinic_id,
        patient_id=screening.patient_id,
        screening=screening,
        reviewer_id=actor.person(),
        kind=kind,
        reading_shown=shown_reading(screening),
        blind_opinion=None if kind == ReviewKind.BLIND else blind_opinion_of(actor, screening),
        supersedes=supersedes,
        submission=submission,
        **vars(opinion),
    )
    if review.contradicts_itself:
        raise OpinionContradictsItself(
            _(
                "%(diagnosis)s is malignant or pre-malignant. Call the lesion suspicious and recommend something other "
                "than to reassure, or choose another diagnosis."
            )
            % {"diagnosis": review.get_diagnosis_display()}
        )
    if not review.differs:
        review.difference_reason = ""
    elif not review.difference_reason:
        raise ReasonMissing(_("Your suspicion differs from the reading. Say why; the reason is kept with the review."))
    review.save(force_insert=True)
    return review


def blind_opinion_of(actor: Actor, screening: Screening) -> Review | None:
    """What she said of it before she was shown the reading."""
    return Review.objects.filter(screening=screening, reviewer=actor.user_id, kind=ReviewKind.BLIND).first()


def latest_opinions(screenings: list[Screening]) -> Mapping[UUID, Review]:
    """The last review of each screening, by the screening's id."""
    reviews = (
        Review.objects.filter(screening__in=screenings)
        .order_by("created_at", "id")
        .select_related("reviewer", "reading_shown")
    )
    return {review.screening_id: review for review in reviews}


def opinion_from(cleaned: Mapping[str, Any]) -> Opinion:
    """From the cleaned fields of a form or a request."""
    return Opinion(**{name: cleaned[name] for name in Opinion.__dataclass_fields__})
