from __future__ import annotations

import io

import numpy as np
from PIL import Image

from ml.labels import DIAGNOSES
from ml.overlay import draw_overlay, evidence, map_png


def _map_with_melanoma_at(row: int, column: int) -> np.ndarray:
    activation_map = np.zeros((7, 7, 7), dtype=np.float32)
    activation_map[row, column, DIAGNOSES.index("mel")] = 5
    return activation_map


def _opened(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)))


def test_the_heat_stands_where_the_map_is_high() -> None:
    alpha = _opened(map_png(_map_with_melanoma_at(1, 5), "mel", (350, 350)))[..., 3]
    row, column = np.unravel_index(alpha.argmax(), alpha.shape)
    assert 50 <= row < 100
    assert 250 <= column < 300
    assert alpha[300, 50] == 0


def test_the_heat_lies_over_the_square_that_was_read() -> None:
    alpha = _opened(map_png(_map_with_melanoma_at(0, 0), "mel", (600, 400)))[..., 3]
    assert alpha.shape == (400, 600)
    assert not alpha[:, :100].any()
    assert not alpha[:, 500:].any()
    assert alpha[20, 120] > 0


def test_no_diagnosis_means_the_malignant_ones_together() -> None:
    activation_map = _map_with_melanoma_at(2, 2)
    assert evidence(activation_map, None)[2, 2] == 1
    assert evidence(activation_map, "nv").max() == 0


def test_a_flat_map_gives_no_heat() -> None:
    flat = np.ones((7, 7, 7), dtype=np.float32)
    assert not _opened(map_png(flat, None, (100, 100)))[..., 3].any()


def test_the_overlay_keeps_the_photograph_where_there_is_no_heat() -> None:
    photograph = Image.new("RGB", (600, 450), (200, 150, 140))
    drawn = draw_overlay(photograph, _map_with_melanoma_at(3, 3), "mel")
    assert drawn.mode == "RGB"
    assert drawn.size == (600, 450)
    assert drawn.getpixel((10, 10)) == (200, 150, 140)
    assert drawn.getpixel((300, 225)) != (200, 150, 140)
