"""python -m ml train | export | evaluate | benchmark | predict"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from ml.contract import ModelError, Reading, UnreadablePhotograph
from ml.predictor import MODELS, LiteRTPredictor, load

MAX_BYTES = 256 * 1024 * 1024
DATA_VARIABLE = "HAM10000_DIR"
WEIGHTS_VARIABLE = "SKINCLINIC_BACKBONE_WEIGHTS"
# TensorFlow's oneDNN kernels, which it does not choose by itself on every processor, save a seventh of a step.
KERNELS = {"TF_ENABLE_ONEDNN_OPTS": "1"}
# TensorFlow on CPU gives its large buffers back to the system and faults them in again at every step. Keeping them
# took 3.1 s of core a step instead of 5.5 (batch 32, two cores).
ALLOCATOR = (
    "glibc.malloc.hugetlb=1:glibc.malloc.mmap_max=0:glibc.malloc.arena_max=1:"
    "glibc.malloc.trim_threshold=60000000000:glibc.malloc.top_pad=1000000000"
)


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        code: int = options.run_command(options)
    except ModelError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # whoever read our lines has gone, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ml", description="The model that reads dermoscopic photographs.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    predict = commands.add_parser("predict", help="read photographs, one JSON line each")
    predict.add_argument("files", nargs="*", metavar="FILE", type=Path, help="JPEG, PNG or WebP")
    predict.add_argument("--map", type=Path, metavar="OUT.png", help="draw where the score came from (one FILE only)")
    _add_model(predict)
    predict.set_defaults(run_command=run_predict)

    train = commands.add_parser("train", help="fine-tune MobileNetV2 on HAM10000; goes on where a run was stopped")
    _add_data(train)
    train.add_argument("--run", type=Path, required=True, help="folder for checkpoints and results of this run")
    train.add_argument(
        "--weights",
        default=os.environ.get(WEIGHTS_VARIABLE, "imagenet"),
        help=f'"imagenet" (Keras downloads them) or a .weights.h5 without top; default: ${WEIGHTS_VARIABLE}',
    )
    train.add_argument(
        "--folds",
        type=int,
        nargs="+",
        choices=range(5),
        default=[0],
        help="one network for each, which it is tested on",
    )
    train.add_argument("--seed", type=int, help="default: as in the recipe")
    train.add_argument(
        "--precision",
        choices=["bfloat16", "float32"],
        default="bfloat16",
        help="what the backbone computes in; float32 where the processor knows no bfloat16",
    )
    train.add_argument("--max-steps", type=int, help="end each epoch after so many steps (for trials)")
    train.set_defaults(run_command=run_train)

    export = commands.add_parser("export", help="make an installable model of five folds' training; opens the tests")
    _add_data(export)
    export.add_argument("--run", type=Path, required=True, help="folder of the finished training run")
    export.add_argument("--reason", required=True, help="why the test folds are opened; kept in OPENINGS.md")
    export.add_argument("--version", required=True, help="such as 2026.11.1")
    export.add_argument("--models", type=Path, default=MODELS, help="where models are installed")
    export.set_defaults(run_command=run_export)

    evaluate = commands.add_parser("evaluate", help="find a model's figures again, and compare with those written down")
    _add_data(evaluate)
    evaluate.add_argument("--robustness", action="store_true", help="read spoilt photographs as well (some minutes)")
    _add_model(evaluate)
    evaluate.set_defaults(run_command=run_evaluate)

    benchmark = commands.add_parser("benchmark", help="how long one photograph takes, step by step")
    benchmark.add_argument("--rounds", type=int, default=100)
    _add_model(benchmark)
    benchmark.set_defaults(run_command=run_benchmark)
    return parser


def _add_data(parser: argparse.ArgumentParser) -> None:
    given = os.environ.get(DATA_VARIABLE)
    parser.add_argument(
        "--data",
        type=Path,
        default=Path(given) if given else None,
        required=not given,
        help=f"HAM10000's folder in its official layout; default: ${DATA_VARIABLE}",
    )


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", type=Path, help="folder of an installed model; default: the newest one")


def run_predict(options: argparse.Namespace) -> int:
    if not options.files:
        raise ModelError("No photograph was named. Give one or more files: python -m ml predict FILE...")
    if options.map and len(options.files) != 1:
        raise ModelError("--map draws one photograph: name exactly one FILE with it.")
    with _quiet():
        predictor = load(options.model)
    code = 0
    for path in options.files:
        try:
            reading = _read_file(predictor, path, options.map)
        except (ModelError, OSError) as error:
            print(f"{_in_one_line(path)}: {_reason(error)}", file=sys.stderr, flush=True)
            code = 1
        else:
            print(json.dumps(as_line(path, predictor, reading)), flush=True)
    return code


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep LiteRT's greeting, written by its C++ side, off the stderr that is for complaints about files."""
    sys.stderr.flush()
    kept = os.dup(2)
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _read_file(predictor: LiteRTPredictor, path: Path, map_path: Path | None) -> Reading:
    if map_path and map_path.resolve() == path.resolve():
        raise ModelError("The map would overwrite the photograph. Name another file with --map.")
    with path.open("rb") as file:
        photograph = file.read(MAX_BYTES + 1)
    if not photograph:
        raise UnreadablePhotograph("The file is empty.")
    if len(photograph) > MAX_BYTES:
        raise UnreadablePhotograph("The file is larger than 256 MB, which no photograph that can be read is.")
    reading = predictor.read(photograph)
    if map_path:
        from ml.overlay import draw_overlay
        from ml.preprocess import open_photograph

        overlay = draw_overlay(open_photograph(photograph, full=True)[0], reading.activation_map, None)
        try:
            overlay.save(map_path, "PNG")
        except OSError as error:
            raise ModelError(f"The map cannot be written to {map_path} ({error.strerror or error}).") from error
    return reading


