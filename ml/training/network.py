"""MobileNetV2 1.0 at 224 pixels with a linear seven-way head after global average pooling."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import keras
import numpy as np

from ml.labels import DIAGNOSES
from ml.preprocess import SIDE, to_input

HEAD = "diagnosis"
BACKBONE = "mobilenet_v2"
BACKBONE_OUTPUT = "out_relu"
# Of the layers tried, its texture tells everyday photographs from dermoscopy best (docs/model.md).
TEXTURE_LAYER = "block_12_add"
DROPOUT = 0.2


def build() -> keras.Model:
    """The network that is served, its weights not set: (n, 224, 224, 3) float32 in [-1, 1] to (n, 7) logits."""
    backbone = _backbone((SIDE, SIDE, 3))
    features = keras.layers.GlobalAveragePooling2D(name="pooled")(backbone.output)
    return keras.Model(backbone.input, _head()(features), name="mobilenet_v2_dermoscopy")


@dataclass(frozen=True)
class Trainable:
    """The network in training; `model` and `backbone` share their layers.

    model: squares of bytes (n, side, side, 3) of any side to (n, 7) logits.
    """

    model: keras.Model
    backbone: keras.Model


def build_trainable(weights: Path | None, precision: str = "float32") -> Trainable:
    """The served network for training, its batch normalisations' statistics kept as they are.

    weights: a `.weights.h5` of the backbone without its top; None lets Keras download its ImageNet weights; precision:
    what the backbone computes in, its weights being float32.
    """
    backbone = _backbone((None, None, 3), "imagenet" if weights is None else None)
    if weights:
        backbone.load_weights(weights)
    squares = keras.Input((None, None, 3), name="squares")
    features = _folded(backbone, precision)(keras.layers.Rescaling(1 / 127.5, offset=-1.0)(squares))
    features = keras.layers.GlobalAveragePooling2D(name="pooled")(features)
    features = keras.layers.Dropout(DROPOUT, name="dropout")(features)
    return Trainable(keras.Model(squares, _head()(features), name="mobilenet_v2_in_training"), backbone)


class NormalisedConvolution(keras.layers.Layer):
    """A convolution and the batch normalisation behind it, whose statistics are kept, as one convolution.

    The same function of the same weights, so the same gradients, without walking through the large tensor in
    between: with TensorFlow on a processor a training step takes 0.4 of the time.
    """

    def __init__(
        self, convolution: keras.layers.Layer, normalisation: keras.layers.BatchNormalization, precision: str
    ) -> None:
        # What is cast, and when, is said in `call`.
        super().__init__(name=f"normalised_{convolution.name}", autocast=False)
        self.convolution = convolution
        self.normalisation = normalisation
        self.precision = precision
        self.depthwise = isinstance(convolution, keras.layers.DepthwiseConv2D)
        # oneDNN's gradient of a depthwise convolution with strides takes ten times as long in bfloat16.
        self.computed_in = "float32" if self.depthwise and convolution.strides != (1, 1) else precision

    def call(self, inputs: Any) -> Any:
        convolution, normalisation = self.convolution, self.normalisation
        scale = normalisation.gamma * keras.ops.rsqrt(normalisation.moving_variance + normalisation.epsilon)
        shift = normalisation.beta - normalisation.moving_mean * scale
        run = keras.ops.depthwise_conv if self.depthwise else keras.ops.conv
        kernel = convolution.kernel * (scale[:, None] if self.depthwise else scale)
        inputs, kernel, shift = (keras.ops.cast(value, self.computed_in) for value in (inputs, kernel, shift))
        outputs = run(inputs, kernel, strides=convolution.strides, padding=convolution.padding) + shift
        return keras.ops.cast(outputs, self.precision)


def _folded(backbone: keras.Model, precision: str) -> keras.Model:
    normalisation_of = {layer.name: follower for layer, follower in pairwise(backbone.layers)}

    def replaced(layer: keras.layers.Layer) -> keras.layers.Layer:
        if isinstance(layer, keras.layers.BatchNormalization):
            return keras.layers.Identity(dtype=precision)
        if isinstance(layer, (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)):
            return NormalisedConvolution(layer, normalisation_of[layer.name], precision)
        return type(layer).from_config({**layer.get_config(), "dtype": precision})

    def called(layer: keras.layers.Layer, *inputs: Any, **_: Any) -> Any:
        return layer(*inputs)  # without the mask and the mode that only a batch normalisation takes

    return keras.models.clone_model(backbone, clone_function=replaced, call_function=called)


def _backbone(shape: tuple[int | None, int | None, int], weights: str | None = None) -> keras.Model:
    return keras.applications.MobileNetV2(input_shape=shape, include_top=False, weights=weights, name=BACKBONE)


def _head() -> keras.layers.Dense:
    return keras.layers.Dense(
        len(DIAGNOSES), name=HEAD, kernel_initializer=keras.initializers.RandomNormal(stddev=0.01)
    )


def normalisations(model: keras.Model) -> list[keras.layers.BatchNormalization]:
    return [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]


def restate_normalisation(model: keras.Model, inputs: np.ndarray, batch: int = 32) -> None:
    """Give every batch normalisation honest statistics without changing what the network computes.

    Weights that come with the normalisation folded into the kernels have identity layers; gamma and beta take
    over what the measured mean and variance of `inputs` (n, 224, 224, 3) take away.
    """
    layers = normalisations(model)
    probe = keras.Model(model.input, [layer.input for layer in layers])
    count = 0
    sums: list[np.ndarray] = [np.zeros(1)] * len(layers)
    squares: list[np.ndarray] = [np.zeros(1)] * len(layers)
    for start in range(0, len(inputs), batch):
        outputs = [output.astype(np.float64) for output in probe.predict_on_batch(inputs[start : start + batch])]
        count += len(outputs[0])
        sums = [s + o.mean(axis=(1, 2)).sum(axis=0) for s, o in zip(sums, outputs, strict=True)]
        squares = [s + (o**2).mean(axis=(1, 2)).sum(axis=0) for s, o in zip(squares, outputs, strict=True)]
    for layer, total, square in zip(layers, sums, squares, strict=True):
        mean = total / count
        _restate(layer, mean, np.maximum(square / count - mean**2, 1e-6))


def _restate(layer: keras.layers.BatchNormalization, mean: np.ndarray, variance: np.ndarray) -> None:
    gamma, beta, old_mean, old_variance = (np.asarray(weight, dtype=np.float64) for weight in layer.get_weights())
    old_scale = gamma / np.sqrt(old_variance + layer.epsilon)
    new_beta = beta + (mean - old_mean) * old_scale
    new_gamma = old_scale * np.sqrt(variance + layer.epsilon)
    layer.set_weights([new_gamma, new_beta, mean, variance])


def served(model: keras.Model) -> keras.Model:
    """The same network with the outputs that are served, by name, as `ml.views.Answer` has them.

    The head is linear after the pooling, so applying it before the pooling gives an activation map whose mean is the
    logits (the bias is part of every cell). texture: mean and deviation of each channel of TEXTURE_LAYER.
    """
    kernel, bias = model.get_layer(HEAD).get_weights()
    head = keras.layers.Conv2D(len(DIAGNOSES), 1, name="activation_map")
    activation_map = head(model.get_layer(BACKBONE_OUTPUT).output)
    head.set_weights([kernel[None, None], bias])
    logits = keras.layers.GlobalAveragePooling2D(name="logits")(activation_map)
    texture = Texture(name="texture")(model.get_layer(TEXTURE_LAYER).output)
    return keras.Model(model.input, {"logits": logits, "activation_map": activation_map, "texture": texture})


class Texture(keras.layers.Layer):
    """(n, rows, columns, channels) to mean and deviation of each channel, (n, 2 x channels)."""

    def call(self, features: Any) -> Any:
        mean = keras.ops.mean(features, axis=(1, 2), keepdims=True)
        variance = keras.ops.mean(keras.ops.square(features - mean), axis=(1, 2))
        return keras.ops.concatenate([keras.ops.squeeze(mean, (1, 2)), keras.ops.sqrt(variance)], axis=-1)


def embeddings(squares: Iterable[np.ndarray], weights: Path | None) -> np.ndarray:
    """Pooled features (n, 1280) of length 1 of the untrained backbone, from batches of (b, 224, 224, 3) uint8."""
    backbone = _backbone((SIDE, SIDE, 3), "imagenet" if weights is None else None)
    if weights:
        backbone.load_weights(weights)
    pooled = keras.Model(backbone.input, keras.layers.GlobalAveragePooling2D()(backbone.output))
    features = np.concatenate([np.asarray(pooled.predict_on_batch(to_input(batch))) for batch in squares])
    return features / np.linalg.norm(features, axis=1, keepdims=True)
