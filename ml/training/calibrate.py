"""Calibration, thresholds and quality limits of a network, from its calibration photographs and constants in here."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ml import quality
from ml.domain import Domain
from ml.manifest import Calibration
from ml.predictor import calibrate
from ml.training.cases import Answers, Cases, Scored, malignant_sum
from ml.training.data import DataError

SENSITIVITY_OF_REFER = 0.95
SPECIFICITY_OF_HIGH = 0.90
# Shares of the calibration photographs that each limit may refuse.
REFUSED_AS_BLURRED = 0.005
REFUSED_AS_FOREIGN = 0.006
# Chosen by eye on darkened and overexposed photographs: no calibration photograph comes near them.
LEAST_EXPOSURE = 0.4
LEAST_CONTRAST = 3.0
# Half of the least that 4,005 photographs of folds 1 to 4 have. Without colour far fewer are referred (the card).
LEAST_CHROMA = 6.0
# Keeps the slope finite where a line parts malignant from benign, and changes no other in the fourth place.
LEAST_RIDGE = 1e-4
MOST_STEPS = 100


@dataclass(frozen=True)
class Thresholds:
    """What turns a network's probabilities into what is shown."""

    calibration: Calibration
    refer: float
    high: float

    def apply(self, probabilities: np.ndarray) -> np.ndarray:
        """The network's own probabilities (n, 7), calibrated."""
        return calibrate(np.log(probabilities), self.calibration)


@dataclass(frozen=True)
class Settings:
    """All that is fitted on the calibration photographs of one network."""

    thresholds: Thresholds
    quality_limits: dict[str, float]
    domain: Domain

    def score(self, answers: Answers) -> Scored:
        probabilities = self.thresholds.apply(answers.probabilities)
        malignancy = malignant_sum(probabilities)
        in_domain = self.domain.score(answers.textures)
        unscorable = [
            quality.unscorable_reasons(size, measures, quality.scores(measures, near), self.quality_limits)
            for size, measures, near in zip(answers.sizes, answers.measures, in_domain, strict=True)
        ]
        refer, high = malignancy >= self.thresholds.refer, malignancy >= self.thresholds.high
        return Scored(answers.cases, probabilities, refer, high, unscorable)


def fit_settings(answers: Answers, domain: Domain) -> Settings:
    """domain: of the training photographs; its scale is chosen here."""
    scale = float(np.quantile(domain.distance(answers.textures), 1 - REFUSED_AS_FOREIGN))
    sharpness = [quality.scores(measures, 1.0)["sharpness"] for measures in answers.measures]
    limits = {
        "sharpness": float(np.quantile(sharpness, REFUSED_AS_BLURRED)),
        "in_domain": 0.5,
        "exposure": LEAST_EXPOSURE,
        "contrast": LEAST_CONTRAST,
        "chroma": LEAST_CHROMA,
    }
    return Settings(fit_thresholds(answers.probabilities, answers.cases), limits, domain.scaled(scale))


def fit_thresholds(probabilities: np.ndarray, cases: Cases) -> Thresholds:
    """probabilities: the network's own, (n, 7), of the calibration photographs."""
    calibration = fit_calibration(malignant_sum(probabilities), cases.malignant, cases.lesion_weights)
    score = malignant_sum(calibrate(np.log(probabilities), calibration))
    refer = refer_threshold(score, cases)
    return Thresholds(calibration, refer, high_threshold(score, cases, refer))


def logit(share: np.ndarray) -> np.ndarray:
    clipped = np.clip(share, 1e-6, 1 - 1e-6)
    return np.log(clipped / (1 - clipped))


def fit_calibration(raw_malignancy: np.ndarray, malignant: np.ndarray, weights: np.ndarray) -> Calibration:
    """Weighted logistic regression (Platt 1999) of `malignant` on the logit of the network's malignant sum.

    Newton's steps, halved while they lead away. Raises DataError where one of the two kinds is absent.
    """
    if malignant.all() or not malignant.any():
        raise DataError("A calibration needs malignant and benign photographs. Look at the splits.")
    design = np.column_stack([logit(raw_malignancy), np.ones(len(raw_malignancy))])
    ridge = np.array([LEAST_RIDGE, 0.0])

    def loss(coefficients: np.ndarray) -> float:
        odds = design @ coefficients
        surprise = np.logaddexp(0, odds) - malignant * odds
        return float(weights @ surprise + ridge @ coefficients**2 / 2)

    coefficients = np.array([0.0, logit(np.average(malignant, weights=weights))])
    for _ in range(MOST_STEPS):
        fitted = 1 / (1 + np.exp(-(design @ coefficients)))
        gradient = design.T @ (weights * (malignant - fitted)) - ridge * coefficients
        curvature = (design * (weights * fitted * (1 - fitted))[:, None]).T @ design + np.diag(ridge)
        step = np.linalg.solve(curvature, gradient)
        if np.abs(step).max() < 1e-10:
            return Calibration(slope=float(coefficients[0]), intercept=float(coefficients[1]))
        while loss(coefficients + step) > loss(coefficients) + 1e-9:
            step = step / 2
        coefficients = coefficients + step
    raise DataError("The calibration finds no end. Look at the network's probabilities.")


def threshold_at_sensitivity(score: np.ndarray, weights: np.ndarray, sensitivity: float) -> float:
    """The highest cut at which at least `sensitivity` of the weight of positives scores at or above it.

    score, weights: of the positives alone.
    """
    order = np.argsort(-score, kind="stable")
    return float(score[order][_reached(weights[order], sensitivity)])


def threshold_at_specificity(score: np.ndarray, weights: np.ndarray, specificity: float) -> float:
    """The lowest cut at which at least `specificity` of the weight of negatives scores below it.

    score, weights: of the negatives alone.
    """
    order = np.argsort(score, kind="stable")
    return float(np.nextafter(score[order][_reached(weights[order], specificity)], np.inf))


def _reached(weights: np.ndarray, share: float) -> int:
    """The first place at which the weights so far make up `share` of them all."""
    return int(np.searchsorted(np.cumsum(weights), (share - 1e-9) * weights.sum()))


def refer_threshold(score: np.ndarray, cases: Cases) -> float:
    """The lower of the cuts that find 95% of the malignant lesions and 95% of the melanomas."""
    groups = (cases.malignant, cases.of("mel"))
    return min(threshold_at_sensitivity(score[it], cases.lesion_weights[it], SENSITIVITY_OF_REFER) for it in groups)


def high_threshold(score: np.ndarray, cases: Cases, refer: float) -> float:
    """The cut at 90% specificity, by lesion, but never below the refer threshold."""
    benign = ~cases.malignant
    return max(refer, threshold_at_specificity(score[benign], cases.lesion_weights[benign], SPECIFICITY_OF_HIGH))
