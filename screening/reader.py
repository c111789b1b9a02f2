"""The model that this process reads with."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from django.conf import settings
from django.utils.module_loading import import_string

from ml.contract import ModelError, Predictor
from screening.models import ModelVersion
from skinclinic.audit.acting import acting, system


@dataclass(frozen=True)
class Reader:
    predictor: Predictor
    version: ModelVersion


@cache
def the_reader() -> Reader:
    """Load the model once in a process, and register its version; raises ModelError when it cannot be trusted."""
    predictor = load_predictor()
    with acting(system()):
        return Reader(predictor, register_version(predictor))


def load_predictor() -> Predictor:
    load: Callable[..., Predictor] = import_string(settings.PREDICTOR)
    return load(Path(settings.MODEL_FOLDER)) if settings.MODEL_FOLDER else load()


def register_version(predictor: Predictor) -> ModelVersion:
    manifest = predictor.manifest
    version, _ = ModelVersion.objects.get_or_create(
        version=manifest.version,
        defaults={
            "weights_sha256": manifest.network_sha256,
            "preprocessing": manifest.preprocessing,
            "manifest": json.loads(manifest.as_json()),
        },
    )
    if version.weights_sha256 != manifest.network_sha256:
        raise ModelError(
            f"Model {manifest.version} is registered with other weights. Give the new weights a version of their own."
        )
    return version
