"""Figures of merit, in NumPy alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ml.manifest import Interval

Z_95 = 1.96
# Below so many hits or misses a bootstrap of a share is too narrow.
FEW = 10


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


def roc(positive: np.ndarray, score: np.ndarray, points: int = 101) -> list[float]:
    """The highest sensitivity at each of `points` evenly spaced shares of false alarms, from 0 to 1."""
    negatives = np.sort(score[~positive])[::-1]
    allowed = np.floor(np.linspace(0, 1, points) * len(negatives) + 1e-9).astype(int)
    # With k false alarms allowed, what scores above the next negative is found.
    cuts = np.append(negatives, -np.inf)[np.minimum(allowed, len(negatives))]
    return [float((score[positive] > cut).mean()) for cut in cuts]


def balanced_accuracy(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Mean of the recalls of the classes that occur in `truth`."""
    return float(np.mean([(predicted[truth == label] == label).mean() for label in np.unique(truth)]))


def expected_calibration_error(positive: np.ndarray, score: np.ndarray, bins: int = 15) -> float:
    """Mean distance between score and observed share over bins of equal mass."""
    gaps = [len(part) * abs(score[part].mean() - positive[part].mean()) for part in _bins(score, bins)]
    return float(sum(gaps) / len(score))


def reliability(positive: np.ndarray, score: np.ndarray, bins: int = 15) -> list[dict[str, float]]:
    """Mean score and observed share of each bin of equal mass."""
    return [
        {"score": float(score[part].mean()), "share": float(positive[part].mean()), "count": len(part)}
        for part in _bins(score, bins)
    ]


def _bins(score: np.ndarray, count: int) -> list[np.ndarray]:
    parts = np.array_split(np.argsort(score, kind="stable"), count)
    return [part for part in parts if len(part)]


class Bootstrap:
    """95% intervals by redrawing whole clusters with replacement, the same draws for every statistic."""

    rounds = 1000

    def __init__(self, clusters: Sequence[str], rounds: int | None = None, seed: int = 7) -> None:
        names, self.membership = np.unique(np.array(clusters), return_inverse=True)
        rng = np.random.default_rng(seed)
        picks = (rng.integers(0, len(names), len(names)) for _ in range(rounds or self.rounds))
        self.everyone = np.arange(len(self.membership))
        times = (np.bincount(picked, minlength=len(names))[self.membership] for picked in picks)
        self.draws = [np.repeat(self.everyone, often) for often in times]

    def interval(self, statistic: Callable[[np.ndarray], float], *, biased: bool = False) -> Interval:
        """`statistic` of row numbers: of all of them, and between which values it lies over the draws.

        biased: the statistic grows by redrawing alone, as a calibration error does; the draws are moved back by
        their mean distance from it, and none below 0. A statistic that is nan of everyone (nobody to count) has
        nan for an interval.
        """
        (found,) = self.intervals(lambda rows: (statistic(rows),), biased=biased)
        return found

    def intervals(self, statistic: Callable[[np.ndarray], Sequence[float]], *, biased: bool = False) -> list[Interval]:
        """As `interval`, for figures that come from one computation."""
        values = statistic(self.everyone)
        draws = np.array([statistic(rows) for rows in self.draws])
        if biased:
            draws = np.maximum(draws - (np.nanmean(draws, axis=0) - values), 0)
        return [
            Interval(float(value), *map(float, np.nanquantile(drawn, [0.025, 0.975])))
            if np.isfinite(value)
            else Interval(value, value, value)
            for value, drawn in zip(values, draws.T, strict=True)
        ]

    def share(self, hit: np.ndarray, group: np.ndarray) -> Interval:
        """How much of `group` is hit; both (n,) bool.

        Where few are hit or few are missed the draws hardly differ: there it is no narrower than Wilson's interval
        for as many clusters as the group has.
        """
        found = self.interval(lambda rows: share(hit[rows], group[rows]))
        hits, misses = (len(np.unique(self.membership[group & part])) for part in (hit, ~hit))
        if min(hits, misses) >= FEW or not group.any():
            return found
        low, high = wilson(found.value, len(np.unique(self.membership[group])))
        return Interval(found.value, min(low, found.low), max(high, found.high))


def wilson(share: float, count: int) -> tuple[float, float]:
    """The 95% interval of a share of `count` (Wilson 1927)."""
    spread = Z_95**2 / count
    middle = (share + spread / 2) / (1 + spread)
    reach = Z_95 / (1 + spread) * np.sqrt(share * (1 - share) / count + spread / (4 * count))
    # By rounding it may lie a little outside of what can be, or beside a share of 0 or 1.
    return max(0.0, min(share, float(middle - reach))), min(1.0, max(share, float(middle + reach)))


def share(hit: np.ndarray, group: np.ndarray) -> float:
    return float(hit[group].mean()) if group.any() else float("nan")


def confusion(truth: np.ndarray, predicted: np.ndarray, shape: tuple[int, int]) -> list[list[int]]:
    """Counts [true][predicted]."""
    table = np.zeros(shape, dtype=int)
    np.add.at(table, (truth, predicted), 1)
    return [[int(count) for count in row] for row in table]
