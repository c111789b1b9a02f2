"""Two models on the same lesions: which refers better, which ranks better. NumPy alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import erfc, sqrt

import numpy as np

from screening.dashboard.intervals import Z_95, Estimate


@dataclass(frozen=True)
class Difference:
    """The second model's figure less the first's, and how likely chance alone brings one so far from none."""

    first: float
    second: float
    difference: Estimate
    p: float


def mcnemar(only_first: Sequence[int], only_second: Sequence[int]) -> float:
    """Two-sided p that both models refer as often, exact.

    By patient: how many of her lesions only the first refers, and only the second. The two change sides in whole
    patients; with one lesion each it is the exact test of McNemar (1947).
    """
    differences = [second - first for first, second in zip(only_first, only_second, strict=True)]
    reach = sum(map(abs, differences))
    chances = np.zeros(2 * reach + 1)
    chances[reach] = 1.0
    for step in differences:
        chances = (np.roll(chances, step) + np.roll(chances, -step)) / 2
    sums = np.arange(-reach, reach + 1)
    return min(1.0, float(chances[np.abs(sums) >= abs(sum(differences))].sum()))


def compare_areas(
    malignant: np.ndarray, benign: np.ndarray, patient_of_malignant: np.ndarray, patient_of_benign: np.ndarray
) -> Difference:
    """Areas under the ROC curves of two models on the same lesions (DeLong, DeLong & Clarke-Pearson 1988).

    malignant, benign: lesions x 2 scores. Lesions of one patient are a cluster (Obuchowski 1997).
    """
    of_malignant = np.stack([above(malignant[:, model], benign[:, model]) for model in (0, 1)])
    of_benign = np.stack([1 - above(benign[:, model], malignant[:, model]) for model in (0, 1)])
    first, second = of_malignant.mean(axis=1)
    difference = float(second - first)
    variance = clustered_variance(
        of_malignant[1] - of_malignant[0] - difference,
        of_benign[1] - of_benign[0] - difference,
        patient_of_malignant,
        patient_of_benign,
    )
    error = sqrt(max(0.0, variance))
    estimate = Estimate(difference, difference - Z_95 * error, difference + Z_95 * error)
    p = erfc(abs(difference) / error / sqrt(2)) if error else float(difference == 0)
    return Difference(float(first), float(second), estimate, p)


def above(scores: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Of each score, the share of the others below it; equal ones count half."""
    ordered = np.sort(others)
    below, up_to = (np.searchsorted(ordered, scores, side) for side in ("left", "right"))
    return (below + up_to) / (2 * len(ordered))


def clustered_variance(
    off_malignant: np.ndarray, off_benign: np.ndarray, patient_of_malignant: np.ndarray, patient_of_benign: np.ndarray
) -> float:
    """Obuchowski (1997), equation 3, of components less their mean."""
    patients = np.unique(np.concatenate([patient_of_malignant, patient_of_benign]))
    malignant = sums_by(patients, patient_of_malignant, off_malignant)
    benign = sums_by(patients, patient_of_benign, off_benign)
    with_malignant, with_benign = len(np.unique(patient_of_malignant)), len(np.unique(patient_of_benign))
    number = len(patients)
    return float(
        spread(with_malignant) * (malignant**2).sum() / len(off_malignant) ** 2
        + spread(with_benign) * (benign**2).sum() / len(off_benign) ** 2
        + 2 * spread(number) * (malignant * benign).sum() / (len(off_malignant) * len(off_benign))
    )


def spread(number: int) -> float:
    return number / (number - 1) if number > 1 else float("nan")


def sums_by(patients: np.ndarray, patient_of: np.ndarray, values: np.ndarray) -> np.ndarray:
    return np.bincount(np.searchsorted(patients, patient_of), weights=values, minlength=len(patients))
