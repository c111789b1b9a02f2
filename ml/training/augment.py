"""Random views of a training photograph. Every view goes through the serving resize."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageFilter

from ml.preprocess import SIDE, resize_square, to_square

SMALLEST_CROP = 0.72
BLUR_CHANCE = 0.1


def centre_squares(pixels: np.ndarray, indices: np.ndarray) -> np.ndarray:
    """The serving view of each: (len(indices), 224, 224, 3) uint8."""
    squares = np.empty((len(indices), SIDE, SIDE, 3), dtype=np.uint8)
    for row, index in enumerate(indices):
        squares[row] = to_square(Image.fromarray(pixels[index]))
    return squares


def augment(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A random crop, turn, flip and light of (height, width, 3) uint8: (224, 224, 3) uint8."""
    photograph = Image.fromarray(picture)
    square = resize_square(photograph, _crop(photograph.size, rng))
    if rng.random() < BLUR_CHANCE:
        blurred = Image.fromarray(square).filter(ImageFilter.GaussianBlur(rng.uniform(0.4, 1.2)))
        square = np.asarray(blurred)
    square = np.rot90(square, int(rng.integers(4)))
    if rng.random() < 0.5:
        square = square[:, ::-1]
    return _relight(square, rng)


def _crop(size: tuple[int, int], rng: np.random.Generator) -> tuple[float, float, float, float]:
    width, height = size
    side = min(size) * rng.uniform(SMALLEST_CROP, 1)
    stretch = np.exp(rng.uniform(-0.1, 0.1))
    crop_width, crop_height = min(side * stretch, width), min(side / stretch, height)
    # Lesions sit near the middle: the crop wanders, but not to the far ends of a wide photograph.
    room_x, room_y = (width - crop_width) / 2, (height - crop_height) / 2
    left = room_x + rng.uniform(-1, 1) * min(room_x, 0.18 * height)
    top = room_y + rng.uniform(-1, 1) * room_y
    return left, top, min(left + crop_width, width), min(top + crop_height, height)


def _relight(square: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    gains = rng.uniform(0.8, 1.2) * rng.uniform(0.92, 1.08, 3)
    contrast, gamma = rng.uniform(0.8, 1.25), np.exp(rng.uniform(-0.2, 0.2))
    levels = np.linspace(0, 1, 256, dtype=np.float32)[:, None] ** gamma * gains
    middle = 0.6
    tables = np.clip((levels - middle) * contrast + middle, 0, 1) * 255
    lit = np.stack([tables[:, channel].astype(np.float32)[square[..., channel]] for channel in range(3)], axis=-1)
    saturation = np.float32(rng.uniform(0.75, 1.25))
    grey = lit.mean(axis=-1, keepdims=True)
    return np.clip(grey + (lit - grey) * saturation, 0, 255).astype(np.uint8)
