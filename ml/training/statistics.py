"""Figures of merit, in NumPy alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from ml.manifest import Interval


def softmax(logits: np.ndarray) -> np.ndarray:
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return shifted / shifted.sum(axis=-1, keepdims=True)


def area_under_curve(positive: np.ndarray, score: np.ndarray) -> float:
    """Area under the ROC curve (Mann-Whitney, ties count half); nan when one class is absent."""
    positive = np.asarray(positive, dtype=bool)
    positives, negatives = int(positive.sum()), int((~positive).sum())
    if not positives or not negatives:
        return float("nan")
    _, inverse, counts = np.unique(score, return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - (counts - 1) / 2
    return float((ranks[inverse][positive].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def balanced_accuracy(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Mean of the recalls of the classes that occur in `truth`."""
    return float(np.mean([(predicted[truth == label] == label).mean() for label in np.unique(truth)]))


def expected_calibration_error(positive: np.ndarray, score: np.ndarray, bins: int = 15) -> float:
    """Mean distance between score and observed share over bins of equal mass."""
    order = np.argsort(score, kind="stable")
    parts = np.array_split(order, bins)
    gaps = [len(part) * abs(score[part].mean() - positive[part].mean()) for part in parts if len(part)]
    return float(sum(gaps) / len(score))


def cluster_bootstrap(clusters: Sequence[str], rounds: int = 2000, seed: int = 7) -> Iterator[np.ndarray]:
    """Index arrays that redraw whole clusters with replacement."""
    _, membership = np.unique(np.array(clusters), return_inverse=True)
    members = np.split(np.argsort(membership, kind="stable"), np.cumsum(np.bincount(membership))[:-1])
    rng = np.random.default_rng(seed)
    for _ in range(rounds):
        yield np.concatenate([members[pick] for pick in rng.integers(0, len(members), len(members))])


def with_interval(
    statistic: Callable[[np.ndarray], float], clusters: Sequence[str], rounds: int = 2000, *, biased: bool = False
) -> Interval:
    """`statistic` of all indices, with the 95% interval of its bootstrap by cluster.

    biased: the statistic grows by redrawing alone, as a calibration error does; the draws are moved back by their
    mean distance from it, and none below 0.
    """
    value = statistic(np.arange(len(clusters)))
    draws = np.array([statistic(indices) for indices in cluster_bootstrap(clusters, rounds)])
    if biased:
        draws = np.maximum(draws - (np.nanmean(draws) - value), 0)
    low, high = np.nanquantile(draws, [0.025, 0.975])
    return Interval(value, float(low), float(high))


def confusion(truth: np.ndarray, predicted: np.ndarray, classes: int) -> list[list[int]]:
    """Counts [true][predicted]."""
    table = np.zeros((classes, classes), dtype=int)
    np.add.at(table, (truth, predicted), 1)
    return [[int(count) for count in row] for row in table]
