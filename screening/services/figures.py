"""Figures that take longer than a page may: counted by the beat, kept with their age."""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.utils import timezone

from screening.codes import Panel
from screening.dashboard.agreement import agreement
from screening.dashboard.drift import drift
from screening.dashboard.opinions import said_of_readings
from screening.dashboard.truth import truth
from screening.models import CountedPanel
from skinclinic.accounts.models import Clinic
from skinclinic.audit.acting import Actor, acting, system
from skinclinic.events.models import Event

# A count that takes long is made the more seldom: it may cost a thirtieth of a core.
SHORTEST_PAUSE, PAUSE_TIMES = timedelta(minutes=1), 30
OLDEST = timedelta(minutes=15)


def agreement_figures(actor: Actor) -> dict[str, Any]:
    return agreement(said_of_readings(actor), timezone.now())


COUNTS: dict[Panel, Callable[[Actor], dict[str, Any]]] = {
    Panel.AGREEMENT: agreement_figures,
    Panel.TRUTH: truth,
    Panel.DRIFT: drift,
}


def sweep_figures() -> None:
    """Count again what has changed, clinic by clinic."""
    with acting(system()):
        clinics = list(Clinic.objects.all())
    for clinic in clinics:
        for panel in COUNTS:
            with acting(system(clinic_id=clinic.pk)) as actor, timezone.override(clinic.time_zone):
                if is_due(actor, panel):
                    count_panel(actor, panel)


def is_due(actor: Actor, panel: Panel) -> bool:
    last = CountedPanel.objects.visible_to(actor).filter(panel=panel).first()
    if last is None:
        return True
    age = timezone.now() - last.counted_at
    if age < max(SHORTEST_PAUSE, timedelta(seconds=PAUSE_TIMES * last.seconds)):
        return False
    return newest_event(actor) != last.last_event or age > OLDEST


def count_panel(actor: Actor, panel: Panel) -> CountedPanel:
    """Count it now, in the place of what was counted before."""
    newest, began = newest_event(actor), time.perf_counter()
    figures = COUNTS[panel](actor)
    counted = {
        "figures": figures,
        "counted_at": timezone.now(),
        "seconds": time.perf_counter() - began,
        "last_event": newest,
    }
    panel_row, _is_new = CountedPanel.objects.update_or_create(
        clinic_id=actor.own_clinic(), panel=panel, defaults=counted
    )
    return panel_row


def newest_event(actor: Actor) -> int:
    newest = Event.objects.filter(clinic=actor.own_clinic()).order_by("-id").values_list("id", flat=True).first()
    return newest or 0
