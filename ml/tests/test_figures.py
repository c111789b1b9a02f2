"""Figures of made-up readings whose worth is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ml.labels import DIAGNOSES
from ml.manifest import Calibration
from ml.training import figures
from ml.training.calibrate import Thresholds
from ml.training.cases import Cases, Scored, malignant_sum
from ml.training.data import DataError, Photograph, Split
from ml.training.evaluate import by_fold
from ml.training.oof import read_rows, rows_of, write_rows
from ml.training.report import compare

MEL, NV = (DIAGNOSES.index(name) for name in ("mel", "nv"))


def _photograph(number: int, dx: str, lesion: str, **known: object) -> Photograph:
    values = {"dx_type": "histo", "age": 50.0, "sex": "male", "localization": "back", "source": "here"} | known
    return Photograph(f"ISIC_{number:07}", lesion, dx, path=Path(), **values)  # type: ignore[arg-type]


def _scored(
    diagnoses: list[str],
    malignancy: list[float],
    *,
    refer: float = 0.5,
    unscorable: tuple[int, ...] = (),
    lesions: str | None = None,
    **known: object,
) -> Scored:
    """The malignant share is all melanoma's, the rest nevus'.

    lesions: a letter for each photograph; one lesion each without it.
    """
    names = lesions or [str(number) for number in range(len(diagnoses))]
    photographs = [
        _photograph(number, dx, f"L{name}", **known)
        for number, (dx, name) in enumerate(zip(diagnoses, names, strict=True))
    ]
    cases = Cases(photographs, [photograph.lesion_id for photograph in photographs])
    probabilities = np.zeros((len(diagnoses), 7))
    probabilities[:, MEL], probabilities[:, NV] = malignancy, 1 - np.array(malignancy)
    score = malignant_sum(probabilities)
    reasons = [("blurred",) if number in unscorable else () for number in range(len(diagnoses))]
    return Scored(cases, probabilities, score >= refer, score >= 0.8, reasons)


def test_targets_count_melanoma_alone_and_leave_akiec_out() -> None:
    scored = _scored(["mel", "mel", "akiec", "akiec", "nv", "nv"], [0.9, 0.6, 0.1, 0.2, 0.3, 0.05])
    targets = figures.main_figures(scored)["targets"]
    assert (targets["malignant"]["positive"], targets["malignant"]["negative"]) == (4, 2)
    assert (targets["melanoma"]["positive"], targets["melanoma"]["negative"]) == (2, 2)
    assert targets["melanoma"]["auc"]["value"] == 1.0
    assert targets["malignant"]["auc"]["value"] == pytest.approx(6 / 8)
    assert targets["malignant"]["attained"]["refer"]["sensitivity"]["value"] == 0.5
    assert targets["without_akiec"]["attained"]["refer"]["sensitivity"]["value"] == 1.0


def test_what_could_not_be_read_is_a_column_and_counted_both_ways() -> None:
    scored = _scored(["mel", "mel", "mel", "mel", "nv", "nv"], [0.9, 0.9, 0.1, 0.1, 0.9, 0.1], unscorable=(1, 3, 5))
    found = figures.main_figures(scored)
    assert found["at_refer"]["malignant"] == {"refer": 1, "do_not_refer": 1, "unscorable": 2}
    assert found["at_refer"]["unscorable_counted_as_referred"]["sensitivity"]["value"] == 0.75
    assert found["at_refer"]["unscorable_counted_as_missed"]["sensitivity"]["value"] == 0.25
    assert found["at_refer"]["unscorable_counted_as_referred"]["specificity"]["value"] == 0.0
    assert found["confusion"][MEL] == [0, 0, 0, 0, 1, 1, 0, 2]
    assert sum(map(sum, found["confusion"])) == 6


def test_every_lesion_is_in_one_band() -> None:
    scored = _scored(["mel", "mel", "nv", "nv", "nv"], [0.9, 0.6, 0.1, 0.6, 0.2], unscorable=(4,))
    bands = figures.band_figures(scored)
    assert [bands[name].malignant.count for name in ("low", "intermediate", "high", "unscorable")] == [0, 1, 1, 0]
    assert [bands[name].benign.count for name in ("low", "intermediate", "high", "unscorable")] == [1, 1, 0, 1]


def test_a_benign_confirmation_is_held_against_all_malignant_lesions() -> None:
    first = [_photograph(number, "mel", f"M{number}") for number in range(12)]
    rest = [_photograph(20 + number, "nv", f"N{number}", dx_type="follow_up") for number in range(12)]
    cases = Cases([*first, *rest], [photograph.lesion_id for photograph in [*first, *rest]])
    probabilities = np.zeros((24, 7))
    probabilities[:12, MEL], probabilities[12:, NV] = 1, 1
    scored = Scored(cases, probabilities, np.arange(24) < 12, np.arange(24) < 12, [()] * 24)
    group = figures.subgroup_figures(scored)["confirmation"]["follow_up"]
    assert (group["photographs"], group["malignant"], group["auc"]["value"]) == (24, 12, 1.0)


def test_the_highest_photograph_speaks_for_its_lesion() -> None:
    malignancy = [0.9, 0.1, 0.1, 0.1, 0.1, 0.6, 0.1, 0.1]
    found = figures.highest_band_of_lesion(_scored(["mel"] * 4 + ["nv"] * 4, malignancy, lesions="AABBCCDD"))
    assert (found["lesions"], found["malignant"]) == (4, 2)
    assert found["refer"]["sensitivity"]["value"] == 0.5
    assert found["refer"]["specificity"]["value"] == 0.5


def test_repeatability_of_known_siblings() -> None:
    malignancy = 1 / (1 + np.exp(-np.array([0.0, 2.0, -3.0, -1.0, 0.0])))
    found = figures.repeatability(_scored(["nv"] * 5, malignancy.tolist(), refer=0.7, lesions="AABBC"))
    assert found["deviation_of_logit"]["value"] == pytest.approx(np.sqrt(2))
    assert (found["lesions"], found["pairs"], found["pairs_in_other_bands"]["value"]) == (2, 2, 0.5)


def test_siblings_that_cannot_be_read_make_no_pair() -> None:
    malignancy = [0.9, 0.1, 0.1, 0.1, 0.1, 0.1]
    found = figures.repeatability(_scored(["nv"] * 6, malignancy, unscorable=(0,), lesions="AAABBB"))
    assert (found["pairs"], found["pairs_in_other_bands"]["value"]) == (4, 0)


def test_the_rule_is_told_of_lesions_that_have_several_photographs() -> None:
    malignancy = [0.9, 0.1, 0.1, 0.9, 0.1, 0.1, 0.9]
    found = figures.lesions_of_several(_scored(["mel"] * 7, malignancy, lesions="AABBCCD"))
    assert found["highest"]["lesions"] == found["one"]["lesions"] == 3
    assert found["highest"]["refer"]["sensitivity"]["value"] == pytest.approx(2 / 3)
    assert found["one"]["refer"]["sensitivity"]["value"] <= 2 / 3


def test_the_net_benefit_of_a_score_with_false_alarms() -> None:
    """Half are malignant; at 20 % the odds of 0.6 / 0.4 become 1.5 x 0.25 = 0.375, a chance of 0.27."""
    scored = _scored(["mel"] * 10 + ["nv"] * 10, [0.6] * 8 + [0.1] * 2 + [0.6] * 3 + [0.1] * 7)
    found = figures.decision_curves(scored)
    curve, at = found["prevalences"]["0.2"], found["chances"].index
    harm = 0.25 / 0.75 * 0.8
    assert curve["by_score"][at(0.25)] == pytest.approx(0.2 * 0.8 - harm * 0.3)
    assert curve["everybody"][at(0.25)] == pytest.approx(0.2 - harm)
    assert curve["by_score"][at(0.28)] == 0, "nobody is referred above the highest chance"


def test_ages_that_nobody_recorded_are_a_group() -> None:
    scored = _scored(["mel"] * 12 + ["nv"] * 12, [0.9] * 12 + [0.1] * 12, age=None, sex="")
    found = figures.subgroup_figures(scored)
    assert set(found["age"]) == set(found["sex"]) == {"unknown"}


def test_referring_by_a_perfect_score_gains_the_prevalence() -> None:
    scored = _scored(["mel"] * 5 + ["nv"] * 20, [0.9999] * 5 + [0.0001] * 20)
    curve = figures.decision_curves(scored)["prevalences"]["0.04"]
    assert curve["by_score"][20] == pytest.approx(0.04)
    assert curve["everybody"][20] < curve["by_score"][20]


def test_the_tables_come_back_as_they_were_written(tmp_path: Path) -> None:
    shares = np.random.default_rng(0).dirichlet(np.ones(7), 3)
    rows = list(rows_of(2, ["b", "a", "c"], shares, [(), ("blurred", "too_small"), ()]))
    write_rows(tmp_path / "oof.csv", rows)
    back = read_rows(tmp_path / "oof.csv")
    assert [row.image_id for row in back] == ["a", "b", "c"]
    assert back[0].unscorable == ("blurred", "too_small")
    assert np.allclose([row.probabilities for row in back], shares[[1, 0, 2]], rtol=1e-6)


def test_a_damaged_table_says_so(tmp_path: Path) -> None:
    (tmp_path / "oof.csv").write_text("image_id,fold\na,1\n")
    with pytest.raises(DataError, match="damaged"):
        read_rows(tmp_path / "oof.csv")


def test_thresholds_apply_the_calibration_to_the_malignant_sum() -> None:
    shares = np.random.default_rng(1).dirichlet(np.ones(7), 20)
    raw = malignant_sum(shares)
    applied = Thresholds(Calibration(slope=1.5, intercept=-0.3), 0.1, 0.5).apply(shares)
    odds = 1.5 * np.log(raw / (1 - raw)) - 0.3
    assert np.allclose(malignant_sum(applied), 1 / (1 + np.exp(-odds)))
    assert np.allclose(applied.sum(axis=1), 1)


def test_a_photograph_that_is_refused_says_nothing_of_its_lesion() -> None:
    malignancy = [0.9, 0.1, 0.9, 0.1, 0.9, 0.9]
    scored = _scored(["mel"] * 6, malignancy, unscorable=(2, 4, 5), lesions="AABBCC")
    found = figures.highest_band_of_lesion(scored)
    assert (found["lesions"], found["unscorable"]) == (2, 1)
    assert found["refer"]["sensitivity"]["value"] == 0.5


def test_a_group_of_few_has_no_figures() -> None:
    few = figures.group_figures(_scored(["mel"] * 9 + ["nv"] * 12, [0.9] * 9 + [0.1] * 12))
    assert set(few) == {"photographs", "malignant", "specificity"}
    enough = figures.group_figures(_scored(["mel"] * 10 + ["nv"] * 12, [0.9] * 10 + [0.1] * 12))
    assert set(enough) == {"photographs", "malignant", "auc", "sensitivity", "specificity"}


def test_every_fold_is_told_alone_and_without_the_first() -> None:
    scored = _scored(["mel", "nv"] * 20, [0.9, 0.1] * 4 + [0.1, 0.9] * 16)
    photographs = scored.cases.photographs
    splits = [Split(p.image_id, p.lesion_id, p.lesion_id, p.dx, row // 8, 0) for row, p in enumerate(photographs)]
    found = by_fold(scored, splits)
    assert list(found) == ["fold 0", "fold 1", "fold 2", "fold 3", "fold 4", "folds 1 to 4"]
    assert [found[name]["photographs"] for name in found] == [8, 8, 8, 8, 8, 32]
    assert (found["fold 0"]["auc"], found["folds 1 to 4"]["auc"]) == (1.0, 0.0)
    assert (found["fold 0"]["sensitivity"], found["folds 1 to 4"]["specificity"]) == (1.0, 0.0)


def test_the_large_calibration_is_observed_less_expected() -> None:
    large = figures.main_figures(_scored(["mel"] * 5 + ["nv"] * 15, [0.15] * 20))["calibration"]["in_the_large"]
    assert large["value"] == pytest.approx(0.25 - 0.15)


def test_another_figure_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    stored = {"fold_0": {"auc": {"value": 0.94}, "counts": [10, 200], "title": "x"}}
    assert compare(stored, stored) == 0
    assert compare({"fold_0": {"auc": {"value": 0.9404}, "counts": [11, 200], "title": "y"}}, stored) == 0
    assert compare({"fold_0": {"auc": {"value": 0.95}, "counts": [10, 200]}}, stored) == 1
    assert "fold_0/auc/value: 0.95 now, 0.94 written down" in capsys.readouterr().out
    assert compare({"fold_0": {"auc": {"value": 0.94}, "counts": [10, 210]}}, stored) == 1
    assert compare({"fold_0": {"auc": {"value": 0.94}}}, stored) == 1
    assert "fold_0/counts/0: nothing now, 10 written down" in capsys.readouterr().out


def test_figures_from_tables_are_found_again_to_the_last_place(capsys: pytest.CaptureFixture[str]) -> None:
    stored = {"five_folds": {"auc": 0.94, "count": 10}, "robustness": {"auc": 0.9}}
    assert compare({"five_folds": {"auc": 0.94, "count": 10}}, stored) == 0
    assert "reproduced. Not looked at this time: robustness." in capsys.readouterr().out
    assert compare({"five_folds": {"auc": 0.9401, "count": 10}}, stored) == 1
    assert compare({"five_folds": {"auc": 0.94, "count": 11}}, stored) == 1


@pytest.mark.parametrize(
    ("path", "kept", "near", "far"),
    [
        ("fold_0/auc", 0.94, 0.9404, 0.941),
        ("fold_0/sensitivity", 0.94, 0.949, 0.951),
        ("fold_0/roc", 0.5, 0.509, 0.52),
        ("fold_0/count", 200, 202, 203),
        ("five_folds/sensitivity", 0.94, 0.9400005, 0.9401),
        ("served/refer/value", 0.05, 0.0500005, 0.0502),
        ("served/refer/sensitivity", 0.94, 0.949, 0.951),
        ("served/calibration/slope", 1.1, 1.1000005, 1.1001),
    ],
)
def test_how_near_a_figure_has_to_come(path: str, kept: float, near: float, far: float) -> None:
    def nested(value: float) -> dict:
        whole: Any = value
        for key in reversed(path.split("/")):
            whole = {key: whole}
        return whole

    assert compare(nested(near), nested(kept)) == 0
    assert compare(nested(far), nested(kept)) == 1
