"""MobileNetV2 1.0 at 224 pixels with a linear seven-way head after global average pooling."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np

from ml.labels import DIAGNOSES
from ml.preprocess import SIDE

HEAD = "diagnosis"
BACKBONE_OUTPUT = "out_relu"
DROPOUT = 0.2


def build(weights: Path | None = None) -> keras.Model:
    """A network from (n, 224, 224, 3) float32 in [-1, 1] to (n, 7) logits.

    weights: a `.weights.h5` of the backbone without its top; None lets Keras download its ImageNet weights.
    """
    backbone = keras.applications.MobileNetV2(
        input_shape=(SIDE, SIDE, 3), include_top=False, weights=None if weights else "imagenet"
    )
    if weights:
        backbone.load_weights(weights)
    features = keras.layers.GlobalAveragePooling2D(name="pooled")(backbone.output)
    features = keras.layers.Dropout(DROPOUT, name="dropout")(features)
    logits = keras.layers.Dense(
        len(DIAGNOSES), name=HEAD, kernel_initializer=keras.initializers.RandomNormal(stddev=0.01)
    )(features)
    return keras.Model(backbone.input, logits, name="mobilenet_v2_dermoscopy")


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
        outputs = [np.asarray(output, dtype=np.float64) for output in probe(inputs[start : start + batch])]
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


def with_activation_map(model: keras.Model) -> keras.Model:
    """The same network with two outputs: logits (n, 7) and the activation map (n, 7, 7, 7).

    The head is linear after the pooling, so applying it before the pooling gives a map whose mean is the logits
    (the bias is part of every cell).
    """
    kernel, bias = model.get_layer(HEAD).get_weights()
    features = model.get_layer(BACKBONE_OUTPUT).output
    head = keras.layers.Conv2D(len(DIAGNOSES), 1, name="activation_map")
    activation_map = head(features)
    head.set_weights([kernel[None, None], bias])
    logits = keras.layers.GlobalAveragePooling2D(name="logits")(activation_map)
    return keras.Model(model.input, {"logits": logits, "activation_map": activation_map})
