"""Versions that read beside the deciding one: what they would change, and, where it is known, which is right."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import numpy as np
from django.db.models import F
from django.db.models.functions import Coalesce

from screening.codes import Band
from screening.dashboard.intervals import BOTH, FIRST_ONLY, NEITHER, SECOND_ONLY, Estimate, Patients, as_json, share_of
from screening.dashboard.paired import compare_areas, mcnemar
from screening.dashboard.truth import AT_LEAST, UNSCORABLE, Known, references
from screening.models import Prediction, Screening
from skinclinic.audit.acting import Actor

BANDS = (UNSCORABLE, Band.LOW, Band.INTERMEDIATE, Band.HIGH)
AT_ONCE = 2000

Figures = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Said:
    """What one version says of a photograph; `band` is UNSCORABLE where it found it unfit."""

    band: str
    refer: bool
    malignancy: float


@dataclass(frozen=True, slots=True)
class Pair:
    """One photograph that two versions read. signed: whether its review is."""

    lesion: UUID
    patient: UUID
    taken_at: datetime
    versions: tuple[str, str]
    active: Said
    beside: Said
    signed: bool

    @property
    def is_fit(self) -> bool:
        return UNSCORABLE not in (self.active.band, self.beside.band)


def read_of(actor: Actor) -> tuple[list[Pair], dict[UUID, Known]]:
    """What the record says, for `side_by_side`."""
    return list(pairs_of(actor)), references(actor)


def pairs_of(actor: Actor) -> Iterator[Pair]:
    """Every photograph in use that a second version read; a file that was sent twice for a lesion is one."""
    once = Screening.objects.visible_to(actor).in_use().counted_once()
    readings = Prediction.objects.visible_to(actor).beside().filter(screening__in=once)
    deciding = (
        F("screening__prediction__band"),
        F("screening__prediction__refer"),
        F("screening__prediction__malignancy"),
    )
    rows = (
        readings.filter(screening__prediction__isnull=False)
        .order_by("created_at")
        .values_list(
            "screening__image__lesion",
            Coalesce("patient__merged_into", "patient"),
            Coalesce("screening__image__captured_at", "screening__image__created_at"),
            "screening__prediction__model_version",
            "model_version",
            *deciding,
            "band",
            "refer",
            "malignancy",
            "screening__signature",
        )
    )
    for lesion, patient, taken_at, active, beside, *said, signature in rows.iterator(AT_ONCE):
        band, refer, score, other_band, other_refer, other_score = said
        yield Pair(
            lesion=lesion,
            patient=patient,
            taken_at=taken_at,
            versions=(active, beside),
            active=Said(band or UNSCORABLE, refer, score),
            beside=Said(other_band or UNSCORABLE, other_refer, other_score),
            signed=signature is not None,
        )


def side_by_side(read: tuple[Sequence[Pair], dict[UUID, Known]]) -> Figures:
    """Of each two versions, the deciding one first, as JSON."""
    pairs, known = read
    found = []
    for versions in sorted({pair.versions for pair in pairs}):
        mine = [pair for pair in pairs if pair.versions == versions]
        signed = [pair for pair in mine if pair.signed]
        found.append(
            {
                "active": versions[0],
                "beside": versions[1],
                "waiting": len(mine) - len(signed),
                **changes(signed),
                "known": where_known(signed, known),
            }
        )
    return {"pairs": found}


def changes(pairs: Sequence[Pair]) -> Figures:
    """bands: the deciding version's as rows, the other's as columns. referred: by both, one, the other, none."""
    bands = by_patient(pairs, [4 * BANDS.index(pair.active.band) + BANDS.index(pair.beside.band) for pair in pairs], 16)
    fit = [pair for pair in pairs if pair.is_fit]
    referred = by_patient(fit, [cell_of(pair) for pair in fit], 4)
    return {
        "photographs": len(pairs),
        "patients": bands.number,
        "bands": bands.total.reshape(4, 4).tolist(),
        "flipped_share": as_json(bands.share(share_of(*(cell for cell in range(16) if cell % 5)))),
        "referred": referred.total.tolist(),
        "differing_share": as_json(referred.share(share_of(FIRST_ONLY, SECOND_ONLY))),
    }


def by_patient(pairs: Sequence[Pair], cells: Sequence[int], number: int) -> Patients:
    patients: dict[UUID, int] = {}
    rows = [patients.setdefault(pair.patient, len(patients)) for pair in pairs]
    counts = np.zeros((len(patients), number), dtype=int)
    np.add.at(counts, (np.array(rows, dtype=int), np.array(cells, dtype=int)), 1)
    return Patients(counts)


def cell_of(pair: Pair) -> int:
    if pair.active.refer:
        return BOTH if pair.beside.refer else FIRST_ONLY
    return SECOND_ONLY if pair.beside.refer else NEITHER


def where_known(pairs: Sequence[Pair], known: dict[UUID, Known]) -> Figures:
    """Among lesions of known nature; `areas` is None below thirty patients with malignant and thirty with benign ones:
    of many lesions of few patients the interval would be far too short."""
    last = last_before(pairs, known)
    malignant = [pair for pair in last if known[pair.lesion].malignant]
    benign = [pair for pair in last if not known[pair.lesion].malignant]
    found = {"malignant": referrals(malignant), "benign": referrals(benign)}
    enough = min(figures["patients"] for figures in found.values()) >= AT_LEAST
    return {
        **found,
        "areas": areas(malignant, benign) if enough else None,
    }


def last_before(pairs: Sequence[Pair], known: dict[UUID, Known]) -> list[Pair]:
    """Of each known lesion the last photograph from before it was known that both could read."""
    last: dict[UUID, Pair] = {}
    for pair in pairs:
        reference = known.get(pair.lesion)
        if reference is None or not pair.is_fit or pair.taken_at > reference.until:
            continue
        if pair.lesion not in last or pair.taken_at >= last[pair.lesion].taken_at:
            last[pair.lesion] = pair
    return list(last.values())


def referrals(pairs: Sequence[Pair]) -> Figures:
    """cells: lesions that both refer, only the deciding one, only the other, none; p: McNemar's, None without any."""
    cells = [cell_of(pair) for pair in pairs]
    alone = {pair.patient: [0, 0] for pair in pairs}
    for pair, cell in zip(pairs, cells, strict=True):
        if cell in (FIRST_ONLY, SECOND_ONLY):
            alone[pair.patient][cell == SECOND_ONLY] += 1
    only_first, only_second = zip(*alone.values(), strict=True) if alone else ((), ())
    return {
        "lesions": len(pairs),
        "patients": len(alone),
        "cells": [cells.count(cell) for cell in (BOTH, FIRST_ONLY, SECOND_ONLY, NEITHER)],
        "p": mcnemar(only_first, only_second) if pairs else None,
    }


def areas(malignant: Sequence[Pair], benign: Sequence[Pair]) -> Figures:
    found = compare_areas(*map(scores_of, (malignant, benign)), *map(patients_of, (malignant, benign)))
    difference: Estimate = found.difference
    return asdict(found) | {"difference": as_json(difference)}


def scores_of(pairs: Sequence[Pair]) -> np.ndarray:
    return np.array([(pair.active.malignancy, pair.beside.malignancy) for pair in pairs])


def patients_of(pairs: Sequence[Pair]) -> np.ndarray:
    return np.array([pair.patient.hex for pair in pairs])
