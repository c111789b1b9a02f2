"""What readings are worth against what the lesions turned out to be, as far as that is known, and no further."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import numpy as np
from django.db.models.functions import Coalesce
from django.utils import timezone

from screening.codes import MALIGNANT_DIAGNOSES, Band, ReviewKind
from screening.dashboard.intervals import ROUNDS, SEED, Estimate, Patients, as_json, share_of
from screening.models import Outcome, Review, Screening
from screening.services.second import drawn_percent
from skinclinic.accounts.models import Clinic
from skinclinic.audit.acting import Actor

UNSCORABLE = "unscorable"
# From the least to the most alarming; a lesion has the last one that a photograph of it has.
BANDS = (UNSCORABLE, Band.LOW, Band.INTERMEDIATE, Band.HIGH)
REFERRED = (Band.INTERMEDIATE, Band.HIGH)
FOLLOWED_FOR = timedelta(days=183)
AT_LEAST = 30  # malignant and benign references each
AT_ONCE = 2000
JEFFREYS = 0.5

PATHOLOGY, FOLLOWED, TWO_BLIND, NONE = "pathology", "followed", "two_blind", ""
# Columns of a band's cells.
MALIGNANT, BENIGN, BENIGN_OTHERWISE, UNKNOWN = range(4)
COLUMNS = 4

Figures = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Read:
    """One photograph's deciding reading."""

    lesion: UUID
    patient: UUID
    taken_at: datetime
    version: str
    band: str
    screening: UUID


@dataclass(frozen=True, slots=True)
class Known:
    """What a lesion turned out to be, how that is known, and of photographs until when."""

    malignant: bool
    how: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Lesion:
    patient: int
    band: str
    column: int
    how: str


def truth(actor: Actor) -> Figures:
    """Of all readings and of each model version, as JSON. The unit is a lesion; its band, that of its photographs."""
    readings, known = list(readings_of(actor)), references(actor)
    found = {"all": worth(lesions(readings, known))}
    for version in sorted({read.version for read in readings}):
        found[version] = worth(lesions([read for read in readings if read.version == version], known))
    return found


def readings_of(actor: Actor) -> Iterator[Read]:
    screenings = Screening.objects.visible_to(actor).in_use().filter(prediction__isnull=False)
    rows = screenings.order_by().values_list(
        "image__lesion",
        Coalesce("patient__merged_into", "patient"),
        Coalesce("image__captured_at", "image__created_at"),
        "prediction__model_version",
        "prediction__band",
        "pk",
    )
    for lesion, patient, taken_at, version, band, screening in rows.iterator(AT_ONCE):
        yield Read(lesion, patient, taken_at, version, band or UNSCORABLE, screening)


def references(actor: Actor) -> dict[UUID, Known]:
    """By lesion. Pathology counts before what was followed, and that before what two read blind."""
    return read_blind_by_two(actor) | followed(actor) | proven(actor)


def proven(actor: Actor) -> dict[UUID, Known]:
    """By pathology: malignant where any report in force says so; of photographs up to the last report's day."""
    found: dict[UUID, Known] = {}
    reports = Outcome.objects.visible_to(actor).in_force().order_by("reported_on")
    for lesion, diagnosis, day in reports.values_list("lesion", "diagnosis", "reported_on").iterator(AT_ONCE):
        before = found.get(lesion)
        malignant = diagnosis in MALIGNANT_DIAGNOSES or (before is not None and before.malignant)
        found[lesion] = Known(malignant, PATHOLOGY, end_of(day))
    return found


def end_of(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, datetime.max.time()))


def followed(actor: Actor) -> dict[UUID, Known]:
    """Benign: never signed as suspicious, and looked at again and signed as not suspicious half a year later."""
    signed = Screening.objects.visible_to(actor).in_use().filter(signature__isnull=False).order_by()
    first: dict[UUID, datetime] = {}
    last: dict[UUID, datetime] = {}
    suspicious: set[UUID] = set()
    rows = signed.values_list("image__lesion", "signed_review__suspicious", "signature__created_at")
    for lesion, is_suspicious, at in rows.iterator(AT_ONCE):
        first[lesion] = min(at, first.get(lesion, at))
        last[lesion] = max(at, last.get(lesion, at))
        if is_suspicious:
            suspicious.add(lesion)
    return {
        lesion: Known(malignant=False, how=FOLLOWED, until=at - FOLLOWED_FOR)
        for lesion, at in last.items()
        if lesion not in suspicious and at - first[lesion] >= FOLLOWED_FOR
    }


def read_blind_by_two(actor: Actor) -> dict[UUID, Known]:
    """Benign: of low photographs drawn at random for a second reader, two who saw no reading call it not suspicious."""
    percent = Clinic.objects.values_list("second_reading_percent", flat=True).get(pk=actor.own_clinic())
    opinions = Review.objects.filter(
        clinic=actor.own_clinic(),
        kind=ReviewKind.BLIND,
        screening__withdrawn_at__isnull=True,
        screening__prediction__band=Band.LOW,
    )
    said: dict[UUID, dict[UUID, bool]] = {}
    lesions_of: dict[UUID, tuple[UUID, datetime]] = {}
    rows = opinions.order_by().values_list(
        "screening", "reviewer", "suspicious", "screening__image__lesion", "created_at"
    )
    for screening, reviewer, suspicious, lesion, at in rows.iterator(AT_ONCE):
        if drawn_percent(screening) < percent:
            said.setdefault(screening, {})[reviewer] = suspicious
            lesions_of[screening] = (lesion, at)
    return {
        lesion: Known(malignant=False, how=TWO_BLIND, until=at)
        for screening, (lesion, at) in lesions_of.items()
        if len(said[screening]) > 1 and not any(said[screening].values())
    }


