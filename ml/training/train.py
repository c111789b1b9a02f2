"""One training run: resumable by epoch, the same photographs in the same order, on whatever Keras runs on."""

from __future__ import annotations

import json
import math
import queue
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from ml.labels import DIAGNOSES, MALIGNANT
from ml.preprocess import SIDE, to_input
from ml.training import augment, network, statistics
from ml.training.data import Collection, Part

console = Console()
CHECKPOINT_FILE = "checkpoint.npz"
HISTORY_FILE = "history.json"
RECIPE_FILE = "recipe.json"
KERAS_FILE = "model.keras"
_MALIGNANT = [DIAGNOSES.index(name) for name in MALIGNANT]


@dataclass(frozen=True)
class Recipe:
    """sides: the side of the squares in pixels, and for how many epochs; small ones first, which is faster."""

    sides: tuple[tuple[int, int], ...] = ((128, 6), (160, 6), (192, 3), (SIDE, 3))
    batch: int = 32
    learning_rate: float = 4e-4
    weight_decay: float = 0.02
    warm_up_steps: int = 100
    label_smoothing: float = 0.05
    balance: float = 0.5  # loss weight of a class = (its share) ** -balance, scaled to a mean of 1
    average_momentum: float = 0.998
    strength: float = 1.0  # of the augmentation
    seed: int = 2026

    @property
    def epochs(self) -> int:
        return sum(epochs for _, epochs in self.sides)

    def side_of(self, epoch: int) -> int:
        return [side for side, epochs in self.sides for _ in range(epochs)][epoch]


def train(
    *,
    collection: Collection,
    part: Part,
    weights: Path | None,
    run: Path,
    recipe: Recipe,
    max_steps: int | None = None,
    look_every: int = 4,
) -> Path:
    """Learn from `part.training`, look at `part.calibration` on the way, and return `run`.

    The folder then holds model.keras, recipe.json and history.json. A run that was stopped goes on after its last
    finished epoch. max_steps ends an epoch early (for trials).
    """
    run.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(recipe.seed)
    (run / RECIPE_FILE).write_text(json.dumps(asdict(recipe), indent=1))
    trainer = Trainer(recipe, weights, steps=math.ceil(len(part.training) / recipe.batch))
    history = trainer.restore(run)
    if not history:
        sample = np.random.default_rng(recipe.seed).choice(part.training, min(384, len(part.training)), replace=False)
        trainer.restate_normalisation(augment.centre_squares(collection.pixels, sample))
    for epoch in range(len(history), recipe.epochs):
        started = time.monotonic()
        loss = trainer.run_epoch(collection, part.training, epoch, max_steps)
        seconds = time.monotonic() - started
        last = epoch + 1 == recipe.epochs
        look = last or (epoch + 1) % look_every == 0
        figures = trainer.validate(collection, part.calibration) if look and len(part.calibration) else {}
        history.append({"epoch": epoch + 1, "loss": loss, **figures, "seconds": seconds})
        trainer.save(run, history)
        console.print(json.dumps({key: round(value, 4) for key, value in history[-1].items()}))
    with trainer.averaged():
        trainer.served().save(run / KERAS_FILE)
    return run


def fold_folder(run: Path, fold: int) -> Path:
    """Where a run keeps the network that is tested on `fold`."""
    return run / f"fold-{fold}"


def class_weights(labels: np.ndarray, balance: float) -> np.ndarray:
    """(7,) float32: rarer classes weigh more, the mean over the photographs is 1."""
    shares = np.bincount(labels, minlength=len(DIAGNOSES)) / len(labels)
    raw = np.maximum(shares, 1e-6) ** -balance
    return (raw / (raw * shares).sum()).astype(np.float32)


