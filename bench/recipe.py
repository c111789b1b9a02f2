"""What helps in training: short runs that differ from a base in one thing, on inner splits of folds 1 to 4.

    python bench/recipe.py --data HAM10000 --weights FILE.weights.h5 --run FOLDER [--rows NAME ...] [--seeds 0 1 2]

Seed k leaves out slice k of folds 1 to 4, learns from the other six and is looked at on that slice, the same for every
row, so that rows are compared seed by seed. Fold 0 is never read. Runs that are done are not done again; the table
(Markdown) of all that FOLDER holds comes last. A run takes about five minutes on one core: two
processes with other rows, each on a core of its own (`taskset`), get through most.

Figures are of one photograph per lesion; differences are taken seed by seed, with their standard deviation. Balanced
accuracy is that of the diagnosis named first after calibration (on the same slice). Spoilt photographs have noise, a
yellow cast or half the light, as the model's card has them, the mean of the three; their sensitivity is that of the cut
that finds 95% where nothing is spoilt.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))

from ml.__main__ import settle_allocator

if TYPE_CHECKING:
    from ml.training.data import Collection

LOOK_FILE = "look.json"
SPOILT = ("noise, deviation 10", "yellow cast", "dark, half the light")
COMPARED = ("auc", "balanced_accuracy", "auc_spoilt", "sensitivity_spoilt")
# All that the rows change is said here: the table stays what it is when the recipe changes.
SHORT = {
    "sides": ((128, 5),),
    "learning_rate": 4e-4,
    "weight_decay": 0.02,
    "label_smoothing": 0.05,
    "average_momentum": 0.995,
    "balance": 0.0,
    "logit_adjustment": 1.0,
    "strength": 1.0,
    "smallest_crop": 0.72,
    "light": 1.0,
    "noise": 0.0,
    "mixup": 0.0,
    "malignancy_loss": 0.0,
    "precision": "bfloat16",
}
BASE = "base"
ROWS: dict[str, dict[str, Any]] = {
    BASE: {},
    "classes weighed by share ** -0.5 instead": {"balance": 0.5, "logit_adjustment": 0.0},
    "classes weighed by share ** -0.75 instead": {"balance": 0.75, "logit_adjustment": 0.0},
    "half weighed, half adjusted": {"balance": 0.5, "logit_adjustment": 0.5},
    "neither weighed nor adjusted": {"logit_adjustment": 0.0},
    "learning rate doubled": {"learning_rate": 8e-4},
    "learning rate halved": {"learning_rate": 2e-4},
    "augmentation at half strength": {"strength": 0.5},
    "crops, turns and flips alone": {"strength": 0.0},
    "no label smoothing": {"label_smoothing": 0.0},
    "no averaging of weights": {"average_momentum": 0.0},
    "malignancy in the loss as well": {"malignancy_loss": 1.0},
    "noise on a fifth": {"noise": 0.2},
    "light and colours twice as far": {"light": 2.0},
    "light twice as far, noise on a third": {"light": 2.0, "noise": 0.33},
    "photographs mixed": {"mixup": 0.3},
    "crops from half the height": {"smallest_crop": 0.5},
    "crops from 0.85 of the height": {"smallest_crop": 0.85},
    "224 pixels, as many minutes": {"sides": ((224, 2),)},
    "float32 throughout": {"precision": "float32"},
    "twice as long": {"sides": ((128, 10),)},
    "twice as long, then 160": {"sides": ((128, 10), (160, 4))},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--rows", nargs="+", choices=list(ROWS), default=list(ROWS), metavar="NAME")
    parser.add_argument("--seeds", nargs="+", type=int, choices=range(7), default=[0, 1, 2])
    options = parser.parse_args()
    settle_allocator()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from ml.training.collection import load_collection
    from ml.training.data import TEST_FOLD
    from ml.training.recipe import Recipe
    from ml.training.train import train

    collection = load_collection(options.data, options.run, options.weights)
    for seed in options.seeds:
        for row in options.rows:
            run = folder_of(options.run, row, seed)
            recipe = Recipe(**{**SHORT, "seed": seed, **ROWS[row]})
            print(f"{row}, seed {seed}", flush=True)
            part = collection.part(TEST_FOLD, calibration_slice=seed)
            train(collection=collection, part=part, weights=options.weights, run=run, recipe=recipe)
            if not (run / LOOK_FILE).exists():
                (run / LOOK_FILE).write_text(json.dumps(look(collection, part.calibration, run), indent=1))
    print_table(options.run)


def look(collection: Collection, rows: np.ndarray, run: Path) -> dict[str, float]:
    """Figures of one photograph of each lesion in `rows` by the network that the run ended with."""
    import keras

    from ml.preprocess import to_input, to_square
    from ml.training.calibrate import SENSITIVITY_OF_REFER, fit_thresholds, threshold_at_sensitivity
    from ml.training.cases import cases_of, malignant_sum
    from ml.training.robustness import SPOILS, Spoil
    from ml.training.statistics import area_under_curve, balanced_accuracy, softmax
    from ml.training.train import KERAS_FILE

    network = keras.models.load_model(run / KERAS_FILE, compile=False)
    cases = cases_of(collection.photographs, collection.splits).part(rows)

    def probabilities(spoil: Spoil | None = None) -> np.ndarray:
        pictures = (Image.fromarray(collection.pixels[row]) for row in rows)
        squares = np.stack([to_square(spoil(picture) if spoil else picture) for picture in pictures])
        batches = (to_input(squares[start : start + 64]) for start in range(0, len(squares), 64))
        return softmax(np.concatenate([np.asarray(network.predict_on_batch(batch)) for batch in batches]))

    drawn = cases.one_per_lesion()

    def area(shares: np.ndarray) -> float:
        return area_under_curve(cases.malignant[drawn], malignant_sum(shares)[drawn])

    plain = probabilities()
    spoilt = [probabilities(SPOILS[name]) for name in SPOILT]
    malignant = drawn[cases.malignant[drawn]]
    cut = threshold_at_sensitivity(malignant_sum(plain)[malignant], np.ones(len(malignant)), SENSITIVITY_OF_REFER)
    shown = fit_thresholds(plain, cases).apply(plain).argmax(axis=1)
    return {
        "auc": area(plain),
        "balanced_accuracy": balanced_accuracy(cases.labels[drawn], shown[drawn]),
        "auc_spoilt": statistics.mean(area(shares) for shares in spoilt),
        "sensitivity_spoilt": float(np.mean([malignant_sum(shares)[malignant] >= cut for shares in spoilt])),
    }


def folder_of(run: Path, row: str, seed: int) -> Path:
    return run / re.sub(r"[^a-z0-9.]+", "-", row) / f"seed-{seed}"


def print_table(run: Path) -> None:
    ends = {row: {seed: end for seed in range(7) if (end := end_of(folder_of(run, row, seed)))} for row in ROWS}
    print("| Run | Seeds | AUC | less the base's | Balanced accuracy, less | Spoilt: AUC, less | Sensitivity, less |")
    print("|---|---|---|---|---|---|---|")
    for row, by_seed in ends.items():
        if not by_seed:
            continue
        area = statistics.mean(end["auc"] for end in by_seed.values())
        gains = [gain_over(by_seed, ends[BASE], figure) for figure in COMPARED]
        print(f"| {row} | {len(by_seed)} | {area:.3f} | {' | '.join(gains)} |")


def end_of(folder: Path) -> dict[str, float] | None:
    path = folder / LOOK_FILE
    return json.loads(path.read_text()) if path.exists() else None


def gain_over(by_seed: dict[int, dict[str, float]], base: dict[int, dict[str, float]], figure: str) -> str:
    """The mean difference seed by seed, and its standard deviation over the seeds."""
    gains = [by_seed[seed][figure] - base[seed][figure] for seed in by_seed if seed in base]
    spread = f" ± {statistics.stdev(gains):.3f}" if len(gains) > 1 else ""
    return f"{statistics.mean(gains):+.3f}{spread}" if gains else ""


if __name__ == "__main__":
    main()
