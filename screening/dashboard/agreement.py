"""How far model and doctors agree: before they have seen its reading, and after, never together."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from ml.labels import DIAGNOSES
from screening.dashboard.intervals import (
    BOTH,
    FIRST_ONLY,
    NEITHER,
    SECOND_ONLY,
    Patients,
    as_json,
    kappa,
    negative_agreement,
    positive_agreement,
    share_of,
)
from screening.dashboard.opinions import Given, SaidOf, age_band

CLASSES = (*DIAGNOSES, "none")
PERIODS = {"year": timedelta(days=365), "all": timedelta(days=365 * 1000)}
# What opinions are told apart by, in the page's order.
CUTS: dict[str, Callable[[SaidOf], str]] = {
    "reviewer": lambda said: str(said.reviewer),
    "version": lambda said: said.version,
    "caution": lambda said: "under" if said.cautioned else "none",
    "site": lambda said: said.site,
    "sex": lambda said: said.sex,
    "age": lambda said: age_band(said.age),
    "skin_type": lambda said: str(said.skin_type or ""),
}

Figures = dict[str, Any]


def agreement(opinions: Sequence[SaidOf], now: datetime) -> Figures:
    """Figures of each period and way of being given, over all and by each cut, as JSON; intervals are by patient."""
    return {
        period: {
            str(given): figures_of([said for said in opinions if said.given == given and said.at >= now - length])
            for given in Given
        }
        for period, length in PERIODS.items()
    }


def figures_of(opinions: Sequence[SaidOf]) -> Figures:
    return {
        "all": decision(opinions),
        "cuts": {name: cut(opinions, key) for name, key in CUTS.items()},
        "diagnoses": diagnoses(opinions),
        "overrides": overrides(opinions),
        "switches": switches(opinions),
    }


def cut(opinions: Iterable[SaidOf], key: Callable[[SaidOf], str]) -> dict[str, Figures]:
    parts: dict[str, list[SaidOf]] = {}
    for said in opinions:
        parts.setdefault(key(said), []).append(said)
    return {name: decision(part) | {"overrides": overrides(part)} for name, part in sorted(parts.items())}


def decision(opinions: Sequence[SaidOf]) -> Figures:
    """Reading (first) and doctor (second) on whether the lesion is to be referred; cells as in `intervals`."""
    cells = [(NEITHER, SECOND_ONLY, FIRST_ONLY, BOTH)[2 * said.reading_refers + said.suspicious] for said in opinions]
    patients = by_patient(opinions, cells, 4)
    differing = (FIRST_ONLY, SECOND_ONLY)
    return {
        "opinions": len(opinions),
        "patients": patients.number,
        "cells": patients.total.tolist(),
        "positive": as_json(patients.share(positive_agreement, BOTH, *differing)),
        "negative": as_json(patients.share(negative_agreement, NEITHER, *differing)),
        "kappa": as_json(patients.estimate(kappa)),
        "reading_refers": as_json(patients.share(share_of(BOTH, FIRST_ONLY))),
        "suspicious": as_json(patients.share(share_of(BOTH, SECOND_ONLY))),
    }


def diagnoses(opinions: Sequence[SaidOf]) -> Figures:
    """The reading's likeliest class (rows) and the doctor's (columns; the last: none of the model's)."""
    size = len(CLASSES)
    places = {name: place for place, name in enumerate(CLASSES)}
    cells = [size * places[said.reading_class] + places[said.doctors_class or "none"] for said in opinions]
    patients = by_patient(opinions, cells, size * size)
    same = range(0, size * size, size + 1)
    return {
        "classes": list(CLASSES),
        "table": patients.total.reshape(size, size).tolist(),
        "same": as_json(patients.share(share_of(*same))),
        "kappa": as_json(patients.estimate(kappa)),
    }


def overrides(opinions: Sequence[SaidOf]) -> Figures:
    """How often a doctor decided otherwise than the reading that she was shown, and why."""
    shown = [said for said in opinions if said.given == Given.SHOWN]
    patients = by_patient(shown, [int(said.differs) for said in shown], 2)
    reasons = Counter(said.difference_reason for said in shown if said.differs)
    return {
        "of": len(shown),
        "overridden": int(patients.total[1]),
        "share": as_json(patients.share(share_of(1))),
        "reasons": dict(sorted(reasons.items())),
    }


def switches(opinions: Sequence[SaidOf]) -> Figures:
    """How often she judged otherwise once she saw the reading; toward: her decision became the reading's."""
    both = [said for said in opinions if said.given_before is not None]
    patients = by_patient(both, [int(said.switched) for said in both], 2)
    turned = [said for said in both if said.suspicious != said.given_before]
    toward = sum(said.suspicious == said.reading_refers for said in turned)
    return {
        "of": len(both),
        "switched": int(patients.total[1]),
        "share": as_json(patients.share(share_of(1))),
        "decision_toward": toward,
        "decision_away": len(turned) - toward,
    }


def by_patient(opinions: Sequence[SaidOf], cells: Sequence[int], size: int) -> Patients:
    """cells: where each opinion lies in a table of `size`."""
    names, rows = np.unique(np.array([said.patient for said in opinions], dtype=int), return_inverse=True)
    counts = np.zeros((len(names), size), dtype=int)
    np.add.at(counts, (rows, np.array(cells, dtype=int)), 1)
    return Patients(counts)
