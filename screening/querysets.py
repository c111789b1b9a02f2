"""Named filters of screenings. `visible_to` is the truth about who sees what."""

from datetime import date, datetime
from typing import TYPE_CHECKING, Self
from uuid import UUID

from django.apps import apps
from django.db import models
from django.db.models import (
    BooleanField,
    Case,
    DateTimeField,
    Exists,
    ExpressionWrapper,
    F,
    IntegerField,
    Min,
    OuterRef,
    Q,
    Value,
    When,
)
from django.db.models.expressions import Combinable
from django.db.models.functions import Now, TruncDate
from django.db.models.lookups import IsNull
from django.utils import timezone

from patients.querysets import ClinicQuerySet
from screening.codes import TAKES_TISSUE, FollowUpStatus, ReviewKind
from screening.status import REVIEW_IS_OPEN, REVIEW_IS_SIGNED, ReadingStatus, ReviewStatus
from skinclinic.audit.acting import AUDITOR, CLINICIAN, MANAGER, REVIEWER, Actor

if TYPE_CHECKING:
    from screening.models import ModelVersion

HIDDEN_UNTIL_OPINION, HIDDEN_UNTIL_REVIEW = "opinion", "review"


class ScreeningQuerySet(ClinicQuerySet):
    def in_use(self) -> Self:
        """Without the withdrawn ones, which are kept but on no list."""
        return self.filter(withdrawn_at__isnull=True)

    def withdrawn(self) -> Self:
        return self.filter(withdrawn_at__isnull=False)

    def for_clinician(self, user_id: UUID | None) -> Self:
        """Of her visits, and of those that another system opened: they have no clinician and are every clinician's."""
        return self.filter(Q(visit__clinician=user_id) | Q(visit__clinician=None))

    def to_be_reviewed(self) -> Self:
        """Of an erased patient nothing is any more."""
        return self.in_use().filter(review_status__in=sorted(REVIEW_IS_OPEN), patient__erased_at__isnull=True)

    def signed(self) -> Self:
        return self.filter(review_status__in=sorted(REVIEW_IS_SIGNED))

    def disputed(self) -> Self:
        return self.in_use().filter(review_status=ReviewStatus.DISPUTED)

    def to_be_retaken(self) -> Self:
        """Not fit to be read, and the lesion has no newer photograph."""
        newer = apps.get_model("screening", "Screening").objects.in_use()
        newer = newer.filter(image__lesion=OuterRef("image__lesion"), created_at__gt=OuterRef("created_at"))
        return self.to_be_reviewed().filter(reading_status=ReadingStatus.UNSCORABLE).exclude(Exists(newer))

    def to_be_retaken_by(self, user_id: UUID | None) -> Self:
        """Given to her, or hers as `for_clinician` has it while nobody was named."""
        hers = Q(visit__clinician=user_id) | Q(visit__clinician=None)
        return self.filter(Q(retake__assignee=user_id) | Q(retake=None) & hers)

    def queued(self) -> Self:
        return self.filter(reading_status=ReadingStatus.QUEUED)

    def with_expired_lease(self) -> Self:
        """By the database's clock, which wrote the lease."""
        return self.filter(reading_status=ReadingStatus.RUNNING, lease_until__lt=Now())

    def with_repeats_marked(self) -> Self:
        """`is_repeat`: of a file that was sent for the same lesion before, and is in use there (docs/decisions/021)."""
        return self.annotate(is_repeat=is_repeat())

    def counted_once(self) -> Self:
        """Of photographs of one lesion that came from one file, the first that is in use."""
        return self.exclude(is_repeat())

    def in_reading_order(self) -> Self:
        """Lesion after lesion, and of one lesion as they were taken in."""
        return self.order_by("image__lesion__number", "created_at", "id")

    def shown_to(self, actor: Actor) -> Self:
        """`is_hidden`: the reading is kept from this actor; `hidden_until`: until her own opinion, or a review."""
        until = HIDDEN_UNTIL_OPINION if actor.has_role(REVIEWER) else HIDDEN_UNTIL_REVIEW
        return self.annotate(is_hidden=is_hidden_from(actor), hidden_until=Value(until))

    def with_prediction(self) -> Self:
        """The deciding reading, and `is_suspended`: whether it, or the one to come, is suspended in the clinic now."""
        return self.select_related("prediction").annotate(is_suspended=is_suspended())

    def with_reading_for(self, actor: Actor) -> Self:
        """Those whose reading this actor is shown, and may rely on, now."""
        return self.with_prediction().shown_to(actor).filter(is_hidden=False, is_suspended=False)

    def with_reading(self) -> Self:
        """What a list shows of each, without a query per row."""
        return self.with_prediction().select_related("image__lesion", "signed_review", "patient__identity")

    def with_cautions(self) -> Self:
        """The reading with what its model's caution rules ask for."""
        return (
            self.with_prediction()
            .select_related("image__lesion", "patient__identity", "patient__merged_into__identity")
            .prefetch_related("prediction__model_version")
        )

    def with_everything(self) -> Self:
        """What a result page shows."""
        return (
            self.with_reading()
            .with_cautions()
            .select_related("signed_review__reviewer", "visit__taken_by")
            .prefetch_related("reviews__reviewer", "reviews__blind_opinion")
        )


