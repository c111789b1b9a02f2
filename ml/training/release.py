"""Make an installable model of five training runs: export, calibrate, measure, write down."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from ml.cautions import HAM10000_RULES
from ml.contract import ModelError
from ml.domain import DOMAIN_FILE, fit_domain
from ml.golden import GOLDEN_FILE, write_golden
from ml.labels import DIAGNOSES
from ml.manifest import MANIFEST_FILE, NETWORK_FILE, VERSION, Manifest, sha256_of
from ml.predictor import Network
from ml.preprocess import PREPROCESSING
from ml.training import evaluate
from ml.training.calibrate import Settings, fit_settings
from ml.training.card import write_card
from ml.training.cases import Answers, Cases, Scored, ask, cases_of
from ml.training.data import (
    FOLDS,
    SPLITS_FILE,
    TEST_FOLD,
    Part,
    calibration_slice_of,
    matching_splits,
    part_of,
    read_photographs,
    read_splits,
)
from ml.training.export import export_network
from ml.training.oof import CALIBRATION_FILE, OOF_FILE, Row, rows_of, write_rows
from ml.training.plots import PLOT_FILES, draw_plots
from ml.training.provenance import limits, training_data
from ml.training.recipe import Beginning, Recipe, digest_of_names, parse_recipe, read_beginning
from ml.training.robustness import robustness
from ml.training.train import HISTORY_FILE, KERAS_FILE, fold_folder

console = Console(stderr=True)

# Every fifth training photograph, 1,370 of them, describes what the network learnt from well enough.
DOMAIN_STEP = 5
VIEWS_SERVED = ("upright",)  # the others gain nothing (docs/model.md)
FILES = (
    NETWORK_FILE,
    KERAS_FILE,
    SPLITS_FILE,
    OOF_FILE,
    CALIBRATION_FILE,
    DOMAIN_FILE,
    GOLDEN_FILE,
    evaluate.EVALUATION_FILE,
    *PLOT_FILES,
)
SOURCES_FILE = "sources.json"  # of bench/sources.py
OPENINGS_FILE = "OPENINGS.md"
OPENINGS_HEAD = """# When the test folds were looked at

Calibration, thresholds and limits come from inner splits, and recipes are compared on slices of folds 1 to 4: fold 0
has no say in a recipe, nor in the network that is served. Its photographs train and calibrate the other four networks.
`python -m ml export` adds a line each time. Reading a released model again with `python -m ml evaluate` repeats figures
that are known.

| date | model | why |
|---|---|---|
"""


def release(*, run: Path, data: Path, models: Path, version: str, reason: str) -> Path:
    """Write `models`/`version` from the five training runs in `run`.

    Calibration, thresholds and quality limits come from the calibration slice of each fold. Only when all of them
    stand are the test folds opened, which is noted with `reason` in `models`/OPENINGS.md. Raises ModelError when the
    version is taken or the runs are not finished or not alike, and DataError when they are of other photographs.
    """
    folder = new_folder(models, version)
    cases, parts = _cases_and_parts(run, data)
    recipe = finished_recipe(run, cases, parts)
    sources = _sources(run, recipe)
    partial = models / f".{version}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    shutil.copyfile(run / SPLITS_FILE, partial / SPLITS_FILE)
    with tempfile.TemporaryDirectory() as others:
        # The served fold's network stays; the others are not kept.
        homes = [partial if fold == TEST_FOLD else Path(others) / str(fold) for fold in range(FOLDS)]
        ready = [_prepare(run, fold, homes[fold], cases, parts[fold]) for fold in range(FOLDS)]
        note_opening(models, version, reason)
        tests = [one.settings.score(_read_test(one, cases, parts[one.fold])) for one in ready]
    _write_tables(partial, ready, tests)
    served, test = ready[TEST_FOLD], tests[TEST_FOLD]
    served.settings.domain.save(partial / DOMAIN_FILE)
    network = Network(partial / NETWORK_FILE)
    write_golden(partial, network)
    found = _evaluation(partial, cases, test) | sources
    found["robustness"] = robustness(network, VIEWS_SERVED, served.settings, test.part(test.cases.one_per_lesion()))
    (partial / evaluate.EVALUATION_FILE).write_text(json.dumps(found, indent=1, allow_nan=False) + "\n")
    draw_plots(found, partial)
    manifest = _describe(
        run=run,
        folder=partial,
        version=version,
        recipe=recipe,
        served=served,
        test=test,
        cases=cases,
        part=parts[TEST_FOLD],
    )
    (partial / MANIFEST_FILE).write_text(manifest.as_json())
    write_card(manifest, found, partial)
    partial.rename(folder)
    return folder


def new_folder(models: Path, version: str) -> Path:
    """Raises ModelError when the version is no version, or is there already."""
    if not VERSION.fullmatch(version):
        raise ModelError(f"{version} is no version. Give year, month and number, such as 2026.12.1.")
    if (models / version).exists():
        raise ModelError(f"{models / version} is there already. Choose another --version or remove it.")
    return models / version


def finished_recipe(run: Path, cases: Cases, parts: Sequence[Part]) -> Recipe:
    """The one recipe of the five runs in `run`. Raises ModelError when one is not finished, or unlike the others."""
    beginnings = [finished_fold(run, fold, cases, part) for fold, part in enumerate(parts)]
    if len({(beginning.recipe, beginning.weights) for beginning in beginnings}) > 1:
        raise ModelError(f"The folds in {run} began with different recipes or weights. Train all five alike.")
    return beginnings[0].recipe


def finished_fold(run: Path, fold: int, cases: Cases, part: Part) -> Beginning:
    """Raises ModelError when the run is not finished, cut short, or learnt from other photographs than those of `part`.

    cases: the whole collection.
    """
    folder = fold_folder(run, fold)
    if not (folder / KERAS_FILE).is_file():
        raise ModelError(f"{folder} is not finished. Train to the end first: python -m ml train --folds {fold}.")
    beginning = read_beginning(folder)
    if beginning.photographs != digest_of_names(_names(cases.part(part.training))):
        raise ModelError(f"{folder} learnt from other photographs than this program leaves to it. Train it again.")
    if beginning.recipe.max_steps:
        raise ModelError(f"{folder} is a trial, cut short by --max-steps. Train it again without.")
    if len(_history(folder)) != beginning.recipe.epochs:
        raise ModelError(f"{folder} holds another number of epochs than its recipe. Train it again.")
    return beginning


def _history(folder: Path) -> list[dict[str, float]]:
    path = folder / HISTORY_FILE
    try:
        history: list[dict[str, float]] = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} is missing or damaged. Train the fold again.") from error
    return history


def _cases_and_parts(run: Path, data: Path) -> tuple[Cases, list[Part]]:
    photographs = read_photographs(data)
    splits = matching_splits(run / SPLITS_FILE, photographs)
    return cases_of(photographs, splits), [part_of(splits, fold) for fold in range(FOLDS)]


@dataclass(frozen=True)
class Ready:
    """A fold's network with all that is fitted for it; its test fold is not read yet."""

    fold: int
    network: Network
    calibration: Answers
    settings: Settings


