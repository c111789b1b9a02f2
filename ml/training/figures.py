"""What the readings of test photographs are worth, as plain dictionaries of numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

import numpy as np

from ml.labels import DIAGNOSES
from ml.manifest import BandFigures, Interval, Share, Threshold
from ml.training import statistics
from ml.training.calibrate import (
    SENSITIVITY_OF_REFER,
    fit_calibration,
    logit,
    threshold_at_sensitivity,
    threshold_at_specificity,
)
from ml.training.cases import BANDS, Cases, Scored

# The operating point of an earlier demo of this kind, kept for comparison.
COMPARED_SPECIFICITY = 0.856
PREVALENCES = (0.02, 0.04, 0.1, 0.2)
# Thresholds on the chance of malignancy at which one would refer, for decision curves.
REFERRAL_CHANCES = tuple(round(0.005 * step, 3) for step in range(1, 61))
AGES = ((0, 20), (20, 40), (40, 60), (60, 80), (80, 120))
# Below this many of either kind a group's AUC says nothing.
LEAST_OF_EITHER = 10


def main_figures(scored: Scored) -> dict[str, Any]:
    """Discrimination, thresholds, calibration and diagnosis of one population."""
    cases, bootstrap = scored.cases, statistics.Bootstrap(scored.cases.clusters)
    malignant, benign = cases.malignant, ~cases.malignant
    shown = scored.probabilities.argmax(axis=1)
    targets = {
        "malignant": np.full(len(cases), fill_value=True),
        "melanoma": benign | cases.of("mel"),
        "without_akiec": ~cases.of("akiec"),
    }
    return {
        "photographs": len(cases),
        "malignant": int(malignant.sum()),
        "targets": {
            name: discrimination(scored, bootstrap, malignant & counted, benign & counted)
            for name, counted in targets.items()
        },
        "diagnosis": diagnosis_figures(scored, bootstrap, shown),
        "calibration": calibration_figures(scored, bootstrap),
        "at_refer": referral_table(scored, bootstrap),
        "confusion": confusion_with_unscorable(cases, shown, scored.refused),
        "unscorable": {"count": int(scored.refused.sum()), "total": len(cases)},
    }


def discrimination(
    scored: Scored, bootstrap: statistics.Bootstrap, positive: np.ndarray, negative: np.ndarray
) -> dict[str, Any]:
    """AUC, what the deployed thresholds attain, and the oracle operating points, whose cut is chosen on these rows."""
    score = scored.malignancy

    def over(figure: Callable[[np.ndarray, np.ndarray], float]) -> dict[str, float]:
        def statistic(rows: np.ndarray) -> float:
            kept = rows[positive[rows] | negative[rows]]
            truth = positive[kept]
            return figure(truth, score[kept]) if truth.any() and not truth.all() else float("nan")

        return asdict(bootstrap.interval(statistic))

    def specificity(truth: np.ndarray, found: np.ndarray) -> float:
        return oracle_specificity(found, truth)

    def sensitivity(truth: np.ndarray, found: np.ndarray) -> float:
        cut = threshold_at_specificity(found[~truth], np.ones((~truth).sum()), COMPARED_SPECIFICITY)
        return float((found[truth] >= cut).mean())

    attained = {
        name: {
            "sensitivity": asdict(bootstrap.share(above, positive)),
            "specificity": asdict(bootstrap.share(~above, negative)),
        }
        for name, above in (("refer", scored.refer), ("high", scored.high))
    }
    return {
        "positive": int(positive.sum()),
        "negative": int(negative.sum()),
        "auc": over(statistics.area_under_curve),
        "roc": statistics.roc(positive[positive | negative], score[positive | negative]),
        "attained": attained,
        "oracle_specificity_at_95_sensitivity": over(specificity),
        "oracle_sensitivity_at_85.6_specificity": over(sensitivity),
    }


def oracle_specificity(score: np.ndarray, positive: np.ndarray) -> float:
    """By the cut that finds 95% of these very positives."""
    cut = threshold_at_sensitivity(score[positive], np.ones(positive.sum()), SENSITIVITY_OF_REFER)
    return float((score[~positive] < cut).mean())


def diagnosis_figures(scored: Scored, bootstrap: statistics.Bootstrap, shown: np.ndarray) -> dict[str, Any]:
    labels = scored.cases.labels
    return {
        "balanced_accuracy": asdict(
            bootstrap.interval(lambda rows: statistics.balanced_accuracy(labels[rows], shown[rows]))
        ),
        "accuracy": asdict(bootstrap.interval(lambda rows: float((labels[rows] == shown[rows]).mean()))),
        "recall": {name: asdict(bootstrap.share(shown == row, labels == row)) for row, name in enumerate(DIAGNOSES)},
    }


def calibration_figures(scored: Scored, bootstrap: statistics.Bootstrap) -> dict[str, Any]:
    """Expected calibration error; slope and intercept of the outcome on the logit of the score, 1 and 0 at best.

    in_the_large: observed less expected share that is malignant.
    """
    malignant, score = scored.cases.malignant, scored.malignancy

    def slope_and_intercept(rows: np.ndarray) -> tuple[float, float]:
        if malignant[rows].all() or not malignant[rows].any():
            return float("nan"), float("nan")
        fitted = fit_calibration(score[rows], malignant[rows], np.ones(len(rows)))
        return fitted.slope, fitted.intercept

    slope, intercept = bootstrap.intervals(slope_and_intercept)
    error = bootstrap.interval(
        lambda rows: statistics.expected_calibration_error(malignant[rows], score[rows]), biased=True
    )
    large = bootstrap.interval(lambda rows: float(malignant[rows].mean() - score[rows].mean()))
    return {
        "expected_calibration_error": asdict(error),
        "in_the_large": asdict(large),
        "slope": asdict(slope),
        "intercept": asdict(intercept),
        "reliability": statistics.reliability(malignant, score),
    }


def referral_table(scored: Scored, bootstrap: statistics.Bootstrap) -> dict[str, Any]:
    """The deployed threshold with what could not be read as a column of its own, and both ways to count it."""
    malignant, refused = scored.cases.malignant, scored.refused
    rows = {}
    for name, group in (("malignant", malignant), ("benign", ~malignant)):
        rows[name] = {
            "refer": int((group & scored.refer & ~refused).sum()),
            "do_not_refer": int((group & ~scored.refer & ~refused).sum()),
            "unscorable": int((group & refused).sum()),
        }
    counted = {}
    for name, referred in (
        ("unscorable_counted_as_referred", scored.refer | refused),
        ("unscorable_counted_as_missed", scored.refer & ~refused),
    ):
        counted[name] = _two_shares(bootstrap, referred, malignant)
    return rows | counted


def confusion_with_unscorable(cases: Cases, shown: np.ndarray, refused: np.ndarray) -> list[list[int]]:
    """Counts [true][shown], the last column those that could not be read."""
    columns = np.where(refused, len(DIAGNOSES), shown)
    return statistics.confusion(cases.labels, columns, (len(DIAGNOSES), len(DIAGNOSES) + 1))


def subgroup_figures(scored: Scored) -> dict[str, dict[str, Any]]:
    """By sex, age, site, source and how the diagnosis was confirmed: AUC and what "refer" attains there.

    Malignant photographs are all proven by histology: a benign confirmation is held against all malignant ones.
    """
    malignant = scored.cases.malignant
    found: dict[str, dict[str, Any]] = {}
    for family, name, inside in groups(scored.cases):
        held = inside | malignant if family == "confirmation" else inside
        part = scored.part(np.flatnonzero(held))
        found.setdefault(family, {})[name] = group_figures(part)
    return found


def groups(cases: Cases) -> Iterator[tuple[str, str, np.ndarray]]:
    """(family, name, (n,) bool) of every group that has a photograph."""
    photographs = cases.photographs
    for family, of in (
        ("sex", [photograph.sex or "unknown" for photograph in photographs]),
        ("site", [photograph.localization or "unknown" for photograph in photographs]),
        ("confirmation", [photograph.dx_type for photograph in photographs]),
        ("source", [photograph.source for photograph in photographs]),
        ("age", [_age_band(photograph.age) for photograph in photographs]),
    ):
        for name in sorted(set(of)):
            yield family, name, np.array(of) == name


def _age_band(age: float | None) -> str:
    if age is None:
        return "unknown"
    return next(f"{low} to {high - 1}" for low, high in AGES if low <= age < high)


def group_figures(part: Scored) -> dict[str, Any]:
    """AUC, sensitivity and specificity, each left out where fewer than LEAST_OF_EITHER bear it."""
    malignant = part.cases.malignant
    bootstrap = statistics.Bootstrap(part.cases.clusters)
    found: dict[str, Any] = {"photographs": len(malignant), "malignant": int(malignant.sum())}
    if enough_of_either(malignant):
        found["auc"] = asdict(
            bootstrap.interval(lambda rows: statistics.area_under_curve(malignant[rows], part.malignancy[rows]))
        )
    if malignant.sum() >= LEAST_OF_EITHER:
        found["sensitivity"] = asdict(bootstrap.share(part.refer, malignant))
    if (~malignant).sum() >= LEAST_OF_EITHER:
        found["specificity"] = asdict(bootstrap.share(~part.refer, ~malignant))
    return found


def enough_of_either(malignant: np.ndarray) -> bool:
    return min(malignant.sum(), (~malignant).sum()) >= LEAST_OF_EITHER


def fold_figures(scored: Scored) -> dict[str, float | int]:
    """One row of the table of folds: few figures, without intervals."""
    malignant, benign = scored.cases.malignant, ~scored.cases.malignant
    score, shown = scored.malignancy, scored.probabilities.argmax(axis=1)
    return {
        "photographs": len(malignant),
        "malignant": int(malignant.sum()),
        "auc": statistics.area_under_curve(malignant, score),
        "sensitivity": statistics.share(scored.refer, malignant),
        "specificity": statistics.share(~scored.refer, benign),
        "oracle_specificity_at_95_sensitivity": oracle_specificity(score, malignant),
        "balanced_accuracy": statistics.balanced_accuracy(scored.cases.labels, shown),
        "expected_calibration_error": statistics.expected_calibration_error(malignant, score),
        "unscorable": int(scored.refused.sum()),
    }


def repeatability(scored: Scored) -> dict[str, Any]:
    """How far photographs of one lesion agree: deviation of the logit of the score, and siblings in other bands.

    Only pairs of photographs that can both be read have two bands.
    """
    lesions, scores, bands = scored.cases.lesions, logit(scored.malignancy), scored.bands
    several = [rows for rows in _rows_by_lesion(lesions) if len(rows) > 1]
    tallies = np.array([_spread(scores[rows], bands[rows[~scored.refused[rows]]]) for rows in several])
    bootstrap = statistics.Bootstrap([scored.cases.clusters[rows[0]] for rows in several])

    def deviation_and_share(drawn: np.ndarray) -> tuple[float, float]:
        squares, freedom, changed, pairs = tallies[drawn].sum(axis=0)
        return float(np.sqrt(squares / freedom)), float(changed / pairs) if pairs else float("nan")

    deviation, changed = bootstrap.intervals(deviation_and_share)
    return {
        "lesions": len(several),
        "pairs": int(tallies[:, 3].sum()),
        "deviation_of_logit": asdict(deviation),
        "pairs_in_other_bands": asdict(changed),
    }


def _rows_by_lesion(lesions: np.ndarray) -> list[np.ndarray]:
    return np.split(np.argsort(lesions, kind="stable"), np.cumsum(np.bincount(lesions))[:-1])


def _spread(scores: np.ndarray, bands: np.ndarray) -> tuple[float, int, int, int]:
    """Of one lesion: sum of squares, degrees of freedom, pairs in other bands, pairs."""
    count = len(bands)
    unlike = int((bands[:, None] != bands[None, :]).sum()) // 2
    return float(((scores - scores.mean()) ** 2).sum()), len(scores) - 1, unlike, count * (count - 1) // 2


def highest_band_of_lesion(scored: Scored) -> dict[str, Any]:
    """The rule "a lesion's band is the highest of its photographs", counted by lesion.

    A photograph that is refused has no band; lesions that have no other are counted as unscorable and left out.
    """
    readable = scored.part(np.flatnonzero(~scored.refused))
    rows = _rows_by_lesion(readable.cases.lesions)
    malignant = np.array([readable.cases.malignant[row].any() for row in rows])
    bootstrap = statistics.Bootstrap([readable.cases.clusters[row[0]] for row in rows])
    counts: dict[str, Any] = {
        "lesions": len(rows),
        "malignant": int(malignant.sum()),
        "unscorable": int(scored.cases.lesions.max() + 1 - len(rows)),
    }
    for name, above in (("refer", readable.refer), ("high", readable.high)):
        highest = np.array([above[row].any() for row in rows])
        counts[name] = _two_shares(bootstrap, highest, malignant)
    return counts


def _two_shares(bootstrap: statistics.Bootstrap, above: np.ndarray, malignant: np.ndarray) -> dict[str, Any]:
    return {
        "sensitivity": asdict(bootstrap.share(above, malignant)),
        "specificity": asdict(bootstrap.share(~above, ~malignant)),
    }


def lesions_of_several(scored: Scored) -> dict[str, Any]:
    """Lesions with two readable photographs and more: by the highest of them, and by the one that is drawn for each."""
    readable = scored.part(np.flatnonzero(~scored.refused))
    often = np.bincount(readable.cases.lesions)[readable.cases.lesions] > 1
    several = readable.part(np.flatnonzero(often))
    drawn = several.part(several.cases.one_per_lesion())
    return {"highest": highest_band_of_lesion(several), "one": highest_band_of_lesion(drawn)}


def decision_curves(scored: Scored) -> dict[str, Any]:
    """Net benefit (Vickers and Elkin 2006) of referring by the score, by prevalence, beside referring everybody.

    The score is moved to each prevalence by its odds; the net benefit of referring nobody is 0.
    """
    malignant, own = scored.cases.malignant, logit(scored.malignancy)
    held = logit(np.array([malignant.mean()]))[0]
    curves: dict[str, Any] = {"chances": list(REFERRAL_CHANCES), "prevalences": {}}
    for prevalence in PREVALENCES:
        moved = own + logit(np.array([prevalence]))[0] - held
        by_score, everybody = [], []
        for chance in REFERRAL_CHANCES:
            above = moved >= logit(np.array([chance]))[0]
            harm = chance / (1 - chance) * (1 - prevalence)
            by_score.append(prevalence * above[malignant].mean() - harm * above[~malignant].mean())
            everybody.append(prevalence - harm)
        curves["prevalences"][str(prevalence)] = {
            "by_score": [float(value) for value in by_score],
            "everybody": everybody,
        }
    return curves


def attained(scored: Scored, cut: float, above: np.ndarray, chosen: str) -> Threshold:
    """What a threshold attains, the unscorable photographs scored like all others."""
    cases, bootstrap = scored.cases, statistics.Bootstrap(scored.cases.clusters)
    return Threshold(
        value=cut,
        chosen=chosen,
        sensitivity=bootstrap.share(above, cases.malignant),
        specificity=bootstrap.share(~above, ~cases.malignant),
        melanoma_sensitivity=bootstrap.share(above, cases.of("mel")),
    )


def band_figures(scored: Scored) -> dict[str, BandFigures]:
    malignant = scored.cases.malignant
    positives, negatives = int(malignant.sum()), int((~malignant).sum())
    found = {}
    for number, band in enumerate(BANDS):
        inside = scored.bands == number
        first, second = int((inside & malignant).sum()), int((inside & ~malignant).sum())
        found[band] = BandFigures(
            malignant=Share(first, positives),
            benign=Share(second, negatives),
            likelihood_ratio=likelihood_ratio(first, positives, second, negatives),
        )
    return found


def likelihood_ratio(first: int, positives: int, second: int, negatives: int) -> Interval:
    """Share of positives over share of negatives, with its log-normal 95% interval (Simel and others 1991).

    Half a case is added to each cell when one is empty. Where both are, nothing is known: the ratio is 1.
    """
    extra = 0.5 if 0 in (first, second) else 0.0
    a, b, n, m = first + extra, second + extra, positives + 2 * extra, negatives + 2 * extra
    ratio = (a / n) / (b / m) if first or second else 1.0
    spread = statistics.Z_95 * np.sqrt(max(0.0, 1 / a - 1 / n + 1 / b - 1 / m))
    return Interval(float(ratio), float(ratio * np.exp(-spread)), float(ratio * np.exp(spread)))
