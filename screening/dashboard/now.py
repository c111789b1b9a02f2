"""What a manager sees of this moment: counts of the clinic's work."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import (
    Aggregate,
    Count,
    DurationField,
    ExpressionWrapper,
    F,
    FloatField,
    Min,
    Q,
    QuerySet,
    Subquery,
    Value,
)
from django.db.models.expressions import Combinable
from django.db.models.functions import Coalesce, Extract
from django.utils import timezone

from screening.codes import TAKES_TISSUE, Band, FollowUpStatus, Panel
from screening.incidents import Incident
from screening.models import CountedPanel, FollowUp, ReadingProblem, Screening, Signature, Suspension
from screening.status import READING_IS_OPEN, REVIEW_IS_OPEN, ReadingStatus, ReviewStatus
from skinclinic.accounts.models import Clinic
from skinclinic.audit.acting import Actor
from skinclinic.audit.models import UnsealedEvent, Verification
from skinclinic.workers import RollCall

FINISHED = (ReadingStatus.PREDICTED, ReadingStatus.UNSCORABLE, ReadingStatus.FAILED)
DAY, MONTH = timedelta(days=1), timedelta(days=30)
WORKING_DAYS_TO_ACKNOWLEDGE = 2
SATURDAY = 5
PATHOLOGY_WITHIN = timedelta(weeks=4)


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
    pathology_overdue: int
    problems: int
    incidents: int
    suspended: int
    drifted: list[str]
    unsealed: float | None
    ledger_fault: str
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


def look(actor: Actor, roll: RollCall | None, now: datetime | None = None) -> Now:
    now = now or timezone.now()
    screenings = Screening.objects.visible_to(actor).in_use()
    signed = screenings.filter(signature__created_at__gte=now - MONTH)
    took = seconds(F("signature__created_at") - F("created_at"))
    return Now(
        at=now,
        **open_work(screenings, now),
        **finished_readings(screenings, now),
        to_signature=Waits(**signed.order_by().aggregate(**waits(took))),
        **overdue(actor, now),
        **waiting(actor, now),
        roll=roll,
    )


def waiting(actor: Actor, now: datetime) -> dict[str, Any]:
    """What waits for an answer, in one query; and what the last one who verified the ledger found."""
    verified = Verification.objects.visible_to(actor).filter(finished_at__isnull=False).newest_first()
    unsealed = UnsealedEvent.objects.order_by("event")
    drift = CountedPanel.objects.visible_to(actor).filter(panel=Panel.DRIFT)
    found = Clinic.objects.values(
        reviews_unacknowledged=number_of(Signature.objects.visible_to(actor).unacknowledged()),
        problems=number_of(ReadingProblem.objects.visible_to(actor).open()),
        incidents=number_of(Incident.objects.visible_to(actor).without_owner()),
        suspended=number_of(Suspension.objects.visible_to(actor).open().filter(model_version=None)),
        drifted=Subquery(drift.values("figures__alarming")),
        unsealed=Subquery(unsealed.values("at")[:1]),
        ledger_fault=Subquery(verified.values("fault")[:1]),
        **high_readings(actor, now),
    ).get(pk=actor.own_clinic())
    since = found["unsealed"]
    return found | {
        "drifted": found["drifted"] or [],
        "unsealed": (now - since).total_seconds() if since else None,
        "ledger_fault": found["ledger_fault"] or "",
    }


def number_of(rows: QuerySet) -> Coalesce:
    return Coalesce(Subquery(rows.order_by().values(all=Value(1)).annotate(number=Count("pk")).values("number")), 0)


def overdue(actor: Actor, now: datetime) -> dict[str, Any]:
    late, unreported = is_late(now), lacks_pathology(now)
    asked = FollowUp.objects.visible_to(actor).filter(late | unreported).order_by("what").values("what")
    counts = list(asked.annotate(late=Count("pk", filter=late)))
    return {
        "follow_ups_overdue": {row["what"]: row["late"] for row in counts if row["late"]},
        "pathology_overdue": FollowUp.objects.visible_to(actor).filter(unreported).values("lesion").distinct().count()
        if any(row["what"] in TAKES_TISSUE for row in counts)
        else 0,
    }


def is_late(now: datetime) -> Q:
    return Q(status=FollowUpStatus.OPEN, due_on__lt=timezone.localdate(now))


def lacks_pathology(now: datetime) -> Q:
    """Of a biopsy or excision that was done four weeks ago no report on the lesion was entered since the review."""
    taken = Q(what__in=sorted(TAKES_TISSUE), status=FollowUpStatus.DONE, reported_by__isnull=True)
    taken &= Q(patient__erased_at__isnull=True)
    return taken & Q(closed_at__lt=now - PATHOLOGY_WITHIN)


def open_work(screenings: "QuerySet[Screening]", now: datetime) -> dict[str, Any]:
    """What waits to be read or reviewed; both have a partial index."""
    unread = Q(reading_status__in=sorted(READING_IS_OPEN))
    unsigned = Q(review_status__in=sorted(REVIEW_IS_OPEN), patient__erased_at__isnull=True)
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
        "count": Count(took, **only),
        "median": Percentile(took, share=0.5, **only),
        "p95": Percentile(took, share=0.95, **only),
    }


def high_readings(actor: Actor, now: datetime) -> dict[str, Coalesce]:
    """High readings older than two working days: not signed, or signed and not acknowledged. Each is looked for among
    what is open, which is little, and not among all that was ever high."""
    since = working_days_before(now, WORKING_DAYS_TO_ACKNOWLEDGE)
    high = Screening.objects.visible_to(actor).in_use().without_erased().with_reading_for(actor)
    high = high.filter(prediction__band=Band.HIGH, finished_at__lt=since)
    unseen = Signature.objects.visible_to(actor).unacknowledged()
    return {
        "high_unsigned": number_of(high.to_be_reviewed()),
        "high_unacknowledged": number_of(high.filter(signature__in=unseen)),
    }


def working_days_before(moment: datetime, days: int) -> datetime:
    """The same hour so many working days earlier, in the clinic's zone; Saturdays and Sundays do not count."""
    moment = timezone.localtime(moment)
    while days:
        moment -= DAY
        days -= moment.weekday() < SATURDAY
    return moment
