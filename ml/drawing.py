"""Drawn photographs that look like dermoscopy, for demonstrations and tests. No patient was photographed.

Colour follows the Beer-Lambert law: white light loses part of each channel to melanin, to blood and to pigment
that lies deep (which looks blue-grey), and what is left is the photograph.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

KINDS = ("nevus", "melanoma", "keratosis", "bcc", "vascular", "not_skin")

# How strongly each pigment absorbs red, green and blue light.
MELANIN = np.array([0.62, 1.0, 1.38], dtype=np.float32)
BLOOD = np.array([0.12, 1.0, 0.78], dtype=np.float32)
DEEP_PIGMENT = np.array([1.15, 0.85, 0.55], dtype=np.float32)
SKIN_LIGHT = np.array([0.97, 0.86, 0.81], dtype=np.float32)
# Melanin of plain skin by Fitzpatrick type I to VI.
SKIN_MELANIN = (0.02, 0.07, 0.16, 0.32, 0.62, 0.95)


_Path = tuple[list[tuple[float, float]], float]  # points and the width of the line, in pixels


@dataclass
class _Layers:
    """What lies on the skin, each (height, width) float32; `shine` is added as white light."""

    melanin: np.ndarray
    blood: np.ndarray
    deep: np.ndarray
    shine: np.ndarray


@dataclass
class _Canvas:
    rng: np.random.Generator
    width: int
    height: int
    x: np.ndarray  # from the middle of the lesion, in units of the photograph's shorter side
    y: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        return self.height, self.width

    @property
    def unit(self) -> int:
        return min(self.width, self.height)


def draw_photograph(
    seed: int,
    *,
    kind: str = "nevus",
    width: int = 600,
    height: int = 450,
    skin_type: int = 2,
    blur: float = 0,
    ruler: bool = False,
) -> Image.Image:
    """Draw one photograph; the same arguments give the same pixels.

    kind: one of KINDS. skin_type: Fitzpatrick, 1 to 6. blur: radius of a Gaussian blur in pixels.
    """
    if kind not in KINDS:
        raise ValueError(f"There is no drawing of the kind {kind!r}. Choose one of {', '.join(KINDS)}.")
    if not 1 <= skin_type <= 6:
        raise ValueError("The skin type is a number from 1 to 6.")
    rng = np.random.default_rng([seed, KINDS.index(kind)])
    if kind == "not_skin":
        drawn = _draw_everyday_thing(rng, width, height)
    else:
        drawn = _draw_skin(_canvas(rng, width, height), kind, skin_type)
        if ruler:
            _draw_ruler(drawn)
    return drawn.filter(ImageFilter.GaussianBlur(blur)) if blur else drawn


def _canvas(rng: np.random.Generator, width: int, height: int) -> _Canvas:
    unit = min(width, height)
    across, down = rng.uniform(-0.05, 0.05, 2)
    x = (np.arange(width, dtype=np.float32) - width / 2) / unit - np.float32(across)
    y = (np.arange(height, dtype=np.float32) - height / 2) / unit - np.float32(down)
    grid_x, grid_y = np.meshgrid(x, y)
    return _Canvas(rng, width, height, grid_x, grid_y)


def _draw_skin(canvas: _Canvas, kind: str, skin_type: int) -> Image.Image:
    layers = _plain_skin(canvas, skin_type)
    _LESIONS[kind](canvas, layers)
    light = (
        layers.melanin[..., None] * MELANIN + layers.blood[..., None] * BLOOD + layers.deep[..., None] * DEEP_PIGMENT
    )
    picture = SKIN_LIGHT * np.exp(-light)
    picture = picture + (1 - picture) * np.clip(layers.shine, 0, 0.85)[..., None]
    picture = _lay_hair(canvas, picture)
    picture = _light_and_lens(canvas, picture)
    return Image.fromarray((np.clip(picture, 0, 1) * 255).astype(np.uint8))


# --- fields -------------------------------------------------------------------------------------------------------


def _noise(canvas: _Canvas, scale: float, octaves: int = 1) -> np.ndarray:
    """Smooth noise of mean 0 and deviation 1 with features of about `scale` of the shorter side."""
    total = np.zeros(canvas.shape, dtype=np.float32)
    for octave in range(octaves):
        cells = 2**octave / scale
        rows = max(2, int(cells * canvas.height / canvas.unit) + 2)
        columns = max(2, int(cells * canvas.width / canvas.unit) + 2)
        grid = canvas.rng.standard_normal((rows, columns)).astype(np.float32)
        field = Image.fromarray(grid).resize((canvas.width, canvas.height), Image.Resampling.BICUBIC)
        total += np.asarray(field) * np.float32(0.55**octave)
    return (total - total.mean()) / (total.std() + 1e-6)


def _cells(canvas: _Canvas, spacing: float, warp: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Distances to the nearest and the second nearest of scattered points, in units of `spacing`."""
    # The offset keeps every cell inside the grid, warped or not.
    offset = np.float32(np.ceil(max(np.abs(canvas.x).max(), np.abs(canvas.y).max()) / spacing) + 8)
    x, y = canvas.x / np.float32(spacing) + offset, canvas.y / np.float32(spacing) + offset
    if warp:
        x, y = x + warp * _noise(canvas, spacing * 5), y + warp * _noise(canvas, spacing * 5)
    column, row = np.floor(x), np.floor(y)
    x, y = x - column, y - row  # float32 all through: this loop is most of the time a drawing takes
    size = int(max(column.max(), row.max())) + 2
    points = canvas.rng.uniform(0.12, 0.88, (2, size * size)).astype(np.float32)
    home = (row * size + column).astype(np.int32)
    first = np.full(canvas.shape, 81, dtype=np.float32)
    second = first.copy()
    for step_y in (-1, 0, 1):
        for step_x in (-1, 0, 1):
            place = home + (step_y * size + step_x)
            across = points[0].take(place) + np.float32(step_x) - x
            down = points[1].take(place) + np.float32(step_y) - y
            distance = across * across + down * down
            np.minimum(second, np.maximum(first, distance), out=second)
            np.minimum(first, distance, out=first)
    return np.sqrt(first), np.sqrt(second)


