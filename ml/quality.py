"""Is the photograph fit to be read? Measured on the 224-pixel square, after the serving resize, whatever was sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np

from ml.preprocess import SIDE

# The middle of the square: the corners may hold the dermatoscope's tube.
DISC = 85
SATURATED = 250
# Detail of about 1, 2 and 4 pixels; a photograph in focus has about as much of the fine as of the coarse.
FINE_RANGE = (-3.0, 0.0)
MIDDLE_RANGE = (-1.8, 0.0)
BRIGHTEST_RANGE = (40.0, 120.0)
TOO_SATURATED = 0.5


@dataclass(frozen=True)
class Domain:
    """Mean and inverse covariance of the four domain features over the training photographs."""

    mean: tuple[float, ...]
    precision: tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Measures:
    """Raw measures of one square; see `measure`."""

    fine: float
    middle: float
    brightest: float
    saturated: float
    contrast: float
    features: tuple[float, float, float, float]


def measure(square: np.ndarray) -> Measures:
    """Measure a (224, 224, 3) uint8 square.

    fine, middle: log ratios of the energy at one scale to the next coarser one. brightest: 95th percentile of the
    grey level. saturated: share of white pixels. contrast: deviation of the grey level. features: median log
    red/green and blue/green, log fine energy, log contrast.
    """
    grey = square @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
    disc = _disc()
    bands = [float(np.mean(np.square(band[disc]))) for band in _bands(grey)]
    inside, levels = square[disc], grey[disc]
    red, green, blue = np.median(inside, axis=0) + 8.0
    contrast = float(levels.std())
    return Measures(
        fine=_log_ratio(bands[0], bands[1]),
        middle=_log_ratio(bands[1], bands[2]),
        brightest=float(np.percentile(levels, 95)),
        saturated=float((inside.min(axis=1) >= SATURATED).mean()),
        contrast=contrast,
        features=(
            float(np.log(red / green)),
            float(np.log(blue / green)),
            float(np.log(bands[0] + 0.1)),
            float(np.log(contrast + 1)),
        ),
    )


@cache
def _disc() -> np.ndarray:
    across = np.arange(SIDE) - (SIDE - 1) / 2
    return np.hypot(across[:, None], across[None, :]) < DISC


def _bands(grey: np.ndarray) -> list[np.ndarray]:
    """Differences of ever stronger binomial blurs (the "à trous" wavelet): deviations of about 1, 2 and 4.6 pixels."""
    bands = []
    for gap in (1, 2, 4):
        smooth = _blur(_blur(grey, gap), gap)
        bands.append(grey - smooth)
        grey = smooth
    return bands


def _blur(grey: np.ndarray, gap: int) -> np.ndarray:
    for axis in (0, 1):
        padded = np.pad(grey, [(gap, gap) if side == axis else (0, 0) for side in (0, 1)], mode="edge")
        length = grey.shape[axis]
        before, middle, after = (np.take(padded, np.arange(start, start + length), axis) for start in (0, gap, 2 * gap))
        grey = (before + 2 * middle + after) / 4
    return grey


def _log_ratio(fine: float, coarse: float) -> float:
    # One grey level of rounding noise carries 1/12: what is below it is no detail.
    return float(np.log(max(fine - 1 / 12, 1e-3) / (coarse + 1 / 12)))


def scores(measures: Measures, domain: Domain) -> dict[str, float]:
    """Sharpness, exposure and in_domain, each from 0 (worst) to 1 (best)."""
    deviation = np.array(measures.features) - np.array(domain.mean)
    distance = float(deviation @ np.array(domain.precision) @ deviation)
    exposure = min(_part(measures.brightest, BRIGHTEST_RANGE), 1 - measures.saturated / TOO_SATURATED)
    return {
        "sharpness": min(_part(measures.fine, FINE_RANGE), _part(measures.middle, MIDDLE_RANGE)),
        "exposure": max(0.0, exposure),
        "in_domain": float(np.exp(-distance / 18)),
    }


def _part(value: float, limits: tuple[float, float]) -> float:
    low, high = limits
    return float(np.clip((value - low) / (high - low), 0, 1))


def unscorable_reasons(
    size: tuple[int, int], measures: Measures, quality: Mapping[str, float], limits: Mapping[str, float]
) -> tuple[str, ...]:
    """Codes of UNSCORABLE_REASONS for a photograph of `size` pixels; empty when it can be read.

    limits: the lowest exposure, sharpness and in_domain score, and the lowest contrast in grey levels.
    """
    reasons = []
    if min(size) < SIDE:
        reasons.append("too_small")
    if quality["exposure"] < limits["exposure"]:
        reasons.append("too_bright" if measures.saturated > 0 else "too_dark")
    if measures.contrast < limits["contrast"]:
        reasons.append("no_contrast")
    elif quality["sharpness"] < limits["sharpness"]:
        reasons.append("blurred")
    # Only a photograph that is otherwise well taken tells whether it shows skin.
    if not reasons and quality["in_domain"] < limits["in_domain"]:
        reasons.append("not_dermoscopy")
    return tuple(reasons)


def fit_domain(features: np.ndarray) -> Domain:
    """From (n, 4) features of training photographs."""
    precision = np.linalg.inv(np.cov(features, rowvar=False))
    return Domain(
        mean=tuple(float(value) for value in features.mean(axis=0)),
        precision=tuple(tuple(float(value) for value in row) for row in precision),
    )
