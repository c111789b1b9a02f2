"""What worse photographs do to the readings, and whether "unscorable" speaks before a reading goes wrong."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

from ml.predictor import Network
from ml.training import statistics
from ml.training.augment import compressed
from ml.training.calibrate import Settings
from ml.training.cases import Scored, ask
from ml.training.figures import enough_of_either

Spoil = Callable[[Image.Image], Image.Image]
COLOUR_CAST = (1.15, 1.0, 0.8)
INK = (60, 45, 135)


def _blurred(picture: Image.Image, radius: float) -> Image.Image:
    return picture.filter(ImageFilter.GaussianBlur(radius * picture.height / 240))


def noisy(picture: Image.Image, deviation: float) -> Image.Image:
    """Another noise on each photograph, and the same again."""
    seed = zlib.crc32(picture.tobytes())
    noise = np.random.default_rng(seed).normal(0, deviation, (picture.height, picture.width, 3))
    return Image.fromarray(np.clip(np.asarray(picture) + noise, 0, 255).astype(np.uint8))


def _lit(picture: Image.Image, brightness: float) -> Image.Image:
    return ImageEnhance.Brightness(picture).enhance(brightness)


def _tinted(picture: Image.Image) -> Image.Image:
    return Image.fromarray(np.clip(np.asarray(picture) * np.array(COLOUR_CAST), 0, 255).astype(np.uint8))


def _turned(picture: Image.Image, degrees: float) -> Image.Image:
    """The corners that a turn leaves empty are filled by its own mirror image."""
    margin = picture.height
    framed = np.pad(np.asarray(picture), ((margin, margin), (margin, margin), (0, 0)), mode="symmetric")
    whole = Image.fromarray(framed).rotate(degrees, Image.Resampling.BILINEAR)
    return whole.crop((margin, margin, margin + picture.width, margin + picture.height))


def _cropped(picture: Image.Image, share: float) -> Image.Image:
    """As if taken from nearer, at as many pixels."""
    cut_x, cut_y = picture.width * (1 - share) / 2, picture.height * (1 - share) / 2
    middle = (cut_x, cut_y, picture.width - cut_x, picture.height - cut_y)
    return picture.resize(picture.size, Image.Resampling.BICUBIC, middle)


def _marked(picture: Image.Image) -> Image.Image:
    """Three strokes of a pen for skin around the lesion."""
    marked = picture.copy()
    pen = ImageDraw.Draw(marked)
    width, height = picture.size
    thickness = max(2, height // 45)
    pen.arc((width * 0.2, height * 0.1, width * 0.8, height * 0.9), 20, 140, fill=INK, width=thickness)
    pen.line((width * 0.2, height * 0.85, width * 0.45, height * 0.95), fill=INK, width=thickness)
    pen.line((width * 0.7, height * 0.05, width * 0.85, height * 0.3), fill=INK, width=thickness)
    return marked


SPOILS: dict[str, Spoil] = {
    "blur, radius 1": partial(_blurred, radius=1),
    "blur, radius 2": partial(_blurred, radius=2),
    "blur, radius 4": partial(_blurred, radius=4),
    "noise, deviation 10": partial(noisy, deviation=10),
    "noise, deviation 25": partial(noisy, deviation=25),
    "JPEG quality 30": partial(compressed, quality=30),
    "JPEG quality 10": partial(compressed, quality=10),
    "dark, half the light": partial(_lit, brightness=0.5),
    "dark, a fifth of the light": partial(_lit, brightness=0.2),
    "bright, 1.6 times the light": partial(_lit, brightness=1.6),
    "yellow cast": _tinted,
    "without colour": lambda picture: picture.convert("L").convert("RGB"),
    "red and blue swapped": lambda picture: Image.merge("RGB", picture.split()[::-1]),
    "turned by 30 degrees": partial(_turned, degrees=30),
    "cropped to 70 %": partial(_cropped, share=0.7),
    "marker lines": _marked,
}


def robustness(network: Network, views: tuple[str, ...], settings: Settings, plain: Scored) -> dict[str, Any]:
    """Figures of `plain`'s photographs spoilt in each way; plain: the same ones scored as they are."""
    found = {"as they are": _figures(plain, plain)}
    for name, spoil in SPOILS.items():
        found[name] = _figures(settings.score(ask(network, plain.cases, views, name.capitalize(), spoil)), plain)
    return found


def _figures(spoilt: Scored, plain: Scored) -> dict[str, Any]:
    """auc_of_scorable is left out where too few are."""
    malignant, readable = spoilt.cases.malignant, ~spoilt.refused
    lost = malignant & plain.refer & ~spoilt.refer
    found = {
        "auc": statistics.area_under_curve(malignant, spoilt.malignancy),
        "sensitivity": float(spoilt.refer[malignant].mean()),
        "specificity": float((~spoilt.refer[~malignant]).mean()),
        "unscorable": float(spoilt.refused.mean()),
        "lost": int(lost.sum()),
        "lost_but_unscorable": int((lost & spoilt.refused).sum()),
    }
    if enough_of_either(malignant[readable]):
        found["auc_of_scorable"] = statistics.area_under_curve(malignant[readable], spoilt.malignancy[readable])
    return found
