from __future__ import annotations

import numpy as np
import pytest

from ml.training import calibrate, evaluate, statistics
from ml.training.data import Photograph


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
    clusters = ["a", "b", "a", "c", "b", "a"]
    for drawn in statistics.cluster_bootstrap(clusters, rounds=50):
        counts = np.bincount(drawn, minlength=6)
        assert counts[0] == counts[2] == counts[5]
        assert counts[1] == counts[4]
        assert counts[0] + counts[1] + counts[3] == 3


def test_an_interval_of_a_share_holds_the_share() -> None:
    hits = np.arange(200) % 4 == 0
    found = statistics.with_interval(lambda drawn: float(hits[drawn].mean()), [str(i) for i in range(200)], 500)
    assert found.value == 0.25
    assert 0.15 < found.low < 0.22
    assert 0.28 < found.high < 0.35


def test_the_calibration_of_a_known_slope_is_found() -> None:
    rng = np.random.default_rng(1)
    odds = rng.normal(0, 2, 40_000)
    malignant = rng.random(40_000) < 1 / (1 + np.exp(-(1.4 * odds - 0.8)))
    found = calibrate.fit_calibration(1 / (1 + np.exp(-odds)), malignant, np.ones(40_000))
    assert found.slope == pytest.approx(1.4, abs=0.06)
    assert found.intercept == pytest.approx(-0.8, abs=0.06)


def test_a_lesion_seen_twice_weighs_once() -> None:
    raw, malignant = np.array([0.2, 0.4, 0.6, 0.8]), np.array([False, True, False, True])
    twice = [0, 0, 1, 1, 2, 2, 3, 3]
    once = calibrate.fit_calibration(raw, malignant, np.ones(4))
    halves = calibrate.fit_calibration(raw[twice], malignant[twice], np.full(8, 0.5))
    assert halves.slope == pytest.approx(once.slope)


def test_the_refer_threshold_finds_95_percent_of_each_group() -> None:
    rng = np.random.default_rng(2)
    malignant = rng.random(3000) < 0.2
    melanoma = malignant & (rng.random(3000) < 0.5)
    score = rng.random(3000) * 0.5 + 0.3 * malignant - 0.1 * melanoma
    cut = calibrate.refer_threshold(score, malignant, melanoma)
    assert (score[malignant] >= cut).mean() >= 0.95
    assert (score[melanoma] >= cut).mean() >= 0.95
    higher = np.sort(score[score > cut])[0]
    assert (score[melanoma] >= higher).mean() < 0.95


def test_the_high_threshold_keeps_90_percent_of_the_benign_below_it() -> None:
    score, malignant = np.arange(100) / 100, np.zeros(100, dtype=bool)
    malignant[95:] = True
    cut = calibrate.high_threshold(score, malignant, refer=0.2)
    assert (score[~malignant] < cut).mean() >= 0.9
    assert (score[~malignant] < cut - 0.011).mean() < 0.9
    assert calibrate.high_threshold(score, malignant, refer=0.97) == 0.97


def test_likelihood_ratio_against_a_worked_example() -> None:
    found = evaluate.likelihood_ratio(90, 100, 20, 100)
    assert found.value == pytest.approx(4.5)
    assert found.low == pytest.approx(3.02, abs=0.01)
    assert found.high == pytest.approx(6.70, abs=0.01)


def test_likelihood_ratio_of_an_empty_cell_is_finite() -> None:
    found = evaluate.likelihood_ratio(0, 100, 30, 300)
    assert 0 < found.low < found.value < found.high < 1


def test_one_photograph_stands_for_each_lesion_whatever_the_order() -> None:
    rows = [Photograph(f"ISIC_{i}", f"L{i % 4}", "nv", "", None, "", "", "", None) for i in range(20)]  # type: ignore[arg-type]
    drawn = {rows[index].image_id for index in evaluate.one_per_lesion(rows)}
    turned = rows[::-1]
    assert {turned[index].image_id for index in evaluate.one_per_lesion(turned)} == drawn
    assert len(drawn) == 4
