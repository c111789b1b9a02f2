"""What a manager sees of this moment: counts of the clinic's work, and the sentences that ask for somebody."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Aggregate, Count, DurationField, ExpressionWrapper, F, FloatField, Min, Q, QuerySet
from django.db.models.expressions import Combinable
from django.db.models.functions import Extract
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from screening.codes import Band
from screening.models import FollowUp, ReadingProblem, Screening, Signature, Suspension
from screening.status import READING_IS_OPEN, REVIEW_IS_OPEN, ReadingStatus, ReviewStatus
from skinclinic.audit.acting import Actor
from skinclinic.workers import RollCall

FINISHED = (ReadingStatus.PREDICTED, ReadingStatus.UNSCORABLE, ReadingStatus.FAILED)
DAY, MONTH = timedelta(days=1), timedelta(days=30)
WORKING_DAYS_TO_ACKNOWLEDGE = 2
SATURDAY = 5
FAILED_SHARE = 0.01
UNFIT_TIMES_USUAL, UNFIT_AT_LEAST = 2.0, 5


class Percentile(Aggregate):
    """Postgres' percentile_cont; `share` between 0 and 1."""

    function = "percentile_cont"
    template = "percentile_cont(%(share)s) WITHIN GROUP (ORDER BY %(expressions)s)"
    output_field = FloatField()

    def __init__(self, expression: Any, share: float, **extra: Any):
        super().__init__(expression, share=share, **extra)


@dataclass(frozen=True)
class Waits:
    """How long something took, in seconds, and of how many that is known."""

    count: int
    median: float | None
    p95: float | None


@dataclass(frozen=True)
class Now:
    """at: when it was counted. readings: of the last day, by status; the rest is open work, ages in seconds."""

    at: datetime
    open_readings: int
    oldest_reading: float | None
    readings: dict[str, int]
    usual_unfit_share: float | None
    to_result: Waits
    to_signature: Waits
    visits_waiting: int
    visits_overdue: int
    disputed: int
    high_unsigned: int
    high_unacknowledged: int
    reviews_unacknowledged: int
    follow_ups_overdue: dict[str, int]
    problems: int
    suspended: bool
    roll: RollCall | None

    @property
    def read(self) -> int:
        return sum(self.readings.values())

    @property
    def failed(self) -> int:
        return self.readings.get(ReadingStatus.FAILED, 0)

    @property
    def unfit(self) -> int:
        return self.readings.get(ReadingStatus.UNSCORABLE, 0)


@dataclass(frozen=True)
class Alarm:
    """What asks for somebody, in a sentence, and where she can see to it."""

    code: str
    sentence: str
    address: str


def look(actor: Actor, roll: RollCall | None, now: datetime | None = None) -> Now:
    now = now or timezone.now()
    screenings = Screening.objects.visible_to(actor).in_use()
    signed = screenings.filter(signature__created_at__gte=now - MONTH)
    took = seconds(F("signature__created_at") - F("created_at"))
    follow_ups = FollowUp.objects.visible_to(actor).open().filter(due_on__lt=timezone.localdate(now))
    return Now(
        at=now,
        **open_work(screenings, now),
        **finished_readings(screenings, now),
        to_signature=Waits(**signed.order_by().aggregate(**waits(took))),
        **high_readings(actor, now),
        reviews_unacknowledged=Signature.objects.visible_to(actor).unacknowledged().count(),
        follow_ups_overdue=dict(follow_ups.order_by("what").values_list("what").annotate(count=Count("pk"))),
        problems=ReadingProblem.objects.visible_to(actor).open().count(),
        suspended=Suspension.objects.visible_to(actor).open().filter(model_version=None).exists(),
        roll=roll,
    )


def open_work(screenings: "QuerySet[Screening]", now: datetime) -> dict[str, Any]:
    """What waits to be read or reviewed; both have a partial index."""
    unread = Q(reading_status__in=sorted(READING_IS_OPEN))
    unsigned = Q(review_status__in=sorted(REVIEW_IS_OPEN))
    found = (
        screenings.filter(unread | unsigned)
        .order_by()
        .aggregate(
            open_readings=Count("pk", filter=unread),
            oldest=Min("created_at", filter=unread),
            visits_waiting=Count("visit", filter=unsigned, distinct=True),
            visits_overdue=Count("visit", filter=unsigned & Q(visit__due_at__lt=now), distinct=True),
            disputed=Count("pk", filter=Q(review_status=ReviewStatus.DISPUTED)),
        )
    )
    oldest = found.pop("oldest")
    return {"oldest_reading": (now - oldest).total_seconds() if oldest else None, **found}


def finished_readings(screenings: "QuerySet[Screening]", now: datetime) -> dict[str, Any]:
    """What became of the photographs of the last day, and of those of the month before it."""
    last_day, before = Q(created_at__gte=now - DAY), Q(created_at__lt=now - DAY)
    took = seconds(F("finished_at") - F("created_at"))
    found = (
        screenings.filter(created_at__gte=now - MONTH, reading_status__in=sorted(FINISHED))
        .order_by()
        .aggregate(
            **{status: Count("pk", filter=last_day & Q(reading_status=status)) for status in FINISHED},
            **waits(took, filter=last_day),
            usual=Count("pk", filter=before),
            usual_unfit=Count("pk", filter=before & Q(reading_status=ReadingStatus.UNSCORABLE)),
        )
    )
    return {
        "readings": {str(status): found[status] for status in FINISHED if found[status]},
        "usual_unfit_share": found["usual_unfit"] / found["usual"] if found["usual"] else None,
        "to_result": Waits(found["count"], found["median"], found["p95"]),
    }


