"""The models that this process reads with."""

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.utils.module_loading import import_string

from ml.contract import ManifestMismatch, ModelError, Predictor
from ml.manifest import Manifest, load_manifest
from ml.predictor import MODELS, installed_models, newest_model
from screening.models import ModelVersion
from skinclinic.audit.acting import acting, system

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Reader:
    predictor: Predictor
    version: ModelVersion


_readers: dict[str, Reader] = {}


def the_reader(version: str = "") -> Reader:
    """Load a model once in a process, and register it; raises ModelError when it cannot be trusted.

    version: "" for the newest that is installed.
    """
    if version not in _readers:
        predictor = load_predictor(version)
        with acting(system()):
            reader = Reader(predictor, register_version(predictor.manifest))
        _readers[version] = _readers.setdefault(reader.version.pk, reader)
    return _readers[version]


def forget_readers() -> None:
    _readers.clear()


def load_predictor(version: str = "") -> Predictor:
    """A predictor that has answered its stored questions; raises ModelError."""
    load: Callable[..., Predictor] = import_string(settings.PREDICTOR)
    if version:
        predictor = load(models_folder() / version)
    else:
        predictor = load(newest_model(models_folder())) if settings.MODELS_FOLDER else load()
    if version and predictor.manifest.version != version:
        raise ModelError(f"The folder of model {version} holds {predictor.manifest.version}. Install the model again.")
    predictor.self_test()
    return predictor


def models_folder() -> Path:
    return Path(settings.MODELS_FOLDER) if settings.MODELS_FOLDER else MODELS


def register_installed() -> None:
    """Register every version that lies in the folder, so that managers can choose it; one that is damaged is logged."""
    for folder in installed_models(models_folder()):
        try:
            with acting(system()):
                register_version(load_manifest(folder))
        except (ManifestMismatch, ModelError) as error:
            logger.warning("A model cannot be offered: %s", error)


def register_version(manifest: Manifest) -> ModelVersion:
    version, _ = ModelVersion.objects.get_or_create(
        version=manifest.version,
        defaults={
            "weights_sha256": manifest.network_sha256,
            "preprocessing": manifest.preprocessing,
            "thresholds": manifest.thresholds_version,
            "manifest": json.loads(manifest.as_json()),
        },
    )
    if version.weights_sha256 != manifest.network_sha256:
        raise ModelError(
            f"Model {manifest.version} is registered with other weights. Give the new weights a version of their own."
        )
    # Rows from before thresholds had a version are never changed; what this process reads knows its own all the same.
    version.thresholds = version.thresholds or manifest.thresholds_version
    if version.thresholds != manifest.thresholds_version:
        raise ModelError(
            f"Model {manifest.version} is registered with other thresholds. Give the new ones a version of their own."
        )
    return version
