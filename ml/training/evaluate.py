"""All figures of a model: of fold 0 from its files, and of five folds from its tables."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track

from ml.manifest import Interval
from ml.predictor import LiteRTPredictor
from ml.training import figures
from ml.training.calibrate import (
    SENSITIVITY_OF_REFER,
    SPECIFICITY_OF_HIGH,
    Settings,
    Thresholds,
    fit_thresholds,
)
from ml.training.cases import Cases, Scored, ask, cases_of, malignant_sum
from ml.training.data import (
    FOLDS,
    SPLITS_FILE,
    TEST_FOLD,
    DataError,
    Split,
    matching_splits,
    part_of,
    read_photographs,
)
from ml.training.oof import CALIBRATION_FILE, OOF_FILE, read_rows
from ml.training.provenance import digest
from ml.training.robustness import robustness
from ml.training.statistics import Bootstrap

console = Console(stderr=True)
EVALUATION_FILE = "evaluation.json"
INTERVALS = f"95 %, bootstrap by cluster of lesion and near-duplicates, {Bootstrap.rounds:,} rounds"


def evaluate_model(predictor: LiteRTPredictor, data: Path, *, spoil: bool) -> dict[str, Any]:
    """Read the test fold again, and take the five-fold figures from the model's tables. Raises DataError.

    spoil: read it in every spoilt form as well, which takes some minutes.
    """
    folder, manifest = predictor.folder, predictor.manifest
    photographs = read_photographs(data)
    splits = matching_splits(folder / SPLITS_FILE, photographs)
    cases = cases_of(photographs, splits)
    if digest(cases) != manifest.training_data["sha256_of_photographs"]:
        console.print("These are other copies of the photographs than the model was made of: figures will differ.")
    thresholds = Thresholds(manifest.calibration, manifest.refer.value, manifest.high.value)
    settings = Settings(thresholds, manifest.quality_limits, predictor.domain)
    part = cases.part(part_of(splits, TEST_FOLD).test)
    test = settings.score(ask(predictor.network, part, manifest.views, "Reading fold 0"))
    fitted = fitted_thresholds(folder, cases)
    found = evaluation(test, five_folds(folder, cases, splits, fitted), splits)
    found["served"] = served_figures(test, fitted[TEST_FOLD])
    if spoil:
        lesions = test.part(test.cases.one_per_lesion())
        found["robustness"] = robustness(predictor.network, manifest.views, settings, lesions)
    return found


def evaluation(test: Scored, folds: Scored, splits: Sequence[Split]) -> dict[str, Any]:
    """test: fold 0 by the network that is served. folds: every photograph by the network that did not see it."""
    lesions = folds.part(folds.cases.one_per_lesion())
    return without_nan(
        {
            "intervals": INTERVALS,
            "fold_0": populations(test),
            "five_folds": populations(folds)
            | {
                "groups": figures.subgroup_figures(lesions),
                "repeatability": figures.repeatability(folds),
                "highest_band_of_lesion": figures.highest_band_of_lesion(folds),
                "lesions_of_several": figures.lesions_of_several(folds),
                "decision_curves": figures.decision_curves(lesions),
                "by_fold": by_fold(folds, splits),
            },
        }
    )


def without_nan(found: Any) -> Any:
    """None for what cannot be told (a share of nobody), which JSON can say."""
    if isinstance(found, dict):
        return {name: without_nan(part) for name, part in found.items()}
    if isinstance(found, list):
        return [without_nan(part) for part in found]
    return None if isinstance(found, float) and np.isnan(found) else found


def by_fold(folds: Scored, splits: Sequence[Split]) -> dict[str, Any]:
    """Each fold alone, one photograph per lesion; and without the one that had no say in the recipe."""
    fold = np.array([split.fold for split in splits])
    parts = {f"fold {number}": fold == number for number in range(FOLDS)} | {"folds 1 to 4": fold != TEST_FOLD}
    found = {}
    for name, inside in parts.items():
        part = folds.part(np.flatnonzero(inside))
        found[name] = figures.fold_figures(part.part(part.cases.one_per_lesion()))
    return found


def served_figures(test: Scored, thresholds: Thresholds) -> dict[str, Any]:
    """What the manifest says of the network that is served; test: fold 0."""
    lesions = test.part(test.cases.one_per_lesion())
    return {
        "calibration": thresholds.calibration,
        "refer": figures.attained(
            lesions,
            thresholds.refer,
            lesions.refer,
            f"calibration photographs, by lesion: the lower of {SENSITIVITY_OF_REFER:.0%} of malignant and of melanoma",
        ),
        "high": figures.attained(
            lesions,
            thresholds.high,
            lesions.high,
            f"calibration photographs, by lesion: {SPECIFICITY_OF_HIGH:.0%} specificity, not below refer",
        ),
        "bands": figures.band_figures(lesions),
        "repeat_deviation": Interval(**figures.repeatability(test)["deviation_of_logit"]),
    }


def populations(scored: Scored) -> dict[str, Any]:
    """One photograph per lesion first; all of them; and against benign lesions proven by histology only."""
    lesions = scored.part(scored.cases.one_per_lesion())
    confirmation = np.array([photograph.dx_type for photograph in lesions.cases.photographs])
    proven = np.flatnonzero((confirmation == "histo") | lesions.cases.malignant)
    parts = {
        "one_photograph_per_lesion": lesions,
        "all_photographs": scored,
        "histology_proven_benign_only": lesions.part(proven),
    }
    found = {
        name: figures.main_figures(part)
        for name, part in track(parts.items(), "Figures with their intervals", console=console)
    }
    # Benign lesions were chosen there: how many are malignant says nothing of the score.
    del found["histology_proven_benign_only"]["calibration"]
    return found


def five_folds(folder: Path, cases: Cases, splits: Sequence[Split], thresholds: Sequence[Thresholds]) -> Scored:
    """Every photograph as the table in `folder` has it, by the thresholds of its fold. Raises DataError."""
    row_of = _rows_by_name(cases)
    read = read_rows(folder / OOF_FILE)
    if sorted(row.image_id for row in read) != sorted(row_of):
        raise DataError(f"{folder / OOF_FILE} does not hold every photograph once. Install the model again.")
    read.sort(key=lambda row: row_of[row.image_id])
    if [row.fold for row in read] != [split.fold for split in splits]:
        raise DataError(f"{folder / OOF_FILE} and {SPLITS_FILE} tell different folds. Install the model again.")
    probabilities = np.array([row.probabilities for row in read])
    malignancy = malignant_sum(probabilities)
    refer = np.array([thresholds[row.fold].refer for row in read])
    high = np.array([thresholds[row.fold].high for row in read])
    return Scored(cases, probabilities, malignancy >= refer, malignancy >= high, [row.unscorable for row in read])


def fitted_thresholds(folder: Path, cases: Cases) -> list[Thresholds]:
    """Calibration and thresholds of each fold's network, from the table in `folder` of what they are fitted on."""
    row_of = _rows_by_name(cases)
    rows = read_rows(folder / CALIBRATION_FILE)
    found = []
    for fold in range(FOLDS):
        chosen = [row for row in rows if row.fold == fold]
        probabilities = np.array([row.probabilities for row in chosen])
        found.append(fit_thresholds(probabilities, cases.part(row_of[row.image_id] for row in chosen)))
    return found


def _rows_by_name(cases: Cases) -> dict[str, int]:
    return {photograph.image_id: row for row, photograph in enumerate(cases.photographs)}
