"""Whether this clinic's readings still look as they did when a model version began to read here."""

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
from django.db.models import F, Q
from django.db.models.functions import Coalesce
from django.utils import timezone

from ml.labels import DIAGNOSES, MALIGNANT
from screening.dashboard.intervals import SEED
from screening.models import ReadingPolicy, Screening
from screening.reader import models_folder
from screening.status import ReadingStatus
from skinclinic.audit.acting import Actor

FIRST, WEEKS, WEEK = 500, 26, timedelta(days=7)
TESTED_WEEKS, FEWEST = 8, 20  # weeks that are tested, and readings that a week must have
PERMUTATIONS, AT_A_TIME = 1999, 250
ALARM_BELOW = 0.001
BINS, SMOOTHING = 10, 0.5
RECENT = timedelta(weeks=8)
CLASSES = (*DIAGNOSES, "unscorable")
COLLECTION_FILE = "oof.csv"
AT_ONCE = 2000
QUALITIES = ("sharpness", "exposure", "in_domain")

Figures = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Reading:
    """One photograph's deciding reading; score is None where it could not be read."""

    patient: UUID
    at: datetime
    score: float | None
    likeliest: str
    quality: Mapping[str, float]
    camera: str
    came_by: str


@dataclass(frozen=True)
class Measure:
    """What is watched: its bins, from the first readings, and where a reading falls (None: nowhere)."""

    name: str
    edges: list[float]
    place: Callable[[Reading], int | None]
    bins: int


def watched_of(actor: Actor) -> tuple[str, list[Reading]]:
    """The version that is active in the clinic, and what is watched of it; empty where none is."""
    policy = ReadingPolicy.objects.visible_to(actor).first()
    return (policy.active_id, list(readings_of(actor, policy.active_id))) if policy else ("", [])


def drift(watched: tuple[str, Sequence[Reading]]) -> Figures:
    """As JSON; empty where no version is active."""
    version, readings = watched
    return figures(readings, timezone.now(), version, collection_of(version)) if version else {}


def readings_of(actor: Actor, version: str) -> Iterator[Reading]:
    """The first ones of the version and those of the last half year, the oldest first."""
    mine = Screening.objects.visible_to(actor).in_use().filter(prediction__model_version=version)
    mine = mine.filter(reading_status__in=[ReadingStatus.PREDICTED, ReadingStatus.UNSCORABLE]).counted_once()
    first = mine.order_by("finished_at", "id").values("pk")[:FIRST]
    since = monday(timezone.now()) - WEEKS * WEEK
    rows = (
        mine.filter(Q(pk__in=first) | Q(finished_at__gte=since))
        .order_by("finished_at", "id")
        .values_list(
            Coalesce("patient__merged_into", "patient"),
            "finished_at",
            "prediction__malignancy",
            "prediction__band",
            "prediction__probabilities",
            "prediction__quality",
            "image__camera",
            F("image__uploaded_by"),
        )
    )
    for patient, at, score, band, shares, quality, camera, uploaded_by in rows.iterator(AT_ONCE):
        yield Reading(
            patient=patient,
            at=at,
            score=score if band else None,
            likeliest=max(shares, key=shares.__getitem__) if band else "unscorable",
            quality=quality,
            camera=camera,
            came_by="portal" if uploaded_by else "other_system",
        )


def collection_of(version: str) -> list[tuple[float | None, str]]:
    """Score and likeliest class of the test photographs of the network that is served; none where the file is not."""
    path = Path(models_folder()) / version / COLLECTION_FILE
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        return [in_collection(row) for row in csv.DictReader(file) if row["fold"] == "0"]


def in_collection(row: Mapping[str, str]) -> tuple[float | None, str]:
    if row["unscorable"]:
        return None, "unscorable"
    shares = {name: float(row[name]) for name in DIAGNOSES}
    return sum(shares[name] for name in MALIGNANT), max(shares, key=shares.__getitem__)


