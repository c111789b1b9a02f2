"""Random views of a training photograph. Every view goes through the serving resize."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

from ml.preprocess import SIDE, resize_square, to_square

SMALLEST_CROP = 0.72
MOST_NOISE = 15.0  # standard deviation of a sensor's noise, in levels of 256
BLUR_CHANCE = 0.12
JPEG_CHANCE = 0.12
HAIR_CHANCE = 0.12
RULER_CHANCE = 0.05
MARKER_CHANCE = 0.05
# Violet and blue, as pens for skin are.
MARKER_INKS = ((70, 40, 120), (40, 50, 140), (90, 60, 110))


def centre_squares(pixels: np.ndarray, indices: np.ndarray) -> np.ndarray:
    """The serving view of each: (len(indices), 224, 224, 3) uint8."""
    squares = np.empty((len(indices), SIDE, SIDE, 3), dtype=np.uint8)
    for row, index in enumerate(indices):
        squares[row] = to_square(Image.fromarray(pixels[index]))
    return squares


def augment(
    picture: np.ndarray,
    rng: np.random.Generator,
    *,
    side: int = SIDE,
    strength: float = 1.0,
    smallest_crop: float = SMALLEST_CROP,
    light: float = 1.0,
    noise: float = 0.0,
) -> np.ndarray:
    """A random crop, turn, flip and light of (height, width, 3) uint8, with what lies on skin: (side, side, 3) uint8.

    strength: 1 as in the recipe, 0 leaves crops, turns, flips and noise alone; light: how far light and colours
    wander beside it; noise: the chance of a sensor's noise.
    """
    photograph = Image.fromarray(_noisy(picture, rng) if noise and rng.random() < noise else picture)
    square = Image.fromarray(resize_square(photograph, _crop(photograph.size, rng, smallest_crop), side))
    _draw_on(square, rng, strength)
    if rng.random() < BLUR_CHANCE * strength:
        square = square.filter(ImageFilter.GaussianBlur(rng.uniform(0.4, 1.2) * side / SIDE))
    if rng.random() < JPEG_CHANCE * strength:
        square = compressed(square, int(rng.integers(30, 80)))
    turned = np.rot90(np.asarray(_relight(square, rng, strength * light)), int(rng.integers(4)))
    return turned[:, ::-1] if rng.random() < 0.5 else turned


def mixed(
    squares: np.ndarray, targets: np.ndarray, alpha: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Each square with some of another, and its target with as much of the other's (mixup, Zhang et al. 2018).

    squares: (n, side, side, 3) uint8; targets: (n, 7), each sums to 1; alpha: of the Beta distribution that the shares
    are drawn from, 0 leaves all as it is.
    """
    if not alpha:
        return squares, targets
    share = rng.beta(alpha, alpha, len(squares)).astype(np.float32)
    share = np.maximum(share, 1 - share)
    other = rng.permutation(len(squares))
    own, rest = share[:, None, None, None], (1 - share)[:, None, None, None]
    blend = np.rint(squares * own + squares[other] * rest).astype(np.uint8)
    return blend, targets * share[:, None] + targets[other] * (1 - share)[:, None]


def _noisy(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Before the resize, as a camera has it."""
    noise = rng.standard_normal(picture.shape, dtype=np.float32) * np.float32(rng.uniform(0, MOST_NOISE))
    return np.clip(picture + noise, 0, 255).astype(np.uint8)


def _crop(size: tuple[int, int], rng: np.random.Generator, smallest: float) -> tuple[float, float, float, float]:
    width, height = size
    side = min(size) * rng.uniform(smallest, 1)
    stretch = np.exp(rng.uniform(-0.1, 0.1))
    crop_width, crop_height = min(side * stretch, width), min(side / stretch, height)
    # Lesions sit near the middle: the crop wanders, but not to the far ends of a wide photograph.
    room_x, room_y = (width - crop_width) / 2, (height - crop_height) / 2
    left = room_x + rng.uniform(-1, 1) * min(room_x, 0.18 * height)
    top = room_y + rng.uniform(-1, 1) * room_y
    return left, top, min(left + crop_width, width), min(top + crop_height, height)


def _draw_on(square: Image.Image, rng: np.random.Generator, strength: float) -> None:
    pen = ImageDraw.Draw(square)
    side = square.width
    if rng.random() < HAIR_CHANCE * strength:
        shade = int(rng.integers(10, 90))
        for _ in range(int(rng.integers(2, 12))):
            line = _wandering_line(rng, side, heading=rng.uniform(0, 2 * np.pi), bend=0.12)
            pen.line(line, fill=(shade, shade * 3 // 4, shade * 2 // 3), width=int(rng.integers(1, 3)), joint="curve")
    if rng.random() < RULER_CHANCE * strength:
        _draw_ruler(pen, rng, side)
    if rng.random() < MARKER_CHANCE * strength:
        ink = MARKER_INKS[rng.integers(len(MARKER_INKS))]
        line = _wandering_line(rng, side, heading=rng.uniform(0, 2 * np.pi), bend=0.25)
        pen.line(line, fill=ink, width=int(rng.integers(2, 7)), joint="curve")


def _wandering_line(rng: np.random.Generator, side: int, *, heading: float, bend: float) -> list[tuple[float, float]]:
    """From somewhere, on for up to the square's side."""
    turns = heading + np.cumsum(rng.normal(0, bend, int(rng.integers(8, 25))))
    steps = np.column_stack([np.cos(turns), np.sin(turns)]) * side * 0.04
    return [(float(x), float(y)) for x, y in rng.uniform(0, side, 2) + np.cumsum(steps, axis=0)]


def _draw_ruler(pen: ImageDraw.ImageDraw, rng: np.random.Generator, side: int) -> None:
    gap = side / rng.integers(15, 40)
    depth = side * rng.uniform(0.0, 0.12)
    for tick in range(int(side / gap) + 1):
        length = side * (0.07 if tick % 5 == 0 else 0.04)
        pen.line([(tick * gap, side - depth), (tick * gap, side - depth - length)], fill=(25, 25, 28))


def compressed(square: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    square.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def _relight(square: Image.Image, rng: np.random.Generator, strength: float) -> Image.Image:
    gains = 1 + strength * (rng.uniform(0.8, 1.2) * rng.uniform(0.92, 1.08, 3) - 1)
    contrast, gamma = 1 + strength * (rng.uniform(0.8, 1.25) - 1), np.exp(strength * rng.uniform(-0.2, 0.2))
    levels = np.linspace(0, 1, 256)[:, None] ** gamma * gains
    middle = 0.6
    tables = np.clip((levels - middle) * contrast + middle, 0, 1) * 255
    lit = square.point(np.rint(tables).astype(int).T.ravel().tolist())
    return ImageEnhance.Color(lit).enhance(1 + strength * (rng.uniform(0.75, 1.25) - 1))