def _ramp(value: np.ndarray, low: float, high: float) -> np.ndarray:
    """0 below `low`, 1 above `high`, smooth between; falls where low > high."""
    part = np.clip((value - low) / (high - low), 0, 1)
    return part * part * (3 - 2 * part)


def _outline(canvas: _Canvas, radius: float, irregular: float, ragged: float) -> np.ndarray:
    """Distance from the middle in units of the lesion's own edge: below 1 inside, above 1 outside."""
    rng = canvas.rng
    angle = np.arctan2(canvas.y, canvas.x)
    edge = np.ones(canvas.shape, dtype=np.float32)
    for turn in range(2, 7):
        strength = irregular * rng.uniform(0.4, 1) / turn**0.8
        edge += np.float32(strength) * np.cos(turn * angle + np.float32(rng.uniform(0, 2 * np.pi)))
    tilt, stretch = rng.uniform(0, np.pi), rng.uniform(1.0, 1.35)
    along = canvas.x * np.cos(tilt) + canvas.y * np.sin(tilt)
    across = -canvas.x * np.sin(tilt) + canvas.y * np.cos(tilt)
    distance = np.hypot(along / stretch, across * stretch**0.5)
    return distance / (radius * edge) + ragged * _noise(canvas, 0.09, 3)


def _strokes(canvas: _Canvas, paths: list[_Path], softness: float = 0.3) -> np.ndarray:
    """Lines of given points (pixels) and width, antialiased: (height, width) from 0 to 1."""
    scale = 2
    sheet = Image.new("L", (canvas.width * scale, canvas.height * scale))
    pen = ImageDraw.Draw(sheet)
    for points, thickness in paths:
        line = [(x * scale, y * scale) for x, y in points]
        pen.line(line, fill=255, width=max(1, round(thickness * scale)), joint="curve")
    small = sheet.filter(ImageFilter.GaussianBlur(softness * scale)).reduce(scale)
    return np.asarray(small, dtype=np.float32) / 255


