"""Two versions side by side, as a page shows it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from screening.codes import BAND_SCORES, Band
from screening.dashboard.beside import BANDS
from screening.dashboard.intervals import FIRST_ONLY, SECOND_ONLY
from screening.dashboard.shown import FEWEST, UNDEFINED, said, share
from screening.dashboard.truth import AT_LEAST, UNSCORABLE
from skinclinic.text import decimal

Figures = Mapping[str, Any]
SMALLEST_P = 0.001


@dataclass(frozen=True)
class KnownRow:
    """Lesions of one nature: how many either refers alone, and how likely that is by chance."""

    name: str
    lesions: int
    only_active: str
    only_beside: str
    p: str


@dataclass(frozen=True)
class PairPage:
    """Figures of two versions; `areas` is empty while too little is known, and then `lacking` says what."""

    active: str
    beside: str
    photographs: int
    patients: int
    waiting: int
    columns: list[str]
    bands: list[tuple[str, list[tuple[int, bool]]]]
    flipped_share: str
    referred: list[tuple[str, int]]
    differing_share: str
    known: list[KnownRow]
    areas: list[tuple[str, str]]
    lacking: str


def beside_pages(figures: Figures) -> list[PairPage]:
    return [pair_page(pair) for pair in figures["pairs"]]


def pair_page(pair: Figures) -> PairPage:
    known, names = pair["known"], [name_of(band) for band in BANDS]
    both, only_active, only_beside, none = pair["referred"]
    return PairPage(
        active=pair["active"],
        beside=pair["beside"],
        photographs=pair["photographs"],
        patients=pair["patients"],
        waiting=pair["waiting"],
        columns=names,
        bands=[
            (name, [(count, column == row) for column, count in enumerate(counts)])
            for row, (name, counts) in enumerate(zip(names, pair["bands"], strict=True))
        ],
        flipped_share=share(pair["flipped_share"]),
        referred=[
            (_("Both refer"), both),
            (_("Only %(version)s refers") % {"version": pair["active"]}, only_active),
            (_("Only %(version)s refers") % {"version": pair["beside"]}, only_beside),
            (_("None refers"), none),
        ],
        differing_share=share(pair["differing_share"]),
        known=[known_row(_("Malignant"), known["malignant"]), known_row(_("Benign"), known["benign"])],
        areas=areas_of(pair) if known["areas"] else [],
        lacking="" if known["areas"] else lacking(known),
    )


def name_of(band: str) -> str:
    return _("Not fit to be read") if band == UNSCORABLE else str(BAND_SCORES[Band(band)])


def known_row(name: str, found: Figures) -> KnownRow:
    shown = found["lesions"] >= FEWEST
    cells: Sequence[int] = found["cells"]
    return KnownRow(
        name=name,
        lesions=found["lesions"],
        only_active=str(cells[FIRST_ONLY]) if shown else UNDEFINED,
        only_beside=str(cells[SECOND_ONLY]) if shown else UNDEFINED,
        p=chance(found["p"]) if shown else UNDEFINED,
    )


def areas_of(pair: Figures) -> list[tuple[str, str]]:
    areas = pair["known"]["areas"]
    return [
        (_("Model %(version)s") % {"version": pair["active"]}, decimal(areas["first"], ".3f")),
        (_("Model %(version)s") % {"version": pair["beside"]}, decimal(areas["second"], ".3f")),
        (_("Difference"), said(areas["difference"], 1, "+.3f", _("%(value)s (%(low)s to %(high)s)"))),
        (_("By chance"), chance(areas["p"])),
    ]


def lacking(known: Figures) -> str:
    sentence = _(
        "Areas under the curve are told from %(at_least)d patients with malignant and %(at_least)d with benign lesions "
        "on; so far these are %(malignant)d and %(benign)d."
    )
    counts = {name: known[name]["patients"] for name in ("malignant", "benign")}
    return sentence % {"at_least": AT_LEAST, **counts}


def chance(p: float | None) -> str:
    if p is None:
        return UNDEFINED
    return _("below 0.001") if p < SMALLEST_P else decimal(p, ".3f")
