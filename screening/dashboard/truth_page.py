"""What readings are worth, as a page shows it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from screening.codes import BAND_SCORES, Band
from screening.dashboard.shown import FEWEST, hidden_below, share
from screening.dashboard.truth import AT_LEAST, REFERRED, UNSCORABLE

Figures = Mapping[str, Any]


@dataclass(frozen=True)
class BandRow:
    """A band's lesions, and what pathology found of those that it saw."""

    name: str
    lesions: int
    verified: str
    verified_share: str
    malignant: str
    malignant_share: str


@dataclass(frozen=True)
class TruthPage:
    """attained is empty while too little is known; then `lacking` says what."""

    rows: list[BandRow]
    lesions: int
    patients: int
    references: list[tuple[str, int]]
    attained: list[tuple[str, str]]
    by_lot: bool
    lacking: str


def truth_page(figures: Figures) -> TruthPage:
    known, attained = figures["benign_known"], figures["attained"]
    told = attained["figures"]
    return TruthPage(
        rows=[row_of(band, figures["bands"][band]) for band in (*reversed(REFERRED), Band.LOW, UNSCORABLE)],
        lesions=figures["lesions"],
        patients=figures["patients"],
        references=[
            (_("Malignant or pre-malignant by pathology"), figures["malignant_known"]),
            (_("Benign by pathology"), known["pathology"]),
            (_("Benign, followed for half a year"), known["followed"]),
            (_("Low, drawn at random, called benign by two who saw no reading"), known["two_blind"]),
        ],
        attained=[
            (_("Sensitivity of “refer”"), share(told["sensitivity"])),
            (_("Specificity of “refer”"), share(told["specificity"])),
            (_("Benign among those that are not referred"), share(told["negative_value"])),
        ]
        if told
        else [],
        by_lot=attained["by_lot"],
        lacking="" if told else lacking(attained["malignant"], attained["benign"]),
    )


def lacking(malignant: int, benign: int) -> str:
    if malignant >= AT_LEAST and benign >= AT_LEAST:
        return _("All that is known lies on one side of the threshold, so sensitivity and specificity cannot be told.")
    sentence = _(
        "Sensitivity and specificity are told once %(at_least)d lesions that could be read are known to be malignant "
        "and %(at_least)d to be benign; so far these are %(malignant)d and %(benign)d."
    )
    return sentence % {"at_least": AT_LEAST, "malignant": malignant, "benign": benign}


def row_of(band: str, found: Figures) -> BandRow:
    enough = found["verified"] >= FEWEST
    return BandRow(
        name=_("Not fit to be read") if band == UNSCORABLE else str(BAND_SCORES[Band(band)]),
        lesions=found["lesions"],
        verified=str(found["verified"]) if enough or not found["verified"] else hidden_below(found["verified"]),
        verified_share=share(found["verified_share"]),
        malignant=str(found["malignant"]) if enough else "–",
        malignant_share=share(found["malignant_share"]) if enough else "–",
    )
