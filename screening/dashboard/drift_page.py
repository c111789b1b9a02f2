"""Drift as a page shows it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _

from ml.labels import DIAGNOSES
from screening import words
from screening.dashboard.drift import ALARM_BELOW, QUALITIES
from screening.dashboard.shown import UNDEFINED
from skinclinic.text import decimal

WIDTH, HEIGHT, TOP_INDEX = 240, 40, 0.5  # a population stability index of 0.25 is called a large shift
BAR = 80

Figures = Mapping[str, Any]


@dataclass(frozen=True)
class MeasureRow:
    """One measure over the weeks: its last index, whether it alarms, and its line."""

    name: str
    index: str
    p: str
    is_alarming: bool
    line: str


@dataclass(frozen=True)
class WeekRow:
    begins: date
    readings: int
    unscorable: int
    indexes: list[tuple[str, bool]]  # as written, and whether chance alone would hardly bring it


@dataclass(frozen=True)
class BinRow:
    """A bin's shares, in per cent and as the lengths of bars."""

    name: str
    shares: list[tuple[str, float]]


@dataclass(frozen=True)
class DriftPage:
    version: str
    readings: int
    wanted: int
    begun: datetime | None
    ended: datetime | None
    measures: list[MeasureRow]
    weeks: list[WeekRow]
    distributions: list[tuple[str, list[BinRow]]]
    devices: list[Figures]
    ways: list[Figures]


def drift_page(figures: Figures) -> DriftPage:
    baseline, weeks = figures["baseline"], figures["weeks"]
    names = [each["name"] for each in figures.get("distributions", [])]
    return DriftPage(
        version=figures["version"],
        readings=baseline["readings"],
        wanted=baseline["of"],
        begun=moment(baseline["from"]),
        ended=moment(baseline["to"]),
        measures=[measure_row(name, weeks, name in figures["alarming"]) for name in names] if weeks else [],
        weeks=[week_row(week, names) for week in reversed(weeks)],
        distributions=[(measure_name(each["name"]), bin_rows(each)) for each in figures.get("distributions", [])],
        devices=[part(each, each["name"] or _("Not said by the camera")) for each in figures.get("devices", [])],
        ways=[part(each, way_name(each["name"])) for each in figures.get("ways", [])],
    )


def moment(written: str | None) -> datetime | None:
    return timezone.localtime(datetime.fromisoformat(written)) if written else None


def measure_row(name: str, weeks: Sequence[Figures], is_alarming: bool) -> MeasureRow:
    indexes = [week["measures"][name]["index"] for week in weeks]
    last = weeks[-1]["measures"][name]
    return MeasureRow(measure_name(name), index_word(last["index"]), p_word(last["p"]), is_alarming, line_of(indexes))


def line_of(indexes: Sequence[float | None]) -> str:
    """The points of a polyline, the newest at the right."""
    step = WIDTH / max(1, len(indexes) - 1)
    points = [
        (number * step, HEIGHT * (1 - min(index, TOP_INDEX) / TOP_INDEX))
        for number, index in enumerate(indexes)
        if index is not None
    ]
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def week_row(week: Figures, names: Sequence[str]) -> WeekRow:
    found = [week["measures"][name] for name in names]
    return WeekRow(
        begins=date.fromisoformat(week["begins"]),
        readings=week["readings"],
        unscorable=week["unscorable"],
        indexes=[(index_word(each["index"]), each["p"] is not None and each["p"] < ALARM_BELOW) for each in found],
    )


def bin_rows(distribution: Figures) -> list[BinRow]:
    columns = [distribution[name] for name in ("baseline", "recent", "collection")]
    number = max(len(column) for column in columns)
    return [
        BinRow(
            bin_name(distribution, place),
            [
                (percent(column[place]), round(BAR * column[place], 1)) if column else (UNDEFINED, 0)
                for column in columns
            ],
        )
        for place in range(number)
    ]


def bin_name(distribution: Figures, place: int) -> str:
    if distribution["name"] == "classes":
        names = [*(words.class_name(code) for code in DIAGNOSES), _("Not fit to be read")]
        return names[place]
    edges = [decimal(edge, ".3f") for edge in distribution["edges"]]
    if not edges:
        return _("all")
    if place == 0:
        return _("below %(edge)s") % {"edge": edges[0]}
    if place == len(edges):
        return _("%(edge)s and more") % {"edge": edges[-1]}
    return _("%(low)s to %(high)s") % {"low": edges[place - 1], "high": edges[place]}


def part(found: Figures, name: str) -> Figures:
    median = UNDEFINED if found["median"] is None else decimal(found["median"], ".2f")
    return {**found, "name": name, "median": median, "index": index_word(found["index"])}


def measure_name(name: str) -> str:
    if name in QUALITIES:
        return words.quality_name(name).capitalize()
    return _("Score") if name == "score" else _("Likeliest diagnosis")


def way_name(way: str) -> str:
    return _("From the portal") if way == "portal" else _("From another system")


def index_word(index: float | None) -> str:
    return UNDEFINED if index is None else decimal(index, ".2f")


def p_word(p: float | None) -> str:
    if p is None:
        return UNDEFINED
    return _("below 0.001") if p < ALARM_BELOW else decimal(p, ".3f")


def percent(share: float) -> str:
    return _("%(value)s %%") % {"value": decimal(100 * share, ".0f")}
