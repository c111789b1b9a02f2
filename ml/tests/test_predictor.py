from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from ml.contract import ManifestMismatch, ModelError, UnreadablePhotograph
from ml.golden import GOLDEN_FILE, check_golden
from ml.labels import DIAGNOSES, MALIGNANT
from ml.manifest import Calibration
from ml.predictor import LiteRTPredictor, calibrate, load
from ml.tests.conftest import drawn_bytes
from ml.views import Answer


def test_a_reading_is_whole(predictor: LiteRTPredictor) -> None:
    reading = predictor.read(drawn_bytes(1, kind="nevus"))
    assert tuple(reading.probabilities) == DIAGNOSES
    assert sum(reading.probabilities.values()) == pytest.approx(1, abs=1e-9)
    assert sum(reading.probabilities[name] for name in MALIGNANT) == pytest.approx(reading.malignancy, abs=1e-9)
    assert reading.activation_map.shape == (7, 7, 7)
    assert reading.activation_map.dtype == np.float32
    assert reading.scorable
    assert reading.band in ("low", "intermediate", "high")
    assert set(reading.quality) == {"sharpness", "exposure", "in_domain"}
    assert reading.milliseconds > 0


def test_bands_follow_the_thresholds(predictor: LiteRTPredictor) -> None:
    refer, high = predictor.manifest.refer.value, predictor.manifest.high.value
    seen = set()
    for seed in range(4):
        for kind in ("nevus", "melanoma", "bcc", "keratosis"):
            reading = predictor.read(drawn_bytes(seed, kind=kind, width=320, height=240))
            assert reading.refer == (reading.malignancy >= refer)
            if reading.scorable:
                expected = "high" if reading.malignancy >= high else "intermediate" if reading.refer else "low"
                assert reading.band == expected
                seen.add(reading.band)
    assert len(seen) > 1


def test_the_same_photograph_reads_the_same(predictor: LiteRTPredictor) -> None:
    data = drawn_bytes(4, kind="melanoma")
    first, again = predictor.read(data), predictor.read(data)
    assert first.probabilities == again.probabilities
    assert np.array_equal(first.activation_map, again.activation_map)


def test_a_reading_outlives_the_next_one(predictor: LiteRTPredictor) -> None:
    first = predictor.read(drawn_bytes(1))
    kept = first.activation_map.copy()
    predictor.read(drawn_bytes(2, kind="vascular"))
    assert np.array_equal(first.activation_map, kept)


def test_the_map_averages_to_the_logits(predictor: LiteRTPredictor) -> None:
    square = np.random.default_rng(0).integers(0, 256, (224, 224, 3)).astype(np.uint8)
    logits, activation_map, _ = predictor.network(square)
    assert np.allclose(activation_map.mean(axis=(0, 1)), logits, atol=1e-4)


def test_an_unscorable_photograph_keeps_its_score_but_no_band(predictor: LiteRTPredictor) -> None:
    reading = predictor.read(drawn_bytes(1, blur=9))
    assert reading.unscorable_reasons == ("blurred",)
    assert not reading.scorable
    assert reading.band is None
    assert 0 < reading.malignancy < 1


def test_what_is_no_photograph_is_refused(predictor: LiteRTPredictor) -> None:
    with pytest.raises(UnreadablePhotograph):
        predictor.read(b"these are no pixels")


def test_calibration_moves_the_malignant_sum_and_keeps_the_shares_within() -> None:
    logits = np.array([0.5, -1, 0.2, 0, 1.5, 3, -2], dtype=np.float32)
    plain = calibrate(logits, Calibration(1, 0))
    moved = calibrate(logits, Calibration(1.3, -0.7))
    malignant = np.array([name in MALIGNANT for name in DIAGNOSES])
    odds = np.log(plain[malignant].sum() / plain[~malignant].sum())
    assert np.log(moved[malignant].sum() / moved[~malignant].sum()) == pytest.approx(1.3 * odds - 0.7)
    assert np.allclose(moved[malignant] / moved[malignant].sum(), plain[malignant] / plain[malignant].sum())
    assert moved.sum() == pytest.approx(1)


@pytest.mark.parametrize("sure", [60.0, -60.0])
def test_calibration_survives_certainty(sure: float) -> None:
    logits = np.zeros(7, dtype=np.float32)
    logits[DIAGNOSES.index("mel")] = sure
    probabilities = calibrate(logits, Calibration(1.2, 0.1))
    assert np.isfinite(probabilities).all()
    assert probabilities.sum() == pytest.approx(1)


def test_the_installed_model_passes_its_own_test(predictor: LiteRTPredictor) -> None:
    predictor.self_test()


@pytest.mark.parametrize("part", ["logits", "map_middle", "texture"])
@pytest.mark.parametrize("off", [0.01, np.nan])
def test_a_wrong_answer_stops_the_model(predictor: LiteRTPredictor, tmp_path: Path, part: str, off: float) -> None:
    with np.load(predictor.folder / GOLDEN_FILE) as file:
        kept = dict(file)
    kept[part][2, 4] += off
    np.savez(tmp_path / GOLDEN_FILE, **kept)
    with pytest.raises(ModelError, match=f"answers a stored question differently .{part}"):
        check_golden(tmp_path, predictor.network)


def test_questions_that_are_no_questions_stop_the_model(predictor: LiteRTPredictor, tmp_path: Path) -> None:
    for damaged in (b"", b"no arrays", (predictor.folder / GOLDEN_FILE).read_bytes()[:-900]):
        (tmp_path / GOLDEN_FILE).write_bytes(damaged)
        with pytest.raises(ModelError, match="cannot prove itself"):
            check_golden(tmp_path, predictor.network)
    np.savez(tmp_path / GOLDEN_FILE, squares=np.zeros((1, 224, 224, 3), np.uint8))
    with pytest.raises(ModelError, match="cannot prove itself"):
        check_golden(tmp_path, predictor.network)


def test_the_questions_outlive_a_change_of_the_drawing(
    predictor: LiteRTPredictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("ml.golden.draw_photograph")
    predictor.self_test()


@pytest.mark.parametrize("part", ["logits", "activation_map", "texture"])
def test_an_answer_that_is_no_number_is_never_a_low_score(photograph_bytes: bytes, part: str) -> None:
    broken = load()
    whole = broken.network
    broken.network = lambda square: whole(square)._replace(**{part: np.full(7, np.nan, np.float32)})
    with pytest.raises(ModelError, match="not a number"):
        broken.read(photograph_bytes)


def test_a_network_without_an_output_that_is_served_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    wider = NamedTuple("Wider", [(name, np.ndarray) for name in (*Answer._fields, "depth")])
    monkeypatch.setattr("ml.predictor.Answer", wider)
    with pytest.raises(ManifestMismatch, match="this program knows"):
        load()


def test_serving_needs_neither_tensorflow_nor_django() -> None:
    program = (
        "import sys, ml.predictor, ml.fake, ml.overlay, ml.drawing; ml.predictor.load();"
        "print([name for name in ('tensorflow', 'keras', 'django', 'scipy') if name in sys.modules])"
    )
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert finished.stdout.strip() == "[]"