class LesionImageQuerySet(ClinicQuerySet):
    def in_use(self) -> Self:
        return self.filter(screening__withdrawn_at__isnull=True, overview__withdrawn_at__isnull=True)

    def screened(self) -> Self:
        """Without the overview photographs, which are not read."""
        return self.filter(screening__isnull=False)


class SignatureQuerySet(ClinicQuerySet):
    def unacknowledged(self) -> Self:
        return self.filter(acknowledged_at__isnull=True, patient__erased_at__isnull=True)

    def for_clinician(self, user_id: UUID | None) -> Self:
        return self.filter(Q(visit__clinician=user_id) | Q(visit__clinician=None))


class ModelVersionQuerySet(models.QuerySet["ModelVersion"]):
    """The same for every clinic: nobody's versions are hidden from anybody."""

    def for_clinic(self, actor: Actor) -> Self:
        """With `is_active`, `is_previous`, `is_shadow` and `is_suspended` in the actor's clinic."""
        version, of_clinic = OuterRef("pk"), {"clinic": actor.clinic_id}
        policies, shadows, stops = (
            apps.get_model("screening", name).objects.filter(**of_clinic)
            for name in ("ReadingPolicy", "ShadowVersion", "Suspension")
        )
        return self.annotate(
            is_active=Exists(policies.filter(active=version)),
            is_previous=Exists(policies.filter(previous=version)),
            is_shadow=Exists(shadows.filter(model_version=version)),
            is_suspended=Exists(stops.open().filter(Q(model_version=version) | Q(model_version=None))),
        )

    def newest_first(self) -> "list[ModelVersion]":
        """By version, compared number by number; a pretended model counts as the oldest."""
        return sorted(self, key=lambda version: _numbers(version.pk), reverse=True)

    def newest(self) -> "ModelVersion | None":
        return next(iter(self.newest_first()), None)


def _numbers(version: str) -> list[int]:
    return [int(part) if part.isdigit() else -1 for part in version.split(".")]


class PredictionQuerySet(ClinicQuerySet):
    def deciding(self) -> Self:
        return self.filter(decides__isnull=False)

    def beside(self) -> Self:
        """Of versions that read in the shadow, whose scores nobody is shown."""
        return self.filter(decides__isnull=True)


class SuspensionQuerySet(ClinicQuerySet):
    def open(self) -> Self:
        return self.filter(resumed_at__isnull=True)


class SwitchRequestQuerySet(ClinicQuerySet):
    def open(self) -> Self:
        return self.filter(ended_at__isnull=True)


