from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from ml.drawing import draw_photograph
from ml.training.augment import augment


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    return np.asarray(draw_photograph(3, kind="melanoma").resize((320, 240), Image.Resampling.BILINEAR))


@pytest.mark.parametrize("side", [128, 224])
def test_a_view_is_a_square_of_bytes_and_the_same_again(picture: np.ndarray, side: int) -> None:
    views = [augment(picture, np.random.default_rng(seed), side=side) for seed in (1, 1, 2)]
    assert {(view.shape, view.dtype) for view in views} == {((side, side, 3), np.dtype(np.uint8))}
    assert np.array_equal(views[0], views[1])
    assert not np.array_equal(views[0], views[2])


def test_light_hair_and_blur_come_and_go_with_the_strength(picture: np.ndarray) -> None:
    def colours(strength: float) -> float:
        views = [augment(picture, np.random.default_rng(seed), strength=strength) for seed in range(40)]
        return float(np.std([view.mean() for view in views]))

    assert colours(0) < colours(1) / 2


def test_a_lesion_stays_in_sight(picture: np.ndarray) -> None:
    """The crop wanders, but the middle, where lesions sit, is in every view."""
    marked = picture.copy()
    marked[110:130, 150:170] = (0, 255, 0)
    for seed in range(60):
        view = augment(marked, np.random.default_rng(seed), strength=0).astype(int)
        green = (view[..., 1] - view[..., 0] > 120) & (view[..., 1] - view[..., 2] > 120)
        assert green.sum() > 200
