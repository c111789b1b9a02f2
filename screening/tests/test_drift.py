"""Drift: the index is the formula's, chance is chance, and only two weeks running are an alarm."""

import math
import random
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import numpy as np
import pytest
from django.urls import reverse
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from conftest import make_screening
from ml.predictor import MODELS
from screening.codes import Panel
from screening.dashboard.drift import (
    BINS,
    FIRST,
    SMOOTHING,
    Reading,
    alarming,
    binned,
    by_week,
    collection_of,
    drift,
    figures,
    permutation_p,
    readings_of,
    stability_index,
    watched_of,
)
from screening.dashboard.drift_page import drift_page
from screening.dashboard.now import look
from screening.models import ModelVersion, ReadingPolicy, Screening
from screening.services.figures import count_panel
from screening.tests.conftest import finish
from skinclinic.workers import RollCall

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)  # a Wednesday
DAY = timedelta(days=1)
THIS_WEEK = date(2026, 11, 23)
counts = st.lists(st.integers(0, 50), min_size=4, max_size=4)


def made(number: int, at: datetime, score: float | None, *, patient: int | None = None, camera: str = "One") -> Reading:
    return Reading(
        patient=UUID(int=(number if patient is None else patient) + 1),
        at=at,
        score=score,
        likeliest="unscorable" if score is None else "mel" if score > 0.5 else "nv",
        quality={"sharpness": (number * 37 % 100) / 100, "exposure": 0.9, "in_domain": 0.5 + (number * 17 % 50) / 100},
        camera=camera,
        came_by="portal",
    )


def clinic(*weeks: float, seed: int = 1, size: int = 60) -> list[Reading]:
    """Five hundred first readings, then whole weeks whose scores are shifted by so much, the last one just over."""
    draw = random.Random(seed)
    first = [made(number, NOW - 200 * DAY, draw.betavariate(1, 4)) for number in range(FIRST)]
    later = []
    for ago, shift in zip(range(len(weeks), 0, -1), weeks, strict=True):
        for number in range(size):
            score = min(0.999, draw.betavariate(1, 4) + shift)
            later.append(made(FIRST + len(later) + number, NOW - ago * 7 * DAY, score, camera="Two"))
    return first + later


@given(counts, counts)
def test_the_index_is_the_formulas(before, after):
    found = float(stability_index(np.array(before, dtype=float), np.array(after, dtype=float)))
    p = [(count + SMOOTHING) / (sum(before) + 4 * SMOOTHING) for count in before]
    q = [(count + SMOOTHING) / (sum(after) + 4 * SMOOTHING) for count in after]
    assert math.isclose(found, sum((b - a) * math.log(b / a) for a, b in zip(p, q, strict=True)), abs_tol=1e-9)
    assert found >= 0
    swapped = stability_index(np.array(after, dtype=float), np.array(before, dtype=float))
    assert math.isclose(found, float(swapped), abs_tol=1e-9)


def test_chance_alone_is_seldom_below_what_it_says():
    """Of 300 pairs of groups from one distribution, about one in ten has p below 0.1."""
    rng, below = np.random.default_rng(2), 0
    for _ in range(300):
        before, after = (rng.multinomial(1, [0.25] * 4, size=size).astype(float) for size in (120, 40))
        below += permutation_p(before, after) < 0.1
    assert 12 <= below <= 50


def test_photographs_of_one_patient_are_dealt_together():
    """A week of two patients with thirty photographs each says little, however many photographs it has."""
    rng = np.random.default_rng(3)
    before = rng.multinomial(1, [0.25] * 4, size=500).astype(float)
    before[:50] *= 30  # some of the first patients had as many
    two_patients = np.array([[30.0, 0, 0, 0], [0, 30, 0, 0]])
    sixty = np.repeat(np.eye(4)[:2], 30, axis=0)
    assert permutation_p(before, two_patients) > 0.02
    assert permutation_p(before, sixty) < 0.001


