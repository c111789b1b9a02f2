"""The tables that are kept beside the installed model bear out its manifest and its evaluation, without the data."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ml.manifest import Manifest, load_manifest
from ml.predictor import newest_model
from ml.training import statistics
from ml.training.card import render
from ml.training.cases import Cases, Scored, cases_of, malignant_sum
from ml.training.data import FOLDS, TEST_FOLD, Photograph, Split, part_of, read_splits
from ml.training.evaluate import fitted_thresholds, five_folds
from ml.training.oof import Row, read_rows


@pytest.fixture(scope="module")
def manifest() -> Manifest:
    return load_manifest(newest_model())


@pytest.fixture(scope="module")
def splits() -> list[Split]:
    return read_splits(newest_model() / "splits.csv")


@pytest.fixture(scope="module")
def photographs(splits: list[Split]) -> list[Photograph]:
    """What the splits tell of them: lesion and diagnosis."""
    return [Photograph(s.image_id, s.lesion_id, s.dx, "", None, "", "", "", Path()) for s in splits]


@pytest.fixture(scope="module")
def cases(photographs: list[Photograph], splits: list[Split]) -> Cases:
    return cases_of(photographs, splits)


@pytest.fixture(scope="module")
def folds(cases: Cases, splits: list[Split]) -> Scored:
    return five_folds(newest_model(), cases, splits, fitted_thresholds(newest_model(), cases))


@pytest.fixture(scope="module")
def tested() -> list[Row]:
    return read_rows(newest_model() / "oof.csv")


@pytest.fixture(scope="module")
def calibrated() -> list[Row]:
    return read_rows(newest_model() / "calibration.csv")


def test_every_photograph_is_tested_once_by_the_network_that_did_not_see_it(
    splits: list[Split], tested: list[Row]
) -> None:
    assert len(tested) == len(splits) == 10_015
    assert {row.image_id: row.fold for row in tested} == {split.image_id: split.fold for split in splits}
    probabilities = np.array([row.probabilities for row in tested])
    assert np.allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    assert probabilities.min() >= 0


def test_each_network_is_calibrated_on_one_whole_slice_of_the_other_folds(
    splits: list[Split], calibrated: list[Row]
) -> None:
    slice_of = {split.image_id: split.slice for split in splits}
    for fold in range(FOLDS):
        found = {row.image_id for row in calibrated if row.fold == fold}
        part = part_of(splits, fold, slice_of[min(found)])
        assert found == {splits[row].image_id for row in part.calibration}


def test_the_thresholds_that_are_served_are_those_of_the_calibration_table(manifest: Manifest, cases: Cases) -> None:
    found = fitted_thresholds(newest_model(), cases)[TEST_FOLD]
    assert found.calibration.slope == pytest.approx(manifest.calibration.slope, rel=1e-4)
    assert found.calibration.intercept == pytest.approx(manifest.calibration.intercept, abs=1e-4)
    assert found.refer == pytest.approx(manifest.refer.value, rel=1e-4)
    assert found.high == pytest.approx(manifest.high.value, rel=1e-4)


def test_the_five_fold_figures_follow_from_the_table(folds: Scored) -> None:
    lesions = folds.part(folds.cases.one_per_lesion())
    stored = json.loads((newest_model() / "evaluation.json").read_text())["five_folds"]["one_photograph_per_lesion"]
    malignant = lesions.cases.malignant
    assert stored["photographs"] == len(malignant)
    area = statistics.area_under_curve(malignant, lesions.malignancy)
    assert area == pytest.approx(stored["targets"]["malignant"]["auc"]["value"], abs=1e-6)
    attained = stored["targets"]["malignant"]["attained"]["refer"]
    assert lesions.refer[malignant].mean() == pytest.approx(attained["sensitivity"]["value"])
    assert (~lesions.refer[~malignant]).mean() == pytest.approx(attained["specificity"]["value"])
    balanced = statistics.balanced_accuracy(lesions.cases.labels, lesions.probabilities.argmax(axis=1))
    assert balanced == pytest.approx(stored["diagnosis"]["balanced_accuracy"]["value"])
    assert np.array(stored["confusion"]).sum() == len(malignant)


def test_fold_0_of_the_table_is_what_the_served_network_attained(
    manifest: Manifest, folds: Scored, splits: list[Split]
) -> None:
    lesions = folds.part(part_of(splits, TEST_FOLD).test)
    lesions = lesions.part(lesions.cases.one_per_lesion())
    malignant = lesions.cases.malignant
    assert lesions.refer[malignant].mean() == pytest.approx(manifest.refer.sensitivity.value)
    assert manifest.bands["unscorable"].malignant.count == int((lesions.refused & malignant).sum())
    assert malignant_sum(lesions.probabilities).max() <= 1 + 1e-6


def test_good_photographs_are_seldom_refused(tested: list[Row]) -> None:
    assert np.mean([bool(row.unscorable) for row in tested]) < 0.02


def test_the_card_says_what_manifest_and_evaluation_say(manifest: Manifest) -> None:
    stored = json.loads((newest_model() / "evaluation.json").read_text())
    assert (newest_model() / "MODEL_CARD.md").read_text() == render(manifest, stored)


def test_the_openings_of_the_test_folds_are_noted(manifest: Manifest) -> None:
    log = (newest_model().parent / "OPENINGS.md").read_text()
    assert f"| {manifest.version} |" in log
