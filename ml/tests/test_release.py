"""From five training runs to an installed model, with networks that tell a made-up diagnosis by its colour."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ml.__main__ import main
from ml.contract import ModelError
from ml.drawing import draw_photograph
from ml.labels import DIAGNOSES
from ml.manifest import load_manifest, sha256_of
from ml.tests.conftest import TENSORFLOW_MARKS
from ml.training import statistics
from ml.training.data import FOLDS, SLICES, assign_splits, part_of, read_photographs, write_splits
from ml.training.recipe import Beginning, Recipe, digest_of_names, write_beginning
from ml.views import Answer

pytest.importorskip("keras", reason="TensorFlow is not installed here")

pytestmark = TENSORFLOW_MARKS

VERSION = "2030.1.1"
RECIPE = Recipe(sides=((128, 1), (160, 1)))
# Of each diagnosis in each slice of each fold: one lesion, the nevi twice.
PHOTOGRAPHS = (len(DIAGNOSES) + 1) * FOLDS * SLICES
HEADER = "lesion_id,image_id,dx,dx_type,age,sex,localization,dataset\n"


class ColourNetwork:
    """Says a diagnosis by the mean red of the square, wrongly now and then."""

    def __init__(self, path: Path) -> None:
        assert path.read_bytes() == b"network"

    def __call__(self, square: np.ndarray) -> Answer:
        reds = square[..., 0].mean() - np.linspace(90, 210, len(DIAGNOSES))
        logits = (-np.abs(reds) / 12).astype(np.float32)
        texture = np.asarray(Image.fromarray(square).resize((8, 8))).reshape(-1).astype(np.float32)
        return Answer(logits, np.broadcast_to(logits, (7, 7, 7)), texture)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A collection in its official layout."""
    folder = tmp_path_factory.mktemp("collection")
    (folder / "images").mkdir()
    rng, lines = np.random.default_rng(5), [HEADER]
    lesions = [(name, lesion) for name in DIAGNOSES for lesion in range(FOLDS * SLICES)]
    names = [(name, lesion) for name, lesion in lesions for _ in range(2 if name == "nv" else 1)]
    base = np.asarray(draw_photograph(1, width=320, height=240)).astype(float)
    for number, (name, lesion) in enumerate(names):
        image_id = f"ISIC_{number:07}"
        red = 90 + 20 * DIAGNOSES.index(name) + rng.normal(0, 9)
        pixels = base + rng.normal(0, 6, base.shape) + [red - base[..., 0].mean(), 0, 0]
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / "images" / f"{image_id}.jpg", quality=90)
        proof = "histo" if number % 2 or name in ("mel", "bcc", "akiec") else "follow_up"
        lines.append(f"{name}{lesion},{image_id},{name},{proof},{30 + number % 50}.0,male,back,here\n")
    (folder / "HAM10000_metadata.csv").write_text("".join(lines))
    return folder


@pytest.fixture
def run(data: Path, tmp_path: Path) -> Path:
    """Five finished training runs of that collection."""
    folder = tmp_path / "run"
    photographs = read_photographs(data)
    splits = assign_splits(photographs, [photograph.lesion_id for photograph in photographs])
    write_splits(folder / "splits.csv", splits)
    for fold in range(FOLDS):
        home = folder / f"fold-{fold}"
        names = digest_of_names(splits[row].image_id for row in part_of(splits, fold).training)
        write_beginning(home, Beginning(RECIPE, names, "imagenet"))
        (home / "model.keras").write_bytes(b"trained")
        (home / "history.json").write_text(json.dumps([{"epoch": 1, "loss": 2.0}, {"epoch": 2, "loss": 1.0}]))
    return folder


