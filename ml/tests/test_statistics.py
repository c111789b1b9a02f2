from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.training import calibrate, figures, statistics
from ml.training.cases import Cases
from ml.training.data import DataError, Photograph


def test_area_under_curve_counts_pairs() -> None:
    rng = np.random.default_rng(0)
    positive, score = rng.random(80) < 0.3, rng.integers(0, 12, 80)
    pairs = [
        1.0 if first > second else 0.5 if first == second else 0.0
        for first in score[positive]
        for second in score[~positive]
    ]
    assert statistics.area_under_curve(positive, score) == pytest.approx(np.mean(pairs))


def test_balanced_accuracy_gives_each_class_one_vote() -> None:
    truth, predicted = np.array([0] * 98 + [1, 1]), np.array([0] * 98 + [1, 0])
    assert statistics.balanced_accuracy(truth, predicted) == pytest.approx(0.75)


def test_calibration_error_of_a_score_that_is_always_half() -> None:
    positive = np.arange(1000) % 5 == 0
    assert statistics.expected_calibration_error(positive, np.full(1000, 0.5)) == pytest.approx(0.3)


def test_the_bootstrap_draws_whole_clusters() -> None:
    for drawn in statistics.Bootstrap(["a", "b", "a", "c", "b", "a"], rounds=50).draws:
        counts = np.bincount(drawn, minlength=6)
        assert counts[0] == counts[2] == counts[5]
        assert counts[1] == counts[4]
        assert counts[0] + counts[1] + counts[3] == 3


def test_an_interval_of_a_share_holds_the_share() -> None:
    hits = np.arange(200) % 4 == 0
    found = statistics.Bootstrap([str(i) for i in range(200)], 500).share(hits, np.ones(200, dtype=bool))
    assert found.value == 0.25
    # Of 200 alone the binomial's deviation is 0.0306.
    assert found.low == pytest.approx(0.25 - 1.96 * 0.0306, abs=0.006)
    assert found.high == pytest.approx(0.25 + 1.96 * 0.0306, abs=0.006)


def test_the_interval_of_a_calibration_error_lies_around_it() -> None:
    """A perfect score's error grows by redrawing alone; its interval is moved back and never below 0."""
    rng = np.random.default_rng(4)
    score = rng.random(600)
    positive = rng.random(600) < score
    bootstrap = statistics.Bootstrap([str(row) for row in range(600)], 300)

    def error(rows: np.ndarray) -> float:
        return statistics.expected_calibration_error(positive[rows], score[rows])

    moved, raw = bootstrap.interval(error, biased=True), bootstrap.interval(error)
    assert moved.low < moved.value < moved.high
    assert raw.low > moved.low
    assert raw.high - moved.high == pytest.approx(np.mean([error(rows) for rows in bootstrap.draws]) - raw.value)


