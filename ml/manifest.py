"""The manifest of an installed model, and the refusal of what does not match it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ml.cautions import CautionRule, Ground, parse_rule, that_hold
from ml.contract import Band, ManifestMismatch
from ml.domain import DOMAIN_FILE
from ml.labels import DIAGNOSES
from ml.preprocess import PREPROCESSING
from ml.views import VIEWS

MANIFEST_FILE = "manifest.json"
NETWORK_FILE = "model.tflite"
# Two readings of an unchanged lesion differ by less, times their deviation, in 95 % of cases (Bland and Altman 1999).
REPEAT_RANGE = 1.96 * 2**0.5
VERSION = re.compile(r"\d{4}\.\d{1,2}\.\d+")


@dataclass(frozen=True)
class Interval:
    """An estimate with its 95% interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Share:
    """`count` of `total` test lesions."""

    count: int
    total: int

    @property
    def value(self) -> float:
        return self.count / self.total if self.total else 0.0


@dataclass(frozen=True)
class Calibration:
    """logit of malignancy = slope x logit of the network's malignant sum + intercept."""

    slope: float
    intercept: float


@dataclass(frozen=True)
class Threshold:
    """A cut on the calibrated malignancy, chosen on validation, with what it attained on the test lesions."""

    value: float
    chosen: str
    sensitivity: Interval
    specificity: Interval
    melanoma_sensitivity: Interval


@dataclass(frozen=True)
class BandFigures:
    """How the test lesions fall into one band (or, for "unscorable", outside all of them)."""

    malignant: Share
    benign: Share
    likelihood_ratio: Interval


@dataclass(frozen=True)
class Manifest:
    version: str
    created: str
    network: str
    preprocessing: str
    labels: tuple[str, ...]
    files: dict[str, str]
    calibration: Calibration
    refer: Threshold
    high: Threshold
    bands: dict[str, BandFigures]
    quality_limits: dict[str, float]
    views: tuple[str, ...] = ("upright",)
    cautions: tuple[CautionRule, ...] = ()
    training_data: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    limits: tuple[str, ...] = ()
    # Standard deviation of the score's logit between photographs of one lesion; not told by every model.
    repeat_deviation: Interval | None = None

    @property
    def network_sha256(self) -> str:
        return self.files[NETWORK_FILE]

    @property
    def thresholds_version(self) -> str:
        """A digest of all that turns the network's answer into a score and a band."""
        cuts = (self.refer.value, self.high.value)
        parts = (asdict(self.calibration), cuts, self.quality_limits, self.views, self.files.get(DOMAIN_FILE))
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]

    def band_of(self, malignancy: float) -> Band:
        """Of a photograph that can be read."""
        if malignancy >= self.high.value:
            return "high"
        return "intermediate" if malignancy >= self.refer.value else "low"

    def cautions_on(self, ground: Ground | None) -> tuple[str, ...]:
        """Codes of the rules that hold; none where nothing is known beside the photograph."""
        return tuple(rule.code for rule in that_hold(self.cautions, ground)) if ground else ()

    def as_json(self) -> str:
        return json.dumps(asdict(self), indent=1, allow_nan=False) + "\n"


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def load_manifest(folder: Path) -> Manifest:
    """Read the manifest in `folder` and hold every file it names against it. Raises ManifestMismatch."""
    path = folder / MANIFEST_FILE
    if not path.is_file():
        raise ManifestMismatch(f"There is no model in {folder}: {MANIFEST_FILE} is missing. Install the model again.")
    try:
        manifest = parse_manifest(json.loads(path.read_text()))
    except OSError as error:
        raise ManifestMismatch(f"{path} cannot be read ({error.strerror}). Let this user read the model.") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ManifestMismatch(f"{path} is damaged or of an unknown form. Install the model again.") from error
    _check_code(manifest, path)
    _check_files(manifest, folder)
    return manifest


def parse_manifest(stored: Mapping[str, Any]) -> Manifest:
    values = dict(stored)
    values["labels"] = tuple(values["labels"])
    values["cautions"] = tuple(parse_rule(rule) for rule in values["cautions"])
    values["limits"] = tuple(values["limits"])
    values["calibration"] = Calibration(**values["calibration"])
    values["refer"] = _threshold(values["refer"])
    values["high"] = _threshold(values["high"])
    values["bands"] = {name: _band(figures) for name, figures in values["bands"].items()}
    values["views"] = tuple(values["views"])
    if repeated := values.get("repeat_deviation"):
        values["repeat_deviation"] = Interval(**repeated)
    return Manifest(**values)


def _threshold(stored: Mapping[str, Any]) -> Threshold:
    return Threshold(
        value=float(stored["value"]),
        chosen=str(stored["chosen"]),
        sensitivity=Interval(**stored["sensitivity"]),
        specificity=Interval(**stored["specificity"]),
        melanoma_sensitivity=Interval(**stored["melanoma_sensitivity"]),
    )


def _band(stored: Mapping[str, Any]) -> BandFigures:
    return BandFigures(
        malignant=Share(**stored["malignant"]),
        benign=Share(**stored["benign"]),
        likelihood_ratio=Interval(**stored["likelihood_ratio"]),
    )


def _check_code(manifest: Manifest, path: Path) -> None:
    if manifest.preprocessing != PREPROCESSING:
        raise ManifestMismatch(
            f"{path} was made for preprocessing {manifest.preprocessing}, but this program prepares photographs "
            f"by preprocessing {PREPROCESSING}. Install the program and the model of the same release."
        )
    if manifest.labels != DIAGNOSES:
        raise ManifestMismatch(f"{path} names other diagnoses than this program. Install both of the same release.")
    if not set(manifest.views) <= set(VIEWS):
        raise ManifestMismatch(f"{path} names views that this program does not know. Install both of the same release.")
    for name in (NETWORK_FILE, DOMAIN_FILE):
        if name not in manifest.files:
            raise ManifestMismatch(f"{path} does not vouch for {name}. Install the model again.")


def _check_files(manifest: Manifest, folder: Path) -> None:
    for name, expected in manifest.files.items():
        path = folder / name
        if not path.is_file():
            raise ManifestMismatch(f"{path} is missing. Install the model again.")
        try:
            found = sha256_of(path)
        except OSError as error:
            raise ManifestMismatch(
                f"{path} cannot be read ({error.strerror}). Let this user read the model."
            ) from error
        if found != expected:
            raise ManifestMismatch(f"{path} is not the file that its manifest describes. Install the model again.")
