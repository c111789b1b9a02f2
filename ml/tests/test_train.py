"""A whole training run on a few drawn photographs."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ml.contract import ModelError
from ml.drawing import KINDS, draw_photograph
from ml.labels import DIAGNOSES, MALIGNANT_COLUMNS
from ml.tests.conftest import TENSORFLOW_MARKS
from ml.training.data import Collection, Part, Photograph, Split

keras = pytest.importorskip("keras", reason="TensorFlow is not installed here")

pytestmark = TENSORFLOW_MARKS

COUNT = 20


class Stopped(Exception):
    pass


@pytest.fixture(autouse=True)
def without_compiling() -> Iterator[None]:
    """Four small steps are done sooner than a graph is drawn up."""
    import tensorflow as tf

    tf.config.run_functions_eagerly(run_eagerly=True)
    yield
    tf.config.run_functions_eagerly(run_eagerly=False)


@pytest.fixture(scope="module")
def collection() -> Collection:
    drawn = [
        np.asarray(draw_photograph(seed, kind=KINDS[seed % len(KINDS)]).resize((320, 240), Image.Resampling.BILINEAR))
        for seed in range(COUNT)
    ]
    names = [f"ISIC_{row:07}" for row in range(COUNT)]
    labels = [DIAGNOSES[row % len(DIAGNOSES)] for row in range(COUNT)]
    photographs = [
        Photograph(name, name, dx, "histo", None, "", "", "", Path(name))
        for name, dx in zip(names, labels, strict=True)
    ]
    splits = [Split(name, name, name, dx, 0, 0) for name, dx in zip(names, labels, strict=True)]
    return Collection(photographs, np.stack(drawn), splits)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "backbone.weights.h5"
    keras.utils.set_random_seed(1)
    backbone = keras.applications.MobileNetV2(include_top=False, weights=None)
    # Random kernels alone let every signal die away before the last layer.
    for layer in backbone.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    backbone(np.random.default_rng(1).uniform(-1, 1, (4, 96, 96, 3)).astype(np.float32), training=True)
    backbone.save_weights(path)
    return path


def test_a_stopped_run_goes_on_to_the_same_network(
    collection: Collection, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ml.training import train as training
    from ml.training.recipe import Recipe
    from ml.training.train import Trainer, train

    part = Part(training=np.arange(16), calibration=np.arange(16, COUNT), test=np.array([], dtype=int))
    recipe = Recipe(sides=((32, 1), (48, 1)), batch=8, warm_up_steps=1)

    def run(folder: str) -> keras.Model:
        train(collection=collection, part=part, weights=weights, run=tmp_path / folder, recipe=recipe)
        return keras.models.load_model(tmp_path / folder / training.KERAS_FILE, compile=False)

    whole = run("whole")
    run_epoch = Trainer.run_epoch

    def stop_in_the_second(self: Trainer, collection: Collection, rows: np.ndarray, epoch: int) -> float:
        if epoch == 1:
            raise Stopped
        return run_epoch(self, collection, rows, epoch)

    with monkeypatch.context() as patched:
        patched.setattr(Trainer, "run_epoch", stop_in_the_second)
        with pytest.raises(Stopped):
            run("stopped")
    assert not (tmp_path / "stopped" / training.KERAS_FILE).exists()
    resumed = run("stopped")

    history = json.loads((tmp_path / "stopped" / training.HISTORY_FILE).read_text())
    assert [entry["epoch"] for entry in history] == [1, 2]
    squares = np.random.default_rng(0).uniform(-1, 1, (2, 224, 224, 3)).astype(np.float32)
    first, second = (np.asarray(model(squares, training=False)) for model in (whole, resumed))
    assert np.allclose(first, second, atol=1e-4)
    assert np.ptp(first) > 0


def test_a_run_does_not_go_on_otherwise_than_it_was_begun(
    collection: Collection, weights: Path, tmp_path: Path
) -> None:
    from ml.training.recipe import Recipe, read_beginning
    from ml.training.train import train

    nobody = np.array([], dtype=int)
    part = Part(training=np.arange(16), calibration=nobody, test=nobody)
    begun = Recipe(sides=((32, 1),), batch=8, max_steps=1)
    others = tmp_path / "others.weights.h5"
    others.write_bytes(weights.read_bytes() + b" ")

    def go_on(part: Part, weights: Path, recipe: Recipe) -> None:
        train(collection=collection, part=part, weights=weights, run=tmp_path / "run", recipe=recipe)

    go_on(part, weights, begun)
    with pytest.raises(ModelError, match=r"begun with another recipe\. Name another --run"):
        go_on(part, weights, replace(begun, balance=0.4))
    with pytest.raises(ModelError, match="begun with other photographs and other weights"):
        go_on(replace(part, training=np.arange(4, 20)), others, begun)
    assert read_beginning(tmp_path / "run").recipe == begun
    finished = (tmp_path / "run" / "model.keras").stat().st_mtime_ns
    go_on(part, weights, begun)
    assert (tmp_path / "run" / "model.keras").stat().st_mtime_ns == finished
    (tmp_path / "run" / "beginning.json").unlink()
    with pytest.raises(ModelError, match=r"beginning\.json is missing or damaged"):
        go_on(part, weights, begun)


def test_a_network_that_is_not_written_to_its_end_is_not_there(
    collection: Collection, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ml.training.recipe import Recipe
    from ml.training.train import train

    def half(self: keras.Model, path: Path) -> None:
        path.write_bytes(b"half of a netw")
        raise Stopped

    nobody = np.array([], dtype=int)
    part = Part(training=np.arange(16), calibration=nobody, test=nobody)
    recipe = Recipe(sides=((32, 1),), batch=8, max_steps=1)
    with monkeypatch.context() as patched:
        patched.setattr(keras.Model, "save", half)
        with pytest.raises(Stopped):
            train(collection=collection, part=part, weights=weights, run=tmp_path, recipe=recipe)
    assert {path.name for path in tmp_path.iterdir()} == {"beginning.json", "checkpoint.npz", "history.json"}
    train(collection=collection, part=part, weights=weights, run=tmp_path, recipe=recipe)
    keras.models.load_model(tmp_path / "model.keras", compile=False)


def test_a_collection_is_split_once_and_read_again_as_it_was_split(weights: Path, tmp_path: Path) -> None:
    from ml.training.collection import load_collection

    data, run = tmp_path / "data", tmp_path / "run"
    (data / "images").mkdir(parents=True)
    lines = ["lesion_id,image_id,dx,dx_type,age,sex,localization,dataset\n"]
    for row in range(6):
        draw_photograph(row, width=320, height=240).save(data / "images" / f"ISIC_{row:07}.jpg")
        lines.append(f"L{row},ISIC_{row:07},{DIAGNOSES[row]},histo,40.0,male,back,here\n")
    (data / "HAM10000_metadata.csv").write_text("".join(lines))
    first = load_collection(data, run, weights)
    assert first.pixels.shape == (6, 240, 320, 3)
    assert [photograph.dx for photograph in first.photographs] == list(DIAGNOSES[:6])
    again = load_collection(data, run, weights=None)  # splits and pixels are there: no weights are asked for
    assert again.splits == first.splits
    assert np.array_equal(again.pixels, first.pixels)
    draw_photograph(9, width=320, height=240).save(data / "images" / "ISIC_0000003.jpg")
    assert not np.array_equal(load_collection(data, run, weights=None).pixels[3], first.pixels[3])
    assert len(list((run / "cache").iterdir())) == 2


def test_batches_that_nobody_wants_any_more_end_their_thread() -> None:
    from ml.training.train import _prefetch

    made = []

    def batches() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for number in range(50):
            made.append(number)
            yield np.array([number]), np.zeros(1)

    wanted = _prefetch(batches())
    assert next(wanted)[0] == [0]
    wanted.close()
    for thread in threading.enumerate():
        if "fill" in thread.name:
            thread.join(timeout=5)
            assert not thread.is_alive()
    assert len(made) < 10
    broken = _prefetch(number / 0 for number in range(2))
    with pytest.raises(ZeroDivisionError):
        next(broken)


def test_the_loss_is_that_of_the_classes_and_of_malignancy_beside_it() -> None:
    from ml.training.recipe import Recipe
    from ml.training.statistics import softmax
    from ml.training.train import balanced_weights, loss_of

    rng = np.random.default_rng(2)
    labels = np.concatenate([np.arange(7), rng.integers(0, 7, 93)])
    drawn = labels[:9]
    truth, logits = np.eye(7, dtype=np.float32)[drawn], rng.normal(0, 3, (9, 7)).astype(np.float32)
    kept = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1, reduction=None)
    weights = balanced_weights(np.bincount(labels), 0.5)
    recipe = Recipe(label_smoothing=0.1, balance=0.5, logit_adjustment=0.0)
    plain = np.asarray(loss_of(recipe, labels)(truth, logits))
    assert np.allclose(plain, np.asarray(kept(truth, logits)) * weights[drawn], atol=1e-5)
    malignant = softmax(logits.astype(float))[:, MALIGNANT_COLUMNS].sum(axis=1)
    share = (truth * 0.9 + 0.1 / 7)[:, MALIGNANT_COLUMNS].sum(axis=1)
    surprise = -share * np.log(malignant) - (1 - share) * np.log(1 - malignant)
    many = np.isin(labels, MALIGNANT_COLUMNS).mean()
    beside = np.where(np.isin(drawn, MALIGNANT_COLUMNS), many**-0.5, (1 - many) ** -0.5) / (
        many**0.5 + (1 - many) ** 0.5
    )
    both = np.asarray(loss_of(replace(recipe, malignancy_loss=0.7), labels)(truth, logits))
    assert np.allclose(both, plain + 0.7 * beside * surprise, atol=1e-4)


def test_classes_weigh_the_same_until_their_epoch(collection: Collection, weights: Path) -> None:
    from ml.training.augment import centre_squares
    from ml.training.recipe import Recipe
    from ml.training.train import Trainer

    squares = centre_squares(collection.pixels, np.arange(4))
    recipe = Recipe(sides=((32, 2),), batch=8, precision="float32")

    def losses(**changes: float) -> list[float]:
        keras.utils.set_random_seed(1)
        trainer = Trainer(replace(recipe, **changes), weights, squares, collection.labels[:16])
        return [trainer.run_epoch(collection, np.arange(16), epoch) for epoch in range(2)]

    even, late, early = losses(balance=0.0), losses(balance_from=1), losses()
    assert late[0] == pytest.approx(even[0], abs=1e-5)
    assert abs(late[1] - even[1]) > 1e-3
    assert abs(early[0] - even[0]) > 1e-3


def test_adjusted_logits_answer_as_if_all_diagnoses_were_as_common() -> None:
    """With all of the shares in the loss, the best answer to photographs that tell nothing is one in seven for each."""
    from ml.training.recipe import Recipe
    from ml.training.train import loss_of

    labels = np.repeat(np.arange(7), [3, 5, 10, 1, 11, 67, 3])
    truth, shares = np.eye(7, dtype=np.float32)[labels], np.bincount(labels) / len(labels)
    recipe = Recipe(label_smoothing=0.0, balance=0.0, logit_adjustment=1.0, malignancy_loss=0.5)

    def mean_loss(logits: np.ndarray) -> float:
        return float(np.mean(np.asarray(loss_of(recipe, labels)(truth, np.tile(logits, (len(labels), 1))))))

    even = np.zeros(7, dtype=np.float32)
    malignant = shares[list(MALIGNANT_COLUMNS)].sum()
    beside = -malignant * np.log(malignant) - (1 - malignant) * np.log(1 - malignant)
    assert mean_loss(even) == pytest.approx(-(shares * np.log(shares)).sum() + 0.5 * beside, abs=1e-5)
    nudges = np.random.default_rng(4).normal(0, 0.3, (20, 7)).astype(np.float32)
    assert all(mean_loss(nudge) > mean_loss(even) for nudge in nudges)


def test_the_served_network_is_the_averaged_one_that_was_trained(collection: Collection, weights: Path) -> None:
    from ml.preprocess import to_input
    from ml.training.augment import centre_squares
    from ml.training.recipe import Recipe
    from ml.training.train import Trainer

    squares = centre_squares(collection.pixels, np.arange(4))
    recipe = Recipe(sides=((32, 1),), batch=8, precision="float32")
    trainer = Trainer(recipe, weights, squares, collection.labels[:16])
    trainer.run_epoch(collection, np.arange(16), 0)
    raw = trainer.predict(collection.pixels, np.arange(4))
    with trainer.averaged():
        averaged = trainer.predict(collection.pixels, np.arange(4))
        served = trainer.served()(to_input(centre_squares(collection.pixels, np.arange(4))), training=False)
    assert np.allclose(np.asarray(served), averaged, atol=1e-4)
    assert not np.allclose(raw, averaged, atol=1e-6)
    assert np.allclose(trainer.predict(collection.pixels, np.arange(4)), raw, atol=1e-6)


@pytest.mark.parametrize(("precision", "rounding"), [("float32", 1e-5), ("bfloat16", 0.02)])
@pytest.mark.parametrize(
    "convolution",
    [
        keras.layers.Conv2D(12, 1, use_bias=False),
        keras.layers.DepthwiseConv2D(3, padding="same", use_bias=False),
        keras.layers.DepthwiseConv2D(3, strides=2, use_bias=False),
    ],
    ids=["pointwise", "depthwise", "depthwise with strides"],
)
def test_a_normalised_convolution_is_the_convolution_and_its_normalisation(
    convolution: keras.layers.Layer, precision: str, rounding: float
) -> None:
    import tensorflow as tf

    from ml.training.network import NormalisedConvolution

    rng = np.random.default_rng(3)
    inputs = tf.constant(rng.normal(size=(2, 9, 9, 12)).astype(np.float32))
    normalisation = keras.layers.BatchNormalization()
    normalisation.build((None, None, None, 12))
    normalisation.set_weights(
        [rng.uniform(0.5, 2, 12), rng.normal(size=12), rng.normal(size=12), rng.uniform(1, 3, 12)]
    )

    def in_two(values: tf.Tensor) -> tf.Tensor:
        return normalisation(convolution(values), training=False)

    def answer_and_gradients(layer: Callable[[tf.Tensor], tf.Tensor]) -> list[np.ndarray]:
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = tf.cast(layer(inputs), tf.float32)
            loss = tf.reduce_sum(outputs * outputs)
        trained = [*convolution.trainable_weights, *normalisation.trainable_weights]
        return [np.asarray(value) for value in (outputs, *tape.gradient(loss, [inputs, *(w.value for w in trained)]))]

    expected = answer_and_gradients(in_two)
    layer = NormalisedConvolution(convolution, normalisation, precision)
    assert layer(inputs).dtype == precision
    found = answer_and_gradients(layer)
    assert len(found) == len(expected) == 5
    for value, other in zip(found, expected, strict=True):
        assert np.abs(value - other).max() < rounding * np.abs(other).max()