def is_suspended(screening: str = "") -> Exists:
    """Of the row's screening (`screening`: the way to it, ending in "__"): its reading stands on a suspended version.

    A photograph that was not read yet stands on the version that decides in its clinic.
    """
    its_version = Q(model_version=OuterRef(f"{screening}prediction__model_version"))
    to_come = Q(IsNull(OuterRef(f"{screening}prediction"), True), model_version__decides_in__clinic=F("clinic"))
    stops = apps.get_model("screening", "Suspension").objects.open()
    return Exists(stops.filter(Q(model_version=None) | its_version | to_come, clinic=OuterRef(f"{screening}clinic")))


def is_repeat() -> Exists:
    """Of a screening: an older one in use is of the same lesion, and came from the same file."""
    others = apps.get_model("screening", "Screening").objects.in_use()
    same = others.filter(image__lesion=OuterRef("image__lesion"), image__upload_sha256=OuterRef("image__upload_sha256"))
    at = OuterRef("created_at")
    return Exists(same.filter(Q(created_at__lt=at) | Q(created_at=at, pk__lt=OuterRef("pk"))))


def is_hidden_from(actor: Actor) -> Combinable:
    """Of a screening: the clinic has its reviewers read blind, and this one has not given an opinion that covers it; or
    it shows its clinicians no unreviewed readings, or no low ones.

    A reviewer is also kept from older readings of a lesion that is to be read again, and from those of a photograph
    that was moved to one.
    """
    if not actor.has_role(REVIEWER):
        return is_unreviewed() if is_only_clinician(actor) else Value(False)
    unread = apps.get_model("screening", "Screening").objects.to_be_reviewed()
    unread = unread.exclude(has_judged(actor))
    # Postgres goes from left to right here: what is cheap comes first, and most clinics do not ask for it.
    return ExpressionWrapper(
        Q(clinic__blind_first_reading=True)
        & ~Q(has_judged(actor))
        & (
            Q(withdrawn_at__isnull=True, review_status__in=sorted(REVIEW_IS_OPEN))
            | Q(Exists(unread.filter(image__lesion=OuterRef("image__lesion"))))
            | Q(Exists(unread.filter(pk=OuterRef("moved_to"))))
        ),
        output_field=BooleanField(),
    )


def is_only_clinician(actor: Actor) -> bool:
    return actor.has_role(CLINICIAN) and not actor.has_role(REVIEWER, MANAGER, AUDITOR)


def is_unreviewed() -> Combinable:
    """Of a screening: a reading that the clinic shows its clinicians once it is signed, and that is not signed.

    A low score under a caution counts as low, though no band is shown.
    """
    low = Q(prediction__band="low")
    return ExpressionWrapper(
        Q(reading_status=ReadingStatus.PREDICTED, review_status__in=sorted(REVIEW_IS_OPEN))
        & (Q(clinic__unreviewed_readings="never") | Q(clinic__unreviewed_readings="not_low") & low),
        output_field=BooleanField(),
    )


def has_judged(actor: Actor, screening: str = "", visit: str = "visit") -> Exists:
    """The actor has given an opinion that covers the row's screening (`screening`: the way to it, ending in "__").

    That is one on the photograph itself, or a blind one, given since it came, on another of its lesion in its visit.
    What she said with a reading of the lesion before her covers its own photograph alone: a new one may have come.
    """
    said = apps.get_model("screening", "Review").objects.filter(reviewer=actor.user_id)
    of_lesion = Q(kind=ReviewKind.BLIND, screening__image__lesion=OuterRef(f"{screening}image__lesion"))
    since = Q(created_at__gte=OuterRef(f"{screening}created_at"))
    return Exists(
        said.filter(Q(screening=OuterRef(f"{screening}pk")) | of_lesion & since, screening__visit=OuterRef(visit))
    )


def is_to_be_judged_blind(actor: Actor) -> Combinable:
    """Of a visit's waiting screening: `is_hidden_from` the actor.

    For most visits it is enough that she has said nothing there at all, which is asked once for all of them.
    """
    if not actor.has_role(REVIEWER):
        return Value(False)
    said = apps.get_model("screening", "Review").objects.filter(reviewer=actor.user_id)
    begun = said.filter(screening__review_status__in=sorted(REVIEW_IS_OPEN)).values("screening__visit")
    judged = Q(pk__in=begun) & Q(has_judged(actor, "screenings__", "pk"))
    return ExpressionWrapper(Q(clinic__blind_first_reading=True) & ~judged, output_field=BooleanField())


