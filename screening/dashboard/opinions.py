"""What reviewers said of photographs, beside what the model said: one row for each of them, as the figures need it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from django.db.models import F, QuerySet
from django.db.models.functions import Coalesce

from patients.models import age_on
from screening.codes import Diagnosis, ReviewKind
from screening.judging import Judgement, differs_from, has_switched
from screening.models import Review
from skinclinic.audit.acting import Actor

# The model's class for what doctors call lesions; None where it has none.
CLASS_OF: dict[str, str | None] = {
    Diagnosis.NEVUS: "nv",
    Diagnosis.ATYPICAL_NEVUS: "nv",
    Diagnosis.MELANOMA: "mel",
    Diagnosis.MELANOMA_IN_SITU: "mel",
    Diagnosis.BASAL_CELL_CARCINOMA: "bcc",
    Diagnosis.SQUAMOUS_CELL_CARCINOMA: None,
    Diagnosis.ACTINIC_KERATOSIS: "akiec",
    Diagnosis.BOWEN: "akiec",
    Diagnosis.SEBORRHEIC_KERATOSIS: "bkl",
    Diagnosis.LENTIGO: "bkl",
    Diagnosis.DERMATOFIBROMA: "df",
    Diagnosis.VASCULAR: "vasc",
    Diagnosis.INFLAMMATORY: None,
    Diagnosis.MERKEL: None,
    Diagnosis.OTHER: None,
}
AT_ONCE = 2000
AGE_BANDS = ((0, 17), (18, 39), (40, 59), (60, 79), (80, 130))


class Given(StrEnum):
    """When an opinion was given. The two are never counted together: who has seen a reading leans to it."""

    BLIND = "blind"
    SHOWN = "shown"


@dataclass(frozen=True, slots=True)
class SaidOf:
    """One reviewer's opinion of one photograph beside a reading that could be read.

    patient: numbered from 0. given_before: of one given after a blind one, whether she called the lesion suspicious
    then.
    """

    screening: UUID
    patient: int
    reviewer: UUID
    given: Given
    at: datetime
    version: str
    reading_refers: bool
    reading_class: str
    cautioned: bool
    suspicious: bool
    doctors_class: str | None
    differs: bool
    difference_reason: str
    switched: bool
    given_before: bool | None
    site: str
    sex: str
    skin_type: int | None
    age: int


def said_of_readings(actor: Actor) -> list[SaidOf]:
    """Of all photographs in use: each reviewer's first blind opinion, and what she last said with the reading shown.

    A file that was sent more than once for a lesion is one photograph. Amendments and decisions between readers are
    neither; nor is what was said while no reading was there.
    """
    found: dict[tuple[UUID, str, UUID, Given], SaidOf] = {}
    patients: dict[UUID, int] = {}
    reviews = Review.objects.filter(clinic=actor.own_clinic(), kind__in=[ReviewKind.BLIND, ReviewKind.OPINION])
    for row in rows_of(reviews):
        given = Given.BLIND if row["kind"] == ReviewKind.BLIND else Given.SHOWN
        key = (row["lesion"], row["file"], row["reviewer"], given)
        if row["band"] and not (given == Given.BLIND and key in found):
            found[key] = said_of(row, given, patients.setdefault(row["whose"], len(patients)))
    return list(found.values())


def rows_of(reviews: "QuerySet[Review]") -> Iterator[dict[str, Any]]:
    """In the order in which they were given; the reading is the one that was shown, or else that decides."""
    prediction = {
        name: Coalesce(f"reading_shown__{name}", f"screening__prediction__{name}")
        for name in ("band", "refer", "cautions", "probabilities")
    }
    return (
        reviews.filter(screening__withdrawn_at__isnull=True)
        .exclude(kind=ReviewKind.OPINION, reading_shown__isnull=True)
        .order_by("created_at", "id")
        .values(
            "screening",
            "reviewer",
            "kind",
            "created_at",
            "suspicious",
            "diagnosis",
            "recommendation",
            "follow_up_months",
            "difference_reason",
            lesion=F("screening__image__lesion"),
            file=F("screening__image__upload_sha256"),
            version=Coalesce("reading_shown__model_version", "screening__prediction__model_version"),
            before_suspicious=F("blind_opinion__suspicious"),
            before_diagnosis=F("blind_opinion__diagnosis"),
            before_recommendation=F("blind_opinion__recommendation"),
            before_months=F("blind_opinion__follow_up_months"),
            whose=Coalesce("patient__merged_into", "patient"),
            born=F("patient__identity__birth_date"),
            sex=F("patient__sex"),
            skin_type=F("patient__skin_type"),
            site=F("screening__image__lesion__site"),
            **prediction,
        )
        .iterator(AT_ONCE)
    )


def said_of(row: dict[str, Any], given: Given, patient: int) -> SaidOf:
    shares, before = row["probabilities"], row["before_suspicious"]
    judged = Judgement(row["suspicious"], row["diagnosis"], row["recommendation"], row["follow_up_months"])
    judged_before = (
        None
        if before is None
        else Judgement(before, row["before_diagnosis"], row["before_recommendation"], row["before_months"])
    )
    differs = differs_from(suspicious=row["suspicious"], refers=row["refer"], cautions=row["cautions"])
    return SaidOf(
        screening=row["screening"],
        patient=patient,
        reviewer=row["reviewer"],
        given=given,
        at=row["created_at"],
        version=row["version"],
        reading_refers=row["refer"],
        reading_class=max(shares, key=shares.__getitem__),
        cautioned=bool(row["cautions"]),
        suspicious=row["suspicious"],
        doctors_class=CLASS_OF[row["diagnosis"]],
        differs=given == Given.SHOWN and differs,
        difference_reason=row["difference_reason"],
        switched=has_switched(judged_before, judged),
        given_before=before,
        site=row["site"],
        sex=row["sex"],
        skin_type=row["skin_type"],
        age=age_on(row["born"], row["created_at"].date()),
    )


def age_band(age: int) -> str:
    """Such as "40-59"."""
    return next((f"{low}-{high}" for low, high in AGE_BANDS[:-1] if low <= age <= high), "80+")
