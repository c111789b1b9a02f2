"""The figures of agreement, with their names and as a page shows them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from ml.labels import DIAGNOSES
from patients.codes import BodySite, Sex, SkinType
from screening import words
from screening.codes import DifferenceReason
from screening.dashboard.agreement import CUTS
from screening.dashboard.opinions import Given
from screening.dashboard.shown import FEWEST, hidden_below, number, share
from skinclinic.accounts.models import User
from skinclinic.audit.acting import AUDITOR, MANAGER, Actor

KAPPA_FROM, KAPPA_TO, BAR_WIDTH = -0.2, 1.0, 120

Figures = Mapping[str, Any]


@dataclass(frozen=True)
class Bar:
    """Kappa and its interval in the pixels of a row's chart."""

    low: float
    value: float
    high: float


@dataclass(frozen=True)
class Row:
    """One part of the opinions. Nothing but its name where there are too few of them."""

    name: str
    opinions: int
    is_hidden: bool
    patients: int = 0
    positive: str = ""
    negative: str = ""
    kappa: str = ""
    overridden: str = ""
    bar: Bar | None = None


@dataclass(frozen=True)
class Part:
    """The opinions that were given in one way: blind, or with the reading shown."""

    given: str
    title: str
    explained: str
    whole: Row
    cells: list[str]
    reading_refers: str
    suspicious: str
    cuts: list[tuple[str, list[Row]]]
    classes: list[str]
    diagnoses: list[tuple[str, list[str]]]
    same: str
    diagnosis_kappa: str
    overridden: int
    override_of: int
    override_share: str
    reasons: list[tuple[str, str]]
    switches: dict[str, str]
    switch_share: str


def parts(figures: Figures, actor: Actor) -> list[Part]:
    """Of one period. Who neither manages nor audits sees of the reviewers herself alone."""
    names = reviewers_named(figures, actor)
    return [part(figures[given], given, names) for given in Given if figures[given]["all"]["opinions"]]


def own_rows(figures: Figures, actor: Actor) -> list[tuple[str, Row]]:
    """What a reviewer may see: her own rows."""
    rows = [(given, figures[given]["cuts"]["reviewer"].get(str(actor.user_id))) for given in Given]
    return [(title_of(given), row_of(_("You"), found)) for given, found in rows if found]


def reviewers_named(figures: Figures, actor: Actor) -> dict[str, str]:
    if not actor.has_role(MANAGER, AUDITOR):
        return {}
    keys = {key for given in Given for key in figures[given]["cuts"]["reviewer"]}
    return {str(key): name for key, name in User.objects.filter(pk__in=keys).values_list("pk", "full_name")}


def part(figures: Figures, given: Given, names: Mapping[str, str]) -> Part:
    whole, seven, overrides = figures["all"], figures["diagnoses"], figures["overrides"]
    return Part(
        given=given,
        title=title_of(given),
        explained=explained(given),
        whole=row_of(_("All"), whole),
        cells=[hidden_below(count) for count in whole["cells"]],
        reading_refers=share(whole["reading_refers"]),
        suspicious=share(whole["suspicious"]),
        cuts=[(cut_name(cut), rows_of(cut, figures["cuts"][cut], names)) for cut in CUTS],
        classes=[class_name(code) for code in seven["classes"]],
        diagnoses=[
            (class_name(code), [hidden_below(count) for count in counts])
            for code, counts in zip(seven["classes"][:-1], seven["table"], strict=False)
        ],
        same=share(seven["same"]),
        diagnosis_kappa=number(seven["kappa"]),
        overridden=overrides["overridden"],
        override_of=overrides["of"],
        override_share=share(overrides["share"]),
        reasons=[(reason_name(code), hidden_below(count)) for code, count in overrides["reasons"].items()],
        switches=switches_of(figures["switches"]),
        switch_share=share(figures["switches"]["share"]),
    )


def switches_of(found: Figures) -> dict[str, str]:
    """Empty where there are too few."""
    if found["of"] < FEWEST:
        return {}
    toward, away = (hidden_below(found[name]) for name in ("decision_toward", "decision_away"))
    return {"of": str(found["of"]), "toward": toward, "away": away}


def rows_of(cut: str, rows: Figures, names: Mapping[str, str]) -> list[Row]:
    """By name, bands of age and types of skin in their order; what is hidden comes last."""
    named = [(key, row_of(key_name(cut, key, names), found)) for key, found in rows.items()]
    in_order = cut in {"age", "skin_type"}
    named.sort(key=lambda each: (each[1].is_hidden, number_in(each[0]) if in_order else 0, each[1].name))
    return [row for _key, row in named]


def number_in(key: str) -> int:
    """Where it stands in its order, such as 40 of 40-59; what has no number comes last."""
    digits = re.match(r"\d+", key)
    return int(digits[0]) if digits else 1000


def row_of(name: str, found: Figures) -> Row:
    if found["opinions"] < FEWEST:
        return Row(name, found["opinions"], is_hidden=True)
    return Row(
        name=name,
        opinions=found["opinions"],
        is_hidden=False,
        patients=found["patients"],
        positive=share(found["positive"]),
        negative=share(found["negative"]),
        kappa=number(found["kappa"]),
        overridden=share(found["overrides"]["share"]) if "overrides" in found else "",
        bar=bar_of(found["kappa"]),
    )


def bar_of(kappa: Figures) -> Bar | None:
    if kappa["value"] is None or kappa["low"] is None:
        return None
    low, value, high = (
        round(BAR_WIDTH * (min(max(kappa[end], KAPPA_FROM), KAPPA_TO) - KAPPA_FROM) / (KAPPA_TO - KAPPA_FROM), 1)
        for end in ("low", "value", "high")
    )
    return Bar(low, value, high)


def title_of(given: Given) -> str:
    return _("Before the reading was shown") if given == Given.BLIND else _("With the reading shown")


def explained(given: Given) -> str:
    if given == Given.BLIND:
        return _("What reviewers said by themselves: agreement here is not the reading's doing.")
    return _("Who has seen a reading leans to it: agreement here says less of the model.")


def cut_name(cut: str) -> str:
    return {
        "reviewer": _("Reviewer"),
        "version": _("Model version"),
        "caution": _("Caution"),
        "site": _("Site"),
        "sex": _("Sex"),
        "age": _("Age"),
        "skin_type": _("Skin type"),
    }[cut]


def key_name(cut: str, key: str, names: Mapping[str, str]) -> str:
    match cut:
        case "reviewer":
            return names.get(key, _("A former reviewer"))
        case "caution":
            return _("Under a caution") if key == "under" else _("Without")
        case "site":
            return str(BodySite(key).label)
        case "sex":
            return str(Sex(key).label)
        case "skin_type":
            return str(SkinType(int(key)).label) if key else _("Not recorded")
        case _:
            return key


def class_name(code: str) -> str:
    return words.class_name(code) if code in DIAGNOSES else _("None of the seven")


def reason_name(code: str) -> str:
    return str(DifferenceReason(code).label) if code else _("No reason asked for")
