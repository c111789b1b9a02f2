"""From a trained Keras network to the files that are served."""

from __future__ import annotations

import contextlib
import io
import shutil
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from ml.contract import ModelError
from ml.drawing import KINDS
from ml.golden import drawn_square
from ml.manifest import NETWORK_FILE
from ml.predictor import Network
from ml.preprocess import to_input
from ml.training.network import served
from ml.training.statistics import softmax
from ml.training.train import KERAS_FILE, fold_folder

PARITY = 1e-4


def export_network(run: Path, fold: int, folder: Path) -> None:
    """Write the network of a run that is tested on `fold` into `folder`: model.tflite and model.keras.

    model.tflite is fp32, with the outputs that `ml.views.Answer` names.

    Raises ModelError when the converted network does not answer as the trained one does.
    """
    source = fold_folder(run, fold) / KERAS_FILE
    if not source.is_file():
        raise ModelError(f"{source} is missing. Train to the end first: python -m ml train --folds {fold}.")
    folder.mkdir(parents=True, exist_ok=True)
    model = keras.models.load_model(source, compile=False)
    with contextlib.redirect_stdout(io.StringIO()):  # the converter prints every tensor it saw
        converted = tf.lite.TFLiteConverter.from_keras_model(served(model)).convert()
    (folder / NETWORK_FILE).write_bytes(converted)
    _check_parity(model, Network(folder / NETWORK_FILE))
    shutil.copyfile(source, folder / KERAS_FILE)


def _check_parity(model: keras.Model, network: Network) -> None:
    for seed, kind in enumerate(KINDS):
        square = drawn_square(kind, seed)
        expected = softmax(np.asarray(model(to_input(square)[None], training=False))[0])
        difference = np.abs(expected - softmax(network(square).logits)).max()
        if not difference <= PARITY:
            raise ModelError(f"The converted network answers differently from the trained one (by {difference:.2g}).")