def test_a_shift_of_two_weeks_is_an_alarm_and_one_of_one_week_is_none():
    assert figures(clinic(0, 0, 0, 0), NOW, "1", [])["alarming"] == []
    assert figures(clinic(0, 0, 0, 0.3), NOW, "1", [])["alarming"] == []
    assert figures(clinic(0, 0.3, 0.3, 0), NOW, "1", [])["alarming"] == []
    found = figures(clinic(0, 0, 0.3, 0.3), NOW, "1", [])
    assert "score" in found["alarming"]
    assert "exposure" not in found["alarming"]


def test_weeks_of_few_readings_are_not_tested():
    found = figures(clinic(0.3, 0.3, size=19), NOW, "1", [])
    assert [week["measures"]["score"]["p"] for week in found["weeks"]] == [None, None]
    assert found["weeks"][-1]["measures"]["score"]["index"] > 0.5
    assert found["alarming"] == []


def week(ago: int, **p: float | None) -> dict:
    begins = THIS_WEEK - ago * 7 * DAY
    return {"begins": begins.isoformat(), "measures": {name: {"p": chance} for name, chance in p.items()}}


@pytest.mark.parametrize(
    ("weeks", "names"),
    [
        ([week(2, score=0.0005, classes=0.5), week(1, score=0.5, classes=0.0005)], []),
        ([week(1, score=0.0005)], []),
        ([week(2, score=0.0005), week(1, score=0.0005)], ["score"]),
        ([week(2, score=None, classes=0.0005), week(1, score=None, classes=0.0005)], ["classes"]),
        ([week(3, score=0.0005), week(1, score=0.0005)], []),  # not one after the other
        ([week(9, score=0.0005), week(8, score=0.0005)], []),  # long ago
    ],
)
def test_only_one_measure_in_the_two_weeks_before_this_one_alarms(weeks, names):
    assert alarming(weeks, THIS_WEEK) == names


def test_weeks_in_which_nothing_could_be_read_alarm():
    readings = clinic(0, 0)
    unread = [replace(each, score=None, likeliest="unscorable") for each in readings[FIRST:]]
    assert "classes" in figures([*readings[:FIRST], *unread], NOW, "1", [])["alarming"]


def test_figures_are_those_of_plain_python():
    readings = clinic(0.1, 0.2, seed=4)
    readings[3] = replace(readings[3], score=None, likeliest="unscorable")
    readings[-2] = replace(readings[-2], score=None, likeliest="unscorable")
    found = figures(readings, NOW, "1", [(0.1, "nv"), (0.9, "mel"), (None, "unscorable")])
    first, last_week = readings[:FIRST], [each for each in readings if each.at == NOW - 7 * DAY]
    scores = [each.score for each in first if each.score is not None]
    edges = [float(np.quantile(scores, place / BINS)) for place in range(1, BINS)]

    def shares(values: list[float]) -> list[float]:
        places = [sum(value >= edge for edge in edges) for value in values]
        return [(places.count(place) + SMOOTHING) / (len(values) + BINS * SMOOTHING) for place in range(BINS)]

    p, q = shares(scores), shares([each.score for each in last_week if each.score is not None])
    wanted = sum((b - a) * math.log(b / a) for a, b in zip(p, q, strict=True))
    week = found["weeks"][-1]
    assert week["measures"]["score"]["index"] == pytest.approx(wanted)
    assert (week["readings"], week["unscorable"], week["patients"]) == (60, 1, 60)
    assert week["begins"] == "2026-11-16"
    classes = next(each for each in found["distributions"] if each["name"] == "classes")
    assert classes["baseline"][-1] == pytest.approx(1 / FIRST)
    assert classes["collection"] == pytest.approx([0, 0, 0, 0, 1 / 3, 1 / 3, 0, 1 / 3])
    (device,) = found["devices"]
    assert (device["name"], device["readings"], device["unscorable"]) == ("Two", 120, 1)


def test_nothing_is_said_before_there_are_enough_first_readings():
    found = figures(clinic()[:-1], NOW, "1", [])
    assert (found["baseline"]["readings"], found["weeks"], found["alarming"]) == (FIRST - 1, [], [])
    assert drift_page(found).readings == FIRST - 1


