"""What the exported files attain on photographs the network never saw, read as the worker reads them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import track

from ml import quality
from ml.labels import DIAGNOSES, MALIGNANT
from ml.manifest import NETWORK_FILE, BandFigures, Calibration, Interval, Manifest, Share, Threshold
from ml.predictor import Network, calibrate
from ml.preprocess import open_photograph, to_square
from ml.training import statistics
from ml.training.calibrate import threshold_at_sensitivity, threshold_at_specificity
from ml.training.data import SPLITS_FILE, TEST_FOLD, Photograph, part_of, read_photographs, read_splits

BANDS = ("low", "intermediate", "high", "unscorable")
MELANOMA = DIAGNOSES.index("mel")
ROUNDS = 1000
# The operating point of an earlier demo of this kind, kept for comparison.
COMPARED_SPECIFICITY = 0.856


@dataclass(frozen=True)
class Answers:
    """What the network and the quality measures say of n photographs, before calibration and thresholds."""

    photographs: list[Photograph]
    clusters: list[str]
    logits: np.ndarray
    measures: list[quality.Measures]
    sizes: list[tuple[int, int]]

    @property
    def labels(self) -> np.ndarray:
        return np.array([photograph.label for photograph in self.photographs])

    @property
    def malignant(self) -> np.ndarray:
        return np.array([photograph.dx in MALIGNANT for photograph in self.photographs])

    @property
    def raw_malignancy(self) -> np.ndarray:
        columns = [DIAGNOSES.index(name) for name in MALIGNANT]
        return statistics.softmax(self.logits.astype(np.float64))[:, columns].sum(axis=1)

    def features(self) -> np.ndarray:
        return np.array([measures.features for measures in self.measures])

    def scores(self, domain: quality.Domain) -> list[dict[str, float]]:
        return [quality.scores(measures, domain) for measures in self.measures]

    def lesion_weights(self) -> np.ndarray:
        """One lesion weighs 1, however many photographs it has."""
        _, index, counts = np.unique(
            [photograph.lesion_id for photograph in self.photographs], return_inverse=True, return_counts=True
        )
        return 1.0 / counts[index]


def ask(network: Network, photographs: Sequence[Photograph], clusters: Sequence[str], title: str) -> Answers:
    logits, measures, sizes = [], [], []
    for photograph in track(photographs, title):
        picture, size = open_photograph(photograph.path.read_bytes())
        square = to_square(picture)
        logits.append(network(square)[0])
        measures.append(quality.measure(square))
        sizes.append(size)
    return Answers(list(photographs), list(clusters), np.array(logits), measures, sizes)


def one_per_lesion(photographs: Sequence[Photograph]) -> np.ndarray:
    """Indices of a fixed draw of one photograph of each lesion."""
    drawn: dict[str, int] = {}
    keys = [hashlib.sha256(photograph.image_id.encode()).digest() for photograph in photographs]
    for index, photograph in enumerate(photographs):
        held = drawn.get(photograph.lesion_id)
        if held is None or keys[index] < keys[held]:
            drawn[photograph.lesion_id] = index
    return np.array(sorted(drawn.values()))


@dataclass(frozen=True)
class Scored:
    """Answers turned into what the portal would show."""

    answers: Answers
    probabilities: np.ndarray
    malignancy: np.ndarray
    bands: np.ndarray

    def part(self, indices: np.ndarray) -> Scored:
        answers = self.answers
        chosen = Answers(
            [answers.photographs[index] for index in indices],
            [answers.clusters[index] for index in indices],
            answers.logits[indices],
            [answers.measures[index] for index in indices],
            [answers.sizes[index] for index in indices],
        )
        return Scored(chosen, self.probabilities[indices], self.malignancy[indices], self.bands[indices])


def score(
    answers: Answers,
    calibration: Calibration,
    cuts: tuple[float, float],
    limits: dict[str, float],
    domain: quality.Domain,
) -> Scored:
    """cuts: the refer and the high threshold."""
    probabilities = calibrate(answers.logits, calibration)
    malignancy = probabilities[:, [DIAGNOSES.index(name) for name in MALIGNANT]].sum(axis=1)
    bands = np.array(BANDS)[np.digitize(malignancy, cuts)]
    for index, scores in enumerate(answers.scores(domain)):
        if quality.unscorable_reasons(answers.sizes[index], answers.measures[index], scores, limits):
            bands[index] = "unscorable"
    return Scored(answers, probabilities, malignancy, bands)


def attained(scored: Scored, cut: float, chosen: str) -> Threshold:
    """What a threshold attains, the unscorable photographs scored like all others."""
    malignant, melanoma = scored.answers.malignant, scored.answers.labels == MELANOMA
    above = scored.malignancy >= cut
    clusters = scored.answers.clusters
    return Threshold(
        value=cut,
        chosen=chosen,
        sensitivity=_share(above, malignant, clusters),
        specificity=_share(~above, ~malignant, clusters),
        melanoma_sensitivity=_share(above, melanoma, clusters),
    )


def _share(hit: np.ndarray, group: np.ndarray, clusters: Sequence[str]) -> Interval:
    return statistics.with_interval(lambda drawn: float(hit[drawn][group[drawn]].mean()), clusters, ROUNDS)


def band_figures(scored: Scored) -> dict[str, BandFigures]:
    malignant = scored.answers.malignant
    positives, negatives = int(malignant.sum()), int((~malignant).sum())
    figures = {}
    for band in BANDS:
        inside = scored.bands == band
        first, second = int((inside & malignant).sum()), int((inside & ~malignant).sum())
        figures[band] = BandFigures(
            malignant=Share(first, positives),
            benign=Share(second, negatives),
            likelihood_ratio=likelihood_ratio(first, positives, second, negatives),
        )
    return figures


def likelihood_ratio(first: int, positives: int, second: int, negatives: int) -> Interval:
    """Share of positives over share of negatives, with its log-normal 95% interval (Simel and others 1991).

    Half a case is added to each cell when one is empty.
    """
    extra = 0.5 if 0 in (first, second) else 0.0
    a, b, n, m = first + extra, second + extra, positives + 2 * extra, negatives + 2 * extra
    ratio = (a / n) / (b / m)
    spread = 1.96 * np.sqrt(max(0.0, 1 / a - 1 / n + 1 / b - 1 / m))
    return Interval(float(ratio), float(ratio * np.exp(-spread)), float(ratio * np.exp(spread)))


def figures(scored: Scored) -> dict[str, Any]:
    """Discrimination, calibration and diagnosis, with intervals by bootstrap over clusters."""
    answers = scored.answers
    malignant, labels, clusters = answers.malignant, answers.labels, answers.clusters
    malignancy, shown = scored.malignancy, scored.probabilities.argmax(axis=1)
    raw = answers.logits.argmax(axis=1)

    def interval(statistic: Callable[[np.ndarray], float], *, biased: bool = False) -> dict[str, float]:
        return asdict(statistics.with_interval(statistic, clusters, ROUNDS, biased=biased))

    def specificity_at(drawn: np.ndarray) -> float:
        cut = threshold_at_sensitivity(malignancy[drawn], malignant[drawn], 0.95)
        return float((malignancy[drawn][~malignant[drawn]] < cut).mean())

    def sensitivity_at(drawn: np.ndarray) -> float:
        cut = threshold_at_specificity(malignancy[drawn], malignant[drawn], COMPARED_SPECIFICITY)
        return float((malignancy[drawn][malignant[drawn]] >= cut).mean())

    return {
        "photographs": len(labels),
        "malignant": int(malignant.sum()),
        "auc": interval(lambda drawn: statistics.area_under_curve(malignant[drawn], malignancy[drawn])),
        "oracle_specificity_at_95_sensitivity": interval(specificity_at),
        "oracle_sensitivity_at_85.6_specificity": interval(sensitivity_at),
        "balanced_accuracy": interval(lambda drawn: statistics.balanced_accuracy(labels[drawn], shown[drawn])),
        "balanced_accuracy_before_calibration": interval(
            lambda drawn: statistics.balanced_accuracy(labels[drawn], raw[drawn])
        ),
        "accuracy": interval(lambda drawn: float((labels[drawn] == shown[drawn]).mean())),
        "expected_calibration_error": interval(
            lambda drawn: statistics.expected_calibration_error(malignant[drawn], malignancy[drawn]), biased=True
        ),
        "confusion": statistics.confusion(labels, shown, len(DIAGNOSES)),
    }


def evaluation(scored: Scored, cuts: tuple[float, float]) -> dict[str, Any]:
    """All figures of the test fold: per lesion (a fixed draw), per photograph, and against proven benign only."""
    lesions = scored.part(one_per_lesion(scored.answers.photographs))
    proven = np.array([p.dx_type == "histo" for p in lesions.answers.photographs]) | lesions.answers.malignant
    against_proven = lesions.part(np.flatnonzero(proven))
    refused = np.flatnonzero(scored.bands == "unscorable")
    parts = {
        "one_photograph_per_lesion": lesions,
        "all_photographs": scored,
        "histology_proven_benign_only": against_proven,
    }
    found: dict[str, Any] = {"fold": TEST_FOLD, "intervals": "95%, bootstrap by lesion cluster, 1000 rounds"}
    for name, part in parts.items():
        found[name] = figures(part)
        found[name]["refer"] = asdict(attained(part, cuts[0], "see thresholds"))
        found[name]["high"] = asdict(attained(part, cuts[1], "see thresholds"))
    found["unscorable_photographs"] = {"count": len(refused), "total": len(scored.bands)}
    return found


def evaluate_model(manifest: Manifest, folder: Path, data: Path) -> dict[str, Any]:
    """Read the test fold again with the installed files and return its figures."""
    photographs, splits = read_photographs(data), read_splits(folder / SPLITS_FILE)
    rows = part_of(splits, TEST_FOLD).test
    photographs, clusters = [photographs[row] for row in rows], [splits[row].cluster for row in rows]
    answers = ask(Network(folder / NETWORK_FILE), photographs, clusters, "Reading the test fold")
    cuts = (manifest.refer.value, manifest.high.value)
    scored = score(answers, manifest.calibration, cuts, manifest.quality_limits, manifest.domain)
    return evaluation(scored, cuts)