class Trainer:
    """A network that takes squares of bytes, its optimiser, and the running average of its weights."""

    def __init__(self, recipe: Recipe, weights: Path | None, steps: int) -> None:
        self.recipe = recipe
        trainable = network.build_trainable(weights)
        self.model, self.backbone = trainable.model, trainable.backbone
        schedule = keras.optimizers.schedules.CosineDecay(
            initial_learning_rate=recipe.learning_rate / 50,
            warmup_target=recipe.learning_rate,
            warmup_steps=recipe.warm_up_steps,
            decay_steps=max(1, steps * recipe.epochs - recipe.warm_up_steps),
            alpha=0.01,
        )
        self.optimizer = keras.optimizers.AdamW(
            schedule, weight_decay=recipe.weight_decay, use_ema=True, ema_momentum=recipe.average_momentum
        )
        self.optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
        loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=recipe.label_smoothing)
        # Compiling the whole step pays on an accelerator alone; TensorFlow's own kernels are faster on a processor.
        compiled = keras.backend.backend() != "tensorflow"
        self.model.compile(optimizer=self.optimizer, loss=loss, jit_compile=compiled and "auto")
        self.optimizer.build(self.model.trainable_variables)

    def restate_normalisation(self, squares: np.ndarray) -> None:
        network.restate_normalisation(self.backbone, to_input(squares))
        # The running average starts from the restated weights too.
        self.optimizer.built = False
        self.optimizer.build(self.model.trainable_variables)

    def run_epoch(self, collection: Collection, training: np.ndarray, epoch: int, max_steps: int | None) -> float:
        recipe = self.recipe
        rng = np.random.default_rng((recipe.seed, epoch))
        order = rng.permutation(training)
        steps = min(math.ceil(len(order) / recipe.batch), max_steps or len(order))
        # A short last batch would be compiled for itself; it is filled with the epoch's first photographs.
        order = np.resize(order, steps * recipe.batch)
        weights = class_weights(collection.labels[training], recipe.balance)
        identity = np.eye(len(DIAGNOSES), dtype=np.float32)
        losses: list[float] = []
        with _progress() as progress:
            task = progress.add_task(f"Epoch {epoch + 1}/{recipe.epochs}", total=steps, loss="")
            for rows, squares in _prefetch(self._batches(collection.pixels, order, epoch)):
                labels = collection.labels[rows]
                loss = self.model.train_on_batch(squares, identity[labels], sample_weight=weights[labels])
                losses.append(float(np.mean(loss)))
                progress.update(task, advance=1, loss=f"loss {np.mean(losses[-50:]):.3f}")
                if len(losses) % 50 == 0 and not console.is_terminal:
                    console.print(f"epoch {epoch + 1} step {len(losses)}/{steps} loss {np.mean(losses[-50:]):.3f}")
        return float(np.mean(losses))

    def _batches(self, pixels: np.ndarray, order: np.ndarray, epoch: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        recipe = self.recipe
        side, size = recipe.side_of(epoch), recipe.batch
        for start in range(0, len(order), size):
            rows = order[start : start + size]
            rng = np.random.default_rng((recipe.seed, epoch, start))
            squares = [augment.augment(pixels[row], rng, side=side, strength=recipe.strength) for row in rows]
            yield rows, np.stack(squares)

    def validate(self, collection: Collection, rows: np.ndarray) -> dict[str, float]:
        with self.averaged():
            logits = self.predict(collection.pixels, rows)
        labels = collection.labels[rows]
        score = statistics.softmax(logits)[:, _MALIGNANT].sum(axis=1)
        return {
            "auc": statistics.area_under_curve(np.isin(labels, _MALIGNANT), score),
            "balanced_accuracy": statistics.balanced_accuracy(labels, logits.argmax(axis=1)),
        }

    def predict(self, pixels: np.ndarray, rows: np.ndarray, batch: int = 64) -> np.ndarray:
        """Logits (n, 7) of the serving view."""
        parts = [
            self.model.predict_on_batch(augment.centre_squares(pixels, rows[start : start + batch]))
            for start in range(0, len(rows), batch)
        ]
        return np.concatenate(parts)

    def served(self) -> keras.Model:
        """The same weights in the network that is exported."""
        flat = network.build()
        flat.set_weights(self.model.get_weights())
        return flat

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """The model holds the running average of its weights in here."""
        raw = [np.array(variable) for variable in self.model.trainable_variables]
        self.optimizer.finalize_variable_values(self.model.trainable_variables)
        try:
            yield
        finally:
            for variable, value in zip(self.model.trainable_variables, raw, strict=True):
                variable.assign(value)

    def _state(self) -> list[keras.Variable]:
        return [*self.model.variables, *self.optimizer.variables]

    def save(self, run: Path, history: list[dict[str, float]]) -> None:
        """Write the checkpoint so that a power cut leaves either the old or the new one."""
        partial = run / f"partial.{CHECKPOINT_FILE}"
        arrays: dict[str, Any] = {f"v{index}": np.asarray(value) for index, value in enumerate(self._state())}
        np.savez(partial, history=json.dumps(history), **arrays)
        partial.replace(run / CHECKPOINT_FILE)
        (run / HISTORY_FILE).write_text(json.dumps(history, indent=1))

    def restore(self, run: Path) -> list[dict[str, float]]:
        path = run / CHECKPOINT_FILE
        if not path.exists():
            return []
        with np.load(path) as saved:
            for index, variable in enumerate(self._state()):
                variable.assign(saved[f"v{index}"])
            history: list[dict[str, float]] = json.loads(str(saved["history"]))
        console.print(f"Going on after epoch {len(history)}.")
        return history


def _prefetch(batches: Iterator[tuple[np.ndarray, np.ndarray]]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    ready: queue.Queue[tuple[np.ndarray, np.ndarray] | BaseException | None] = queue.Queue(maxsize=4)

    def fill() -> None:
        try:
            for batch in batches:
                ready.put(batch)
            ready.put(None)
        except BaseException as error:  # noqa: BLE001 - whatever it is, the training loop raises it
            ready.put(error)

    threading.Thread(target=fill, daemon=True).start()
    while (batch := ready.get()) is not None:
        if isinstance(batch, BaseException):
            raise batch
        yield batch


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[loss]}"),
        console=console,
    )
