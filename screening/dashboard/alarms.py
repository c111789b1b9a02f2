"""What asks for somebody: the rules, and what each says of the moment that it was last seen in."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from screening.codes import AlarmCode
from screening.dashboard.now import Now
from skinclinic.accounts.models import Clinic
from skinclinic.audit.acting import REVIEWER, Actor

FAILED_SHARE = 0.01
UNFIT_TIMES_USUAL, UNFIT_AT_LEAST = 2.0, 5
UNSEALED_AFTER = 300  # seconds; the watch seals every few

Facts = Mapping[str, Any]


@dataclass(frozen=True)
class Asked:
    """A rule that holds now. about: which of several things it is, such as a worker's name. facts: for its sentence."""

    code: AlarmCode
    facts: Facts = field(default_factory=dict)
    about: str = ""

    @property
    def count(self) -> int:
        """How much there is to see to, where that can be counted."""
        return int(self.facts.get("count", 0))

    @property
    def sentence(self) -> str:
        return sentence(self.code, self.facts)

    @property
    def address(self) -> str:
        """Where she can see to it; empty where that is no page."""
        return address(self.code)


def kept_from(actor: Actor, clinic: Clinic) -> set[str]:
    """What the watch saw and she may not: a manager who reviews blind is not told that readings are high."""
    return {AlarmCode.HIGH_UNSIGNED} if clinic.blind_first_reading and actor.has_role(REVIEWER) else set()


def asking(now: Now) -> Iterator[Asked]:
    """The rules that hold, the most pressing first."""
    yield from asked_of_reading(now)
    yield from asked_of_ledger(now)
    yield from asked_of_work(now)


