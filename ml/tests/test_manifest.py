from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ml.contract import ManifestMismatch
from ml.labels import DIAGNOSES
from ml.manifest import load_manifest, parse_manifest
from ml.predictor import load, newest_model

FILES = {
    "model.tflite", "model.keras", "domain.npz", "golden.npz",
    "splits.csv", "oof.csv", "calibration.csv", "evaluation.json",
    "roc.png", "reliability.png", "confusion.png", "decision.png",
}  # fmt: skip


def _edit(folder: Path, change: Callable[[dict], None]) -> None:
    path = folder / "manifest.json"
    stored = json.loads(path.read_text())
    change(stored)
    path.write_text(json.dumps(stored))


def test_the_installed_model_matches_its_manifest() -> None:
    manifest = load_manifest(newest_model())
    assert manifest.version == newest_model().name
    assert manifest.labels == DIAGNOSES
    assert set(manifest.files) == FILES
    assert parse_manifest(json.loads(manifest.as_json())) == manifest


def test_the_bands_hold_every_test_lesion_once() -> None:
    manifest = load_manifest(newest_model())
    assert set(manifest.bands) == {"low", "intermediate", "high", "unscorable"}
    evaluation = json.loads((newest_model() / "evaluation.json").read_text())
    lesions = evaluation["fold_0"]["one_photograph_per_lesion"]
    for group in ("malignant", "benign"):
        shares = [getattr(band, group) for band in manifest.bands.values()]
        assert sum(share.count for share in shares) == shares[0].total
    totals = manifest.bands["low"]
    assert totals.malignant.total == lesions["malignant"]
    assert totals.malignant.total + totals.benign.total == lesions["photographs"]


def test_thresholds_are_in_order_and_low_speaks_against_malignancy() -> None:
    manifest = load_manifest(newest_model())
    assert 0 < manifest.refer.value < manifest.high.value < 1
    assert manifest.bands["low"].likelihood_ratio.high < 1 < manifest.bands["high"].likelihood_ratio.low


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_missing_file_is_refused(copied_model: Path, name: str) -> None:
    (copied_model / name).unlink()
    with pytest.raises(ManifestMismatch, match=f"{name} is missing"):
        load(copied_model)


def test_a_truncated_network_is_refused(copied_model: Path) -> None:
    path = copied_model / "model.tflite"
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(ManifestMismatch, match="not the file that its manifest describes"):
        load(copied_model)


def test_one_changed_byte_is_refused(copied_model: Path) -> None:
    path = copied_model / "model.tflite"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(ManifestMismatch, match="not the file that its manifest describes"):
        load(copied_model)


def test_another_preprocessing_is_refused(copied_model: Path) -> None:
    _edit(copied_model, lambda stored: stored.update(preprocessing="0"))
    with pytest.raises(ManifestMismatch, match="made for preprocessing 0"):
        load(copied_model)


def test_other_diagnoses_are_refused(copied_model: Path) -> None:
    _edit(copied_model, lambda stored: stored["labels"].reverse())
    with pytest.raises(ManifestMismatch, match="other diagnoses"):
        load(copied_model)


def test_a_network_the_manifest_does_not_vouch_for_is_refused(copied_model: Path) -> None:
    _edit(copied_model, lambda stored: stored["files"].pop("model.tflite"))
    with pytest.raises(ManifestMismatch, match=r"does not vouch for model\.tflite"):
        load(copied_model)


def test_an_unknown_view_is_refused(copied_model: Path) -> None:
    _edit(copied_model, lambda stored: stored.update(views=["upright", "inside out"]))
    with pytest.raises(ManifestMismatch, match="views that this program does not know"):
        load(copied_model)


def test_thresholds_have_a_version_of_their_own(copied_model: Path) -> None:
    before = load_manifest(copied_model).thresholds_version
    _edit(copied_model, lambda stored: stored.update(limits=["none"]))
    assert load_manifest(copied_model).thresholds_version == before
    _edit(copied_model, lambda stored: stored["refer"].update(value=0.5))
    assert load_manifest(copied_model).thresholds_version != before


def test_the_artefact_is_small() -> None:
    assert (newest_model() / "model.tflite").stat().st_size <= 11_000_000


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"version": 1}'])
def test_a_damaged_manifest_is_refused(copied_model: Path, text: str) -> None:
    (copied_model / "manifest.json").write_text(text)
    with pytest.raises(ManifestMismatch, match="damaged or of an unknown form"):
        load(copied_model)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestMismatch, match="There is no model"):
        load(tmp_path)


def test_the_newest_version_is_the_highest_number_not_the_last_word(tmp_path: Path) -> None:
    for name in ("2026.11.9", "2026.11.10", "2026.9.30", ".2027.1.1.partial", "2027.1.1.", "20271", "notes"):
        (tmp_path / name).mkdir()
    assert newest_model(tmp_path).name == "2026.11.10"


def test_no_installed_model_is_said(tmp_path: Path) -> None:
    with pytest.raises(ManifestMismatch, match="No model is installed"):
        newest_model(tmp_path)
