"""What signed reviews ask for: one open follow-up for each lesion and recommendation (docs/decisions/026)."""

from datetime import date, timedelta
from uuid import uuid4

from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from patients.models import Lesion
from screening.codes import TAKES_TISSUE, FollowUpStatus, Recommendation
from screening.models import FollowUp, Outcome, Review, Screening
from screening.services.errors import StaleTransition
from skinclinic.audit.acting import Actor, acting

# How soon what a signed review asks for should be done; a follow-up's months are the reviewer's own.
DUE_AFTER = {
    Recommendation.BIOPSY: timedelta(days=14),
    Recommendation.EXCISE: timedelta(days=14),
    Recommendation.REFER: timedelta(days=14),
    Recommendation.RETAKE: timedelta(days=7),
}
REPORTED, REPORT_CORRECTED = "pathology reported", "pathology report corrected or taken back"


def lock_lesions(screenings: list[Screening]) -> None:
    """Two who sign for one lesion, or sign and withdraw, wait for each other, so that one thing is asked for once."""
    lesions = Lesion.objects.filter(pk__in=[each.image.lesion_id for each in screenings]).order_by("pk")
    list(lesions.select_for_update(no_key=True).values_list("pk"))


def make_follow_up(screening: Screening, review: Review) -> FollowUp | None:
    """In the place of an open one that asks for the same of this lesion. The lesion is locked."""
    if review.recommendation == Recommendation.REASSURE:
        return None
    made = FollowUp(
        id=uuid4(),
        clinic_id=screening.clinic_id,
        patient_id=screening.patient_id,
        lesion_id=screening.image.lesion_id,
        review=review,
        what=review.recommendation,
        owner_id=screening.visit.clinician_id,
        due_on=follow_up_due(review),
    )
    FollowUp.objects.open().filter(lesion=made.lesion_id, what=made.what).update(
        status=FollowUpStatus.SUPERSEDED, closed_at=timezone.now(), replaced_by=made.pk
    )
    made.save(force_insert=True)
    return made


def follow_up_due(review: Review) -> date:
    if review.follow_up_months:
        return timezone.localdate() + timedelta(days=round(review.follow_up_months * 30.44))
    return timezone.localdate() + DUE_AFTER[Recommendation(review.recommendation)]


def close_follow_up(*, follow_up: FollowUp, status: str) -> None:
    """Raises StaleTransition. A report that came before the tissue was ticked off answers it all the same."""
    answer = report_since(follow_up) if status == FollowUpStatus.DONE and follow_up.what in TAKES_TISSUE else None
    moved = (
        FollowUp.objects.open()
        .filter(pk=follow_up.pk)
        .update(status=status, closed_at=timezone.now(), reported_by=answer)
    )
    if moved != 1:
        raise StaleTransition(_("This follow-up is closed already."))


def report_since(follow_up: FollowUp) -> Outcome | None:
    since = Outcome.objects.in_force().filter(lesion=follow_up.lesion_id, created_at__gte=follow_up.created_at)
    return since.order_by("created_at").first()


def end_follow_ups(ended: "QuerySet[FollowUp]", *, status: FollowUpStatus) -> None:
    """Their reviews do not stand any more. What an earlier photograph's review asks for, which they replaced, does."""
    for follow_up in ended.filter(status=FollowUpStatus.OPEN):
        close_follow_up(follow_up=follow_up, status=status)
        if before := standing_before(follow_up):
            reopen(before)


def standing_before(follow_up: FollowUp) -> FollowUp | None:
    """Of what it replaced, directly or by way of others, the last one whose review still stands."""
    for before in FollowUp.objects.filter(replaced_by=follow_up).order_by("-created_at"):
        if found := before if stands(before) else standing_before(before):
            return found
    return None


def stands(follow_up: FollowUp) -> bool:
    """Its review is neither amended nor withdrawn with its photograph."""
    return Screening.objects.in_use().filter(signed_review=follow_up.review_id).exists()


def reopen(follow_up: FollowUp) -> None:
    """Unless the same is asked for anew meanwhile, or nobody asks for it any more."""
    again = FollowUp.objects.open().filter(lesion=follow_up.lesion_id, what=follow_up.what).first()
    is_asked = again is None and stands(follow_up)
    FollowUp.objects.filter(pk=follow_up.pk).update(
        status=FollowUpStatus.OPEN if is_asked else FollowUpStatus.SUPERSEDED,
        closed_at=None if is_asked else timezone.now(),
        replaced_by=again,
        reported_by=None,
    )


def close_by_report(*, actor: Actor, outcome: Outcome) -> None:
    """The tissue that was asked for by the day of the report was taken: it is what the report is about."""
    with acting(actor, reason=REPORTED):
        FollowUp.objects.closed_by_report_of(outcome.lesion_id, outcome.reported_on).update(
            status=FollowUpStatus.DONE, closed_at=timezone.now(), reported_by=outcome
        )


def answer_by_report(*, outcome: Outcome) -> None:
    """Of tissue that was ticked off before: its report is here."""
    FollowUp.objects.unanswered().filter(lesion=outcome.lesion_id, created_at__lte=outcome.created_at).update(
        reported_by=outcome
    )


def reopen_by_report(*, actor: Actor, outcome: Outcome, correction: Outcome) -> None:
    """The report was not right, so a person looks again whether the tissue was taken, unless one had ticked it off."""
    with acting(actor, reason=REPORT_CORRECTED):
        answered = FollowUp.objects.filter(reported_by=outcome)
        by_hand = answered.filter(closed_at__lt=outcome.created_at)
        by_hand.update(reported_by=correction if correction.diagnosis else None)
        for follow_up in answered.order_by("created_at"):
            reopen(follow_up)
