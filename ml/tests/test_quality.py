from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageFilter

from ml.contract import UNSCORABLE_REASONS
from ml.drawing import KINDS, draw_photograph
from ml.predictor import LiteRTPredictor
from ml.tests.conftest import to_bytes

SIZES = [(320, 240), (600, 450), (4000, 3000)]


def _sized(photograph: Image.Image, size: tuple[int, int]) -> Image.Image:
    return photograph.resize(size, Image.Resampling.BICUBIC)


@pytest.mark.parametrize("size", SIZES)
def test_a_good_photograph_is_scorable_at_every_size(predictor: LiteRTPredictor, size: tuple[int, int]) -> None:
    reading = predictor.read(to_bytes(_sized(draw_photograph(1), size)))
    assert reading.unscorable_reasons == ()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", ["nevus", "keratosis"])
def test_a_blurred_photograph_is_not(predictor: LiteRTPredictor, size: tuple[int, int], kind: str) -> None:
    blurred = _sized(draw_photograph(2, kind=kind), size).filter(ImageFilter.GaussianBlur(size[1] / 75))
    assert predictor.read(to_bytes(blurred)).unscorable_reasons == ("blurred",)


def test_sharpness_falls_with_blur(predictor: LiteRTPredictor) -> None:
    sharpness = [predictor.read(to_bytes(draw_photograph(3, blur=blur))).quality["sharpness"] for blur in (0, 3, 6)]
    assert sharpness == sorted(sharpness, reverse=True)
    assert sharpness[0] > sharpness[2] + 0.3


def test_a_dark_photograph_is_named_so(predictor: LiteRTPredictor) -> None:
    dark = ImageEnhance.Brightness(draw_photograph(1)).enhance(0.2)
    assert "too_dark" in predictor.read(to_bytes(dark)).unscorable_reasons


def test_a_bright_photograph_is_named_so(predictor: LiteRTPredictor) -> None:
    bright = ImageEnhance.Brightness(draw_photograph(1, skin_type=1)).enhance(3)
    assert "too_bright" in predictor.read(to_bytes(bright)).unscorable_reasons


@pytest.mark.parametrize("colour", ["black", "white", "#d8a890"])
def test_an_empty_photograph_is_refused(predictor: LiteRTPredictor, colour: str) -> None:
    assert "no_contrast" in predictor.read(to_bytes(Image.new("RGB", (600, 450), colour))).unscorable_reasons


def test_a_small_photograph_is_named_so_though_it_is_sharp(predictor: LiteRTPredictor) -> None:
    small = draw_photograph(1, width=300, height=223)
    assert predictor.read(to_bytes(small, quality=98)).unscorable_reasons[0] == "too_small"
    enough = draw_photograph(1, width=300, height=224)
    assert "too_small" not in predictor.read(to_bytes(enough, quality=98)).unscorable_reasons


def test_a_small_photograph_is_small_in_either_position(predictor: LiteRTPredictor) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    small = draw_photograph(1, width=400, height=200)
    assert "too_small" in predictor.read(to_bytes(small, exif=exif)).unscorable_reasons


def test_noise_is_no_dermoscopy(predictor: LiteRTPredictor) -> None:
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 256, (450, 600, 3)).astype(np.uint8))
    assert predictor.read(to_bytes(noise, "PNG")).unscorable_reasons == ("not_dermoscopy",)


def test_most_drawn_photographs_are_scorable(predictor: LiteRTPredictor) -> None:
    readings = [
        predictor.read(to_bytes(draw_photograph(seed, kind=kind, skin_type=1 + (seed + index) % 6)))
        for seed in range(6)
        for index, kind in enumerate(KINDS[:5])
    ]
    assert sum(reading.scorable for reading in readings) >= 0.9 * len(readings)


def test_most_everyday_things_are_stopped(predictor: LiteRTPredictor) -> None:
    readings = [predictor.read(to_bytes(draw_photograph(seed, kind="not_skin"))) for seed in range(20)]
    assert sum(not reading.scorable for reading in readings) >= 12


def test_every_reason_has_a_sentence_that_says_what_to_do() -> None:
    for sentence in UNSCORABLE_REASONS.values():
        assert sentence.endswith(".")
        assert any(verb in sentence for verb in ("Take it again", "take it again", "Send one"))
