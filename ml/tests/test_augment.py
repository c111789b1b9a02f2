from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from ml.drawing import draw_photograph
from ml.training import augment as augmentation
from ml.training.augment import augment, mixed


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
    def colours(strength: float, light: float = 1.0) -> float:
        views = [augment(picture, np.random.default_rng(seed), strength=strength, light=light) for seed in range(40)]
        return float(np.std([view.mean() for view in views]))

    assert colours(0) < colours(1) / 2
    assert colours(1) < colours(1, light=2) / 1.5


def test_what_lies_on_skin_comes_and_goes_with_the_strength(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a plain picture, whose light is one colour however it turns out, so that whatever else is seen was drawn."""
    plain = np.full((240, 320, 3), 160, dtype=np.uint8)

    def drawn_on(*chances: str, strength: float = 1.0) -> int:
        with monkeypatch.context() as patched:
            for name in ("HAIR_CHANCE", "RULER_CHANCE", "MARKER_CHANCE"):
                patched.setattr(augmentation, name, 1.0 if name in chances else 0.0)
            views = [augment(plain, np.random.default_rng(seed), strength=strength) for seed in range(10)]
        return sum(bool(np.ptp(view.reshape(-1, 3), axis=0).max() > 12) for view in views)

    for chance in ("HAIR_CHANCE", "RULER_CHANCE", "MARKER_CHANCE"):
        assert drawn_on(chance) >= 8, chance
        assert drawn_on(chance, strength=0) == 0, chance
    assert drawn_on() == 0


def test_blur_and_jpeg_come_and_go_with_the_strength(monkeypatch: pytest.MonkeyPatch) -> None:
    stripes = np.zeros((240, 320, 3), dtype=np.uint8)
    stripes[:, ::2] = 160

    def view(chance: str, strength: float = 1.0) -> np.ndarray:
        with monkeypatch.context() as patched:
            for name in ("BLUR_CHANCE", "JPEG_CHANCE", "HAIR_CHANCE", "RULER_CHANCE", "MARKER_CHANCE"):
                patched.setattr(augmentation, name, 1.0 if name == chance else 0.0)
            return augment(stripes, np.random.default_rng(1), strength=strength)

    assert view("BLUR_CHANCE").std() < 0.9 * view("nothing").std()
    assert not np.array_equal(view("JPEG_CHANCE"), view("nothing"))
    for chance in ("BLUR_CHANCE", "JPEG_CHANCE"):
        assert np.array_equal(view(chance, strength=0), view("nothing", strength=0))


def test_noise_comes_as_often_as_asked_and_changes_nothing_else() -> None:
    """Of a plain picture without light, so that whatever is rough is noise."""
    plain = np.full((240, 320, 3), 128, dtype=np.uint8)

    def rough(noise: float) -> int:
        views = [augment(plain, np.random.default_rng(seed), strength=0, noise=noise) for seed in range(100)]
        assert all(126 < view.mean() < 130 for view in views)
        return sum(bool(view.std() > 0.1) for view in views)

    assert rough(0) == 0
    assert 20 < rough(0.33) < 50
    assert rough(1) > 95


def test_a_lesion_stays_in_sight(picture: np.ndarray) -> None:
    """The crop wanders, but the middle, where lesions sit, is in every view."""
    marked = picture.copy()
    marked[110:130, 150:170] = (0, 255, 0)
    for seed in range(60):
        view = augment(marked, np.random.default_rng(seed), strength=0).astype(int)
        green = (view[..., 1] - view[..., 0] > 120) & (view[..., 1] - view[..., 2] > 120)
        assert green.sum() > 200


def test_mixed_photographs_carry_as_much_of_each_diagnosis() -> None:
    rng = np.random.default_rng(5)
    levels = np.array([10, 60, 110, 160, 210, 250])
    squares = np.tile(levels.astype(np.uint8)[:, None, None, None], (1, 4, 4, 3))
    blend, targets = mixed(squares, np.eye(6, 7, dtype=np.float32), 0.4, rng)
    assert (blend.dtype, blend.shape) == (np.dtype(np.uint8), squares.shape)
    assert np.allclose(targets.sum(axis=1), 1)
    assert (targets[np.arange(6), np.arange(6)] >= 0.5).all()
    assert ((targets > 0).sum(axis=1) == 2).any()
    assert np.allclose(blend[:, 0, 0, 0], targets[:, :6] @ levels, atol=0.51)
    same, whole = mixed(squares, np.eye(6, 7, dtype=np.float32), 0.0, rng)
    assert np.array_equal(same, squares)
    assert np.array_equal(whole, np.eye(6, 7))
