"""The activation map as a picture: where the score came from."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from ml.labels import DIAGNOSES, MALIGNANT
from ml.preprocess import central_square

# Dark violet to yellow (after matplotlib's inferno, CC0): even steps of lightness, readable without colour vision.
HEAT = np.array(
    [[0, 0, 4], [66, 10, 104], [147, 38, 103], [221, 81, 58], [252, 165, 10], [252, 255, 164]], dtype=np.float32
)
STRONGEST = 0.55  # opacity where the map is highest


def evidence(activation_map: np.ndarray, diagnosis: str | None) -> np.ndarray:
    """(rows, columns) float32 from 0 to 1: how far each place speaks for `diagnosis`.

    None stands for the malignant ones together. A place counts only where it speaks for the diagnosis more than
    the mean over all diagnoses does, so a map that is flat everywhere stays empty.
    """
    relative = activation_map - activation_map.mean(axis=-1, keepdims=True)
    chosen = MALIGNANT if diagnosis is None else (diagnosis,)
    summed = relative[..., [DIAGNOSES.index(name) for name in chosen]].sum(axis=-1)
    positive = np.clip(summed, 0, None).astype(np.float32)
    highest = positive.max()
    return positive / highest if highest > 0 else positive


def heat_image(activation_map: np.ndarray, diagnosis: str | None, size: tuple[int, int]) -> Image.Image:
    """RGBA heat for a photograph of `size` (width, height); transparent outside the square that was read."""
    side = min(size)
    grid = Image.fromarray(evidence(activation_map, diagnosis))
    strength = np.clip(np.asarray(grid.resize((side, side), Image.Resampling.BICUBIC)), 0, 1)
    stops = np.linspace(0, 1, len(HEAT))
    colour = np.stack([np.interp(strength, stops, HEAT[:, channel]) for channel in range(3)], axis=-1)
    pixels = np.dstack([colour, 255 * STRONGEST * strength]).astype(np.uint8)
    sheet = Image.new("RGBA", size)
    left, top = (int(edge) for edge in central_square(sheet)[:2])
    sheet.paste(Image.fromarray(pixels), (left, top))
    return sheet


def draw_overlay(photograph: Image.Image, activation_map: np.ndarray, diagnosis: str | None) -> Image.Image:
    """The photograph (RGB) under the heat of one diagnosis, or of the malignant ones together (None)."""
    heat = heat_image(activation_map, diagnosis, photograph.size)
    return Image.alpha_composite(photograph.convert("RGBA"), heat).convert("RGB")


def map_png(activation_map: np.ndarray, diagnosis: str | None, size: tuple[int, int]) -> bytes:
    """The heat alone as a PNG with transparency, to be laid over a photograph of the same proportions."""
    buffer = io.BytesIO()
    heat_image(activation_map, diagnosis, size).save(buffer, "PNG")
    return buffer.getvalue()
