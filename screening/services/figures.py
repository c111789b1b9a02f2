"""Figures that take longer than a page may: counted by the beat, kept with their age."""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.utils import timezone

from screening.codes import Panel
from screening.dashboard.agreement import agreement
from screening.dashboard.beside import read_of, side_by_side
from screening.dashboard.by_version import by_version
from screening.dashboard.drift import drift, watched_of
from screening.dashboard.opinions import said_of_readings
from screening.dashboard.truth import known_of, truth
from screening.models import CountedPanel
from skinclinic.accounts.models import Clinic
from skinclinic.audit.acting import Actor, acting, system
from skinclinic.events.models import Event
from skinclinic.locks import next_in_spite_of_it

# A count that takes long is made the more seldom: it may cost a thirtieth of a core.
SHORTEST_PAUSE, PAUSE_TIMES = timedelta(minutes=1), 30
OLDEST = timedelta(minutes=15)


# Of each panel: what is read of the record, in a transaction of the clinic, and what is reckoned of it, outside of one.
Count = tuple[Callable[[Actor], Any], Callable[[Any], dict[str, Any]]]
COUNTS: dict[Panel, Count] = {
    Panel.AGREEMENT: (said_of_readings, lambda said: agreement(said, timezone.now())),
    Panel.TRUTH: (known_of, truth),
    Panel.DRIFT: (watched_of, drift),
    Panel.BESIDE: (read_of, side_by_side),
    Panel.VERSIONS: (by_version, dict),
}


def sweep_figures() -> None:
    """Count again what has changed, clinic by clinic."""
    with acting(system()):
        clinics = list(Clinic.objects.all())
    for clinic in clinics:
        with next_in_spite_of_it("figures", clinic), timezone.override(clinic.time_zone):
            for panel in COUNTS:
                count_if_due(clinic, panel)


def count_if_due(clinic: Clinic, panel: Panel) -> None:
    with acting(system(clinic_id=clinic.pk)) as actor:
        is_asked = is_due(actor, panel)
    if is_asked:
        count_panel(system(clinic_id=clinic.pk), panel)


def is_due(actor: Actor, panel: Panel) -> bool:
    last = CountedPanel.objects.visible_to(actor).filter(panel=panel).first()
    if last is None:
        return True
    age = timezone.now() - last.counted_at
    if age < max(SHORTEST_PAUSE, timedelta(seconds=PAUSE_TIMES * last.seconds)):
        return False
    return newest_event(actor) != last.last_event or age > OLDEST


def count_panel(actor: Actor, panel: Panel) -> CountedPanel:
    """Count it now, in the place of what was counted before, in transactions of its own."""
    read, reckon = COUNTS[panel]
    began = time.perf_counter()
    with acting(actor):
        newest, found = newest_event(actor), read(actor)
    figures = reckon(found)
    counted = {
        "figures": figures,
        "counted_at": timezone.now(),
        "seconds": time.perf_counter() - began,
        "last_event": newest,
    }
    with acting(actor):
        row, _is_new = CountedPanel.objects.update_or_create(
            clinic_id=actor.own_clinic(), panel=panel, defaults=counted
        )
    return row


def newest_event(actor: Actor) -> int:
    newest = Event.objects.filter(clinic=actor.own_clinic()).order_by("-id").values_list("id", flat=True).first()
    return newest or 0
