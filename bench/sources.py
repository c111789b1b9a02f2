"""A source of photographs that the network has never seen: trained on the other sources, tested on the one left out.

    python bench/sources.py --data HAM10000 --weights FILE.weights.h5 --run RUN

Within folds 1 to 4 only, so that fold 0 stays closed: five slices of the other sources to learn from, one to calibrate
on, and the source itself to test on. The network is trained for fewer epochs than the released one, so the comparison
is with a network of as many epochs that saw every source. `python -m ml export` takes RUN/sources.json into the model's
evaluation.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from ml.__main__ import settle_allocator
from ml.manifest import sha256_of
from ml.preprocess import to_input
from ml.training import figures, statistics
from ml.training.calibrate import fit_thresholds
from ml.training.card import sources_table
from ml.training.cases import Cases, Scored, cases_of, malignant_sum
from ml.training.data import TEST_FOLD, Part

if TYPE_CHECKING:
    from ml.training.data import Collection
    from ml.training.recipe import Recipe

SHORT = ((128, 5), (160, 2))
CALIBRATED_ON, COMPARED_ON = 0, 1  # slices


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--run", type=Path, required=True)
    options = parser.parse_args()
    settle_allocator()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from ml.training.collection import load_collection
    from ml.training.data import SPLITS_FILE
    from ml.training.recipe import Recipe

    collection = load_collection(options.data, options.run, options.weights)
    recipe = Recipe(sides=SHORT)
    found = compare(collection, options.weights, options.run / "sources", recipe)
    made_by = {"splits": sha256_of(options.run / SPLITS_FILE), "recipe": asdict(recipe)}
    (options.run / "sources.json").write_text(json.dumps({**made_by, "found": found}, indent=1) + "\n")
    print(sources_table(found))


def compare(collection: Collection, weights: Path, run: Path, recipe: Recipe) -> dict[str, Any]:
    source = np.array([photograph.source for photograph in collection.photographs])
    held = np.array([split.slice for split in collection.splits])
    clusters = np.array([split.cluster for split in collection.splits])
    inside = np.array([split.fold for split in collection.splits]) != TEST_FOLD
    cases = cases_of(collection.photographs, collection.splits)

    def part(rows: np.ndarray, test: np.ndarray) -> Part:
        learnt_from = rows & (held > max(CALIBRATED_ON, COMPARED_ON))
        return Part(*(np.flatnonzero(chosen) for chosen in (learnt_from, rows & (held == CALIBRATED_ON), test)))

    every = part(inside, inside & (held == COMPARED_ON))
    seen = ask(collection, every, weights, run / "every-source", recipe)
    found: dict[str, Any] = {"epochs": recipe.epochs, "every_source": learnt_from(cases, every)}
    found["sources"] = {}
    for name in sorted(set(source)):
        # Near-duplicates of its photographs that came from elsewhere are left out as well.
        foreign = inside & ~np.isin(clusters, clusters[source == name])
        left = part(foreign, inside & (source == name))
        unseen = ask(collection, left, weights, run / name, recipe)
        found["sources"][name] = {
            "learnt_from": learnt_from(cases, left),
            "seen": figures_of(seen, source[every.test] == name),
            "left_out": figures_of(unseen, held[left.test] == COMPARED_ON),
            "left_out_whole": figures_of(unseen, np.ones(len(left.test), dtype=bool)),
        }
    return found


def learnt_from(cases: Cases, part: Part) -> dict[str, int]:
    return {"photographs": len(part.training), "malignant": int(cases.malignant[part.training].sum())}


def figures_of(scored: Scored, counted: np.ndarray) -> dict[str, Any]:
    """counted: (n,) bool, which of the photographs; one of each lesion."""
    chosen = scored.part(np.flatnonzero(counted))
    return figures.group_figures(chosen.part(chosen.cases.one_per_lesion()))


def ask(collection: Collection, part: Part, weights: Path, run: Path, recipe: Recipe) -> Scored:
    """Train where it is not done, calibrate, and read the test photographs."""
    import keras

    from ml.training import augment
    from ml.training.train import KERAS_FILE, train

    cases = cases_of(collection.photographs, collection.splits)
    print(f"Training for {run.name}", flush=True)
    train(collection=collection, part=part, weights=weights, run=run, recipe=recipe, look_every=99)
    model = keras.models.load_model(run / KERAS_FILE, compile=False)

    def probabilities(rows: np.ndarray) -> np.ndarray:
        batches = np.array_split(rows, max(1, len(rows) // 32))
        squares = (to_input(augment.centre_squares(collection.pixels, batch)) for batch in batches)
        logits = np.concatenate([np.asarray(model.predict_on_batch(batch)) for batch in squares])
        return statistics.softmax(logits.astype(np.float64))

    thresholds = fit_thresholds(probabilities(part.calibration), cases.part(part.calibration))
    calibrated = thresholds.apply(probabilities(part.test))
    score = malignant_sum(calibrated)
    refer, high = score >= thresholds.refer, score >= thresholds.high
    return Scored(cases.part(part.test), calibrated, refer, high, [()] * len(part.test))


if __name__ == "__main__":
    main()
