"""What a reading is, and what every predictor promises."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np

if TYPE_CHECKING:
    from ml.cautions import Ground
    from ml.manifest import Manifest

Band = Literal["low", "intermediate", "high"]

UNSCORABLE_REASONS: dict[str, str] = {
    "too_small": "The photograph is too small to be read. Send one of at least 224 pixels on its shorter side.",
    "blurred": "The photograph is too blurred to be read. Take it again with the lens on the skin.",
    "too_dark": "The photograph is too dark to be read. Take it again with the dermatoscope's light on.",
    "too_bright": "The photograph is too bright to be read. Take it again without a flash or a reflection.",
    "no_contrast": "The photograph shows no lesion that stands out. Centre the lesion and take it again.",
    "no_colour": "The photograph has no colour, and the model reads by it. Take it again in colour.",
    "not_dermoscopy": (
        "This does not look like a dermoscopic photograph of skin, or hair, a ruler or a pen covers too much of it. "
        "Check the file, uncover the lesion and take it again."
    ),
}


class ModelError(Exception):
    """The model cannot do what was asked. The message is a sentence for the person who can act on it."""


class ManifestMismatch(ModelError):
    """The model's folder is incomplete, damaged, or made for another version of this code."""


class UnreadablePhotograph(ModelError):
    """The bytes are no photograph that can be decoded."""


@dataclass(frozen=True)
class Reading:
    """What the model says of one photograph.

    malignancy: calibrated probability of akiec, bcc or mel in the population of the calibration photographs.
    band: None when the photograph is unscorable.
    refer: malignancy at or above the manifest's refer threshold; kept also when unscorable.
    probabilities: by diagnosis, sum 1; akiec, bcc and mel sum to malignancy.
    activation_map: (7, 7, 7) float32 [row, column, diagnosis] over the centred square; its mean over rows and
        columns is the network's logits.
    unscorable_reasons: keys of UNSCORABLE_REASONS; empty when the photograph can be read.
    cautions: codes of the manifest's rules that hold on the ground which was told; their sentences stand above the
        score, and a low band is not shown.
    quality: measures of the photograph, by name, 0 (worst) to 1 (best).
    """

    malignancy: float
    band: Band | None
    refer: bool
    probabilities: dict[str, float]
    activation_map: np.ndarray
    unscorable_reasons: tuple[str, ...]
    cautions: tuple[str, ...]
    quality: dict[str, float]
    milliseconds: float

    @property
    def scorable(self) -> bool:
        return not self.unscorable_reasons


class Predictor(Protocol):
    @property
    def manifest(self) -> Manifest: ...

    def read(self, photograph: bytes, ground: Ground | None = None) -> Reading:
        """Read the bytes of a JPEG, PNG or WebP. Raises UnreadablePhotograph, or ModelError for our own fault.

        ground: what the record says beside the photograph; without it no caution is looked for.
        """
        ...

    def self_test(self) -> None:
        """Raises ModelError when the model does not answer as it did where it was made."""
        ...
