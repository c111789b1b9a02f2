"""Is averaging over turns and mirror images worth its time? On the calibration photographs of each trained fold.

    python bench/views.py --data HAM10000 --run RUN

Fold 0 is not read. The table (Markdown) tells the mean over the folds and, against one view, the mean difference
and its standard deviation over the folds; the time is of the bare network, one thread, in this run.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from ml.manifest import NETWORK_FILE
from ml.predictor import Network
from ml.preprocess import open_photograph, to_square
from ml.training.cases import Cases, cases_of, malignant_sum
from ml.training.data import FOLDS, SPLITS_FILE, TEST_FOLD, matching_splits, part_of, read_photographs
from ml.training.statistics import area_under_curve, balanced_accuracy, softmax
from ml.views import VIEWS

SETS = (("upright",), ("upright", "turned"), ("upright", "mirrored"), tuple(VIEWS))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--run", type=Path, required=True)
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from ml.training.release import finished_fold
    from ml.training.train import KERAS_FILE, fold_folder

    photographs = read_photographs(options.data)
    splits = matching_splits(options.run / SPLITS_FILE, photographs)
    cases = cases_of(photographs, splits)
    found, seconds = [], []
    for fold in range(FOLDS):
        if (fold_folder(options.run, fold) / KERAS_FILE).exists():
            print(f"Fold {fold}", flush=True)
            part = part_of(splits, fold)
            finished_fold(options.run, fold, cases, part)
            unseen = cases.part(row for row in part.calibration if splits[row].fold != TEST_FOLD)
            figures, taken = measure(options.run, fold, unseen)
            found.append(figures)
            seconds.append(taken)
    print_table(np.array(found), 1000 * float(np.mean(seconds)))


def measure(run: Path, fold: int, cases: Cases) -> tuple[list[tuple[float, float]], float]:
    """AUC and balanced accuracy for each of SETS, and the network's median seconds for one view."""
    from ml.training.export import export_network

    with tempfile.TemporaryDirectory() as folder:
        export_network(run, fold, Path(folder))
        network = Network(Path(folder) / NETWORK_FILE)
    squares = (to_square(open_photograph(photograph.path.read_bytes())[0]) for photograph in cases.photographs)
    seconds, logits = zip(*(_by_view(network, square) for square in squares), strict=True)
    means = [np.array(logits)[:, [list(VIEWS).index(view) for view in views]].mean(axis=1) for views in SETS]
    figures = [
        (
            area_under_curve(cases.malignant, malignant_sum(softmax(mean))),
            balanced_accuracy(cases.labels, mean.argmax(axis=1)),
        )
        for mean in means
    ]
    return figures, float(np.median(seconds)) / len(VIEWS)


def _by_view(network: Network, square: np.ndarray) -> tuple[float, list[np.ndarray]]:
    """Seconds that the network took, and its logits."""
    started = time.perf_counter()
    logits = [network(turn(square)).logits for turn in VIEWS.values()]
    return time.perf_counter() - started, logits


def print_table(found: np.ndarray, milliseconds: float) -> None:
    """found: (folds, sets, 2)."""
    gains = found - found[:, :1]
    print("| views | AUC | AUC, less one view's | balanced accuracy, less one view's | network |")
    print("|---|---|---|---|---|")
    for number, views in enumerate(SETS):
        less = [_spread(gains[:, number, figure]) for figure in range(2)]
        area = found[:, number, 0].mean()
        print(f"| {', '.join(views)} | {area:.3f} | {less[0]} | {less[1]} | {len(views) * milliseconds:.0f} ms |")


def _spread(gains: np.ndarray) -> str:
    return f"{gains.mean():+.4f}" + (f" ± {gains.std(ddof=1):.4f}" if len(gains) > 1 else "")


if __name__ == "__main__":
    main()