def lesions(readings: Iterable[Read], known: dict[UUID, Known]) -> list[Lesion]:
    """A reference is set against the photographs that came before it; without any, it is none."""
    by_lesion: dict[UUID, list[Read]] = {}
    for read in readings:
        by_lesion.setdefault(read.lesion, []).append(read)
    patients: dict[UUID, int] = {}
    found = []
    for lesion, reads in by_lesion.items():
        reference = known.get(lesion)
        before = [read for read in reads if reference and read.taken_at <= reference.until]
        counted = reference if before else None
        band = max((read.band for read in before or reads), key=BANDS.index)
        number = patients.setdefault(reads[0].patient, len(patients))
        found.append(Lesion(number, band, column_of(counted), counted.how if counted else NONE))
    return found


def column_of(known: Known | None) -> int:
    if known is None:
        return UNKNOWN
    if known.how != PATHOLOGY:
        return BENIGN_OTHERWISE
    return MALIGNANT if known.malignant else BENIGN


def worth(found: Sequence[Lesion]) -> Figures:
    patients = Patients(counted(found))
    return {
        "lesions": len(found),
        "patients": patients.number,
        "bands": {str(band): of_band(patients, number) for number, band in enumerate(BANDS)},
        "benign_known": {
            how: sum(each.how == how and each.column != MALIGNANT for each in found)
            for how in (PATHOLOGY, FOLLOWED, TWO_BLIND)
        },
        "malignant_known": int(patients.total[MALIGNANT::COLUMNS].sum()),
        "attained": attained(patients),
    }


def counted(found: Sequence[Lesion]) -> np.ndarray:
    """patients x (bands * columns)"""
    rows = [each.patient for each in found]
    counts = np.zeros((max(rows, default=-1) + 1, len(BANDS) * COLUMNS), dtype=int)
    cells = [BANDS.index(each.band) * COLUMNS + each.column for each in found]
    np.add.at(counts, (np.array(rows, dtype=int), np.array(cells, dtype=int)), 1)
    return counts


def of_band(patients: Patients, number: int) -> Figures:
    """How many of its lesions have pathology, and how many of these are malignant."""
    cells = list(range(number * COLUMNS, (number + 1) * COLUMNS))
    by_pathology = [cells[MALIGNANT], cells[BENIGN]]
    inside = patients.total[cells]
    verified = patients.share(lambda counts: share_of(MALIGNANT, BENIGN)(counts[..., cells]), *cells)
    malignant = patients.share(lambda counts: share_of(0)(counts[..., by_pathology]), *by_pathology)
    return {
        "lesions": int(inside.sum()),
        "verified": int(inside[MALIGNANT] + inside[BENIGN]),
        "malignant": int(inside[MALIGNANT]),
        "verified_share": as_json(verified),
        "malignant_share": as_json(malignant),
    }


def attained(patients: Patients) -> Figures | None:
    """Sensitivity, specificity and negative predictive value of "refer" among lesions that could be read.

    None below thirty malignant and thirty benign references, or while either side of the threshold has none.
    Corrected for what was verified (Begg & Greenes 1983): within a band, whether a lesion has a reference is taken to
    depend on nothing that bears on what it is; each band's malignant share is that of its references, weighed with all
    its lesions. Intervals are drawn: shares of bands and of malignant ones from their posteriors under Jeffreys' prior,
    with as many as there are patients, so that a band of which little was verified stays as uncertain as it is.
    """
    scorable = [BANDS.index(band) for band in (Band.LOW, *REFERRED)]
    table = patients.total.reshape(len(BANDS), COLUMNS)[scorable]
    malignant, benign = table[:, MALIGNANT], table[:, BENIGN] + table[:, BENIGN_OTHERWISE]
    referenced = malignant + benign
    if malignant.sum() < AT_LEAST or benign.sum() < AT_LEAST or not referenced[0] or not referenced[1:].sum():
        return None
    lesions_in = table.sum(axis=1)
    if not referenced[1:].all():  # one of the two bands that refer has none: it is taken with the other
        lesions_in, malignant, benign = merged(lesions_in), merged(malignant), merged(benign)
    shares = malignant / np.maximum(malignant + benign, 1)
    value = figures_of(lesions_in[None], shares[None])
    alike = patients.number / max(1, patients.total.sum())
    rng = np.random.default_rng(SEED)
    drawn_lesions = rng.dirichlet(lesions_in * alike + JEFFREYS, size=ROUNDS)
    drawn_shares = rng.beta(malignant * alike + JEFFREYS, benign * alike + JEFFREYS, size=(ROUNDS, len(malignant)))
    drawn = figures_of(drawn_lesions, drawn_shares)
    return {name: as_json(interval_of(float(value[name][0]), drawn[name])) for name in value} | {
        "malignant": int(malignant.sum()),
        "benign": int(benign.sum()),
    }


def merged(counts: np.ndarray) -> np.ndarray:
    """Low, and everything above."""
    return np.stack([counts[0], counts[1:].sum(axis=0)])


def figures_of(lesions_in: np.ndarray, shares: np.ndarray) -> dict[str, np.ndarray]:
    """lesions_in and shares: … x bands, the lowest first; all but that one are referred."""
    malignant, benign = lesions_in * shares, lesions_in * (1 - shares)
    return {
        "sensitivity": malignant[:, 1:].sum(axis=1) / malignant.sum(axis=1),
        "specificity": benign[:, 0] / benign.sum(axis=1),
        "negative_value": 1 - shares[:, 0],
    }


def interval_of(value: float, drawn: np.ndarray) -> Estimate:
    low, high = np.percentile(drawn, (2.5, 97.5))
    return Estimate(value, min(value, float(low)), max(value, float(high)))