def figures(
    readings: Sequence[Reading], now: datetime, version: str, collection: Sequence[tuple[float | None, str]]
) -> Figures:
    """readings: the oldest first, the first `FIRST` of them the ones that later weeks are held against."""
    baseline = readings[:FIRST]
    found: Figures = {
        "version": version,
        "baseline": {
            "readings": len(baseline),
            "of": FIRST,
            "from": baseline[0].at.isoformat() if baseline else None,
            "to": baseline[-1].at.isoformat() if baseline else None,
        },
        "weeks": [],
        "alarming": [],
    }
    if len(baseline) < FIRST:
        return found
    measures = measures_of(baseline)
    later = readings[FIRST:]
    weeks = by_week(later, now)
    tested = [begins for begins, part in weeks.items() if len(part) >= FEWEST][-TESTED_WEEKS:]
    found["weeks"] = [of_week(begins, part, baseline, measures, begins in tested) for begins, part in weeks.items()]
    found["alarming"] = alarming(found["weeks"], monday(now).date())
    recent = [reading for reading in later if reading.at >= now - RECENT]
    found["distributions"] = [distribution(measure, baseline, recent, collection) for measure in measures]
    found["devices"] = apart(recent, baseline, measures[0], lambda reading: reading.camera)
    found["ways"] = apart(recent, baseline, measures[0], lambda reading: reading.came_by)
    return found


def monday(at: datetime) -> datetime:
    """When the week began, in the clinic's zone."""
    local = timezone.localtime(at)
    return local.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=local.weekday())


def by_week(readings: Iterable[Reading], now: datetime) -> dict[date, list[Reading]]:
    """Whole weeks alone, the oldest first, by the day they began on."""
    this_week, found = monday(now).date(), dict[date, list[Reading]]()
    for reading in readings:
        begins = monday(reading.at).date()
        if begins < this_week:
            found.setdefault(begins, []).append(reading)
    return dict(sorted(found.items())[-WEEKS:])


def measures_of(baseline: Sequence[Reading]) -> list[Measure]:
    scores = [reading.score for reading in baseline if reading.score is not None]
    found = [binned("score", scores, lambda reading: reading.score)]
    found.append(Measure("classes", [], lambda reading: CLASSES.index(reading.likeliest), len(CLASSES)))
    for name in QUALITIES:
        values = [reading.quality[name] for reading in baseline if name in reading.quality]
        found.append(binned(name, values, lambda reading, name=name: reading.quality.get(name)))
    return found


def binned(name: str, values: Sequence[float], value_of: Callable[[Reading], float | None]) -> Measure:
    """Ten bins of equal mass of the first readings; fewer where many of them are the same."""
    cuts = np.unique(np.quantile(values, np.linspace(0, 1, BINS + 1)[1:-1])) if values else np.array([])

    def place(reading: Reading) -> int | None:
        value = value_of(reading)
        return None if value is None else int(np.searchsorted(cuts, value, side="right"))

    return Measure(name, [float(cut) for cut in cuts], place, len(cuts) + 1)


def counts_of(readings: Sequence[Reading], measure: Measure) -> np.ndarray:
    """patients x bins"""
    rows: dict[UUID, int] = {}
    cells = [
        (rows.setdefault(reading.patient, len(rows)), place)
        for reading in readings
        if (place := measure.place(reading)) is not None
    ]
    counts = np.zeros((len(rows), measure.bins))
    for row, place in cells:
        counts[row, place] += 1
    return counts


