from __future__ import annotations

import json

import pytest

from ml.cautions import HAM10000_RULES, CautionRule, Ground, parse_rule, that_hold
from ml.predictor import LiteRTPredictor
from ml.tests.conftest import drawn_bytes

TESTED = Ground(age=50, skin_type=2, site="back")


@pytest.mark.parametrize(
    ("ground", "codes"),
    [
        (TESTED, []),
        (Ground(age=17, skin_type=2, site="back"), ["young"]),
        (Ground(age=18, skin_type=2, site="back"), []),
        (Ground(age=None, skin_type=2, site="back"), []),
        (Ground(age=50, skin_type=3, site="back"), []),
        *[(Ground(age=50, skin_type=skin, site="back"), ["dark_skin"]) for skin in (4, 5, 6)],
        (Ground(age=50, skin_type=None, site="back"), ["skin_type_unknown"]),
        *[(Ground(age=50, skin_type=1, site=site), ["acral"]) for site in ("palm", "sole", "nail")],
        *[(Ground(age=50, skin_type=1, site=site), ["mucosa"]) for site in ("lip", "genital")],
        (Ground(50, 1, "face", frozenset({"non_pigmented"})), ["non_pigmented"]),
        (Ground(50, 1, "face", frozenset({"ulcerated"})), ["ulcerated"]),
        (Ground(50, 1, "face", frozenset({"suspected_scc"})), ["suspected_scc"]),
        (Ground(5, None, "sole", frozenset({"ulcerated"})), ["young", "skin_type_unknown", "acral", "ulcerated"]),
    ],
)
def test_the_rules_hold_on_thin_ground_alone(ground: Ground, codes: list[str]) -> None:
    assert [rule.code for rule in that_hold(HAM10000_RULES, ground)] == codes


def test_every_rule_says_that_the_score_may_be_wrong_either_way() -> None:
    assert all(rule.sentence.endswith("The score may be wrong either way.") for rule in HAM10000_RULES)


def test_a_rule_survives_the_manifest() -> None:
    from dataclasses import asdict

    for rule in HAM10000_RULES:
        assert parse_rule(json.loads(json.dumps(asdict(rule)))) == rule


def test_a_rule_with_an_unknown_condition_is_refused_whole() -> None:
    with pytest.raises(TypeError):
        parse_rule({"code": "moon", "sentence": "At full moon.", "moon": ["full"]})


def test_a_rule_without_conditions_never_holds() -> None:
    assert not CautionRule("idle", "Never.").holds(TESTED)


def test_the_installed_model_asks_of_the_ground_it_is_told(predictor: LiteRTPredictor) -> None:
    assert predictor.read(drawn_bytes()).cautions == ()
    assert predictor.read(drawn_bytes(), TESTED).cautions == ()
    assert predictor.read(drawn_bytes(), Ground(age=12, skin_type=5, site="sole")).cautions == (
        "young",
        "dark_skin",
        "acral",
    )