def _spots(canvas: _Canvas, inside: np.ndarray, count: int, sizes: tuple[float, float]) -> np.ndarray:
    """Round spots scattered where `inside` is true; sizes in units of the shorter side."""
    field = np.zeros(canvas.shape, dtype=np.float32)
    rows, columns = np.nonzero(inside)
    if not len(rows):
        return field
    for pick in canvas.rng.integers(0, len(rows), count):
        radius = canvas.rng.uniform(*sizes) * canvas.unit
        reach = int(radius * 2) + 2
        top, left = max(0, rows[pick] - reach), max(0, columns[pick] - reach)
        window = (slice(top, rows[pick] + reach), slice(left, columns[pick] + reach))
        y, x = np.ogrid[: field[window].shape[0], : field[window].shape[1]]
        squeeze = canvas.rng.uniform(0.8, 1.25)
        distance = np.hypot((x + left - columns[pick]) * squeeze, (y + top - rows[pick]) / squeeze) / radius
        field[window] = np.maximum(field[window], _ramp(distance, 1.5, 0.4) * canvas.rng.uniform(0.4, 1))
    return field


# --- skin and what lies on it ---------------------------------------------------------------------------------------


def _plain_skin(canvas: _Canvas, skin_type: int) -> _Layers:
    base = SKIN_MELANIN[skin_type - 1]
    patches = _noise(canvas, 0.5, 4)
    grain = _noise(canvas, 0.012, 2)
    first, second = _cells(canvas, 0.042, warp=0.5)
    furrows = _ramp(second - first, 0.16, 0.0) * _ramp(_noise(canvas, 0.3, 2), -1.5, 1.5)
    pores = _ramp(first, 0.16, 0.05) * _ramp(_noise(canvas, 0.05), 0.5, 1.6)
    melanin = base * (1 + 0.1 * patches + 0.06 * grain + 0.1 * furrows) + 0.035 * furrows + 0.03 * pores
    freckles = _ramp(_noise(canvas, 0.06, 2), 1.9, 3.0) * canvas.rng.uniform(0, 0.25)
    blood = 0.11 + canvas.rng.uniform(0, 0.12) + 0.03 * _noise(canvas, 0.22, 3) + 0.012 * grain
    sheen = 0.045 * _ramp(_noise(canvas, 0.02, 2), 0.6, 2.2)
    zeros = np.zeros(canvas.shape, dtype=np.float32)
    return _Layers((melanin + freckles * (0.3 + base)).clip(0), blood.clip(0.02), zeros, sheen)


def _network(canvas: _Canvas, spacing: float, warp: float = 0.35) -> np.ndarray:
    first, second = _cells(canvas, spacing, warp)
    thickness = 0.5 + 0.13 * _noise(canvas, spacing * 3)
    lines = _ramp(second - first, 1, 0) ** (1.2 / thickness.clip(0.2))
    return lines * (0.75 + 0.3 * _noise(canvas, spacing * 4).clip(-1.6, 1.6))


def _mottled(canvas: _Canvas) -> np.ndarray:
    """Pigment is never even: about 1, darker and lighter at every scale."""
    return (1 + 0.12 * _noise(canvas, 0.16, 5)).clip(0.4)


def _add_nevus(canvas: _Canvas, layers: _Layers) -> None:
    rng = canvas.rng
    edge = _outline(canvas, rng.uniform(0.17, 0.27), 0.06, 0.025)
    body = _ramp(edge, 1.12, 0.72)
    middle = _ramp(edge, 0.8, 0.1)
    network = _network(canvas, rng.uniform(0.022, 0.03))
    depth = rng.uniform(0.55, 1.0)
    mottle = 1 + 0.14 * _noise(canvas, 0.06, 3)
    layers.melanin += depth * body * mottle * (0.5 + 0.4 * network * (1 - 0.6 * middle) + 0.5 * middle)
    layers.melanin += 0.55 * _spots(canvas, edge < 0.85, int(rng.integers(4, 22)), (0.005, 0.011))
    layers.blood += 0.12 * body
    layers.deep += rng.uniform(0, 0.18) * middle


