from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

from ml.contract import UNSCORABLE_REASONS, ManifestMismatch
from ml.domain import fit_domain, load_domain
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


def test_a_reflection_in_a_dark_photograph_leaves_it_dark(predictor: LiteRTPredictor) -> None:
    dark = ImageEnhance.Brightness(draw_photograph(1)).enhance(0.2)
    dark.paste("white", (300, 210, 350, 250))
    reasons = predictor.read(to_bytes(dark)).unscorable_reasons
    assert "too_dark" in reasons
    assert "too_bright" not in reasons


def test_a_photograph_without_colour_is_named_so(predictor: LiteRTPredictor) -> None:
    """Else a melanoma in grey may read low: far fewer are referred in grey than in colour (the card)."""
    coloured = draw_photograph(1, kind="melanoma")
    grey = coloured.convert("L").convert("RGB")
    assert predictor.read(to_bytes(grey)).unscorable_reasons == ("no_colour",)
    assert predictor.read(to_bytes(coloured.convert("L"))).unscorable_reasons == ("no_colour",)
    assert "no_colour" not in predictor.read(to_bytes(Image.blend(coloured, grey, 0.6))).unscorable_reasons


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
    assert sum(not reading.scorable for reading in readings) >= 19


def test_a_lesion_under_a_pen_or_under_hair_is_not_read(predictor: LiteRTPredictor) -> None:
    rng = np.random.default_rng(4)
    scribbled, haired = draw_photograph(1), draw_photograph(1)
    points = [tuple(point) for point in rng.uniform((60, 20), (540, 430), (28, 2))]
    ImageDraw.Draw(scribbled).line(points, fill=(50, 45, 130), width=22, joint="curve")
    pen = ImageDraw.Draw(haired)
    for _ in range(400):
        x, y = rng.uniform(-150, 600), rng.uniform(-50, 450)
        pen.line([(x, y), (x + 180, y + rng.normal(60, 30))], fill=(30, 24, 20), width=3)
    for covered in (scribbled, haired):
        assert predictor.read(to_bytes(covered)).unscorable_reasons == ("not_dermoscopy",)


def test_the_score_of_the_domain_falls_with_distance() -> None:
    textures = np.random.default_rng(5).normal(size=(400, 6)) @ np.diag([1, 5, 0.1, 2, 1, 1])
    domain = fit_domain(textures).scaled(2.0)
    assert domain.distance(textures.mean(axis=0)) == pytest.approx(0, abs=1e-6)
    assert np.mean(domain.distance(textures) ** 2) == pytest.approx(1, abs=0.05), "in units of the root of d"
    away = textures.mean(axis=0) + np.outer([0, 1, 3, 9], textures.std(axis=0))
    scores = domain.score(away)
    assert list(scores) == sorted(scores, reverse=True)
    assert scores[0] == pytest.approx(1)
    assert scores[3] < 0.1


@pytest.mark.parametrize("unit", [1e-3, 1, 1e3])
def test_the_domain_does_not_mind_the_unit_of_a_feature(unit: float) -> None:
    textures = np.random.default_rng(6).normal(size=(300, 4))
    units = np.array([unit, 1, 1, 1])
    plain, scaled = fit_domain(textures), fit_domain(textures * units)
    probe = np.array([[1.0, -2.0, 0.5, 3.0]])
    assert scaled.distance(probe * units) == pytest.approx(plain.distance(probe), rel=2e-3)


def test_a_domain_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    domain = fit_domain(np.random.default_rng(7).normal(size=(50, 3))).scaled(1.5)
    domain.save(tmp_path / "domain.npz")
    back = load_domain(tmp_path)
    assert back.scale == 1.5
    assert np.array_equal(back.whitening, domain.whitening)
    (tmp_path / "domain.npz").write_bytes(b"PK")
    with pytest.raises(ManifestMismatch, match="missing or damaged"):
        load_domain(tmp_path)


def test_every_reason_has_a_sentence_that_says_what_to_do() -> None:
    for sentence in UNSCORABLE_REASONS.values():
        assert sentence.endswith(".")
        assert any(verb in sentence for verb in ("Take it again", "take it again", "Send one"))