class FollowUpQuerySet(ClinicQuerySet):
    def open(self) -> Self:
        return self.filter(status=FollowUpStatus.OPEN)

    def open_first(self) -> Self:
        """Then those that are closed; each half by the day it is due."""
        return self.order_by(Case(When(status=FollowUpStatus.OPEN, then=0), default=1), "due_on", "created_at")

    def for_owner(self, user_id: UUID | None) -> Self:
        return self.filter(Q(owner=user_id) | Q(owner=None))

    def unanswered(self) -> Self:
        """Tissue that was taken, and of which no report is here."""
        return self.filter(what__in=sorted(TAKES_TISSUE), status=FollowUpStatus.DONE, reported_by__isnull=True)

    def closed_by_report_of(self, lesion_id: UUID, day: date) -> Self:
        """The open ones that a report of that day closes: an older report is about other tissue."""
        asked = self.open().filter(lesion=lesion_id, what__in=sorted(TAKES_TISSUE))
        return asked.annotate(asked_on=TruncDate("created_at")).filter(asked_on__lte=day)


class OutcomeQuerySet(ClinicQuerySet):
    def in_force(self) -> Self:
        """Without those that were corrected or taken back."""
        return self.filter(superseded_by__isnull=True).exclude(diagnosis="")


class ReadingProblemQuerySet(ClinicQuerySet):
    def open(self) -> Self:
        return self.filter(answered_at__isnull=True, patient__erased_at__isnull=True)


OVERDUE, URGENT, ALARMING, INTERMEDIATE, LOW = range(5)


def visits_to_review(visits: ClinicQuerySet, actor: Actor, now: datetime | None = None) -> ClinicQuerySet:
    """The actor's worklist: every visit with something unsigned in it, the most pressing first.

    Of equally pressing ones that which is due first, so “soon” comes before routine; then the oldest. What has no due
    time, being imported, comes last of these.

    A visit whose signature is about to be given is on nobody's.

    Rank and waiting time are those of what is unsigned: what was signed before something was added has no say.
    Overdue, then urgent, then with readers who disagree, a high band, a suspended reading or a photograph the model
    could not read, then intermediate, then low. A low score on ground where it may be wrong counts as intermediate, and
    so does whatever is hidden from the actor: its place tells nothing.
    """
    now = now or timezone.now()
    waiting = Q(screenings__withdrawn_at__isnull=True, screenings__review_status__in=sorted(REVIEW_IS_OPEN))
    unread = Q(screenings__reading_status__in=["failed", "unscorable", "not_wanted"])
    rank = Case(
        When(due_at__lt=now, then=Value(OVERDUE)),
        When(urgency="urgent", then=Value(URGENT)),
        default=Min(
            Case(
                When(screenings__review_status=ReviewStatus.DISPUTED, then=Value(ALARMING)),
                When(is_to_be_judged_blind(actor), then=Value(INTERMEDIATE)),
                When(unread | Q(screenings__prediction__band="high"), then=Value(ALARMING)),
                When(is_suspended("screenings__"), then=Value(ALARMING)),
                When(screenings__prediction__band="low", screenings__prediction__cautions=[], then=Value(LOW)),
                default=Value(INTERMEDIATE),
            )
        ),
        output_field=IntegerField(),
    )
    held = apps.get_model("screening", "HeldSignature").objects.held().filter(visit=OuterRef("pk"))
    return (
        visits.filter(waiting, patient__erased_at__isnull=True)
        .exclude(Exists(held))
        .annotate(
            rank=rank,
            waiting_since=Min(F("screenings__created_at"), output_field=DateTimeField()),
        )
        .order_by("rank", F("due_at").asc(nulls_last=True), "waiting_since", "id")
    )