def _add_melanoma(canvas: _Canvas, layers: _Layers) -> None:
    rng = canvas.rng
    edge = _outline(canvas, rng.uniform(0.24, 0.33), 0.2, 0.06)
    # The border is sharp on one side and fades on the other.
    side = _ramp(canvas.x * np.cos(rng.uniform(0, 6)) + canvas.y, -0.2, 0.2)
    body = side * _ramp(edge, 1.03, 0.9) + (1 - side) * _ramp(edge, 1.22, 0.66)
    blotches = _ramp(_noise(canvas, 0.2, 3), -0.9, 1.2)
    fine, coarse = _network(canvas, 0.024), _network(canvas, 0.044, warp=0.7)
    network = np.where(_noise(canvas, 0.25) > 0, coarse, fine)
    layers.melanin += body * (0.4 + 1.15 * blotches) * (0.8 + 0.3 * network) * _mottled(canvas)
    rim = (edge > 0.8) & (edge < 1.12)
    layers.melanin += 0.45 * _spots(canvas, rim & (blotches > 0.35), int(rng.integers(12, 34)), (0.004, 0.012))
    layers.melanin += _streaks(canvas, edge) * 0.35
    veil = _ramp(_noise(canvas, 0.24, 4), 0.2, 1.9) * _ramp(edge, 0.95, 0.45)
    layers.deep += 0.45 * veil * (1 + 0.2 * _noise(canvas, 0.03, 2))
    layers.melanin *= 1 - 0.35 * veil
    layers.shine += 0.17 * veil
    regression = _ramp(_noise(canvas, 0.18, 4), 0.7, 2.2) * _ramp(edge, 1.0, 0.6)
    layers.melanin *= 1 - 0.7 * regression
    layers.shine += 0.11 * regression
    layers.blood += 0.2 * body * _ramp(_noise(canvas, 0.15, 2), 0.2, 1.6)


def _streaks(canvas: _Canvas, edge: np.ndarray) -> np.ndarray:
    """Radial fingers at part of the border."""
    angle = np.arctan2(canvas.y, canvas.x)
    waver = 2.2 * _noise(canvas, 0.16, 2)
    fingers = _ramp(np.cos(angle * canvas.rng.integers(22, 34) + waver), 0.3, 1.0)
    part = _ramp(np.cos(angle + np.float32(canvas.rng.uniform(0, 6))) + 0.4 * _noise(canvas, 0.2), 0.3, 1.0)
    reach = edge + 0.07 * _noise(canvas, 0.05)
    return fingers * part * _ramp(reach, 0.84, 0.98) * _ramp(reach, 1.2, 1.0)


def _add_keratosis(canvas: _Canvas, layers: _Layers) -> None:
    rng = canvas.rng
    edge = _outline(canvas, rng.uniform(0.22, 0.32), 0.09, 0.035)
    body = _ramp(edge, 1.05, 0.9)
    folds = np.abs(_noise(canvas, 0.05, 3))
    furrows = _ramp(folds, 0.55, 0.0) * _ramp(_noise(canvas, 0.12, 2), -1.6, 0.9)
    tone = rng.uniform(0.3, 0.62)
    layers.melanin += body * (tone * (1 + 0.28 * _noise(canvas, 0.09, 3)) + 0.2 * furrows).clip(0.05) * _mottled(canvas)
    inside = edge < 0.9
    openings = _spots(canvas, inside, int(rng.integers(4, 16)), (0.006, 0.016))
    layers.melanin += 0.7 * openings
    cysts = _spots(canvas, inside, int(rng.integers(3, 14)), (0.006, 0.013))
    layers.melanin *= 1 - 0.5 * cysts
    layers.shine += 0.16 * cysts + 0.05 * body * _ramp(_noise(canvas, 0.03, 2), 0.3, 1.8)
    layers.blood += 0.05 * body


def _add_basal_cell_carcinoma(canvas: _Canvas, layers: _Layers) -> None:
    rng = canvas.rng
    edge = _outline(canvas, rng.uniform(0.22, 0.32), 0.12, 0.05)
    body = _ramp(edge, 1.1, 0.8)
    layers.blood += body * (0.22 + 0.12 * _noise(canvas, 0.1, 3)).clip(0) * _mottled(canvas)
    layers.shine += body * (0.1 + 0.12 * _ramp(_noise(canvas, 0.04, 2), 0.4, 2.0))
    nests = _spots(canvas, (edge > 0.35) & (edge < 0.98), int(rng.integers(5, 14)), (0.016, 0.045))
    mottle = (0.8 + 0.3 * _noise(canvas, 0.03, 2)).clip(0.2)
    nests = nests * _ramp(_noise(canvas, 0.02, 2), -2.2, 0.8)
    layers.deep += 0.26 * nests * mottle
    layers.melanin += 0.12 * nests + 0.12 * body * _ramp(_noise(canvas, 0.12, 2), 0, 1.6)
    sore = _ramp(_noise(canvas, 0.12, 4), 1.2, 2.2) * _ramp(edge, 0.8, 0.5)
    layers.blood += 0.75 * sore
    layers.melanin += 0.4 * sore
    vessels = _strokes(canvas, _vessels(canvas, radius=rng.uniform(0.24, 0.32)), softness=0.9)
    layers.blood += 0.5 * vessels * _ramp(edge, 1.15, 0.9)


