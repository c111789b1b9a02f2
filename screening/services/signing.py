"""What is signed: visits, amendments, and the acknowledgement that closes the loop."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from uuid import UUID

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from patients.models import Lesion, Visit
from screening.codes import FollowUpStatus, Recommendation, ReviewKind
from screening.models import FollowUp, Review, Screening, Signature
from screening.services.errors import (
    LesionContradicted,
    NotYours,
    OpinionMissing,
    ReadingUnseen,
    SecondReaderNeeded,
    StaleTransition,
)
from screening.services.follow_ups import end_follow_ups, lock_lesions, make_follow_up
from screening.services.reviews import Opinion, latest_opinions, refuse_unseen, shown_reading_id, write_review
from screening.services.second import conflicting, dispute, is_second_reading_due, lacks_second_reader, readers_of
from screening.status import REVIEW_IS_SIGNED, ReviewStatus, review_sources
from skinclinic.accounts.models import Clinic
from skinclinic.audit.acting import Actor
from skinclinic.events.models import EventType
from skinclinic.events.publish import publish


@dataclass(frozen=True)
class Signable:
    """The open screenings of a visit, locked, with the opinions that a signature would go under.

    `differing`: those that go to a third reviewer instead, since two readers differ on them.
    """

    waiting: list[Screening]
    opinions: Mapping[UUID, Review]
    differing: list[Screening]


def sign_visit(*, actor: Actor, visit: Visit, opinions_shown: Collection[UUID]) -> Signature | None:
    """Put the reviewer's name under every open screening of the visit, and make the follow-ups that she asks for.

    None when she is the second reader and differs from the first: then what they differ on is put before a third, and
    nothing is signed. Raises as `lock_signable` does.
    """
    with transaction.atomic():
        signable = lock_signable(actor=actor, visit=visit, opinions_shown=opinions_shown)
        Visit.objects.filter(pk=visit.pk).update(taken_by=None, taken_until=None)
        if signable.differing:
            dispute(signable.differing)
            return None
        signature = Signature.objects.create(
            clinic_id=visit.clinic_id, patient_id=visit.patient_id, visit=visit, reviewer_id=actor.person()
        )
        lock_lesions(signable.waiting)
        for screening in soonest_last(signable.waiting, signable.opinions):
            sign_screening(screening, signable.opinions[screening.pk], signature)
        publish(EventType.REPORT_SIGNED, clinic_id=visit.clinic_id, visit=visit.pk, signature=signature.pk)
        return signature


def soonest_last(screenings: list[Screening], opinions: Mapping[UUID, Review]) -> list[Screening]:
    """What is asked of one lesion last stays open: of several photographs, that which is due first."""
    return sorted(screenings, key=lambda each: -(opinions[each.pk].follow_up_months or 0))


def lock_signable(*, actor: Actor, visit: Visit, opinions_shown: Collection[UUID]) -> Signable:
    """What a signature of the actor's would go under now.

    `opinions_shown` are the ids of the opinions that stood beside the button. Raises OpinionMissing while a screening
    has no opinion, NotYours when the last opinion is another reviewer's, StaleTransition when other opinions than the
    shown ones would be signed, LesionContradicted when those on one lesion ask for opposite things, ReadingUnseen when
    a reading has arrived since one was given, and SecondReaderNeeded
    when the clinic asks for one.
    """
    open_ones = Screening.objects.to_be_reviewed().filter(visit=visit).select_related("image__lesion", "visit")
    waiting = list(open_ones.shown_to(actor).select_for_update(of=("self",), no_key=True))
    if not waiting:
        raise StaleTransition(_("Everything in this visit is signed already."))
    opinions = latest_opinions(waiting)
    if missing := [screening for screening in waiting if screening.pk not in opinions]:
        raise OpinionMissing(
            _("%(missing)s of %(all)s photographs have no opinion yet. Give one for each, then sign.")
            % {"missing": len(missing), "all": len(waiting)}
        )
    # Of a visit with a dispute the third reviewer decides what is disputed; on the rest two readers agree.
    disputed = [screening for screening in waiting if screening.review_status == ReviewStatus.DISPUTED]
    hers = disputed or waiting
    if any(opinions[screening.pk].kind != ReviewKind.ADJUDICATION for screening in disputed):
        raise OpinionMissing(_("Two readers differ here. A third reviewer gives an opinion and signs."))
    if any(opinions[screening.pk].reviewer_id != actor.user_id for screening in hers):
        raise NotYours(_("The last opinion on one of these is another reviewer's. Give your own before you sign."))
    if {review.pk for review in opinions.values()} != set(opinions_shown):
        raise StaleTransition(_("An opinion was given since this page was opened. Look at all of them, then sign."))
    if unseen := [each for each in hers if opinions[each.pk].reading_shown_id != shown_reading_id(each)]:
        raise ReadingUnseen(
            _(
                "%(unseen)s of %(all)s photographs have a reading that you had not seen when you gave your opinion. "
                "Look at it, and keep your opinion or change it."
            )
            % {"unseen": len(unseen), "all": len(hers)}
        )
    refuse_contradictions(waiting, opinions)
    return Signable(waiting, opinions, [] if disputed else differing_from_first_reader(actor, waiting))


def refuse_contradictions(waiting: list[Screening], opinions: Mapping[UUID, Review]) -> None:
    """A patient's letter tells one thing of a lesion. Of a photograph that is to be taken again nothing is told."""
    of_lesion: dict[Lesion, list[Review]] = defaultdict(list)
    for screening in waiting:
        opinion = opinions[screening.pk]
        if opinion.recommendation != Recommendation.RETAKE:
            of_lesion[screening.image.lesion].append(opinion)
    for lesion, said in of_lesion.items():
        if any(said[0].conflicts_with(other) for other in said[1:]):
            raise LesionContradicted(
                _(
                    "Your opinions on the photographs of lesion %(lesion)s contradict each other. Make them agree "
                    "before you sign; a photograph that shows too little is to be taken again."
                )
                % {"lesion": lesion.label}
            )


def differing_from_first_reader(actor: Actor, screenings: list[Screening]) -> list[Screening]:
    """Those on which the actor differs from the first reader, where a second reading is due.

    Raises SecondReaderNeeded when there has been none but the actor.
    """
    readers = readers_of(screenings)
    clinic = Clinic.objects.get(pk=actor.own_clinic())
    if not is_second_reading_due(clinic, screenings, readers):
        return []
    if lacks_second_reader(screenings, readers, actor.user_id):
        raise SecondReaderNeeded(
            _("This clinic asks for a second reader here. Your opinions are kept: give the visit back to the list.")
        )
    return conflicting(screenings, readers, actor.person())


def sign_screening(screening: Screening, review: Review, signature: Signature) -> None:
    target = ReviewStatus.AMENDED if screening.is_signed else ReviewStatus.SIGNED
    moved = Screening.objects.filter(
        pk=screening.pk, review_status=screening.review_status, review_status__in=review_sources(target)
    ).update(review_status=target, signed_review=review, signature=signature)
    if moved != 1:
        raise StaleTransition
    make_follow_up(screening, review)


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
                _("This review was signed or amended since you opened it. Load the page again and look.")
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
        signature = Signature.objects.create(
            clinic_id=current.clinic_id,
            patient_id=current.patient_id,
            visit=current.visit,
            reviewer_id=actor.person(),
            amends=last_signature(current.visit),
        )
        lock_lesions([current])
        sign_screening(current, review, signature)
        end_follow_ups(FollowUp.objects.filter(review=review.supersedes), status=FollowUpStatus.SUPERSEDED)
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
        raise StaleTransition(_("This review was acknowledged already."))