def stability_index(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Population stability index, sum of (q - p) ln(q / p), of counts (… x bins); each bin has half a reading more."""
    p, q = ((counts + SMOOTHING) / (counts + SMOOTHING).sum(axis=-1, keepdims=True) for counts in (before, after))
    return ((q - p) * np.log(q / p)).sum(axis=-1)


def permutation_p(before: np.ndarray, after: np.ndarray) -> float:
    """How often patients dealt at random into two such groups differ as much (patients x bins each).

    Whole patients are dealt, since photographs of one are alike; a random share of at least 1 in 2,000.
    """
    pooled, number = np.concatenate([before, after]), len(after)
    observed, all_counts = stability_index(before.sum(axis=0), after.sum(axis=0)), pooled.sum(axis=0)
    rng, as_much, left = np.random.default_rng(SEED), 0, PERMUTATIONS
    while left:
        rounds = min(left, AT_A_TIME)
        chosen = np.argpartition(rng.random((rounds, len(pooled))), number - 1, axis=1)[:, :number]
        dealt = pooled[chosen].sum(axis=1)
        as_much += int((stability_index(all_counts - dealt, dealt) >= observed - 1e-12).sum())
        left -= rounds
    return (1 + as_much) / (1 + PERMUTATIONS)


def of_week(
    begins: date, part: Sequence[Reading], baseline: Sequence[Reading], measures: Sequence[Measure], is_tested: bool
) -> Figures:
    found = {}
    for measure in measures:
        before, after = counts_of(baseline, measure), counts_of(part, measure)
        index = float(stability_index(before.sum(axis=0), after.sum(axis=0))) if len(after) else None
        tested = is_tested and len(after) > 0
        found[measure.name] = {"index": index, "p": permutation_p(before, after) if tested else None}
    return {
        "begins": begins.isoformat(),
        "readings": len(part),
        "patients": len({reading.patient for reading in part}),
        "unscorable": sum(reading.score is None for reading in part),
        "measures": found,
    }


def alarming(weeks: Sequence[Figures], this_week: date) -> list[str]:
    """Measures that differed, beyond chance, in each of the two weeks before this one."""
    by_day = {date.fromisoformat(week["begins"]): week["measures"] for week in weeks}
    before, last = (by_day.get(this_week - ago * WEEK, {}) for ago in (2, 1))
    return [name for name in last if is_beyond_chance(last[name]) and is_beyond_chance(before.get(name, {"p": None}))]


def is_beyond_chance(found: Figures) -> bool:
    return found["p"] is not None and found["p"] < ALARM_BELOW


def distribution(
    measure: Measure,
    baseline: Sequence[Reading],
    recent: Sequence[Reading],
    collection: Sequence[tuple[float | None, str]],
) -> Figures:
    """Shares of each bin: of the first readings, of the last weeks', and of the collection's test photographs."""
    beside = np.zeros(measure.bins)
    if measure.name == "score":
        cuts = np.array(measure.edges)
        for score, _likeliest in collection:
            if score is not None:
                beside[np.searchsorted(cuts, score, side="right")] += 1
    elif measure.name == "classes":
        for _score, likeliest in collection:
            beside[CLASSES.index(likeliest)] += 1
    return {
        "name": measure.name,
        "edges": measure.edges,
        "baseline": shares(counts_of(baseline, measure).sum(axis=0)),
        "recent": shares(counts_of(recent, measure).sum(axis=0)),
        "collection": shares(beside),
    }


def shares(counts: np.ndarray) -> list[float]:
    """Empty where nothing was counted."""
    return [float(share) for share in counts / counts.sum()] if counts.sum() else []


def apart(
    recent: Sequence[Reading], baseline: Sequence[Reading], score: Measure, key: Callable[[Reading], str]
) -> list[Figures]:
    """The last weeks' readings by device or by the way they came, the most first."""
    parts: dict[str, list[Reading]] = {}
    for reading in recent:
        parts.setdefault(key(reading), []).append(reading)
    before = counts_of(baseline, score).sum(axis=0)
    found = []
    for name, part in sorted(parts.items(), key=lambda item: (-len(item[1]), item[0])):
        scores = [reading.score for reading in part if reading.score is not None]
        found.append(
            {
                "name": name,
                "readings": len(part),
                "unscorable": sum(reading.score is None for reading in part),
                "median": float(np.median(scores)) if scores else None,
                "index": float(stability_index(before, counts_of(part, score).sum(axis=0))) if scores else None,
            }
        )
    return found