def asked_of_reading(now: Now) -> Iterator[Asked]:
    if now.oldest_reading and now.oldest_reading > settings.READING_STUCK_AFTER:
        yield Asked(AlarmCode.STUCK, {"minutes": int(now.oldest_reading // 60)})
    if now.roll is None:
        yield Asked(AlarmCode.BROKER)
    else:
        if not now.roll.workers:
            yield Asked(AlarmCode.WORKER)
        for name, reason in sorted(now.roll.refused.items()):
            yield Asked(AlarmCode.REFUSED, {"name": name, "reason": reason}, about=name)
        if not now.roll.watched:
            yield Asked(AlarmCode.WATCH)
    if now.suspended:
        yield Asked(AlarmCode.SUSPENDED)
    if now.failed and now.failed > FAILED_SHARE * now.read:
        yield Asked(AlarmCode.FAILED, {"failed": now.failed, "read": now.read})
    usual = now.usual_unfit_share
    if usual is not None and now.unfit >= UNFIT_AT_LEAST and now.unfit > UNFIT_TIMES_USUAL * usual * now.read:
        yield Asked(AlarmCode.UNFIT, {"unfit": now.unfit, "read": now.read, "usual": round(100 * usual)})
    if now.drifted:
        yield Asked(AlarmCode.DRIFT)


def asked_of_ledger(now: Now) -> Iterator[Asked]:
    if now.ledger_fault:
        yield Asked(AlarmCode.BROKEN_LEDGER)
    if now.unsealed and now.unsealed > UNSEALED_AFTER:
        yield Asked(AlarmCode.UNSEALED, {"minutes": int(now.unsealed // 60)})


def asked_of_work(now: Now) -> Iterator[Asked]:
    counts = {
        AlarmCode.HIGH_UNSIGNED: now.high_unsigned,
        AlarmCode.HIGH_UNACKNOWLEDGED: now.high_unacknowledged,
        AlarmCode.VISITS: now.visits_overdue,
        AlarmCode.FOLLOW_UPS: sum(now.follow_ups_overdue.values()),
        AlarmCode.PATHOLOGY: now.pathology_overdue,
        AlarmCode.PROBLEMS: now.problems,
        AlarmCode.INCIDENTS: now.incidents,
    }
    for code, count in counts.items():
        if count:
            yield Asked(code, {"count": count})


def sentence(code: str, facts: Facts) -> str:
    """Whole, with its figures; of an alarm that is over, as it was last seen."""
    return str(SENTENCES[AlarmCode(code)] % facts)


def address(code: str) -> str:
    worklist, late = reverse("worklist"), reverse("overdue")
    return {
        AlarmCode.STUCK: f"{worklist}?reading=waiting",
        AlarmCode.REFUSED: reverse("models"),
        AlarmCode.SUSPENDED: reverse("models"),
        AlarmCode.FAILED: reverse("unread"),
        AlarmCode.UNFIT: reverse("unread"),
        AlarmCode.DRIFT: reverse("drift"),
        AlarmCode.UNSEALED: reverse("ledger"),
        AlarmCode.BROKEN_LEDGER: reverse("ledger"),
        AlarmCode.HIGH_UNSIGNED: f"{worklist}?reading=high",
        AlarmCode.HIGH_UNACKNOWLEDGED: reverse("today"),
        AlarmCode.VISITS: f"{worklist}?show=overdue",
        AlarmCode.FOLLOW_UPS: late,
        AlarmCode.PATHOLOGY: late,
        AlarmCode.PROBLEMS: reverse("problems"),
        AlarmCode.INCIDENTS: reverse("incidents"),
    }.get(AlarmCode(code), "")


# The third word of a plural names the fact that it counts.
SENTENCES = {
    AlarmCode.STUCK: ngettext_lazy(
        "The oldest photograph has waited %(minutes)d minute to be read.",
        "The oldest photograph has waited %(minutes)d minutes to be read.",
        "minutes",
    ),
    AlarmCode.BROKER: _("The queue cannot be reached; photographs are stored, and read once it is back."),
    AlarmCode.WORKER: _("No worker is there to read photographs. Start one."),
    AlarmCode.REFUSED: _("Worker %(name)s did not start: %(reason)s"),
    AlarmCode.WATCH: _(
        "The watch (beat) is not running: nothing that is due is sent, and alarms reach this page only."
    ),
    AlarmCode.SUSPENDED: _("All readings are suspended."),
    AlarmCode.FAILED: ngettext_lazy(
        "%(failed)d of %(read)d reading of the last day failed.",
        "%(failed)d of %(read)d readings of the last day failed.",
        "read",
    ),
    AlarmCode.UNFIT: _(
        "%(unfit)d of %(read)d photographs of the last day were not fit to be read; usual are %(usual)d %%."
    ),
    AlarmCode.DRIFT: _("For two weeks readings have differed from this clinic's first ones by more than chance."),
    AlarmCode.UNSEALED: ngettext_lazy(
        "The oldest line of the ledger has waited %(minutes)d minute to be sealed; the watch (beat) seals it.",
        "The oldest line of the ledger has waited %(minutes)d minutes to be sealed; the watch (beat) seals it.",
        "minutes",
    ),
    AlarmCode.BROKEN_LEDGER: _(
        "The ledger is not what was sealed: somebody changed it past the application. Keep the database as it is."
    ),
    AlarmCode.HIGH_UNSIGNED: ngettext_lazy(
        "%(count)d high reading has waited for its review for more than two working days.",
        "%(count)d high readings have waited for their review for more than two working days.",
        "count",
    ),
    AlarmCode.HIGH_UNACKNOWLEDGED: ngettext_lazy(
        "The signed review of %(count)d high reading has not been acknowledged for more than two working days.",
        "The signed reviews of %(count)d high readings have not been acknowledged for more than two working days.",
        "count",
    ),
    AlarmCode.VISITS: ngettext_lazy(
        "%(count)d visit is overdue for review.", "%(count)d visits are overdue for review.", "count"
    ),
    AlarmCode.FOLLOW_UPS: ngettext_lazy(
        "%(count)d follow-up is overdue.", "%(count)d follow-ups are overdue.", "count"
    ),
    AlarmCode.PATHOLOGY: ngettext_lazy(
        "Of %(count)d lesion that was biopsied or excised more than four weeks ago no pathology is here.",
        "Of %(count)d lesions that were biopsied or excised more than four weeks ago no pathology is here.",
        "count",
    ),
    AlarmCode.INCIDENTS: ngettext_lazy(
        "%(count)d incident is open and has no owner.", "%(count)d incidents are open and have no owner.", "count"
    ),
    AlarmCode.PROBLEMS: ngettext_lazy(
        "%(count)d reported problem with a reading waits for an answer.",
        "%(count)d reported problems with readings wait for an answer.",
        "count",
    ),
}
