"""Shares and agreement with 95 % intervals that know that photographs of one patient are alike. NumPy alone."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from math import isfinite

import numpy as np

Z_95 = 1.959964
ROUNDS = 1000
SEED = 7
PERCENTILES = (2.5, 97.5)

Statistic = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval; nan where it is not defined, such as the kappa of readers who never differ."""

    value: float
    low: float
    high: float


def as_json(estimate: Estimate) -> dict[str, float | None]:
    """Without nan, which JSON does not know."""
    return {name: value if isfinite(value) else None for name, value in asdict(estimate).items()}


class Patients:
    """Counts of each patient in the cells of one table, from which whole patients are drawn again.

    Patients with the same counts are the same to a draw, so a draw is one of a multinomial over the distinct rows:
    an exact bootstrap by cluster (Davison & Hinkley 1997, 3.8) whose cost does not grow with the clinic.
    """

    def __init__(self, counts: np.ndarray) -> None:
        """counts: patients x cells. A patient without any count is none."""
        counts = counts[counts.sum(axis=1) > 0]
        self.number = len(counts)
        self.total = counts.sum(axis=0)
        self.rows, self.times = np.unique(counts, axis=0, return_counts=True)
        if self.number:
            draws = np.random.default_rng(SEED).multinomial(self.number, self.times / self.number, size=ROUNDS)
            self.drawn = draws @ self.rows
        else:
            self.drawn = np.zeros((0, counts.shape[1]), dtype=int)

    def estimate(self, statistic: Statistic) -> Estimate:
        """`statistic`: of tables (… x cells) their figures (…); where a draw has none, it does not count."""
        value = float(statistic(self.total[None])[0])
        drawn = statistic(self.drawn)
        drawn = drawn[np.isfinite(drawn)]
        if not np.isfinite(value) or not len(drawn):
            return Estimate(value, float("nan"), float("nan"))
        low, high = np.percentile(drawn, PERCENTILES)
        return Estimate(value, float(low), float(high))

    def share(self, statistic: Statistic, *cells: int) -> Estimate:
        """Likewise of a share of what lies in `cells` (of all, without): where every patient or none hits, draws do not
        tell how few they are, so the interval is no narrower than Wilson's for as many patients."""
        found = self.estimate(statistic)
        number = self.with_any_in(cells) if cells else self.number
        if not number or not np.isfinite(found.value):
            return found
        low, high = wilson(found.value, number)
        return Estimate(found.value, min(low, found.low), max(high, found.high))

    def with_any_in(self, cells: Sequence[int]) -> int:
        return int(self.times[self.rows[:, list(cells)].sum(axis=1) > 0].sum())


def wilson(share: float, number: int) -> tuple[float, float]:
    """95 % interval of a share of `number` independent ones (Wilson 1927)."""
    square = Z_95**2
    middle = (share + square / (2 * number)) / (1 + square / number)
    reach = Z_95 / (1 + square / number) * np.sqrt(share * (1 - share) / number + square / (4 * number**2))
    return max(0.0, float(middle - reach)), min(1.0, float(middle + reach))


def ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """nan where there is nothing to divide by."""
    return np.divide(above, below, out=np.full(np.shape(below), np.nan), where=np.asarray(below) != 0)


BOTH, FIRST_ONLY, SECOND_ONLY, NEITHER = range(4)


def positive_agreement(cells: np.ndarray) -> np.ndarray:
    """Of what one of the two says yes to, how much both do (Cicchetti & Feinstein 1990); cells: … x 4."""
    twice = 2 * cells[..., BOTH]
    return ratio(twice, twice + cells[..., FIRST_ONLY] + cells[..., SECOND_ONLY])


def negative_agreement(cells: np.ndarray) -> np.ndarray:
    twice = 2 * cells[..., NEITHER]
    return ratio(twice, twice + cells[..., FIRST_ONLY] + cells[..., SECOND_ONLY])


def kappa(cells: np.ndarray) -> np.ndarray:
    """Cohen's (1960) of square tables, flattened: … x (classes * classes), the first reader's classes as rows."""
    classes = round(cells.shape[-1] ** 0.5)
    table = cells.reshape(*cells.shape[:-1], classes, classes)
    total = table.sum(axis=(-2, -1))
    observed = ratio(np.trace(table, axis1=-2, axis2=-1), total)
    expected = ratio((table.sum(axis=-1) * table.sum(axis=-2)).sum(axis=-1), total * total)
    return ratio(observed - expected, 1 - expected)


def share_of(*cells: int) -> Statistic:
    """How much of all lies in these cells."""
    return lambda counts: ratio(counts[..., list(cells)].sum(axis=-1), counts.sum(axis=-1))
