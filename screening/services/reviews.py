"""What doctors say: opinions, signatures, amendments, and the acknowledgement that closes the loop."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from patients.models import Visit
from screening.codes import FollowUpStatus, Recommendation, ReviewKind
from screening.models import FollowUp, Prediction, Review, Screening, Signature
from screening.services.errors import (
    NotYours,
    OpinionContradictsItself,
    OpinionMissing,
    ReadingUnseen,
    ReasonMissing,
    SecondReaderNeeded,
    StaleTransition,
)
from screening.services.second import conflicting, dispute, is_second_reading_due, lacks_second_reader, readers_of
from screening.status import REVIEW_IS_OPEN, REVIEW_IS_SIGNED, ReadingStatus, ReviewStatus, review_sources
from skinclinic.accounts.models import Clinic
from skinclinic.audit.acting import Actor
from skinclinic.events.models import EventType
from skinclinic.events.publish import publish

TAKEN_FOR = timedelta(minutes=15)
# How soon what a signed review asks for should be done; a follow-up's months are the reviewer's own.
DUE_AFTER = {
    Recommendation.BIOPSY: timedelta(days=14),
    Recommendation.EXCISE: timedelta(days=14),
    Recommendation.REFER: timedelta(days=14),
    Recommendation.RETAKE: timedelta(days=7),
}


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
            "Another reviewer has taken this visit. Choose the next one, or look again in a quarter of an hour."
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
                "This screening is signed or withdrawn already. Load the page again; a signed one can be amended."
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
        raise NotYours("You are one of the two readers who differ here. A third reviewer decides.")
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
        raise ReadingUnseen("A reading has arrived while you wrote. Look at it, and save your opinion again.")


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
            f"{review.get_diagnosis_display()} is malignant or pre-malignant. Call the lesion suspicious and recommend "
            "something other than to reassure, or choose another diagnosis."
        )
    if not review.differs:
        review.difference_reason = ""
    elif not review.difference_reason:
        raise ReasonMissing("Your suspicion differs from the reading. Say why; the reason is kept with the review.")
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


def sign_visit(*, actor: Actor, visit: Visit, opinions_shown: Collection[UUID]) -> Signature | None:
    """Put the reviewer's name under every open screening of the visit, and make the follow-ups that she asks for.

    None when she is the second reader and differs from the first: then what they differ on is put before a third, and
    nothing is signed. `opinions_shown` are the ids of the opinions that stood beside the button. Raises OpinionMissing
    while a screening has no opinion, NotYours when the last opinion is another reviewer's, StaleTransition when other
    opinions than the shown ones would be signed, ReadingUnseen when a reading has arrived since one was given, and
    SecondReaderNeeded when the clinic asks for one.
    """
    with transaction.atomic():
        open_ones = Screening.objects.to_be_reviewed().filter(visit=visit).select_related("image", "visit")
        open_ones = open_ones.shown_to(actor)
        waiting = list(open_ones.select_for_update(of=("self",), no_key=True))
        if not waiting:
            raise StaleTransition("Everything in this visit is signed already.")
        opinions = latest_opinions(waiting)
        if missing := [screening for screening in waiting if screening.pk not in opinions]:
            raise OpinionMissing(
                f"{len(missing)} of {len(waiting)} photographs have no opinion yet. Give one for each, then sign."
            )
        # Of a visit with a dispute the third reviewer decides what is disputed; on the rest two readers agree.
        disputed = [screening for screening in waiting if screening.review_status == ReviewStatus.DISPUTED]
        hers = disputed or waiting
        if any(opinions[screening.pk].kind != ReviewKind.ADJUDICATION for screening in disputed):
            raise OpinionMissing("Two readers differ here. A third reviewer gives an opinion and signs.")
        if any(opinions[screening.pk].reviewer_id != actor.user_id for screening in hers):
            raise NotYours("The last opinion on one of these is another reviewer's. Give your own before you sign.")
        if {review.pk for review in opinions.values()} != set(opinions_shown):
            raise StaleTransition("An opinion was given since this page was opened. Look at all of them, then sign.")
        if unseen := [each for each in hers if opinions[each.pk].reading_shown_id != shown_reading_id(each)]:
            raise ReadingUnseen(
                f"{len(unseen)} of {len(hers)} photographs have a reading that you had not seen when you gave your "
                "opinion. Look at it, and keep your opinion or change it."
            )
        if not disputed and differs_from_first_reader(actor, waiting):
            Visit.objects.filter(pk=visit.pk).update(taken_by=None, taken_until=None)
            return None
        signature = Signature.objects.create(
            clinic_id=visit.clinic_id, patient_id=visit.patient_id, visit=visit, reviewer_id=actor.person()
        )
        for screening in waiting:
            sign_screening(screening, opinions[screening.pk], signature)
        Visit.objects.filter(pk=visit.pk).update(taken_by=None, taken_until=None)
        publish(EventType.REPORT_SIGNED, clinic_id=visit.clinic_id, visit=visit.pk, signature=signature.pk)
        return signature


def differs_from_first_reader(actor: Actor, screenings: list[Screening]) -> bool:
    """Where a second reading is due: put before a third reviewer what the two differ on, and tell whether they do.

    Raises SecondReaderNeeded when there has been none but the actor.
    """
    readers = readers_of(screenings)
    clinic = Clinic.objects.get(pk=actor.own_clinic())
    if not is_second_reading_due(clinic, screenings, readers):
        return False
    if lacks_second_reader(screenings, readers, actor.user_id):
        raise SecondReaderNeeded(
            "This clinic asks for a second reader here. Your opinions are kept: give the visit back to the list."
        )
    differing = conflicting(screenings, readers, actor.person())
    dispute(differing)
    return bool(differing)


def sign_screening(screening: Screening, review: Review, signature: Signature) -> None:
    target = ReviewStatus.AMENDED if screening.is_signed else ReviewStatus.SIGNED
    moved = Screening.objects.filter(
        pk=screening.pk, review_status=screening.review_status, review_status__in=review_sources(target)
    ).update(review_status=target, signed_review=review, signature=signature)
    if moved != 1:
        raise StaleTransition
    make_follow_up(screening, review)


def make_follow_up(screening: Screening, review: Review) -> FollowUp | None:
    if review.recommendation == Recommendation.REASSURE:
        return None
    return FollowUp.objects.create(
        clinic_id=screening.clinic_id,
        patient_id=screening.patient_id,
        lesion_id=screening.image.lesion_id,
        review=review,
        what=review.recommendation,
        owner_id=screening.visit.clinician_id,
        due_on=follow_up_due(review),
    )


def follow_up_due(review: Review) -> date:
    if review.follow_up_months:
        return timezone.localdate() + timedelta(days=round(review.follow_up_months * 30.44))
    return timezone.localdate() + DUE_AFTER[Recommendation(review.recommendation)]


def amend_review(
    *,
    actor: Actor,
    screening: Screening,
    submission: UUID,
    reading_shown: UUID | None,
    opinion: Opinion,
    amends: UUID,
) -> Review:
    """Supersede the signed review `amends` by another, signed in the same act. The first one stays as it was.

    Its open follow-up is superseded, since the amended review makes its own.
    """
    with transaction.atomic():
        held = Screening.objects.in_use().select_for_update(of=("self",), no_key=True).filter(pk=screening.pk)
        current = held.select_related("image", "visit").shown_to(actor).first()
        if again := Review.objects.filter(reviewer=actor.user_id, submission=submission).first():
            return again
        if current is None or current.review_status not in REVIEW_IS_SIGNED or current.signed_review_id != amends:
            raise StaleTransition(
                "This review was signed or amended since you opened it. Load the page again and look."
            )
        refuse_unseen(current, reading_shown)
        # Two amendments in one visit wait for each other, so that each amends the signature before it.
        Visit.objects.select_for_update(no_key=True).get(pk=current.visit_id)
        review = write_review(
            actor=actor,
            screening=current,
            submission=submission,
            opinion=opinion,
            kind=ReviewKind.AMENDMENT,
            supersedes=current.signed_review,
        )
        FollowUp.objects.open().filter(review=current.signed_review).update(
            status=FollowUpStatus.SUPERSEDED, closed_at=timezone.now()
        )
        signature = Signature.objects.create(
            clinic_id=current.clinic_id,
            patient_id=current.patient_id,
            visit=current.visit,
            reviewer_id=actor.person(),
            amends=last_signature(current.visit),
        )
        sign_screening(current, review, signature)
        publish(EventType.REPORT_AMENDED, clinic_id=current.clinic_id, visit=current.visit_id, signature=signature.pk)
        return review


def last_signature(visit: Visit) -> Signature | None:
    return visit.signatures.order_by("-created_at", "-id").first()


def acknowledge(*, actor: Actor, signature: Signature) -> None:
    """The clinician says that she has seen what was signed. Once is enough; who was first stays."""
    moved = Signature.objects.filter(pk=signature.pk, acknowledged_at__isnull=True).update(
        acknowledged_by=actor.user_id, acknowledged_at=timezone.now()
    )
    if moved != 1:
        raise StaleTransition("This review was acknowledged already.")


def close_follow_up(*, follow_up: FollowUp, status: str) -> None:
    moved = FollowUp.objects.open().filter(pk=follow_up.pk).update(status=status, closed_at=timezone.now())
    if moved != 1:
        raise StaleTransition("This follow-up is closed already.")


def opinion_from(cleaned: Mapping[str, Any]) -> Opinion:
    """From the cleaned fields of a form or a request."""
    return Opinion(**{name: cleaned[name] for name in Opinion.__dataclass_fields__})
