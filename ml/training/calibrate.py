"""Calibration, thresholds and quality limits, all from the validation photographs and nothing else."""

from __future__ import annotations

import numpy as np

from ml.manifest import Calibration

SENSITIVITY_OF_REFER = 0.95
SPECIFICITY_OF_HIGH = 0.90
# Shares of the validation photographs that each limit may refuse.
REFUSED_AS_BLURRED = 0.005
REFUSED_AS_FOREIGN = 0.008
# Chosen by eye on darkened and overexposed photographs: no validation photograph comes near them.
LEAST_EXPOSURE = 0.4
LEAST_CONTRAST = 3.0


def logit(share: np.ndarray) -> np.ndarray:
    clipped = np.clip(share, 1e-6, 1 - 1e-6)
    return np.log(clipped / (1 - clipped))


def fit_calibration(raw_malignancy: np.ndarray, malignant: np.ndarray, weights: np.ndarray) -> Calibration:
    """Weighted logistic regression (Platt) of `malignant` on the logit of the network's malignant sum, by Newton."""
    design = np.column_stack([logit(raw_malignancy), np.ones(len(raw_malignancy))])
    coefficients = np.array([1.0, 0.0])
    for _ in range(50):
        fitted = 1 / (1 + np.exp(-design @ coefficients))
        gradient = design.T @ (weights * (malignant - fitted))
        curvature = (design * (weights * fitted * (1 - fitted))[:, None]).T @ design
        step = np.linalg.solve(curvature + 1e-9 * np.eye(2), gradient)
        coefficients = coefficients + step
        if np.abs(step).max() < 1e-10:
            break
    return Calibration(slope=float(coefficients[0]), intercept=float(coefficients[1]))


def threshold_at_sensitivity(score: np.ndarray, positive: np.ndarray, sensitivity: float) -> float:
    """The highest cut at which at least `sensitivity` of the positives score at or above it."""
    ranked = np.sort(score[positive])[::-1]
    return float(ranked[int(np.ceil(sensitivity * len(ranked) - 1e-9)) - 1])


def threshold_at_specificity(score: np.ndarray, positive: np.ndarray, specificity: float) -> float:
    """The lowest cut at which at least `specificity` of the negatives score below it."""
    ranked = np.sort(score[~positive])
    index = int(np.ceil(specificity * len(ranked) - 1e-9))
    return float(np.nextafter(ranked[index - 1], np.inf))


def refer_threshold(score: np.ndarray, malignant: np.ndarray, melanoma: np.ndarray) -> float:
    """The lower of the cuts that find 95% of the malignant and 95% of the melanomas."""
    return min(threshold_at_sensitivity(score, group, SENSITIVITY_OF_REFER) for group in (malignant, melanoma))


def high_threshold(score: np.ndarray, malignant: np.ndarray, refer: float) -> float:
    """The cut at 90% specificity, but never below the refer threshold."""
    return max(refer, threshold_at_specificity(score, malignant, SPECIFICITY_OF_HIGH))


def quality_limits(sharpness: np.ndarray, in_domain: np.ndarray) -> dict[str, float]:
    return {
        "sharpness": float(np.quantile(sharpness, REFUSED_AS_BLURRED)),
        "in_domain": float(np.quantile(in_domain, REFUSED_AS_FOREIGN)),
        "exposure": LEAST_EXPOSURE,
        "contrast": LEAST_CONTRAST,
    }
