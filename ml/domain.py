"""Is this a photograph like those the network learnt from? Told by the texture that the network itself sees.

The texture is the mean and the deviation of each channel of a middle layer; its Mahalanobis distance from the
training photographs' is what counts (Lee and others, NeurIPS 2018, with one class and shrunk covariance).
"""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ml.contract import ManifestMismatch

DOMAIN_FILE = "domain.npz"
SHRINKAGE = 0.01
# How fast the score falls around the scale: 0.94 at half of it, 0.5 at it, 0.06 at twice.
STEEPNESS = 4


@dataclass(frozen=True)
class Domain:
    """The training photographs' textures: mean (d,), whitening (d, d), and the distance that scores 0.5."""

    mean: np.ndarray
    whitening: np.ndarray
    scale: float

    def distance(self, texture: np.ndarray) -> np.ndarray:
        """Mahalanobis distance of (..., d) textures, in units of the square root of d."""
        whitened = (texture - self.mean) @ self.whitening
        distance: np.ndarray = np.sqrt((whitened**2).mean(axis=-1))
        return distance

    def score(self, texture: np.ndarray) -> np.ndarray:
        """From 1 (like the training photographs) to 0, 0.5 at the scale."""
        return 1 / (1 + (self.distance(texture) / self.scale) ** STEEPNESS)

    def scaled(self, scale: float) -> Domain:
        return replace(self, scale=scale)

    def save(self, path: Path) -> None:
        np.savez(path, mean=self.mean, whitening=self.whitening, scale=np.float32(self.scale))


def fit_domain(textures: np.ndarray) -> Domain:
    """From (n, d) textures of training photographs; the scale is 1 until one is chosen.

    Each feature counts in its own deviation, and the covariance is shrunk towards the identity.
    """
    mean, deviation = textures.mean(axis=0), textures.std(axis=0) + 1e-6
    correlation = np.cov((textures - mean) / deviation, rowvar=False)
    features = len(correlation)
    shrunk = (1 - SHRINKAGE) * correlation + SHRINKAGE * np.trace(correlation) / features * np.eye(features)
    values, vectors = np.linalg.eigh(shrunk)
    whitening = vectors / np.sqrt(values) / deviation[:, None]
    return Domain(mean.astype(np.float32), whitening.astype(np.float32), scale=1.0)


def load_domain(folder: Path) -> Domain:
    """Raises ManifestMismatch."""
    path = folder / DOMAIN_FILE
    try:
        with path.open("rb") as file, np.load(file) as stored:
            return Domain(stored["mean"], stored["whitening"], float(stored["scale"]))
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise ManifestMismatch(f"{path} is missing or damaged. Install the model again.") from error
