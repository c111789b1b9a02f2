"""One training run: resumable by epoch, deterministic in its order of photographs, two CPU cores are enough."""

from __future__ import annotations

import json
import math
import os
import queue
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from ml.labels import DIAGNOSES, MALIGNANT
from ml.preprocess import SIDE, to_input
from ml.training import augment, network, statistics
from ml.training.data import (
    TRAINING_FOLDS,
    VALIDATION_FOLD,
    Photograph,
    Split,
    assign_folds,
    cluster_photographs,
    load_cache,
    read_photographs,
    write_splits,
)

console = Console()
VALIDATE_EVERY = 3


@dataclass(frozen=True)
class Recipe:
    epochs: int = 9
    batch: int = 32
    learning_rate: float = 4e-4
    weight_decay: float = 0.02
    warm_up_steps: int = 100
    label_smoothing: float = 0.05
    balance: float = 0.5  # loss weight of a class = (its share) ** -balance, scaled to a mean of 1
    average_momentum: float = 0.997
    seed: int = 2026


def train(*, data: Path, weights: Path | None, run: Path, recipe: Recipe, max_steps: int | None = None) -> Path:
    """Train on folds 2-4 and return the folder `run`, which then holds model.keras, splits.csv and history.json.

    A run that was stopped goes on after its last finished epoch. max_steps ends an epoch early (for trials).
    """
    run.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(recipe.seed)
    photographs = read_photographs(data)
    pixels = load_cache(photographs, Path(os.environ.get("SKINCLINIC_TRAINING_CACHE", run / "cache")))
    splits = _prepare_splits(photographs, pixels, run)
    folds = np.array([split.fold for split in splits])
    labels = np.array([photograph.label for photograph in photographs])
    training = np.flatnonzero(np.isin(folds, TRAINING_FOLDS))
    validation = np.flatnonzero(folds == VALIDATION_FOLD)
    console.print(f"{len(training)} photographs to train on, {len(validation)} to validate.")

    trainer = Trainer(recipe, weights, labels[training], steps=math.ceil(len(training) / recipe.batch))
    history = trainer.restore(run)
    if not history:
        sample = np.random.default_rng(recipe.seed).choice(training, 384, replace=False)
        network.restate_normalisation(trainer.model, to_input(augment.centre_squares(pixels, sample)))
    (run / "recipe.json").write_text(json.dumps(asdict(recipe), indent=1))
    for epoch in range(len(history), recipe.epochs):
        started = time.monotonic()
        loss = trainer.run_epoch(pixels, training, labels, epoch, max_steps)
        look = (epoch + 1) % VALIDATE_EVERY == 0 or epoch + 1 == recipe.epochs
        figures = trainer.validate(pixels, validation, labels) if look else {}
        seconds = time.monotonic() - started
        entry = {"epoch": epoch + 1, "planned_epochs": recipe.epochs, "loss": loss, **figures, "seconds": seconds}
        history.append(entry)
        trainer.save(run, history)
        console.print(json.dumps({key: round(value, 4) for key, value in history[-1].items()}))
    with trainer.averaged():
        trainer.model.save(run / "model.keras")
    return run


def _prepare_splits(photographs: Sequence[Photograph], pixels: np.ndarray, run: Path) -> list[Split]:
    console.print("Looking for near-duplicates before splitting.")
    splits = assign_folds(photographs, cluster_photographs(photographs, pixels))
    write_splits(run / "splits.csv", splits)
    return splits


def class_weights(labels: np.ndarray, balance: float) -> np.ndarray:
    """(7,) float32: rarer classes weigh more, the mean over the photographs is 1."""
    shares = np.bincount(labels, minlength=len(DIAGNOSES)) / len(labels)
    raw = np.maximum(shares, 1e-6) ** -balance
    return (raw / (raw * shares).sum()).astype(np.float32)


