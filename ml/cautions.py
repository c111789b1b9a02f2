"""Ground on which a model was hardly tested: its manifest's rules, asked of what the record says of a lesion."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

EITHER_WAY = "The score may be wrong either way."
NOT_RECORDED = 0
NON_PIGMENTED, ULCERATED, SUSPECTED_SCC = "non_pigmented", "ulcerated", "suspected_scc"


@dataclass(frozen=True)
class Ground:
    """What is known of a lesion and its bearer. age: in years. skin_type: Fitzpatrick's, 1 to 6. None: not recorded."""

    age: int | None = None
    skin_type: int | None = None
    site: str = ""
    findings: frozenset[str] = frozenset()


@dataclass(frozen=True)
class CautionRule:
    """It holds where any of its conditions does. skin_types: NOT_RECORDED stands for a type that nobody noted."""

    code: str
    sentence: str
    age_below: int | None = None
    skin_types: tuple[int, ...] = ()
    sites: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()

    def holds(self, ground: Ground) -> bool:
        young = self.age_below is not None and ground.age is not None and ground.age < self.age_below
        skin = (ground.skin_type or NOT_RECORDED) in self.skin_types
        return young or skin or ground.site in self.sites or bool(ground.findings.intersection(self.findings))


def that_hold(rules: Iterable[CautionRule], ground: Ground) -> tuple[CautionRule, ...]:
    return tuple(rule for rule in rules if rule.holds(ground))


def parse_rule(stored: Mapping[str, Any]) -> CautionRule:
    """From the manifest's JSON; an unknown condition is a TypeError, so that no rule is half understood."""
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in stored.items()
    }
    return CautionRule(**values)


# For models trained and tested on HAM10000, whose README counts its thin ground.
HAM10000_RULES = (
    CautionRule("young", f"The patient is under 18; the model was tested on adults. {EITHER_WAY}", age_below=18),
    CautionRule(
        "dark_skin", f"Skin type IV to VI; the model was tested on light skin. {EITHER_WAY}", skin_types=(4, 5, 6)
    ),
    CautionRule(
        "skin_type_unknown",
        f"The skin type is not recorded; the model was tested on light skin. {EITHER_WAY}",
        skin_types=(NOT_RECORDED,),
    ),
    CautionRule(
        "acral",
        f"Palm, sole or nail; hardly any test photograph shows one. {EITHER_WAY}",
        sites=("palm", "sole", "nail"),
    ),
    CautionRule(
        "mucosa", f"Mucosa or genital skin; no malignant test lesion lay there. {EITHER_WAY}", sites=("lip", "genital")
    ),
    CautionRule(
        "non_pigmented",
        f"Not pigmented; the test collection is one of pigmented lesions. {EITHER_WAY}",
        findings=(NON_PIGMENTED,),
    ),
    CautionRule("ulcerated", f"Ulcerated; such lesions were not tested apart. {EITHER_WAY}", findings=(ULCERATED,)),
    CautionRule(
        "suspected_scc",
        f"Squamous cell carcinoma suspected; the model knows no invasive one. {EITHER_WAY}",
        findings=(SUSPECTED_SCC,),
    ),
)
