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
from screening.dashboard.intervals import ROUNDS, SEED, Estimate, Patients, as_json, ratio
from screening.models import Outcome, Review, Screening
from screening.services.second import drawn_percent
from skinclinic.accounts.models import Clinic
from skinclinic.audit.acting import Actor
from skinclinic.audit.models import AuditEvent

UNSCORABLE, DRAWN = "unscorable", "drawn"
# From the least to the most alarming; a lesion has the last one that a photograph of it has. Low ones that were drawn
# at random for a second reader are kept apart: of them it is not chosen whose nature is known.
BANDS = (UNSCORABLE, Band.LOW, DRAWN, Band.INTERMEDIATE, Band.HIGH)
LOW = (Band.LOW, DRAWN)
REFERRED = (Band.INTERMEDIATE, Band.HIGH)
FOLLOWED_FOR = timedelta(days=183)
AT_LEAST = 30  # malignant and benign references each
AT_ONCE = 2000
JEFFREYS = 0.5

PERCENT = "second_reading_percent"
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


def known_of(actor: Actor) -> tuple[list[Read], dict[UUID, Known]]:
    """What the record says, for `truth`."""
    return list(readings_of(actor)), references(actor)


def truth(known: tuple[Sequence[Read], dict[UUID, Known]]) -> Figures:
    """Of all readings and of each model version, as JSON. The unit is a lesion; its band, that of its photographs."""
    readings, reference_of = known
    found = {"all": worth(lesions(readings, reference_of))}
    for version in sorted({read.version for read in readings}):
        found[version] = worth(lesions([read for read in readings if read.version == version], reference_of))
    return found


def readings_of(actor: Actor) -> Iterator[Read]:
    """Of photographs whose review is signed: what is still to be judged blind has no say in any figure."""
    screenings = Screening.objects.visible_to(actor).in_use().filter(prediction__isnull=False)
    screenings, drawn_at = screenings.filter(signature__isnull=False), percents_of(actor)
    rows = screenings.order_by().values_list(
        "image__lesion",
        Coalesce("patient__merged_into", "patient"),
        Coalesce("image__captured_at", "image__created_at"),
        "prediction__model_version",
        "prediction__band",
        "pk",
        "signature__created_at",
    )
    for lesion, patient, taken_at, version, band, screening, signed_at in rows.iterator(AT_ONCE):
        is_drawn = band == Band.LOW and was_drawn(screening, signed_at, drawn_at)
        yield Read(lesion, patient, taken_at, version, DRAWN if is_drawn else band or UNSCORABLE)


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
    """Benign: never signed as suspicious, and looked at again and signed as not suspicious half a year later.

    The same file sent again is no second look.
    """
    signed = Screening.objects.visible_to(actor).in_use().filter(signature__isnull=False).order_by()
    first: dict[UUID, datetime] = {}
    last: dict[UUID, datetime] = {}
    suspicious: set[UUID] = set()
    rows = signed.with_repeats_marked().values_list(
        "image__lesion", "signed_review__suspicious", "signature__created_at", "is_repeat"
    )
    for lesion, is_suspicious, at, is_repeat in rows.iterator(AT_ONCE):
        if is_suspicious:
            suspicious.add(lesion)
        if not is_repeat:
            first[lesion] = min(at, first.get(lesion, at))
            last[lesion] = max(at, last.get(lesion, at))
    return {
        lesion: Known(malignant=False, how=FOLLOWED, until=at - FOLLOWED_FOR)
        for lesion, at in last.items()
        if lesion not in suspicious and at - first[lesion] >= FOLLOWED_FOR
    }


def read_blind_by_two(actor: Actor) -> dict[UUID, Known]:
    """Benign: of a low photograph drawn at random for a second reader, two who saw no reading call it not suspicious.

    None where any opinion given blind on the lesion is another one.
    """
    opinions = Review.objects.filter(
        clinic=actor.own_clinic(), kind=ReviewKind.BLIND, screening__withdrawn_at__isnull=True
    )
    said: dict[UUID, set[UUID]] = {}
    found: dict[UUID, datetime] = {}
    suspicious: set[UUID] = set()
    percents = percents_of(actor)
    rows = opinions.order_by("created_at", "id").values_list(
        "screening", "screening__prediction__band", "screening__image__lesion", "reviewer", "suspicious", "created_at"
    )
    for screening, band, lesion, reviewer, is_suspicious, at in rows.iterator(AT_ONCE):
        if is_suspicious:
            suspicious.add(lesion)
        readers = said.setdefault(screening, set())
        readers.add(reviewer)
        if len(readers) > 1 and band == Band.LOW and was_drawn(screening, at, percents):
            found[lesion] = at
    return {
        lesion: Known(malignant=False, how=TWO_BLIND, until=at)
        for lesion, at in found.items()
        if lesion not in suspicious
    }


Percents = list[tuple[datetime | None, int]]


