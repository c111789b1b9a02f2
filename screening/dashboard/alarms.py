"""What asks for somebody: the rules, and what each says of the moment that it was last seen in."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from screening.codes import AlarmCode
from screening.dashboard.now import Now

FAILED_SHARE = 0.01
UNFIT_TIMES_USUAL, UNFIT_AT_LEAST = 2.0, 5

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


def asking(now: Now) -> Iterator[Asked]:
    """The rules that hold, the most pressing first."""
    yield from asked_of_reading(now)
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


def asked_of_work(now: Now) -> Iterator[Asked]:
    counts = {
        AlarmCode.HIGH_UNSIGNED: now.high_unsigned,
        AlarmCode.HIGH_UNACKNOWLEDGED: now.high_unacknowledged,
        AlarmCode.VISITS: now.visits_overdue,
        AlarmCode.FOLLOW_UPS: sum(now.follow_ups_overdue.values()),
        AlarmCode.PATHOLOGY: now.pathology_overdue,
        AlarmCode.PROBLEMS: now.problems,
    }
    for code, count in counts.items():
        if count:
            yield Asked(code, {"count": count})


def sentence(code: str, facts: Facts) -> str:
    """Whole, with its figures; of an alarm that is over, as it was last seen."""
    if "count" in facts:
        return counted_sentence(code, facts["count"]) % facts
    match code:
        case AlarmCode.STUCK:
            said = ngettext(
                "The oldest photograph has waited %(minutes)d minute to be read.",
                "The oldest photograph has waited %(minutes)d minutes to be read.",
                facts["minutes"],
            )
        case AlarmCode.BROKER:
            said = _("The queue cannot be reached; photographs are stored, and read once it is back.")
        case AlarmCode.WORKER:
            said = _("No worker is there to read photographs. Start one.")
        case AlarmCode.REFUSED:
            said = _("Worker %(name)s did not start: %(reason)s")
        case AlarmCode.WATCH:
            said = _("The watch (beat) is not running: nothing that is due is sent, and alarms reach this page only.")
        case AlarmCode.SUSPENDED:
            said = _("All readings are suspended.")
        case AlarmCode.FAILED:
            said = ngettext(
                "%(failed)d of %(read)d reading of the last day failed.",
                "%(failed)d of %(read)d readings of the last day failed.",
                facts["read"],
            )
        case AlarmCode.UNFIT:
            said = _(
                "%(unfit)d of %(read)d photographs of the last day were not fit to be read; usual are %(usual)d %%."
            )
        case _:
            raise ValueError(f"{code} has no sentence.")
    return said % facts


def counted_sentence(code: str, count: int) -> str:
    match code:
        case AlarmCode.HIGH_UNSIGNED:
            return ngettext(
                "%(count)d high reading has waited for its review for more than two working days.",
                "%(count)d high readings have waited for their review for more than two working days.",
                count,
            )
        case AlarmCode.HIGH_UNACKNOWLEDGED:
            return ngettext(
                "The signed review of %(count)d high reading has not been acknowledged for more than two working days.",
                "The signed reviews of %(count)d high readings have not been acknowledged for more than two working "
                "days.",
                count,
            )
        case AlarmCode.VISITS:
            return ngettext("%(count)d visit is overdue for review.", "%(count)d visits are overdue for review.", count)
        case AlarmCode.FOLLOW_UPS:
            return ngettext("%(count)d follow-up is overdue.", "%(count)d follow-ups are overdue.", count)
        case AlarmCode.PATHOLOGY:
            return ngettext(
                "Of %(count)d lesion that was biopsied or excised more than four weeks ago no pathology is here.",
                "Of %(count)d lesions that were biopsied or excised more than four weeks ago no pathology is here.",
                count,
            )
        case AlarmCode.PROBLEMS:
            return ngettext(
                "%(count)d reported problem with a reading waits for an answer.",
                "%(count)d reported problems with readings wait for an answer.",
                count,
            )
        case _:
            raise ValueError(f"{code} counts nothing.")


def address(code: str) -> str:
    worklist, late = reverse("worklist"), reverse("overdue")
    return {
        AlarmCode.STUCK: worklist,
        AlarmCode.REFUSED: reverse("models"),
        AlarmCode.SUSPENDED: reverse("models"),
        AlarmCode.FAILED: f"{worklist}?reading=failed",
        AlarmCode.UNFIT: f"{worklist}?reading=unscorable",
        AlarmCode.HIGH_UNSIGNED: f"{worklist}?reading=high",
        AlarmCode.HIGH_UNACKNOWLEDGED: reverse("today"),
        AlarmCode.VISITS: worklist,
        AlarmCode.FOLLOW_UPS: late,
        AlarmCode.PATHOLOGY: late,
        AlarmCode.PROBLEMS: reverse("problems"),
    }.get(AlarmCode(code), "")