def _in_one_line(path: Path) -> str:
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in str(path))


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"The file cannot be read ({error.strerror or error})."
    return str(error)


def as_line(path: Path, predictor: LiteRTPredictor, reading: Reading) -> dict[str, object]:
    """The reading as `predict` prints it."""
    return {
        "path": str(path),
        "model": predictor.manifest.version,
        "malignancy": round(reading.malignancy, 6),
        "band": reading.band,
        "refer": reading.refer,
        "probabilities": {name: round(share, 6) for name, share in reading.probabilities.items()},
        "unscorable_reasons": list(reading.unscorable_reasons),
        "cautions": list(reading.cautions),
        "quality": {name: round(value, 4) for name, value in reading.quality.items()},
        "milliseconds": round(reading.milliseconds, 1),
    }


def run_train(options: argparse.Namespace) -> int:
    settle_allocator()
    weights = None if options.weights == "imagenet" else Path(options.weights)
    if weights and not weights.is_file():
        raise ModelError(f"{weights} is not there. Name the weights' file, or say --weights imagenet.")
    _need("keras")
    from ml.training.collection import load_collection
    from ml.training.recipe import Recipe
    from ml.training.train import fold_folder, train

    recipe = Recipe(precision=options.precision, max_steps=options.max_steps)
    if options.seed is not None:
        recipe = replace(recipe, seed=options.seed)
    collection = load_collection(options.data, options.run, weights)
    for fold in options.folds:
        train(
            collection=collection,
            part=collection.part(fold),
            weights=weights,
            run=fold_folder(options.run, fold),
            recipe=recipe,
        )
    print(f"Trained. With all five folds: python -m ml export --run {options.run} --version YYYY.MM.N --reason ...")
    return 0


def settle_allocator() -> None:
    """Start this program again with the allocator and kernels that training is fast with, where none are chosen."""
    if sys.platform == "linux" and "GLIBC_TUNABLES" not in os.environ:
        os.environ |= {"GLIBC_TUNABLES": ALLOCATOR, **KERNELS, **os.environ}
        os.execv(sys.executable, sys.orig_argv)  # noqa: S606


def run_export(options: argparse.Namespace) -> int:
    _need("tensorflow")
    _need("matplotlib")
    if os.environ.get("KERAS_BACKEND", "tensorflow") != "tensorflow":
        raise ModelError("LiteRT is made from TensorFlow alone: export without KERAS_BACKEND, or with tensorflow.")
    from ml.training.release import release

    written = release(
        run=options.run, data=options.data, models=options.models, version=options.version, reason=options.reason
    )
    print(f"Written: {written}")
    return 0


def run_evaluate(options: argparse.Namespace) -> int:
    from ml.training.evaluate import EVALUATION_FILE, evaluate_model
    from ml.training.report import card_follows, compare, print_report

    predictor = load(options.model)
    manifest = predictor.manifest
    stored = json.loads((predictor.folder / EVALUATION_FILE).read_text())
    found = evaluate_model(predictor, options.data, spoil=options.robustness)
    print_report(found)
    served = {name: getattr(manifest, name) for name in found["served"]}
    code = compare(found, stored | {"served": served})
    return code if card_follows(manifest, stored, predictor.folder) else 1


def run_benchmark(options: argparse.Namespace) -> int:
    from ml.benchmark import print_benchmark

    print_benchmark(load(options.model), options.rounds)
    return 0


def _need(package: str) -> None:
    """Raises ModelError where the training extras are missing. Keras trains on any backend; TensorFlow exports."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        importlib.import_module(package)
    except ImportError as error:
        raise ModelError(
            f"{error.name or package} is not installed here. Install the training extras: pip install .[train]"
        ) from error


if __name__ == "__main__":
    sys.exit(main())