def _vessels(canvas: _Canvas, radius: float) -> list[_Path]:
    """Arborising vessels: stems from the edge inwards that branch and thin out."""
    rng = canvas.rng
    paths: list[_Path] = []
    stack = []
    for _ in range(rng.integers(3, 6)):
        angle = rng.uniform(0, 2 * np.pi)
        start = (radius * np.cos(angle), radius * np.sin(angle))
        stack.append((start, angle + np.pi + rng.normal(0, 0.3), rng.uniform(2.2, 3.2), 34.0))
    while stack and len(paths) < 120:
        (x, y), heading, thickness, steps = stack.pop()
        points = [(x, y)]
        for _ in range(int(steps)):
            heading += rng.normal(0, 0.2)
            x, y = x + 0.009 * np.cos(heading), y + 0.009 * np.sin(heading)
            points.append((x, y))
            if thickness > 0.8 and rng.random() < 0.1:
                turn = rng.choice([-1, 1]) * rng.uniform(0.4, 1.0)
                stack.append(((x, y), heading + turn, thickness * 0.62, steps * 0.6))
        scale = canvas.unit / 450
        paths.append((_to_pixels(canvas, points), thickness * scale))
    return paths


def _to_pixels(canvas: _Canvas, points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    left, top = canvas.x[0, 0], canvas.y[0, 0]
    return [((x - left) * canvas.unit, (y - top) * canvas.unit) for x, y in points]


def _add_vascular(canvas: _Canvas, layers: _Layers) -> None:
    rng = canvas.rng
    edge = _outline(canvas, rng.uniform(0.16, 0.25), 0.09, 0.03)
    body = _ramp(edge, 1.06, 0.9)
    first, second = _cells(canvas, rng.uniform(0.05, 0.075), warp=0.7)
    lacunae = _ramp(second - first + 0.12 * _noise(canvas, 0.03, 2), -0.2, 0.8)
    purple = _ramp(_noise(canvas, 0.12, 2), -0.5, 1.5)
    layers.blood += body * (0.7 + (0.3 + 0.4 * purple) * lacunae) * _mottled(canvas)
    layers.deep += 0.42 * body * lacunae * purple
    layers.shine += 0.1 * body * (1 - lacunae)
    layers.blood += 0.2 * _ramp(edge, 1.5, 1.0) * (1 - body)


_LESIONS: dict[str, Callable[[_Canvas, _Layers], None]] = {
    "nevus": _add_nevus,
    "melanoma": _add_melanoma,
    "keratosis": _add_keratosis,
    "bcc": _add_basal_cell_carcinoma,
    "vascular": _add_vascular,
}


# --- hair, light, lens ----------------------------------------------------------------------------------------------


def _lay_hair(canvas: _Canvas, picture: np.ndarray) -> np.ndarray:
    rng = canvas.rng
    count = int(rng.choice([0, 0, 2, 4, 7, 12]))
    drift = rng.uniform(0, 2 * np.pi)
    paths = []
    for _ in range(count):
        x, y = rng.uniform(0, canvas.width), rng.uniform(0, canvas.height)
        heading, bend = drift + rng.normal(0, 0.5), rng.normal(0, 0.035)
        points = [(x, y)]
        for _ in range(rng.integers(12, 40)):
            heading += bend + rng.normal(0, 0.015)
            x, y = x + 0.02 * canvas.unit * np.cos(heading), y + 0.02 * canvas.unit * np.sin(heading)
            points.append((x, y))
        paths.append((points, rng.uniform(0.9, 2.2) * canvas.unit / 450))
    cover = _strokes(canvas, paths)[..., None]
    tone = np.array([0.2, 0.13, 0.09], dtype=np.float32) * rng.uniform(0.5, 1.6)
    return picture * (1 - 0.88 * cover) + tone * 0.88 * cover


def _light_and_lens(canvas: _Canvas, picture: np.ndarray) -> np.ndarray:
    rng = canvas.rng
    distance = np.hypot(canvas.x, canvas.y)
    tint = 1 + rng.normal(0, 0.02, 3).astype(np.float32)
    slope = 1 + 0.07 * (canvas.x * rng.uniform(-1, 1) + canvas.y * rng.uniform(-1, 1))
    lit = picture * tint * slope[..., None] * (1 - rng.uniform(0.12, 0.32) * (distance / 0.83) ** 2)[..., None]
    if rng.random() < 0.35:  # the tube of the dermatoscope
        lit = lit * (0.02 + 0.98 * _ramp(distance, rng.uniform(0.62, 0.72), 0.56))[..., None]
    soft = Image.fromarray((np.clip(lit, 0, 1) * 255).astype(np.uint8)).filter(
        ImageFilter.GaussianBlur(0.55 * canvas.unit / 450)
    )
    grain = rng.normal(0, 0.008, (*canvas.shape, 1)).astype(np.float32)
    return np.asarray(soft, dtype=np.float32) / 255 + grain + rng.normal(0, 0.004, (*canvas.shape, 3))


def _draw_ruler(photograph: Image.Image) -> None:
    pen = ImageDraw.Draw(photograph)
    width, height = photograph.size
    step = height / 32
    for tick in range(int(width / step) + 1):
        length = 0.05 if tick % 10 == 0 else 0.035 if tick % 5 == 0 else 0.022
        x = tick * step
        pen.line([(x, height), (x, height * (1 - length))], fill=(20, 20, 24), width=max(1, height // 300))


# --- what is no skin ------------------------------------------------------------------------------------------------


def _draw_everyday_thing(rng: np.random.Generator, width: int, height: int) -> Image.Image:
    draw = (_draw_page, _draw_leaf, _draw_tiles)[rng.integers(3)]
    return draw(rng, width, height)


def _draw_page(rng: np.random.Generator, width: int, height: int) -> Image.Image:
    page = Image.new("RGB", (width, height), (243, 243, 240))
    pen = ImageDraw.Draw(page)
    line = max(6, height // 26)
    for y in range(line, height - line, line):
        x = width // 14
        while x < width * rng.uniform(0.8, 0.95):
            word = int(rng.uniform(1.2, 5) * line * 0.6)
            for letter in range(x, x + word, max(2, line // 4)):
                top = y + int(rng.uniform(0, 0.25) * line)
                pen.rectangle([letter, top, letter + max(1, line // 9), y + line // 2], fill=(35, 35, 40))
            x += word + line // 2
    return page


def _draw_leaf(rng: np.random.Generator, width: int, height: int) -> Image.Image:
    canvas = _canvas(rng, width, height)
    veins = np.abs(canvas.y * 6 - 5 * np.abs(canvas.x) + 0.1 * _noise(canvas, 0.2, 3)) % 0.55
    shade = (
        0.75 + 0.12 * _noise(canvas, 0.2, 4) - 0.3 * _ramp(veins, 0.09, 0.0) - 0.3 * _ramp(np.abs(canvas.x), 0.02, 0)
    )
    colour = np.array([0.25, 0.6, 0.2], dtype=np.float32) * (1 + rng.normal(0, 0.08, 3))
    return Image.fromarray((np.clip(shade[..., None] * colour, 0, 1) * 255).astype(np.uint8))


def _draw_tiles(rng: np.random.Generator, width: int, height: int) -> Image.Image:
    canvas = _canvas(rng, width, height)
    size = rng.uniform(0.12, 0.25)
    dark = (np.floor(canvas.x / size) + np.floor(canvas.y / size)) % 2
    grout = ((canvas.x / size) % 1 < 0.05) | ((canvas.y / size) % 1 < 0.05)
    first, second = np.array([0.2, 0.35, 0.6]), np.array([0.85, 0.88, 0.9])
    colour = np.where(dark[..., None] > 0, first, second) * (1 + 0.05 * _noise(canvas, 0.05, 3))[..., None]
    colour = np.where(grout[..., None], 0.5, colour)
    return Image.fromarray((np.clip(colour, 0, 1) * 255).astype(np.uint8))