def _prepare(run: Path, fold: int, home: Path, cases: Cases, part: Part) -> Ready:
    console.print(f"Fold {fold}: converting the network to LiteRT.")
    export_network(run, fold, home)
    network = Network(home / NETWORK_FILE)
    training = ask(network, cases.part(part.training[::DOMAIN_STEP]), VIEWS_SERVED[:1], "Training photographs")
    calibration = ask(network, cases.part(part.calibration), VIEWS_SERVED, "Calibration photographs")
    return Ready(fold, network, calibration, fit_settings(calibration, fit_domain(training.textures)))


def _read_test(ready: Ready, cases: Cases, part: Part) -> Answers:
    return ask(ready.network, cases.part(part.test), VIEWS_SERVED, f"Test photographs of fold {ready.fold}")


def _write_tables(folder: Path, ready: Sequence[Ready], tests: Sequence[Scored]) -> None:
    tested: list[Row] = []
    calibrated: list[Row] = []
    for one, test in zip(ready, tests, strict=True):
        tested += rows_of(one.fold, _names(test.cases), test.probabilities, test.unscorable)
        calibrated += rows_of(one.fold, _names(one.calibration.cases), one.calibration.probabilities)
    write_rows(folder / OOF_FILE, tested)
    write_rows(folder / CALIBRATION_FILE, calibrated)


def _names(cases: Cases) -> list[str]:
    return [photograph.image_id for photograph in cases.photographs]


def _evaluation(folder: Path, cases: Cases, test: Scored) -> dict[str, Any]:
    """From the tables in `folder`, as `python -m ml evaluate` finds it again."""
    splits = read_splits(folder / SPLITS_FILE)
    folds = evaluate.five_folds(folder, cases, splits, evaluate.fitted_thresholds(folder, cases))
    return evaluate.evaluation(test, folds, splits)


def _sources(run: Path, recipe: Recipe) -> dict[str, Any]:
    """What bench/sources.py found, where it was run. Raises ModelError when it was of other splits or settings."""
    path = run / SOURCES_FILE
    if not path.exists():
        return {}
    try:
        stored = json.loads(path.read_text())
        found, made_by = stored["found"], replace(parse_recipe(stored["recipe"]), sides=recipe.sides)
        same = made_by == recipe and stored["splits"] == sha256_of(run / SPLITS_FILE)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path} is damaged. Run bench/sources.py again, or remove it.") from error
    if not same:
        raise ModelError(f"{path} is of other splits or another recipe. Run bench/sources.py again, or remove it.")
    return {"left_out_sources": found}


def note_opening(models: Path, version: str, reason: str) -> None:
    """Add a line to the log of when the test folds were looked at."""
    path = models / OPENINGS_FILE
    if not path.exists():
        path.write_text(OPENINGS_HEAD)
    with path.open("a") as file:
        file.write(f"| {datetime.now(UTC):%Y-%m-%d} | {version} | {reason_in_a_cell(reason)} |\n")


def reason_in_a_cell(reason: str) -> str:
    return " ".join(reason.replace("|", "\\|").split())


def _describe(
    *,
    run: Path,
    folder: Path,
    version: str,
    recipe: Recipe,
    served: Ready,
    test: Scored,
    cases: Cases,
    part: Part,
) -> Manifest:
    return Manifest(
        version=version,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        network="MobileNetV2 1.0, 224 pixels, linear head after global average pooling",
        preprocessing=PREPROCESSING,
        labels=DIAGNOSES,
        files={name: sha256_of(folder / name) for name in FILES},
        **evaluate.served_figures(test, served.settings.thresholds),
        quality_limits=served.settings.quality_limits,
        views=VIEWS_SERVED,
        training_data=training_data(cases, part, served.calibration.sizes),
        training={
            "recipe": asdict(recipe),
            "history": _history(fold_folder(run, TEST_FOLD)),
            "test_fold": TEST_FOLD,
            "calibration_slice": calibration_slice_of(TEST_FOLD),
        },
        cautions=HAM10000_RULES,
        limits=limits(cases),
    )
