from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ml.drawing import draw_photograph
from ml.training import robustness
from ml.training.cases import Cases, Scored
from ml.training.data import Photograph
from ml.training.robustness import SPOILS, noisy


@pytest.mark.parametrize("name", SPOILS)
def test_every_spoilt_photograph_is_another_one_of_a_size_that_is_read(name: str) -> None:
    picture = draw_photograph(2, kind="melanoma", width=600, height=450)
    before = np.asarray(picture).copy()
    spoilt = SPOILS[name](picture)
    assert spoilt.mode == "RGB"
    assert min(spoilt.size) >= 224
    assert np.array_equal(np.asarray(picture), before), "the photograph itself is left as it was"
    assert spoilt.size != picture.size or not np.array_equal(np.asarray(spoilt), before)


def test_a_turn_leaves_no_empty_corner() -> None:
    turned = np.asarray(SPOILS["turned by 30 degrees"](draw_photograph(3)))
    assert (turned.max(axis=-1) > 0)[::10, ::10].mean() > 0.95


def test_each_photograph_has_a_noise_of_its_own_and_the_same_again() -> None:
    grounds = [Image.new("RGB", (240, 240), (level, level, level)) for level in (120, 121)]
    first, second = (np.asarray(noisy(ground, 10)).astype(int) - np.asarray(ground) for ground in grounds)
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.05
    assert first.std() == pytest.approx(10, rel=0.05)
    assert np.array_equal(noisy(grounds[0], 10), noisy(grounds[0], 10))


def test_what_is_lost_and_whether_the_gate_spoke_first() -> None:
    photographs = [
        Photograph(f"ISIC_{i}", f"L{i}", "mel" if i < 3 else "nv", "", None, "", "", "", Path()) for i in range(5)
    ]
    cases = Cases(photographs, [photograph.lesion_id for photograph in photographs])

    def scored(refer: list[bool], refused: list[int]) -> Scored:
        probabilities = np.full((5, 7), 1 / 7)
        reasons = [("blurred",) if row in refused else () for row in range(5)]
        return Scored(cases, probabilities, np.array(refer), np.zeros(5, dtype=bool), reasons)

    plain = scored([True, True, False, True, False], [])
    found = robustness._figures(scored([False, False, False, False, True], [1, 4]), plain)
    assert (found["lost"], found["lost_but_unscorable"]) == (2, 1)
    assert (found["sensitivity"], found["specificity"], found["unscorable"]) == (0, 0.5, 0.4)
    assert "auc_of_scorable" not in found