def test_the_running_week_is_not_among_the_weeks():
    readings = [made(number, NOW - days * DAY, 0.1) for number, days in enumerate((0, 2, 3, 9, 10))]
    assert {str(begins): len(part) for begins, part in by_week(readings, NOW).items()} == {
        "2026-11-09": 1, "2026-11-16": 2,
    }  # fmt: skip


@given(st.lists(st.sampled_from([0.1, 0.2, 0.5, 0.9]), min_size=1, max_size=30))
def test_every_value_has_a_bin(values):
    measure = binned("score", values, lambda reading: reading.score)
    for value in (*values, 0.0, 1.0):
        assert 0 <= measure.place(made(1, NOW, value)) < measure.bins
    assert measure.place(made(1, NOW, None)) is None


def test_the_collection_is_what_lies_beside_the_model():
    version = sorted(path.name for path in MODELS.iterdir() if (path / "oof.csv").is_file())[-1]
    beside = collection_of(version)
    assert len(beside) > 1900
    scores = [score for score, _ in beside if score is not None]
    assert 0.17 < sum(scores) / len(scores) < 0.22  # calibrated on a collection of 19.5 % malignant
    assert {likeliest for _, likeliest in beside} >= {"nv", "mel", "unscorable"}
    assert collection_of("0.0.0-nothing") == []


def test_readings_are_the_versions_own(cast, chart, screening, random_photograph):
    other, withdrawn, unread = (make_screening(cast.alice, chart, random_photograph()) for _ in range(3))
    finish(cast, screening, refer=False, band="low")
    finish(cast, other, band=None, unscorable_reasons=("blurred",))
    finish(cast, withdrawn)
    with cast.in_north() as actor:
        Screening.objects.filter(pk=withdrawn.pk).update(withdrawn_at=timezone.now(), withdrawn_reason="other")
        version = ModelVersion.objects.get().pk
        assert drift(watched_of(actor)) == {}
        ReadingPolicy.objects.create(clinic=cast.north, active_id=version)
        first, second = readings_of(actor, version)
        assert list(readings_of(actor, "another")) == []
        assert drift(watched_of(actor))["baseline"]["readings"] == 2
    assert (first.score is not None, second.score, second.likeliest) == (True, None, "unscorable")
    assert first.came_by == "portal"
    assert unread.reading_status == "queued"


def test_the_same_file_sent_again_is_one_reading(cast, chart, screening, photograph_bytes):
    again = make_screening(cast.alice, chart, photograph_bytes)
    for each in (screening, again):
        finish(cast, each, refer=False, band="low")
    with cast.in_north() as actor:
        version = ModelVersion.objects.get().pk
        assert len(list(readings_of(actor, version))) == 1
        Screening.objects.filter(pk=screening.pk).update(withdrawn_at=timezone.now(), withdrawn_reason="other")
        assert len(list(readings_of(actor, version))) == 1, "the one that is left counts"


def counted(cast, found) -> None:
    with cast.in_north() as actor:
        panel = count_panel(actor, Panel.DRIFT)
        panel.figures = found
        panel.save()


def test_the_page_and_the_dashboard_say_so(cast):
    counted(cast, figures(clinic(0, 0, 0.3, 0.3), NOW, "1", [(0.1, "nv")]))
    page = cast.ada.client.get(reverse("drift")).content.decode()
    assert "Two weeks beyond chance" in page
    assert "below 0.001" in page
    with cast.ada.acting() as ada:
        assert "score" in look(ada, RollCall({}, {})).drifted
    assert "For two weeks readings have differed" in cast.ada.client.get(reverse("dashboard")).content.decode()
    assert cast.rita.client.get(reverse("drift")).status_code == 403
    counted(cast, {})
    assert "Not counted yet" in cast.ada.client.get(reverse("drift")).content.decode()
    counted(cast, figures(clinic()[:9], timezone.now(), "1", []))
    assert "9 of 500 readings" in cast.ada.client.get(reverse("drift")).content.decode()
