"""One training run: resumable by epoch, the same photographs in the same order, on whatever Keras runs on."""

from __future__ import annotations

import contextlib
import json
import math
import queue
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from ml.labels import DIAGNOSES, MALIGNANT_COLUMNS
from ml.preprocess import to_input
from ml.training import augment, files, network, statistics
from ml.training.data import Collection, Part
from ml.training.recipe import (
    Beginning,
    Recipe,
    check_beginning,
    digest_of_names,
    digest_of_weights,
    write_beginning,
)

console = Console()
CHECKPOINT_FILE = "checkpoint.npz"
HISTORY_FILE = "history.json"
KERAS_FILE = "model.keras"
MALIGNANT_MASK = np.isin(np.arange(len(DIAGNOSES)), MALIGNANT_COLUMNS).astype(int)


def train(
    *,
    collection: Collection,
    part: Part,
    weights: Path | None,
    run: Path,
    recipe: Recipe,
    look_every: int = 4,
) -> Path:
    """Learn from `part.training`, look at `part.calibration` on the way, and return `run`.

    The folder then holds model.keras, beginning.json and history.json. A run that was stopped goes on after its last
    finished epoch, and nothing is done to one that is finished. Raises ModelError when it was begun by another recipe,
    or with other photographs or weights.
    """
    names = (collection.photographs[row].image_id for row in part.training)
    beginning = Beginning(recipe, digest_of_names(names), digest_of_weights(weights))
    check_beginning(run, beginning)
    if (run / KERAS_FILE).exists():
        return run
    write_beginning(run, beginning)
    keras.utils.set_random_seed(recipe.seed)
    sample = np.random.default_rng(recipe.seed).choice(part.training, min(384, len(part.training)), replace=False)
    squares = augment.centre_squares(collection.pixels, sample)
    labels = collection.labels[part.training]
    trainer = Trainer(recipe, weights, squares, labels)
    history = trainer.restore(run)
    for epoch in range(len(history), recipe.epochs):
        started = time.monotonic()
        loss = trainer.run_epoch(collection, part.training, epoch)
        seconds = time.monotonic() - started
        last = epoch + 1 == recipe.epochs
        look = last or (epoch + 1) % look_every == 0
        figures = trainer.validate(collection, part.calibration) if look and len(part.calibration) else {}
        history.append({"epoch": epoch + 1, "loss": loss, **figures, "seconds": seconds})
        trainer.save(run, history)
        console.print(json.dumps({key: round(value, 4) for key, value in history[-1].items()}))
    with trainer.averaged(), files.whole(run / KERAS_FILE) as partial_file:
        trainer.served().save(partial_file)
    return run


def fold_folder(run: Path, fold: int) -> Path:
    """Where a run keeps the network that is tested on `fold`."""
    return run / f"fold-{fold}"


def balanced_weights(counts: np.ndarray, balance: float) -> np.ndarray:
    """float32, one for each class: rarer ones weigh more, the mean over the photographs is 1."""
    shares = counts / counts.sum()
    raw = np.maximum(shares, 1e-6) ** -balance
    return (raw / (raw * shares).sum()).astype(np.float32)


def loss_of(recipe: Recipe, labels: np.ndarray, weighing: Any = 1.0) -> Callable[[Any, Any], Any]:
    """Of (n, 7) shares of the true classes, and logits to (n,) losses, rarer classes weighing more.

    labels: of the training photographs; weighing: a number or variable, 1 where rarer classes weigh more, 0 where all
    weigh the same.
    """
    ops, smoothing = keras.ops, recipe.label_smoothing
    counts = np.bincount(labels, minlength=len(DIAGNOSES))
    beyond_one = balanced_weights(counts, recipe.balance) - 1
    adjustment = (recipe.logit_adjustment * np.log(np.maximum(counts, 1) / counts.sum())).astype(np.float32)
    malignant = np.isin(labels, MALIGNANT_COLUMNS).astype(int)
    weight_of = balanced_weights(np.bincount(malignant, minlength=2), recipe.balance)[MALIGNANT_MASK]
    mask = MALIGNANT_MASK.astype(np.float32)

    def loss(truth: Any, logits: Any) -> Any:
        smooth = truth * (1 - smoothing) + smoothing / len(DIAGNOSES)
        logits = logits + adjustment
        weights = 1 + weighing * beyond_one
        surprise = -ops.sum(truth * weights, axis=-1) * ops.sum(smooth * ops.log_softmax(logits), axis=-1)
        if not recipe.malignancy_loss:
            return surprise
        log_odds = ops.logsumexp(logits - 1e4 * (1 - mask), axis=-1) - ops.logsumexp(logits - 1e4 * mask, axis=-1)
        beside = ops.softplus(log_odds) - ops.sum(smooth * mask, axis=-1) * log_odds
        return surprise + recipe.malignancy_loss * ops.sum(truth * weight_of, axis=-1) * beside

    return loss