def test_an_interval_is_wider_where_photographs_stick_together() -> None:
    hits, everyone = np.repeat(np.arange(50) % 2 == 0, 4), np.ones(200, dtype=bool)
    alone = statistics.Bootstrap([str(i) for i in range(200)], 500).share(hits, everyone)
    together = statistics.Bootstrap([str(i // 4) for i in range(200)], 500).share(hits, everyone)
    assert together.high - together.low > 1.6 * (alone.high - alone.low)


def test_the_roc_holds_the_area_and_the_corner() -> None:
    rng = np.random.default_rng(3)
    positive = rng.random(4000) < 0.3
    score = rng.normal(positive * 1.5, 1)
    curve = np.array(statistics.roc(positive, score))
    assert np.all(np.diff(curve) >= 0)
    assert curve[-1] == 1
    area = (curve[1:] + curve[:-1]).mean() / 2
    assert area == pytest.approx(statistics.area_under_curve(positive, score), abs=0.01)
    cut = np.quantile(score[~positive], 0.8)
    assert curve[20] == pytest.approx((score[positive] >= cut).mean(), abs=0.01)


@pytest.mark.parametrize(("missed", "low"), [(0, 0.8389), (1, 0.7639), (2, 0.6990)])
def test_the_interval_of_a_share_that_few_miss_is_wilsons(missed: int, low: float) -> None:
    clusters, everyone = [str(row // 2) for row in range(40)], np.ones(40, dtype=bool)
    hit = np.arange(40) >= 2 * missed
    found = statistics.Bootstrap(clusters, 50).share(hit, everyone)
    assert found.value == 1 - missed / 20
    assert found.low == pytest.approx(low, abs=1e-3)
    assert statistics.Bootstrap(clusters, 50).share(~hit, everyone).high == pytest.approx(1 - low, abs=1e-3)


@given(count=st.integers(1, 3000), data=st.data())
def test_wilsons_interval_holds_the_share_and_stays_a_share(count: int, data: st.DataObject) -> None:
    share = data.draw(st.sampled_from([0, count]) | st.integers(0, count)) / count
    low, high = statistics.wilson(share, count)
    assert 0 <= low <= share <= high <= 1
    assert high - low > 0


def test_a_figure_that_cannot_be_told_takes_nothing_from_the_one_beside_it() -> None:
    bootstrap = statistics.Bootstrap([str(row) for row in range(30)], 50)
    values = np.random.default_rng(2).normal(size=30)
    known, unknown = bootstrap.intervals(lambda rows: (float(values[rows].mean()), float("nan")))
    assert known.low < known.value < known.high
    assert np.isnan([unknown.value, unknown.low, unknown.high]).all()


@pytest.mark.parametrize("slope", [0.2, 0.4, 1.0, 3.0, 6.0])
@pytest.mark.parametrize("intercept", [-4.0, 0.5])
def test_the_calibration_of_a_known_slope_is_found(slope: float, intercept: float) -> None:
    rng = np.random.default_rng(1)
    odds = rng.normal(0, 2, 40_000)
    malignant = rng.random(40_000) < 1 / (1 + np.exp(-(slope * odds + intercept)))
    found = calibrate.fit_calibration(1 / (1 + np.exp(-odds)), malignant, np.ones(40_000))
    assert found.slope == pytest.approx(slope, abs=0.02 + 0.05 * slope)
    assert found.intercept == pytest.approx(intercept, abs=0.15)


def test_the_calibration_of_what_a_line_parts_is_steep_and_finite() -> None:
    found = calibrate.fit_calibration(np.array([0.1, 0.2, 0.8, 0.9]), np.array([0, 0, 1, 1]) > 0, np.ones(4))
    assert 5 < found.slope < 100


def test_a_calibration_of_one_kind_alone_is_refused() -> None:
    with pytest.raises(DataError, match="malignant and benign"):
        calibrate.fit_calibration(np.array([0.1, 0.2]), np.array([False, False]), np.ones(2))


def test_a_lesion_seen_twice_weighs_once() -> None:
    raw, malignant = np.array([0.2, 0.4, 0.6, 0.8]), np.array([False, True, False, True])
    twice = [0, 0, 1, 1, 2, 2, 3, 3]
    once = calibrate.fit_calibration(raw, malignant, np.ones(4))
    halves = calibrate.fit_calibration(raw[twice], malignant[twice], np.full(8, 0.5))
    assert halves.slope == pytest.approx(once.slope, rel=1e-3)


def test_the_refer_threshold_finds_95_percent_of_each_group() -> None:
    rng = np.random.default_rng(2)
    diagnoses = rng.choice(["mel", "bcc", "nv"], 3000, p=[0.1, 0.1, 0.8])
    cases = _cases([_photograph(f"ISIC_{row}", f"L{row}", dx) for row, dx in enumerate(diagnoses)])
    score = rng.random(3000) * 0.5 + 0.3 * cases.malignant - 0.1 * cases.of("mel")
    cut = calibrate.refer_threshold(score, cases)
    assert (score[cases.malignant] >= cut).mean() >= 0.95
    assert (score[cases.of("mel")] >= cut).mean() >= 0.95
    higher = np.sort(score[score > cut])[0]
    assert (score[cases.of("mel")] >= higher).mean() < 0.95


def test_the_high_threshold_keeps_90_percent_of_the_benign_below_it() -> None:
    cases = _cases([_photograph(f"ISIC_{row}", f"L{row}", "mel" if row >= 95 else "nv") for row in range(100)])
    score, benign = np.arange(100) / 100, ~cases.malignant
    cut = calibrate.high_threshold(score, cases, refer=0.2)
    assert (score[benign] < cut).mean() >= 0.9
    assert (score[benign] < cut - 0.011).mean() < 0.9
    assert calibrate.high_threshold(score, cases, refer=0.97) == 0.97


def test_thresholds_count_lesions_not_photographs() -> None:
    """Nine melanomas once at 0.9, one twenty times at 0.1: nine tenths of the lesions lie above."""
    score, weights = np.array([0.9] * 9 + [0.1] * 20), np.array([1.0] * 9 + [0.05] * 20)
    assert calibrate.threshold_at_sensitivity(score, weights, 0.9) == 0.9
    assert calibrate.threshold_at_sensitivity(score, weights, 0.95) == 0.1
    assert calibrate.threshold_at_sensitivity(score, np.ones(29), 0.9) == 0.1


@given(
    share=st.floats(0.01, 1.0),
    drawn=st.lists(st.tuples(st.floats(0, 1), st.integers(1, 6)), min_size=1, max_size=40),
)
def test_a_threshold_reaches_its_share_and_the_next_one_does_not(share: float, drawn: list[tuple[float, int]]) -> None:
    score, weights = np.array([one for one, _ in drawn]), np.array([1 / times for _, times in drawn])
    whole = weights.sum()
    cut = calibrate.threshold_at_sensitivity(score, weights, share)
    assert weights[score >= cut].sum() >= (share - 1e-6) * whole
    assert weights[score > cut].sum() < share * whole + 1e-6
    cut = calibrate.threshold_at_specificity(score, weights, share)
    assert weights[score < cut].sum() >= (share - 1e-6) * whole
    assert weights[score < np.nextafter(cut, -np.inf)].sum() < share * whole + 1e-6


def test_likelihood_ratio_against_a_worked_example() -> None:
    found = figures.likelihood_ratio(90, 100, 20, 100)
    assert found.value == pytest.approx(4.5)
    assert found.low == pytest.approx(3.02, abs=0.01)
    assert found.high == pytest.approx(6.70, abs=0.01)


def test_likelihood_ratio_of_an_empty_cell_is_finite() -> None:
    found = figures.likelihood_ratio(0, 100, 30, 300)
    assert 0 < found.low < found.value < found.high < 1


def test_one_photograph_stands_for_each_lesion_whatever_the_order() -> None:
    rows = [_photograph(f"ISIC_{i}", f"L{i % 4}") for i in range(20)]
    turned = rows[::-1]
    names = [
        [p.image_id for p in cases.part(cases.one_per_lesion()).photographs] for cases in map(_cases, (rows, turned))
    ]
    assert sorted(names[0]) == sorted(names[1])
    assert len(names[0]) == 4


def _photograph(image_id: str, lesion_id: str, dx: str = "nv") -> Photograph:
    return Photograph(image_id, lesion_id, dx, "", None, "", "", "", Path())


def _cases(photographs: list[Photograph]) -> Cases:
    return Cases(photographs, [photograph.lesion_id for photograph in photographs])