def percents_of(actor: Actor) -> Percents:
    """How many of a hundred photographs were drawn for a second reader, since when; the oldest first.

    From the ledger: what is drawn follows the clinic's setting as it was on that day.
    """
    clinic = actor.own_clinic()
    changes = AuditEvent.objects.filter(
        clinic_id=clinic,
        subject_type="accounts_clinic",
        subject_id=str(clinic),
        action="update",
        changes__has_key=PERCENT,
    )
    steps = [(at, change[PERCENT]) for at, change in changes.order_by("id").values_list("at", "changes")]
    now = Clinic.objects.values_list(PERCENT, flat=True).get(pk=clinic)
    before = steps[0][1][0] if steps else now
    return [(None, before or 0), *((at, new) for at, (_old, new) in steps)]


def was_drawn(screening: UUID, at: datetime, percents: Percents) -> bool:
    percent = next(percent for since, percent in reversed(percents) if since is None or since <= at)
    return drawn_percent(screening) < percent


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
        "bands": {
            UNSCORABLE: of_band(patients, UNSCORABLE),
            Band.LOW.value: of_band(patients, *LOW),
            **{band.value: of_band(patients, band) for band in REFERRED},
        },
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


def of_band(patients: Patients, *bands: str) -> Figures:
    """How many of its lesions have pathology, and how many of these are malignant. Several bands count as one."""
    starts = [BANDS.index(band) * COLUMNS for band in bands]
    cells = [start + column for start in starts for column in range(COLUMNS)]
    malignant_cells, benign_cells = ([start + column for start in starts] for column in (MALIGNANT, BENIGN))
    by_pathology = [*malignant_cells, *benign_cells]
    verified = patients.share(lambda counts: part_of(counts, by_pathology, cells), *cells)
    malignant = patients.share(lambda counts: part_of(counts, malignant_cells, by_pathology), *by_pathology)
    return {
        "lesions": int(patients.total[cells].sum()),
        "verified": int(patients.total[by_pathology].sum()),
        "malignant": int(patients.total[malignant_cells].sum()),
        "verified_share": as_json(verified),
        "malignant_share": as_json(malignant),
    }


def part_of(counts: np.ndarray, some: Sequence[int], cells: Sequence[int]) -> np.ndarray:
    return ratio(counts[..., list(some)].sum(axis=-1), counts[..., list(cells)].sum(axis=-1))


def attained(patients: Patients) -> Figures:
    """Sensitivity, specificity and negative predictive value of "refer" among lesions that could be read.

    `figures` is None below thirty malignant and thirty benign references, or while either side of the threshold has
    none. Corrected for what was verified (Begg & Greenes 1983): within a band, whether a lesion has a reference is
    taken to depend on nothing that bears on what it is; each band's malignant share is that of its references, weighed
    with all its lesions. Of the low ones those that were drawn at random stand for all, once thirty of them are known.
    Intervals are drawn: shares of bands and of malignant ones from their posteriors under Jeffreys' prior, with as many
    as there are patients, so that a band of which little was verified stays as uncertain as it is.
    """
    table = patients.total.reshape(len(BANDS), COLUMNS)
    malignant = table[:, MALIGNANT]
    benign = table[:, BENIGN] + table[:, BENIGN_OTHERWISE]
    low, drawn, *referred = (BANDS.index(band) for band in (*LOW, *REFERRED))
    readable = [low, drawn, *referred]
    told = {"malignant": int(malignant[readable].sum()), "benign": int(benign[readable].sum())}
    by_lot = malignant[drawn] + benign[drawn] >= AT_LEAST
    of_low = [drawn] if by_lot else [low, drawn]
    rows = [of_low, *([band] for band in referred)]
    ill, well = (np.array([counts[bands].sum() for bands in rows]) for counts in (malignant, benign))
    lesions_in = np.array([table[bands].sum() for bands in ([low, drawn], *([band] for band in referred))])
    known = ill + well
    if min(told.values()) < AT_LEAST or not known[0] or not known[1:].sum():
        return {**told, "by_lot": bool(by_lot), "figures": None}
    if not known[1:].all():  # one of the two bands that refer has none: it is taken with the other
        lesions_in, ill, well = merged(lesions_in), merged(ill), merged(well)
    value = figures_of(lesions_in[None], (ill / np.maximum(ill + well, 1))[None])
    alike = patients.number / max(1, patients.total.sum())
    rng = np.random.default_rng(SEED)
    drawn_lesions = rng.dirichlet(lesions_in * alike + JEFFREYS, size=ROUNDS)
    drawn_shares = rng.beta(ill * alike + JEFFREYS, well * alike + JEFFREYS, size=(ROUNDS, len(ill)))
    drawn_figures = figures_of(drawn_lesions, drawn_shares)
    figures = {name: as_json(interval_of(float(value[name][0]), drawn_figures[name])) for name in value}
    return {**told, "by_lot": bool(by_lot), "figures": figures}


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
