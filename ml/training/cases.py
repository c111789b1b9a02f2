"""Photographs as figures count them, what a network says of them, and what the portal would show."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from PIL import Image
from rich.console import Console
from rich.progress import track

from ml import quality
from ml.labels import DIAGNOSES, MALIGNANT_COLUMNS
from ml.predictor import Network
from ml.preprocess import open_photograph, to_square
from ml.training import statistics
from ml.training.data import Photograph, Split
from ml.views import look

console = Console(stderr=True)
BANDS = ("low", "intermediate", "high", "unscorable")


@dataclass(frozen=True)
class Cases:
    """n photographs, each with the cluster that it shares with its lesion's others and with near-duplicates."""

    photographs: list[Photograph]
    clusters: list[str]

    def part(self, rows: Iterable[int]) -> Cases:
        rows = list(rows)
        return Cases([self.photographs[row] for row in rows], [self.clusters[row] for row in rows])

    def __len__(self) -> int:
        return len(self.photographs)

    @cached_property
    def labels(self) -> np.ndarray:
        return np.array([photograph.label for photograph in self.photographs])

    @cached_property
    def malignant(self) -> np.ndarray:
        """Malignant or pre-malignant."""
        return np.isin(self.labels, MALIGNANT_COLUMNS)

    def of(self, diagnosis: str) -> np.ndarray:
        return self.labels == DIAGNOSES.index(diagnosis)

    @cached_property
    def lesions(self) -> np.ndarray:
        """(n,) the number of each photograph's lesion, from 0."""
        return np.unique([photograph.lesion_id for photograph in self.photographs], return_inverse=True)[1]

    @cached_property
    def lesion_weights(self) -> np.ndarray:
        """One lesion weighs 1, however many photographs it has."""
        return 1.0 / np.bincount(self.lesions)[self.lesions]

    def one_per_lesion(self) -> np.ndarray:
        """Rows of a fixed draw of one photograph of each lesion: the one with the lowest hash of its name."""
        drawn: dict[int, int] = {}
        keys = [hashlib.sha256(photograph.image_id.encode()).digest() for photograph in self.photographs]
        for row, lesion in enumerate(self.lesions):
            held = drawn.get(lesion)
            if held is None or keys[row] < keys[held]:
                drawn[lesion] = row
        return np.array(sorted(drawn.values()), dtype=int)


def cases_of(photographs: Sequence[Photograph], splits: Sequence[Split]) -> Cases:
    return Cases(list(photographs), [split.cluster for split in splits])


@dataclass(frozen=True)
class Answers:
    """What a network and the quality measures say of n photographs, before calibration and thresholds.

    logits (n, 7), textures (n, d), squares' measures, and the photographs' sizes in pixels.
    """

    cases: Cases
    logits: np.ndarray
    textures: np.ndarray
    measures: list[quality.Measures]
    sizes: list[tuple[int, int]]

    @cached_property
    def probabilities(self) -> np.ndarray:
        """(n, 7) as the network says them."""
        return statistics.softmax(self.logits.astype(np.float64))


def _as_it_is(picture: Image.Image) -> Image.Image:
    return picture


def ask(
    network: Network,
    cases: Cases,
    views: tuple[str, ...],
    title: str,
    spoil: Callable[[Image.Image], Image.Image] = _as_it_is,
) -> Answers:
    """Read the photographs as the worker reads them; `spoil` is done to each decoded one before."""
    answers, measures, sizes = [], [], []
    for photograph in track(cases.photographs, title, console=console):
        picture, size = open_photograph(photograph.path.read_bytes())
        square = to_square(spoil(picture))
        answers.append(look(network, square, views))
        measures.append(quality.measure(square))
        sizes.append(size)
    logits = np.array([answer.logits for answer in answers])
    return Answers(cases, logits, np.array([answer.texture for answer in answers]), measures, sizes)


@dataclass(frozen=True)
class Scored:
    """What the portal would show of n photographs.

    probabilities (n, 7) calibrated; refer and high (n,) at or above the threshold, whether scorable or not;
    unscorable (n,) reasons, empty for a photograph that can be read.
    """

    cases: Cases
    probabilities: np.ndarray
    refer: np.ndarray
    high: np.ndarray
    unscorable: list[tuple[str, ...]]

    def part(self, rows: np.ndarray) -> Scored:
        chosen = [self.unscorable[row] for row in rows]
        return Scored(self.cases.part(rows), self.probabilities[rows], self.refer[rows], self.high[rows], chosen)

    @cached_property
    def malignancy(self) -> np.ndarray:
        return malignant_sum(self.probabilities)

    @cached_property
    def refused(self) -> np.ndarray:
        """(n,) whether no band is shown."""
        return np.array([bool(reasons) for reasons in self.unscorable])

    @cached_property
    def bands(self) -> np.ndarray:
        """(n,) numbers in BANDS."""
        return np.where(self.refused, BANDS.index("unscorable"), self.refer.astype(int) + self.high)


def malignant_sum(probabilities: np.ndarray) -> np.ndarray:
    return probabilities[:, MALIGNANT_COLUMNS].sum(axis=1)
