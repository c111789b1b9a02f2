"""A lesion over time: what was said of each photograph, what pathology found, and how the score moved."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import exp, log
from typing import Any

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from ml.manifest import REPEAT_RANGE
from screening.models import Outcome, Screening
from screening.presentation import shown_score
from screening.status import ReadingStatus
from skinclinic.text import decimal

WIDTH, HEIGHT = 640, 200
LEFT, RIGHT, TOP, BOTTOM = 36, 16, 12, 28
SINGLE_RANGE = 1.96  # deviations to either side hold 95 % of the readings of one lesion
A_DAY = timedelta(days=1)
NEVER_NONE = 1e-4  # a score of 0 or 1 has no logit


@dataclass(frozen=True)
class Point:
    """A score at a time; low and high hold 95 % of what other photographs of the unchanged lesion would score."""

    at: datetime
    score: float
    version: str
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Drawn:
    """A point in the chart's pixels."""

    point: Point
    x: float
    y: float
    top: float
    bottom: float


@dataclass(frozen=True)
class BesidePathology:
    """A photograph from before the report, and whether reading and review pointed where pathology does; None unsaid."""

    screening: Screening
    reading_agrees: bool | None
    review_agrees: bool | None


def logit(score: float) -> float:
    clipped = min(max(score, NEVER_NONE), 1 - NEVER_NONE)
    return log(clipped / (1 - clipped))


def shows_score(screening: Screening) -> bool:
    """Whether a score of this screening is shown to the one it was fetched for (`shown_to`, `with_prediction`)."""
    return screening.reading_status == ReadingStatus.PREDICTED and not (screening.is_hidden or screening.is_suspended)


def points_of(screenings: Sequence[Screening]) -> list[Point]:
    """Of those whose score is shown, the oldest first; their predictions come with their model versions."""
    shown = sorted((each for each in screenings if shows_score(each)), key=taken_at)
    return [point_of(screening) for screening in shown]


def taken_at(screening: Screening) -> datetime:
    return screening.image.taken_at


def point_of(screening: Screening) -> Point:
    prediction = screening.prediction
    deviation = deviation_of(prediction.model_version.manifest)
    low, high = range_of(prediction.malignancy, deviation) if deviation else (None, None)
    return Point(taken_at(screening), prediction.malignancy, prediction.model_version_id, low, high)


def deviation_of(manifest: dict[str, Any]) -> float | None:
    """Of the score's logit between photographs of one lesion, where the model tells it."""
    return (manifest.get("repeat_deviation") or {}).get("value")


def range_of(score: float, deviation: float) -> tuple[float, float]:
    centre, reach = logit(score), SINGLE_RANGE * deviation
    return 1 / (1 + exp(reach - centre)), 1 / (1 + exp(-reach - centre))


def draw(points: Sequence[Point]) -> list[Drawn]:
    """The points in a chart of WIDTH by HEIGHT pixels, score from 0 to 1 upwards.

    Time goes to the right; photographs of less than a day stand side by side, in their order.
    """
    if not points:
        return []
    first, span = points[0].at, points[-1].at - points[0].at
    along = [(point.at - first) / span if span >= A_DAY else rank / len(points) for rank, point in enumerate(points)]
    return [
        Drawn(
            point,
            round(LEFT + (WIDTH - LEFT - RIGHT) * share, 1),
            height_of(point.score),
            height_of(point.score if point.high is None else point.high),
            height_of(point.score if point.low is None else point.low),
        )
        for point, share in zip(points, along, strict=True)
    ]


def scale() -> list[tuple[str, float]]:
    """The chart's horizontal lines: what is written at each, and its height in pixels."""
    return [(decimal(score, ".2g"), height_of(score)) for score in (0, 0.25, 0.5, 0.75, 1)]


def height_of(score: float) -> float:
    return round(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * score, 1)


def change_sentence(screenings: Sequence[Screening]) -> str:
    """What to make of the last two scores; empty where there are none to compare."""
    shown = sorted((each for each in screenings if shows_score(each)), key=taken_at)
    if len(shown) < 2:
        return ""
    before, after = (screening.prediction for screening in shown[-2:])
    earlier, later = (f"{shown_score(each.prediction.malignancy)} ({day(each)})" for each in shown[-2:])
    said = {"earlier": earlier, "later": later}
    if before.model_version_id != after.model_version_id:
        different = _(
            "From %(earlier)s to %(later)s. Different model versions gave these scores, so they cannot be set against "
            "each other."
        )
        return different % said
    deviation = deviation_of(after.model_version.manifest)
    if deviation is None:
        unknown = _(
            "From %(earlier)s to %(later)s. How far photographs of an unchanged lesion differ is not known for this "
            "model."
        )
        return unknown % said
    if abs(logit(after.malignancy) - logit(before.malignancy)) <= REPEAT_RANGE * deviation:
        within = _(
            "From %(earlier)s to %(later)s: within what two photographs of an unchanged lesion differ by. No change "
            "can be told from this."
        )
        return within % said
    beyond = _(
        "From %(earlier)s to %(later)s: more than two photographs of an unchanged lesion differ by in 95 of 100 cases. "
        "Look at both photographs side by side."
    )
    return beyond % said


def day(screening: Screening) -> str:
    return date_format(timezone.localtime(taken_at(screening)))


def beside_pathology(outcome: Outcome, screenings: Sequence[Screening]) -> list[BesidePathology]:
    """The photographs from before the report, each with whether it pointed the same way; a later one shows a scar."""
    before = [each for each in screenings if timezone.localdate(taken_at(each)) <= outcome.reported_on]
    return [BesidePathology(each, reading_agrees(outcome, each), review_agrees(outcome, each)) for each in before]


def reading_agrees(outcome: Outcome, screening: Screening) -> bool | None:
    if not shows_score(screening) or not screening.prediction.says_something:
        return None
    return screening.prediction.refer == outcome.is_malignant


def review_agrees(outcome: Outcome, screening: Screening) -> bool | None:
    review = screening.signed_review
    return None if screening.is_hidden or review is None else review.suspicious == outcome.is_malignant
