from __future__ import annotations

import numpy as np
import pytest

from ml.drawing import KINDS, draw_photograph


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_arguments_give_the_same_pixels(kind: str) -> None:
    first, again = (np.asarray(draw_photograph(7, kind=kind, width=320, height=240)) for _ in range(2))
    other = np.asarray(draw_photograph(8, kind=kind, width=320, height=240))
    assert first.shape == (240, 320, 3)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_darker_skin_is_darker() -> None:
    levels = [np.asarray(draw_photograph(1, skin_type=skin)).mean() for skin in range(1, 7)]
    assert levels == sorted(levels, reverse=True)
    assert levels[0] > 1.5 * levels[5]


def test_the_lesion_is_darker_than_the_skin_around_it() -> None:
    for seed in range(5):
        grey = np.asarray(draw_photograph(seed, kind="nevus").convert("L"), dtype=float)
        assert grey[205:245, 280:320].mean() < 0.85 * np.median(grey[100:350, 150:450])


def test_blur_takes_detail_away() -> None:
    sharp, soft = (np.asarray(draw_photograph(2, blur=blur).convert("L"), dtype=float) for blur in (0, 5))
    assert np.abs(np.diff(soft)).mean() < 0.7 * np.abs(np.diff(sharp)).mean()


def test_the_ruler_is_drawn_on_request() -> None:
    plain, ruled = (np.asarray(draw_photograph(2, ruler=ruler)) for ruler in (False, True))
    changed = (plain != ruled).any(axis=-1)
    assert changed[-20:].mean() > 0.02
    assert not changed[:300].any()


@pytest.mark.parametrize(("width", "height"), [(1000, 100), (64, 300), (224, 224)])
def test_any_proportions_can_be_drawn(width: int, height: int) -> None:
    for kind in KINDS:
        assert draw_photograph(1, kind=kind, width=width, height=height).size == (width, height)


def test_an_unknown_kind_or_skin_type_is_refused() -> None:
    with pytest.raises(ValueError, match="Choose one of nevus"):
        draw_photograph(1, kind="wart")
    with pytest.raises(ValueError, match="from 1 to 6"):
        draw_photograph(1, skin_type=0)
