"""What is served answers as what was trained."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ml.contract import ModelError
from ml.drawing import KINDS, draw_photograph
from ml.predictor import LiteRTPredictor, Network
from ml.preprocess import open_photograph, to_input, to_square
from ml.tests.conftest import TENSORFLOW_MARKS
from ml.training.statistics import softmax
from ml.views import Answer

keras = pytest.importorskip("keras", reason="TensorFlow is not installed here")

pytestmark = TENSORFLOW_MARKS


@pytest.fixture(scope="module")
def keras_model(predictor: LiteRTPredictor):
    return keras.models.load_model(predictor.folder / "model.keras", compile=False)


def _assert_same(keras_model, predictor: LiteRTPredictor, squares: list[np.ndarray]) -> None:
    # One by one: a batch keeps what every layer gives, 85 MB a photograph, until its end.
    expected = np.concatenate([np.asarray(keras_model(to_input(square)[None], training=False)) for square in squares])
    served = np.stack([predictor.network(square).logits for square in squares])
    assert np.abs(softmax(expected) - softmax(served)).max() < 1e-4
    assert np.array_equal(expected.argmax(axis=1), served.argmax(axis=1))


def test_litert_and_keras_agree_on_drawn_photographs(keras_model, predictor: LiteRTPredictor) -> None:
    squares = [to_square(draw_photograph(seed, kind=kind)) for seed in range(2) for kind in KINDS]
    _assert_same(keras_model, predictor, squares)


def test_litert_and_keras_agree_on_real_photographs(
    keras_model, predictor: LiteRTPredictor, real_photographs: list[Path]
) -> None:
    chosen = real_photographs[:: max(1, len(real_photographs) // 200)][:200]
    _assert_same(keras_model, predictor, [to_square(open_photograph(path.read_bytes())[0]) for path in chosen])


def test_map_and_texture_are_those_of_the_trained_network(keras_model, predictor: LiteRTPredictor) -> None:
    from ml.training.network import served

    outputs = served(keras_model)
    for seed, kind in enumerate(KINDS):
        square = to_square(draw_photograph(seed, kind=kind))
        answer, expected = predictor.network(square), outputs(to_input(square)[None], training=False)
        assert set(expected) == set(answer._fields)
        for name, value in expected.items():
            assert np.allclose(getattr(answer, name), np.asarray(value)[0], atol=1e-3), name
        assert np.allclose(answer.activation_map.mean(axis=(0, 1)), answer.logits, atol=1e-3)


def test_what_is_exported_answers_as_it_was_trained_or_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import keras

    from ml.training import export, network

    keras.utils.set_random_seed(3)
    (tmp_path / "fold-2").mkdir()
    trained = network.build()
    trained.save(tmp_path / "fold-2" / "model.keras")
    export.export_network(tmp_path, 2, tmp_path / "served")
    square = to_square(draw_photograph(1))
    expected = np.asarray(trained(to_input(square)[None], training=False))[0]
    assert np.allclose(Network(tmp_path / "served" / "model.tflite")(square).logits, expected, atol=1e-4)
    assert (tmp_path / "served" / "model.keras").read_bytes() == (tmp_path / "fold-2" / "model.keras").read_bytes()

    class Other(Network):
        def __call__(self, square: np.ndarray) -> Answer:
            answer = super().__call__(square)
            return answer._replace(logits=answer.logits + np.eye(7, dtype=np.float32)[4] * 0.01)

    monkeypatch.setattr(export, "Network", Other)
    with pytest.raises(ModelError, match="answers differently from the trained one"):
        export.export_network(tmp_path, 2, tmp_path / "other")
    with pytest.raises(ModelError, match="Train to the end first"):
        export.export_network(tmp_path, 3, tmp_path / "none")


def test_restated_normalisation_computes_the_same() -> None:
    from ml.training import network

    inputs = keras.Input((32, 32, 3))
    hidden = keras.layers.Conv2D(8, 3)(inputs)
    hidden = keras.layers.BatchNormalization()(hidden)
    hidden = keras.layers.DepthwiseConv2D(3)(keras.layers.ReLU(6.0)(hidden))
    outputs = keras.layers.GlobalAveragePooling2D()(keras.layers.BatchNormalization()(hidden))
    model = keras.Model(inputs, outputs)
    rng = np.random.default_rng(0)
    for layer in network.normalisations(model):
        layer.set_weights([rng.uniform(0.5, 1.5, 8), rng.normal(size=8), rng.normal(size=8), rng.uniform(0.5, 2, 8)])
    squares = rng.normal(0.3, 1, (40, 32, 32, 3)).astype(np.float32)
    before = np.asarray(model(squares, training=False))
    network.restate_normalisation(model, squares)
    first = network.normalisations(model)[0]
    measured = np.asarray(keras.Model(inputs, first.input)(squares))
    assert np.allclose(np.asarray(model(squares, training=False)), before, atol=1e-4)
    assert np.allclose(np.asarray(first.moving_mean), measured.mean(axis=(0, 1, 2)), atol=1e-4)
    assert np.allclose(np.asarray(first.moving_variance), measured.var(axis=(0, 1, 2)), rtol=1e-3)
