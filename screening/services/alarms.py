"""Alarms: noted when they are first seen, raised when they last, ended when they are gone, acknowledged with a note."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext as _

from screening.dashboard.alarms import Asked, asking
from screening.dashboard.now import look
from screening.models import Alarm
from screening.services.errors import ReasonMissing, StaleTransition
from skinclinic.accounts.models import Clinic
from skinclinic.audit.acting import Actor, acting, system
from skinclinic.events.models import EventType
from skinclinic.events.publish import publish
from skinclinic.locks import next_in_spite_of_it
from skinclinic.workers import RollCall, call_roll

# What comes back so soon is the same trouble: it goes on where it was, acknowledged or not.
THE_SAME_WITHIN = timedelta(minutes=10)


def sweep_alarms() -> None:
    """Look at every clinic, as its managers would see it."""
    roll = call_roll()
    with acting(system()):
        clinics = list(Clinic.objects.all())
    for clinic in clinics:
        with next_in_spite_of_it("alarms", clinic):
            watch_clinic(clinic, roll)


def watch_clinic(clinic: Clinic, roll: RollCall | None) -> None:
    with acting(system(clinic_id=clinic.pk)) as actor, timezone.override(clinic.time_zone):
        note_alarms(actor, asking(look(actor, roll)), timezone.now())


def note_alarms(actor: Actor, asked: Iterable[Asked], now: datetime) -> None:
    """Bring the clinic's alarms in line with what asks now. Runs in one transaction of the clinic."""
    known = {(alarm.code, alarm.about): alarm for alarm in Alarm.objects.visible_to(actor).open()}
    for each in asked:
        alarm = known.pop((each.code, each.about), None)
        if alarm and alarm.acknowledged_at and each.count > alarm.acknowledged_count:
            end(alarm, now)  # it was acknowledged when there was less of it
            alarm = None
        elif alarm is None:
            alarm = ended_lately(actor, each, now)
        note(actor, each, alarm, now)
    for gone in known.values():
        end(gone, now)


def ended_lately(actor: Actor, asked: Asked, now: datetime) -> Alarm | None:
    ended = Alarm.objects.visible_to(actor).raised().filter(code=asked.code, about=asked.about)
    last = ended.filter(ended_at__gt=now - THE_SAME_WITHIN).order_by("-ended_at").first()
    return last if last and asked.count <= max(last.acknowledged_count, last.facts.get("count", 0)) else None


def note(actor: Actor, asked: Asked, alarm: Alarm | None, now: datetime) -> Alarm:
    """It asks now: a new row, or the one that it has."""
    seen = {"facts": dict(asked.facts), "seen_at": now, "ended_at": None}
    if alarm is None:  # or of another process, a moment ago
        alarm, _is_new = Alarm.objects.open().get_or_create(
            clinic_id=actor.own_clinic(), code=asked.code, about=asked.about, defaults={"created_at": now, **seen}
        )
    if alarm.raised_at is None and now - alarm.created_at >= timedelta(seconds=settings.ALARM_AFTER):
        seen["raised_at"] = now
        publish(EventType.ALARM_RAISED, clinic_id=alarm.clinic_id, alarm=alarm.pk)
    for name, value in seen.items():
        setattr(alarm, name, value)
    alarm.save(update_fields=list(seen))
    return alarm


def end(alarm: Alarm, now: datetime) -> None:
    alarm.ended_at = now
    alarm.save(update_fields=["ended_at"])


def acknowledge_alarm(*, actor: Actor, asked: Asked, words: str) -> Alarm:
    """Somebody has seen it and says what she does about it; it stays on the page until it is gone.

    `asked`: as it stands on her page, whether the watch has noted it or not. Raises ReasonMissing, StaleTransition.
    """
    if not words.strip():
        raise ReasonMissing(_("Say what is being done about it."))
    now = timezone.now()
    alarm = Alarm.objects.visible_to(actor).open().filter(code=asked.code, about=asked.about).first()
    if alarm is None or alarm.raised_at is None:
        alarm = note(actor, asked, alarm or ended_lately(actor, asked, now), now)
    mine = Alarm.objects.filter(pk=alarm.pk, acknowledged_at__isnull=True, ended_at__isnull=True)
    changed = mine.update(
        acknowledged_by=actor.person(),
        acknowledged_at=now,
        # What the watch sees may be more than what she is shown.
        acknowledged_count=max(asked.count, alarm.facts.get("count", 0)),
        note=words.strip(),
        raised_at=alarm.raised_at or now,
    )
    if changed != 1:
        raise StaleTransition(_("Somebody else has acknowledged it meanwhile."))
    alarm.refresh_from_db()
    return alarm
