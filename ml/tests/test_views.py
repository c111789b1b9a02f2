from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ml.predictor import LiteRTPredictor
from ml.tests.conftest import drawn_bytes
from ml.views import VIEWS, Answer, look


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_undoes_itself(view: str) -> None:
    square = np.random.default_rng(0).integers(0, 256, (8, 8, 3))
    assert np.array_equal(VIEWS[view](VIEWS[view](square)), square)
    assert (view == "upright") == np.array_equal(VIEWS[view](square), square)


def test_maps_are_turned_back_before_they_are_averaged() -> None:
    square = np.random.default_rng(1).normal(size=(7, 7, 7))

    def says_what_it_sees(seen: np.ndarray) -> Answer:
        return Answer(seen.mean(axis=(0, 1)), seen, seen.sum(axis=(1, 2)))

    answer = look(says_what_it_sees, square, tuple(VIEWS))
    assert np.allclose(answer.activation_map, square)
    assert np.allclose(answer.logits, square.mean(axis=(0, 1)))
    assert np.allclose(answer.texture, square.sum(axis=(1, 2))), "of the photograph as it was taken"


def test_a_reading_is_the_mean_of_its_views(predictor: LiteRTPredictor) -> None:
    from ml.preprocess import open_photograph, to_square

    data = drawn_bytes(3, kind="melanoma")
    square = to_square(open_photograph(data)[0])
    each = np.array([predictor.network(VIEWS[view](square)).logits for view in VIEWS])
    of_all = LiteRTPredictor(replace(predictor.manifest, views=tuple(VIEWS)), predictor.folder)
    read = of_all.read(data).activation_map.mean(axis=(0, 1))
    assert np.allclose(read, each.mean(axis=0), atol=1e-4)
    assert not np.allclose(read, each[0], atol=1e-2)
