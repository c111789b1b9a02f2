"""From a trained Keras network to the files that are served."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import keras
import tensorflow as tf

from ml.contract import ModelError
from ml.manifest import NETWORK_FILE
from ml.preprocess import SIDE
from ml.training.network import with_activation_map

KERAS_FILE = "model.keras"
SPLITS_FILE = "splits.csv"


def export_network(run: Path, folder: Path) -> None:
    """Write model.tflite (fp32; outputs "logits" and "activation_map"), model.keras and splits.csv into `folder`."""
    source = run / KERAS_FILE
    if not source.is_file():
        raise ModelError(f"{source} is missing. Train to the end first: python -m ml train.")
    folder.mkdir(parents=True, exist_ok=True)
    model = keras.models.load_model(source, compile=False)
    (folder / NETWORK_FILE).write_bytes(to_litert(model))
    shutil.copyfile(source, folder / KERAS_FILE)
    shutil.copyfile(run / SPLITS_FILE, folder / SPLITS_FILE)


def to_litert(model: keras.Model) -> bytes:
    served = with_activation_map(model)

    @tf.function(input_signature=[tf.TensorSpec((1, SIDE, SIDE, 3), tf.float32, name="square")])
    def serve(square: tf.Tensor) -> dict[str, tf.Tensor]:
        outputs: dict[str, tf.Tensor] = served(square, training=False)
        return outputs

    module = tf.Module()
    module.model = served
    module.serve = serve
    with tempfile.TemporaryDirectory() as scratch:
        tf.saved_model.save(module, scratch, signatures={"serving_default": serve})
        converter = tf.lite.TFLiteConverter.from_saved_model(scratch, signature_keys=["serving_default"])
        converted: bytes = converter.convert()
    return converted