class Trainer:
    """A network, its optimiser and the running average of its weights."""

    def __init__(self, recipe: Recipe, weights: Path | None, labels: np.ndarray, steps: int) -> None:
        self.recipe = recipe
        self.model = network.build(weights)
        self.pooled = keras.Model(self.model.input, self.model.get_layer("pooled").output)
        total = steps * recipe.epochs
        schedule = keras.optimizers.schedules.CosineDecay(
            initial_learning_rate=recipe.learning_rate / 50,
            warmup_target=recipe.learning_rate,
            warmup_steps=recipe.warm_up_steps,
            decay_steps=max(1, total - recipe.warm_up_steps),
            alpha=0.01,
        )
        self.optimizer = keras.optimizers.AdamW(schedule, weight_decay=recipe.weight_decay)
        self.optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
        self.optimizer.build(self.model.trainable_variables)
        self.averages = [tf.Variable(variable.value) for variable in self.model.trainable_variables]
        self.class_weights = tf.constant(class_weights(labels, recipe.balance))
        self.steps_done = tf.Variable(0, dtype=tf.int64)

    @tf.function(reduce_retracing=True)
    def _step(self, squares: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        inputs = tf.cast(squares, tf.float32) / 127.5 - 1.0
        targets = tf.one_hot(labels, len(DIAGNOSES))
        smoothing = self.recipe.label_smoothing
        targets = targets * (1 - smoothing) + smoothing / len(DIAGNOSES)
        with tf.GradientTape() as tape:
            # Frozen statistics need training=False in the normalisations; only the dropout is told to train.
            logits = self._forward(inputs)
            losses = tf.nn.softmax_cross_entropy_with_logits(targets, logits)
            loss = tf.reduce_mean(losses * tf.gather(self.class_weights, labels))
        variables = self.model.trainable_variables
        self.optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        self.steps_done.assign_add(1)
        step = tf.cast(self.steps_done, tf.float32)
        momentum = tf.minimum(self.recipe.average_momentum, (1 + step) / (10 + step))
        for average, variable in zip(self.averages, variables, strict=True):
            average.assign_add((1 - momentum) * (variable.value - average))
        return loss

    def _forward(self, inputs: tf.Tensor) -> tf.Tensor:
        features = self.pooled(inputs, training=False)
        features = self.model.get_layer("dropout")(features, training=True)
        return self.model.get_layer(network.HEAD)(features)

    def run_epoch(
        self, pixels: np.ndarray, training: np.ndarray, labels: np.ndarray, epoch: int, max_steps: int | None
    ) -> float:
        rng = np.random.default_rng((self.recipe.seed, epoch))
        order = rng.permutation(training)
        steps = math.ceil(len(order) / self.recipe.batch)
        if max_steps:
            steps = min(steps, max_steps)
            order = order[: steps * self.recipe.batch]
        losses = []
        with _progress() as progress:
            task = progress.add_task(f"Epoch {epoch + 1}/{self.recipe.epochs}", total=steps, loss="")
            for indices, squares in _prefetch(_batches(pixels, order, self.recipe.batch, rng)):
                losses.append(float(self._step(tf.constant(squares), tf.constant(labels[indices]))))
                progress.update(task, advance=1, loss=f"loss {np.mean(losses[-50:]):.3f}")
                if len(losses) % 50 == 0 and not console.is_terminal:
                    console.print(f"epoch {epoch + 1} step {len(losses)}/{steps} loss {np.mean(losses[-50:]):.3f}")
        return float(np.mean(losses))

    def validate(self, pixels: np.ndarray, validation: np.ndarray, labels: np.ndarray) -> dict[str, float]:
        with self.averaged():
            logits = self.predict(pixels, validation)
        truth = labels[validation]
        malignant = [DIAGNOSES.index(name) for name in MALIGNANT]
        score = statistics.softmax(logits)[:, malignant].sum(axis=1)
        return {
            "auc": statistics.area_under_curve(np.isin(truth, malignant), score),
            "balanced_accuracy": statistics.balanced_accuracy(truth, logits.argmax(axis=1)),
        }

    def predict(self, pixels: np.ndarray, indices: np.ndarray, batch: int = 64) -> np.ndarray:
        forward = tf.function(lambda inputs: self.model(inputs, training=False), reduce_retracing=True)
        parts = [
            forward(tf.constant(to_input(augment.centre_squares(pixels, indices[start : start + batch])))).numpy()
            for start in range(0, len(indices), batch)
        ]
        return np.concatenate(parts)

    def averaged(self) -> _Averaged:
        """A context in which the model holds the running average of its weights."""
        return _Averaged(self)

    def _state(self) -> list[tf.Variable | keras.Variable]:
        return [*self.model.variables, *self.optimizer.variables, *self.averages, self.steps_done]

    def save(self, run: Path, history: list[dict[str, float]]) -> None:
        """Write the checkpoint so that a power cut leaves either the old or the new one."""
        partial = run / "checkpoint.partial.npz"
        arrays: dict[str, Any] = {f"v{index}": np.asarray(value) for index, value in enumerate(self._state())}
        np.savez(partial, history=json.dumps(history), **arrays)
        partial.replace(run / "checkpoint.npz")
        (run / "history.json").write_text(json.dumps(history, indent=1))

    def restore(self, run: Path) -> list[dict[str, float]]:
        path = run / "checkpoint.npz"
        if not path.exists():
            return []
        with np.load(path) as saved:
            for index, variable in enumerate(self._state()):
                variable.assign(saved[f"v{index}"])
            history: list[dict[str, float]] = json.loads(str(saved["history"]))
        console.print(f"Going on after epoch {len(history)}.")
        return history


class _Averaged:
    def __init__(self, trainer: Trainer) -> None:
        self._trainer = trainer
        self._raw: list[np.ndarray] = []

    def __enter__(self) -> None:
        variables = self._trainer.model.trainable_variables
        self._raw = [np.asarray(variable) for variable in variables]
        for variable, average in zip(variables, self._trainer.averages, strict=True):
            variable.assign(average)

    def __exit__(self, *_: object) -> None:
        for variable, raw in zip(self._trainer.model.trainable_variables, self._raw, strict=True):
            variable.assign(raw)


def _batches(
    pixels: np.ndarray, order: np.ndarray, size: int, rng: np.random.Generator
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    # A short last batch would make TensorFlow trace the step anew; it is filled with the epoch's first photographs.
    padded = np.resize(order, math.ceil(len(order) / size) * size)
    for start in range(0, len(padded), size):
        indices = padded[start : start + size]
        squares = np.empty((size, SIDE, SIDE, 3), dtype=np.uint8)
        for row, index in enumerate(indices):
            squares[row] = augment.augment(pixels[index], rng)
        yield indices, squares


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