def seconds(duration: Combinable) -> Extract:
    return Extract(ExpressionWrapper(duration, output_field=DurationField()), "epoch")


def waits(took: Extract, **only: Q) -> dict[str, Aggregate]:
    """The columns of a `Waits`."""
    return {
        "count": Count("pk", **only),
        "median": Percentile(took, share=0.5, **only),
        "p95": Percentile(took, share=0.95, **only),
    }


def high_readings(actor: Actor, now: datetime) -> dict[str, int]:
    """High readings older than two working days: not signed, or signed and not acknowledged."""
    high = Screening.objects.visible_to(actor).in_use().with_reading_for(actor).filter(prediction__band=Band.HIGH)
    unsigned = Q(signature__isnull=True)
    return (
        high.filter(finished_at__lt=working_days_before(now, WORKING_DAYS_TO_ACKNOWLEDGE))
        .order_by()
        .aggregate(
            high_unsigned=Count("pk", filter=unsigned),
            high_unacknowledged=Count("pk", filter=~unsigned & Q(signature__acknowledged_at__isnull=True)),
        )
    )


def working_days_before(moment: datetime, days: int) -> datetime:
    """The same hour so many working days earlier, in the clinic's zone; Saturdays and Sundays do not count."""
    moment = timezone.localtime(moment)
    while days:
        moment -= DAY
        days -= moment.weekday() < SATURDAY
    return moment


def alarms(now: Now) -> Iterator[Alarm]:
    """What asks for somebody, the most pressing first."""
    yield from alarms_of_reading(now)
    yield from alarms_of_work(now)


def alarms_of_reading(now: Now) -> Iterator[Alarm]:
    models, worklist = reverse("models"), reverse("worklist")
    if now.oldest_reading and now.oldest_reading > settings.READING_STUCK_AFTER:
        sentence = _("The oldest photograph has waited %(minutes)d minutes to be read.")
        yield Alarm("stuck", sentence % {"minutes": now.oldest_reading // 60}, f"{worklist}?reading=waiting")
    if now.roll is None:
        yield Alarm("broker", _("The queue cannot be reached; photographs are stored, and read once it is back."), "")
    elif not now.roll.workers:
        yield Alarm("worker", _("No worker is there to read photographs. Start one."), "")
    for name, reason in sorted(now.roll.refused.items()) if now.roll else ():
        sentence = _("Worker %(name)s did not start: %(reason)s")
        yield Alarm("refused", sentence % {"name": name, "reason": reason}, models)
    if now.suspended:
        yield Alarm("suspended", _("All readings are suspended."), models)
    if now.failed and now.failed > FAILED_SHARE * now.read:
        sentence = ngettext(
            "%(failed)d of %(read)d reading of the last day failed.",
            "%(failed)d of %(read)d readings of the last day failed.",
            now.read,
        )
        yield Alarm("failed", sentence % {"failed": now.failed, "read": now.read}, f"{worklist}?reading=failed")
    usual = now.usual_unfit_share
    if usual is not None and now.unfit >= UNFIT_AT_LEAST and now.unfit > UNFIT_TIMES_USUAL * usual * now.read:
        sentence = _(
            "%(unfit)d of %(read)d photographs of the last day were not fit to be read; usual are %(usual).0f %%."
        )
        told = {"unfit": now.unfit, "read": now.read, "usual": 100 * usual}
        yield Alarm("unfit", sentence % told, f"{worklist}?reading=unscorable")


def alarms_of_work(now: Now) -> Iterator[Alarm]:
    worklist, today = reverse("worklist"), reverse("today")
    if count := now.high_unsigned:
        sentence = ngettext(
            "%(count)d high reading has waited for its review for more than two working days.",
            "%(count)d high readings have waited for their review for more than two working days.",
            count,
        )
        yield Alarm("high_unsigned", sentence % {"count": count}, f"{worklist}?reading=high")
    if count := now.high_unacknowledged:
        sentence = ngettext(
            "The signed review of %(count)d high reading has not been acknowledged for more than two working days.",
            "The signed reviews of %(count)d high readings have not been acknowledged for more than two working days.",
            count,
        )
        yield Alarm("high_unacknowledged", sentence % {"count": count}, today)
    if count := now.visits_overdue:
        sentence = ngettext("%(count)d visit is overdue for review.", "%(count)d visits are overdue for review.", count)
        yield Alarm("visits", sentence % {"count": count}, f"{worklist}?show=overdue")
    if count := sum(now.follow_ups_overdue.values()):
        sentence = ngettext("%(count)d follow-up is overdue.", "%(count)d follow-ups are overdue.", count)
        yield Alarm("follow_ups", sentence % {"count": count}, today)
    if count := now.problems:
        sentence = ngettext(
            "%(count)d reported problem with a reading waits for an answer.",
            "%(count)d reported problems with readings wait for an answer.",
            count,
        )
        yield Alarm("problems", sentence % {"count": count}, reverse("problems"))