class Trainer:
    """A network that takes squares of bytes, its optimiser, and the running average of its weights.

    squares: training photographs (n, 224, 224, 3) uint8, to measure the normalisations' statistics on; labels: of all
    of them.
    """

    def __init__(self, recipe: Recipe, weights: Path | None, squares: np.ndarray, labels: np.ndarray) -> None:
        self.recipe = recipe
        steps = math.ceil(len(labels) / recipe.batch)
        trainable = network.build_trainable(weights, precision=recipe.precision)
        self.model = trainable.model
        network.restate_normalisation(trainable.backbone, to_input(squares))
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
        # Compiling the whole step pays on an accelerator alone; TensorFlow's own kernels are faster on a processor.
        compiled = keras.backend.backend() != "tensorflow"
        self.weighing = keras.Variable(1.0, trainable=False)
        loss = loss_of(recipe, labels, self.weighing)
        self.model.compile(optimizer=self.optimizer, loss=loss, jit_compile=compiled and "auto")
        self.optimizer.build(self.model.trainable_variables)

    def run_epoch(self, collection: Collection, training: np.ndarray, epoch: int) -> float:
        recipe = self.recipe
        self.weighing.assign(float(epoch >= recipe.balance_from))
        rng = np.random.default_rng((recipe.seed, epoch))
        order = rng.permutation(training)
        steps = min(math.ceil(len(order) / recipe.batch), recipe.max_steps or len(order))
        # A short last batch would be compiled for itself; it is filled with the epoch's first photographs.
        order = np.resize(order, steps * recipe.batch)
        losses: list[float] = []
        with _progress() as progress:
            task = progress.add_task(f"Epoch {epoch + 1}/{recipe.epochs}", total=steps, loss="")
            for squares, targets in _prefetch(self._batches(collection, order, epoch)):
                self.model.reset_metrics()  # or the loss would be the mean of all steps so far
                loss = self.model.train_on_batch(squares, targets)
                losses.append(float(np.mean(loss)))
                progress.update(task, advance=1, loss=f"loss {np.mean(losses[-50:]):.3f}")
                if len(losses) % 50 == 0 and not console.is_terminal:
                    console.print(f"epoch {epoch + 1} step {len(losses)}/{steps} loss {np.mean(losses[-50:]):.3f}")
        return float(np.mean(losses))

    def _batches(
        self, collection: Collection, order: np.ndarray, epoch: int
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        recipe, identity = self.recipe, np.eye(len(DIAGNOSES), dtype=np.float32)
        side, size = recipe.side_of(epoch), recipe.batch
        for start in range(0, len(order), size):
            rows = order[start : start + size]
            rng = np.random.default_rng((recipe.seed, epoch, start))
            augmented = partial(
                augment.augment,
                side=side,
                strength=recipe.strength,
                smallest_crop=recipe.smallest_crop,
                light=recipe.light,
                noise=recipe.noise,
            )
            squares = np.stack([augmented(collection.pixels[row], rng) for row in rows])
            yield augment.mixed(squares, identity[collection.labels[rows]], recipe.mixup, rng)

    def validate(self, collection: Collection, rows: np.ndarray) -> dict[str, float]:
        with self.averaged():
            logits = self.predict(collection.pixels, rows)
        labels = collection.labels[rows]
        score = statistics.softmax(logits)[:, MALIGNANT_COLUMNS].sum(axis=1)
        return {
            "auc": statistics.area_under_curve(np.isin(labels, MALIGNANT_COLUMNS), score),
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

    @contextlib.contextmanager
    def averaged(self) -> Iterator[None]:
        """The model holds the running average of its weights in here."""
        raw = [keras.ops.convert_to_numpy(variable).copy() for variable in self.model.trainable_variables]
        self.optimizer.finalize_variable_values(self.model.trainable_variables)
        try:
            yield
        finally:
            for variable, value in zip(self.model.trainable_variables, raw, strict=True):
                variable.assign(value)

    def _state(self) -> list[keras.Variable]:
        return [*self.model.variables, *self.optimizer.variables]

    def save(self, run: Path, history: list[dict[str, float]]) -> None:
        """Whatever stops the program leaves either the old checkpoint or the new one."""
        arrays: dict[str, Any] = {
            f"v{index}": keras.ops.convert_to_numpy(value) for index, value in enumerate(self._state())
        }
        with files.whole(run / CHECKPOINT_FILE) as partial_file:
            np.savez(partial_file, history=json.dumps(history), **arrays)
        files.write_text(run / HISTORY_FILE, json.dumps(history, indent=1))

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
    """The same batches, the next few made in a thread meanwhile; what goes wrong there is raised here."""
    ready: queue.Queue[tuple[np.ndarray, np.ndarray] | BaseException | None] = queue.Queue(maxsize=4)
    left = threading.Event()

    def put(item: tuple[np.ndarray, np.ndarray] | BaseException | None) -> None:
        while not left.is_set():
            with contextlib.suppress(queue.Full):
                ready.put(item, timeout=0.5)
                return

    def fill() -> None:
        try:
            for batch in batches:
                put(batch)
                if left.is_set():
                    return
            put(None)
        except BaseException as error:  # noqa: BLE001 - whatever it is, the training loop raises it
            put(error)

    threading.Thread(target=fill, daemon=True).start()
    try:
        while (batch := ready.get()) is not None:
            if isinstance(batch, BaseException):
                raise batch
            yield batch
    finally:
        left.set()


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
