"""Make an installable model of a training run: export, calibrate, measure, write down."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from rich.console import Console

from ml.cautions import HAM10000_RULES
from ml.contract import ModelError
from ml.labels import DIAGNOSES
from ml.manifest import MANIFEST_FILE, NETWORK_FILE, Calibration, Manifest, sha256_of
from ml.predictor import GOLDEN_FILE, Network, golden_answers
from ml.preprocess import PREPROCESSING
from ml.quality import fit_domain
from ml.training import calibrate, evaluate
from ml.training.card import write_card
from ml.training.data import (
    CALIBRATION_SLICE,
    SPLITS_FILE,
    TEST_FOLD,
    Part,
    Photograph,
    part_of,
    read_photographs,
    read_splits,
)
from ml.training.export import export_network
from ml.training.train import HISTORY_FILE, KERAS_FILE, RECIPE_FILE, fold_folder

console = Console(stderr=True)

# Every tenth training photograph describes the training data's light and detail well enough.
DOMAIN_STEP = 10

TRAINING_DATA = {
    "name": "HAM10000",
    "citation": "Tschandl P., Rosendahl C., Kittler H., The HAM10000 dataset, Scientific Data 5, 180161 (2018)",
    "doi": "10.7910/DVN/DBW86T",
    "licence": "CC BY-NC 4.0 (non-commercial)",
}
LIMITS = (
    "Research and education only: not a medical device, not cleared anywhere, never a diagnosis by itself.",
    "Trained and tested on one collection from Austria and Australia, mostly light skin; skin type was not recorded.",
    (
        "Every malignant photograph of the collection is proven by histology, while many benign ones are followed-up "
        "nevi, which are easier: specificity against lesions that were worth excising is lower."
    ),
    "The collection holds about 20% malignant lesions; no predictive value of it holds in a clinic.",
    (
        "Little or no test data: age under 20, palms, soles, nails, genital skin, mucosa. Invasive squamous cell "
        "carcinoma is not among the classes."
    ),
    "There is no patient identifier in the collection, so a patient may be both in training and in testing.",
    "Made for contact dermoscopy; clinical photographs by a telephone were not measured.",
    "Only the centred square of a photograph is read.",
)


def release(*, run: Path, data: Path, models: Path, version: str) -> Path:
    """Write `models`/`version` from the training run in `run`; raises ModelError when it is there already.

    Calibration, thresholds and quality limits come from the calibration slice. The test fold is opened at the end.
    """
    folder = models / version
    if folder.exists():
        raise ModelError(f"{folder} is there already. Choose another --version or remove it.")
    partial = models / f".{version}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    console.print("Converting the network to LiteRT.")
    export_network(run, partial)
    manifest = _describe(run, partial, data, version)
    (partial / MANIFEST_FILE).write_text(manifest.as_json())
    write_card(manifest, partial)
    partial.rename(folder)
    return folder


def _describe(run: Path, folder: Path, data: Path, version: str) -> Manifest:
    network = Network(folder / NETWORK_FILE)
    (folder / GOLDEN_FILE).write_text(json.dumps(golden_answers(network), indent=1) + "\n")
    photographs, splits = read_photographs(data), read_splits(folder / SPLITS_FILE)

    part = part_of(splits, TEST_FOLD)

    def ask(rows: np.ndarray, title: str) -> evaluate.Answers:
        return evaluate.ask(network, [photographs[row] for row in rows], [splits[row].cluster for row in rows], title)

    domain = fit_domain(ask(part.training[::DOMAIN_STEP], "Reading training photographs").features())
    validation = ask(part.calibration, "Reading the calibration photographs")
    calibration = calibrate.fit_calibration(
        validation.raw_malignancy, validation.malignant, validation.lesion_weights()
    )
    scores = validation.scores(domain)
    limits = calibrate.quality_limits(
        np.array([score["sharpness"] for score in scores]), np.array([score["in_domain"] for score in scores])
    )
    cuts = _choose_cuts(validation, calibration)

    test = ask(part.test, "Reading the test fold")
    scored = evaluate.score(test, calibration, cuts, limits, domain)
    lesions = scored.part(evaluate.one_per_lesion(test.photographs))
    return Manifest(
        version=version,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        network="MobileNetV2 1.0, 224 pixels, linear head after global average pooling",
        preprocessing=PREPROCESSING,
        labels=DIAGNOSES,
        files={name: sha256_of(folder / name) for name in (NETWORK_FILE, KERAS_FILE, SPLITS_FILE, GOLDEN_FILE)},
        calibration=calibration,
        refer=evaluate.attained(
            lesions, cuts[0], "calibration photographs: the lower of 95% of malignant and 95% of melanoma"
        ),
        high=evaluate.attained(lesions, cuts[1], "calibration photographs: 90% specificity"),
        bands=evaluate.band_figures(lesions),
        quality_limits=limits,
        domain=domain,
        evaluation=evaluate.evaluation(scored, cuts),
        training_data=_training_data(photographs, part),
        training={
            "recipe": json.loads((fold_folder(run, TEST_FOLD) / RECIPE_FILE).read_text()),
            "history": json.loads((fold_folder(run, TEST_FOLD) / HISTORY_FILE).read_text()),
            "test_fold": TEST_FOLD,
            "calibration_slice": CALIBRATION_SLICE,
        },
        cautions=HAM10000_RULES,
        limits=LIMITS,
    )


def _choose_cuts(validation: evaluate.Answers, calibration: Calibration) -> tuple[float, float]:
    score = calibrated_malignancy(validation, calibration)
    malignant, melanoma = validation.malignant, validation.labels == evaluate.MELANOMA
    refer = calibrate.refer_threshold(score, malignant, melanoma)
    return refer, calibrate.high_threshold(score, malignant, refer)


def calibrated_malignancy(answers: evaluate.Answers, calibration: Calibration) -> np.ndarray:
    return 1 / (1 + np.exp(-(calibration.slope * calibrate.logit(answers.raw_malignancy) + calibration.intercept)))


def _training_data(photographs: list[Photograph], part: Part) -> dict[str, object]:
    counts = {dx: sum(photograph.dx == dx for photograph in photographs) for dx in DIAGNOSES}
    sizes = {
        name: {"photographs": len(rows), "lesions": len({photographs[row].lesion_id for row in rows})}
        for name, rows in asdict(part).items()
    }
    return {**TRAINING_DATA, "photographs_by_diagnosis": counts, "parts": sizes}