@pytest.fixture(autouse=True)
def made_up_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    from ml.training import release

    def export(run: Path, fold: int, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        (folder / "model.tflite").write_bytes(b"network")
        shutil.copyfile(run / f"fold-{fold}" / "model.keras", folder / "model.keras")

    monkeypatch.setattr(release, "export_network", export)
    monkeypatch.setattr(release, "Network", ColourNetwork)
    monkeypatch.setattr("ml.predictor.Network", ColourNetwork)
    monkeypatch.setattr(statistics.Bootstrap, "rounds", 20)


def _write_sources(run: Path, found: dict[str, object], **changed: object) -> None:
    recipe = asdict(replace(RECIPE, sides=((64, 2),))) | changed
    made_by = {"splits": sha256_of(run / "splits.csv"), "recipe": recipe}
    (run / "sources.json").write_text(json.dumps({**made_by, "found": found}))


def _export(run: Path, data: Path, models: Path, version: str = VERSION) -> int:
    places = ["--run", str(run), "--data", str(data), "--models", str(models)]
    return main(["export", *places, "--version", version, "--reason", "a test |\n of lines"])


def test_a_released_model_is_whole_and_its_figures_are_found_again(
    run: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models = tmp_path / "models"
    group = {"photographs": 12, "malignant": 3, "specificity": {"value": 0.75, "low": 0.5, "high": 0.9}}
    parts = {
        "seen": group,
        "left_out": group,
        "left_out_whole": group,
        "learnt_from": {"photographs": 9, "malignant": 2},
    }
    sources = {"epochs": 7, "sources": {"here": parts}, "every_source": {"photographs": 21, "malignant": 5}}
    _write_sources(run, sources)
    assert _export(run, data, models) == 0
    manifest = load_manifest(models / VERSION)
    found = json.loads((models / VERSION / "evaluation.json").read_text())
    assert found["five_folds"]["all_photographs"]["photographs"] == PHOTOGRAPHS
    assert found["five_folds"]["one_photograph_per_lesion"]["targets"]["malignant"]["auc"]["value"] > 0.7
    assert found["robustness"]["dark, a fifth of the light"]["unscorable"] == 1
    assert "auc_of_scorable" not in found["robustness"]["dark, a fifth of the light"]
    assert 0 < manifest.refer.value <= manifest.high.value < 1
    assert manifest.training_data["pixels"] == "320 x 240"
    repeated = manifest.repeat_deviation
    assert repeated
    assert 0 < repeated.low <= repeated.value <= repeated.high
    assert any("42.9% of the collection's lesions" in limit for limit in manifest.limits)
    assert {"roc.png", "oof.csv", "calibration.csv", "domain.npz"} <= manifest.files.keys()
    assert "| a test \\| of lines |\n" in (models / "OPENINGS.md").read_text()
    arguments = ["evaluate", "--data", str(data), "--model", str(models / VERSION)]
    assert main([*arguments, "--robustness"]) == 0
    assert "Not looked at this time: left_out_sources." in capsys.readouterr().out
    assert main(arguments) == 0
    assert "Not looked at this time: left_out_sources, robustness." in capsys.readouterr().out
    photograph = data / "images" / "ISIC_0000000.jpg"
    same = photograph.read_bytes()
    photograph.write_bytes(same + b" ")
    assert main(arguments) == 0
    photograph.write_bytes(same)
    assert "other copies of the photographs" in capsys.readouterr().err
    card = models / VERSION / "MODEL_CARD.md"
    assert f"on fold 0, it deviates by {repeated.value:.3f}" in card.read_text()
    assert "| here | 9 (2) | 12 (3): –; – / 0.75 |" in card.read_text()
    card.write_text(card.read_text().replace("met |", "**missed** |", 1))
    assert main(arguments) == 1
    assert "MODEL_CARD.md does not follow" in capsys.readouterr().out


@pytest.mark.parametrize("version", ["2026.12", "newest", "../2026.12.1"])
def test_a_version_is_year_month_and_number(
    run: Path, data: Path, tmp_path: Path, version: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _export(run, data, tmp_path / "models", version) == 1
    assert "is no version" in capsys.readouterr().err


def test_an_installed_version_is_not_overwritten(run: Path, data: Path, tmp_path: Path) -> None:
    (tmp_path / "models" / VERSION).mkdir(parents=True)
    assert _export(run, data, tmp_path / "models") == 1
    assert list((tmp_path / "models" / VERSION).iterdir()) == []


def _forget_a_fold(run: Path) -> None:
    (run / "fold-3" / "model.keras").unlink()


def _begin_otherwise(run: Path, fold: int, **changed: object) -> None:
    path = run / f"fold-{fold}" / "beginning.json"
    beginning = json.loads(path.read_text())
    beginning["recipe"] |= {name: value for name, value in changed.items() if name in beginning["recipe"]}
    path.write_text(json.dumps(beginning | {name: value for name, value in changed.items() if name in beginning}))


def _train_a_fold_otherwise(run: Path) -> None:
    _begin_otherwise(run, 2, seed=3)


def _train_a_fold_from_other_weights(run: Path) -> None:
    _begin_otherwise(run, 2, weights="0" * 64)


def _learn_from_others(run: Path) -> None:
    _begin_otherwise(run, 2, photographs="0" * 64)


def _try_only(run: Path) -> None:
    _begin_otherwise(run, 4, max_steps=3)


def _stop_a_fold_early(run: Path) -> None:
    (run / "fold-4" / "history.json").write_text(json.dumps([{"epoch": 1, "loss": 2.0}]))


def _lose_a_recipe(run: Path) -> None:
    (run / "fold-1" / "beginning.json").unlink()


def _lose_the_splits(run: Path) -> None:
    (run / "splits.csv").unlink()


def _damage_a_history(run: Path) -> None:
    (run / "fold-1" / "history.json").write_text("[")


def _damage_the_sources(run: Path) -> None:
    (run / "sources.json").write_text("{")


def _find_sources_by_another_recipe(run: Path) -> None:
    _write_sources(run, {}, light=3.0)


def _find_sources_in_other_splits(run: Path) -> None:
    _write_sources(run, {})
    lines = (run / "splits.csv").read_text().splitlines(keepends=True)
    (run / "splits.csv").write_text("".join(lines).replace("\n", "\r\n"))


def _split_other_photographs(run: Path) -> None:
    lines = (run / "splits.csv").read_text().splitlines(keepends=True)
    (run / "splits.csv").write_text("".join(lines[:-1]))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_forget_a_fold, "fold-3 is not finished"),
        (_train_a_fold_otherwise, "different recipes or weights"),
        (_train_a_fold_from_other_weights, "different recipes or weights"),
        (_learn_from_others, "fold-2 learnt from other photographs"),
        (_try_only, "fold-4 is a trial"),
        (_stop_a_fold_early, "another number of epochs"),
        (_lose_a_recipe, "missing or damaged"),
        (_lose_the_splits, "splits.csv is missing or damaged"),
        (_damage_a_history, "history.json is missing or damaged"),
        (_damage_the_sources, "sources.json is damaged"),
        (_find_sources_by_another_recipe, "sources.json is of other splits or another recipe"),
        (_find_sources_in_other_splits, "sources.json is of other splits or another recipe"),
        (_split_other_photographs, "splits other photographs"),
    ],
)
def test_the_test_folds_stay_closed_while_something_is_missing(
    run: Path, data: Path, capsys: pytest.CaptureFixture[str], spoil: Callable[[Path], None], said: str
) -> None:
    spoil(run)
    assert _export(run, data, run / "models") == 1
    assert said in capsys.readouterr().err
    assert not (run / "models").exists()


def test_the_test_folds_stay_closed_when_a_network_cannot_be_converted(
    run: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ml.training import release

    ready = release.export_network

    def fail_at_the_last(run: Path, fold: int, folder: Path) -> None:
        if fold == FOLDS - 1:
            raise ModelError("The converted network answers differently.")
        ready(run, fold, folder)

    monkeypatch.setattr(release, "export_network", fail_at_the_last)
    assert _export(run, data, tmp_path / "models") == 1
    assert not (tmp_path / "models" / "OPENINGS.md").exists()
    assert not (tmp_path / "models" / VERSION).exists()
