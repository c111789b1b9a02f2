"""Is the photograph fit to be read? Measured on the 224-pixel square, after the serving resize, whatever was sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np

from ml.preprocess import SIDE

# The middle of the square: the corners may hold the dermatoscope's tube.
DISC = 85
# What is cut off before measuring: the blurs reach 14 pixels, so the disc still lies inside after them.
MARGIN = 12
SATURATED = 250
# Detail of about 1, 2 and 4 pixels; a photograph in focus has about as much of the fine as of the coarse.
FINE_RANGE = (-3.0, 0.0)
MIDDLE_RANGE = (-1.8, 0.0)
BRIGHTEST_RANGE = (40.0, 120.0)
TOO_SATURATED = 0.5


@dataclass(frozen=True)
class Measures:
    """Raw measures of one square; see `measure`."""

    fine: float
    middle: float
    brightest: float
    saturated: float
    contrast: float
    chroma: float


def measure(square: np.ndarray) -> Measures:
    """Measure a (224, 224, 3) uint8 square, on every second row of its middle or fewer: as telling, and faster.

    fine, middle: log ratios of the energy at one scale to the next coarser one. brightest: 95th percentile of the
    grey level. saturated: share of white pixels. contrast: deviation of the grey level. chroma: mean
    distance between a pixel's highest and lowest channel.
    """
    middle = square[MARGIN:-MARGIN, MARGIN:-MARGIN]
    grey = middle.astype(np.float32) @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
    disc = _disc(0, 2, SIDE // 2 - MARGIN, SIDE - 2 * MARGIN)
    levels = np.take(grey[::2], disc)
    red, green, blue = (np.take(middle[::2, :, channel], disc) for channel in range(3))
    highest, lowest = np.maximum(np.maximum(red, green), blue), np.minimum(np.minimum(red, green), blue)
    fine, medium, coarse = _energies(grey)
    lightest = int(0.95 * (len(levels) - 1))
    return Measures(
        fine=_log_ratio(fine, medium),
        middle=_log_ratio(medium, coarse),
        brightest=float(np.partition(levels, lightest)[lightest]),
        saturated=float((lowest >= SATURATED).mean()),
        contrast=float(levels.std()),
        chroma=float((highest - lowest).mean()),
    )


@cache
def _disc(first: int, spacing: int, rows: int, columns: int) -> np.ndarray:
    """Flat indices of the pixels within DISC of the middle, in an array of `rows` that lie `spacing` pixels apart.

    first: the place of the first row in the middle that is measured.
    """
    down = first + spacing * np.arange(rows) - (SIDE - 2 * MARGIN - 1) / 2
    across = np.arange(columns) - (columns - 1) / 2
    return np.flatnonzero(np.hypot(down[:, None], across[None, :]) < DISC)


def _energies(grey: np.ndarray) -> tuple[float, ...]:
    """Mean squares of the differences of ever stronger binomial blurs (the "a trous" wavelet).

    The blurs deviate by about 1, 2 and 4.6 pixels. Each level keeps every second row that the one before it kept
    (the last one all of them), so that neighbouring rows are as far apart as the taps of the next blur.
    """
    energies = []
    first, spacing = 0, 1
    for gap, step in ((1, 2), (2, 2), (4, 1)):
        smooth = _blur(_blur(grey, step).T, 1, gap).T
        band = grey[2:-2:step, 2 * gap : -2 * gap] - smooth
        first, spacing = first + 2 * spacing, spacing * step
        values = np.take(band, _disc(first, spacing, *band.shape))
        energies.append(float(values @ values) / len(values))
        grey = smooth
    return tuple(energies)


def _blur(grey: np.ndarray, step: int, gap: int = 1) -> np.ndarray:
    """Five binomial taps, `gap` rows apart, at every `step`-th row."""
    rows = len(grey) - 4 * gap
    first, second, third, fourth, fifth = (grey[tap * gap : tap * gap + rows : step] for tap in range(5))
    smooth = second + fourth
    smooth *= 4
    smooth += first
    smooth += fifth
    smooth += 6 * third
    smooth /= 16
    return smooth


def _log_ratio(fine: float, coarse: float) -> float:
    # One grey level of rounding noise carries 1/12: what is below it is no detail.
    return float(np.log(max(fine - 1 / 12, 1e-3) / (coarse + 1 / 12)))


def scores(measures: Measures, in_domain: float) -> dict[str, float]:
    """Sharpness, exposure and in_domain (as `Domain.score` has it), each from 0 (worst) to 1 (best)."""
    return {
        "sharpness": min(_part(measures.fine, FINE_RANGE), _part(measures.middle, MIDDLE_RANGE)),
        "exposure": max(0.0, min(_light(measures), _room(measures))),
        "in_domain": in_domain,
    }


def _light(measures: Measures) -> float:
    return _part(measures.brightest, BRIGHTEST_RANGE)


def _room(measures: Measures) -> float:
    """What is left before the light washes out what there is to see."""
    return 1 - measures.saturated / TOO_SATURATED


def _part(value: float, limits: tuple[float, float]) -> float:
    low, high = limits
    return float(np.clip((value - low) / (high - low), 0, 1))


def unscorable_reasons(
    size: tuple[int, int], measures: Measures, quality: Mapping[str, float], limits: Mapping[str, float]
) -> tuple[str, ...]:
    """Codes of UNSCORABLE_REASONS for a photograph of `size` pixels; empty when it can be read.

    limits: the lowest exposure, sharpness and in_domain score, and the lowest contrast and chroma in levels of 256.
    """
    reasons = []
    if min(size) < SIDE:
        reasons.append("too_small")
    if quality["exposure"] < limits["exposure"]:
        # Of a dark photograph with a bright reflection the lack of light is said.
        reasons.append("too_dark" if _light(measures) <= _room(measures) else "too_bright")
    if measures.contrast < limits["contrast"]:
        reasons.append("no_contrast")
    elif quality["sharpness"] < limits["sharpness"]:
        reasons.append("blurred")
    # Only a photograph that is otherwise well taken tells whether it has colour, and then whether it shows skin.
    if not reasons and measures.chroma < limits["chroma"]:
        reasons.append("no_colour")
    if not reasons and quality["in_domain"] < limits["in_domain"]:
        reasons.append("not_dermoscopy")
    return tuple(reasons)
