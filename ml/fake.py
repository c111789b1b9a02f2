"""A predictor for tests that are not about the model: same contract, answers made from the bytes' hash.

SKINCLINIC_FAKE_DELAY: seconds each reading takes (0 by default).
SKINCLINIC_FAKE_OUTCOME: predicted (default), unscorable or error.
Both are read at every call, so a test can switch a running worker's environment before it starts, or its own.
"""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import numpy as np

from ml.cautions import HAM10000_RULES, Ground
from ml.contract import ModelError, Reading
from ml.labels import DIAGNOSES, MALIGNANT
from ml.manifest import BandFigures, Calibration, Interval, Manifest, Share, Threshold
from ml.preprocess import PREPROCESSING, open_photograph

DELAY_VARIABLE = "SKINCLINIC_FAKE_DELAY"
OUTCOME_VARIABLE = "SKINCLINIC_FAKE_OUTCOME"
FAKE_VERSION = "0.0.0-fake"
OUTCOMES = ("predicted", "unscorable", "error")


def load(folder: Path | None = None) -> FakePredictor:
    """`folder` is taken as by the real predictor's `load`; only its name is looked at, which is the version."""
    return FakePredictor(folder.name if folder else FAKE_VERSION)


class FakePredictor:
    """Deterministic: the same bytes give the same reading. Bytes that are no photograph are refused as usual."""

    def __init__(self, version: str) -> None:
        self.manifest = _manifest(version)

    def self_test(self) -> None:
        """It has nothing to prove."""

    def read(self, photograph: bytes, ground: Ground | None = None) -> Reading:
        started = time.perf_counter()
        outcome = _outcome()
        open_photograph(photograph)
        time.sleep(_delay())
        if outcome == "error":
            raise ModelError("The pretended model was told to fail.")
        told = photograph if self.manifest.version == FAKE_VERSION else photograph + self.manifest.version.encode()
        rng = np.random.default_rng(int.from_bytes(hashlib.sha256(told).digest()[:8], "big"))
        probabilities = dict(zip(DIAGNOSES, (float(share) for share in rng.dirichlet(np.ones(7))), strict=True))
        malignancy = sum(probabilities[name] for name in MALIGNANT)
        reasons = ("blurred",) if outcome == "unscorable" else ()
        return Reading(
            malignancy=malignancy,
            band=None if reasons else self.manifest.band_of(malignancy),
            refer=malignancy >= self.manifest.refer.value,
            probabilities=probabilities,
            activation_map=rng.normal(size=(7, 7, 7)).astype(np.float32),
            unscorable_reasons=reasons,
            cautions=self.manifest.cautions_on(ground),
            quality={"sharpness": 0.1 if reasons else 0.9, "exposure": 0.9, "in_domain": 0.9},
            milliseconds=(time.perf_counter() - started) * 1000,
        )


def _delay() -> float:
    told = os.environ.get(DELAY_VARIABLE, "0")
    try:
        return float(told)
    except ValueError as error:
        raise ModelError(f"{DELAY_VARIABLE} is {told!r}; set it to a number of seconds.") from error


def _outcome() -> str:
    outcome = os.environ.get(OUTCOME_VARIABLE, "predicted")
    if outcome not in OUTCOMES:
        raise ModelError(f"{OUTCOME_VARIABLE} is {outcome!r}; set it to one of {', '.join(OUTCOMES)}.")
    return outcome


def _manifest(version: str) -> Manifest:
    unknown = Interval(0.5, 0.0, 1.0)
    even = Interval(1.0, 0.0, 2.0)
    nobody = BandFigures(malignant=Share(0, 0), benign=Share(0, 0), likelihood_ratio=even)
    return Manifest(
        version=version,
        created="2026-01-01T00:00:00Z",
        network="none: answers are made from the bytes",
        preprocessing=PREPROCESSING,
        labels=DIAGNOSES,
        files={"model.tflite": "0" * 64},
        calibration=Calibration(slope=1.0, intercept=0.0),
        refer=Threshold(0.3, "fixed", unknown, unknown, unknown),
        high=Threshold(0.6, "fixed", unknown, unknown, unknown),
        bands={"low": nobody, "intermediate": nobody, "high": nobody, "unscorable": nobody},
        quality_limits={},
        cautions=HAM10000_RULES,
        limits=("This is no model: its answers mean nothing.",),
    )
