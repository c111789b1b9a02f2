"""The doctor's Observation: her signed review of a photograph."""

from typing import Any

from screening.models import Review
from skinclinic.api.fhir.body_structure import location_of
from skinclinic.api.fhir.codes import IMAGING, OBSERVED, RECOMMENDED, REVIEW, diagnosis
from skinclinic.api.fhir.elements import Dict, body_site, doctor, moment, notes, quantity, reference, resource


def review_observation(row: Any) -> Dict:
    """row: of `published_screenings`, signed. Of a withdrawn one no value is told."""
    image, review = row.image, row.signed_review
    withdrawn = row.review_fhir == "entered-in-error"
    value = {} if withdrawn else value_of(review)
    return resource(
        "Observation",
        f"review-{row.pk}",
        row.updated,
        status=row.review_fhir,
        category=[IMAGING],
        code=OBSERVED.concept(REVIEW),
        subject=reference("Patient", row.patient_id),
        focus=[reference("BodyStructure", image.lesion_id)],
        effectiveDateTime=moment(row.effective),
        issued=moment(row.signature.created_at),
        performer=[doctor(review.reviewer)],
        bodySite=body_site(location_of(image.lesion), image.lesion_id),
        derivedFrom=[reference("Media", image.pk), *shown_reading(row)],
        **value,
    )


def shown_reading(row: Any) -> list[Dict]:
    """The model's Observation, where she had it before her."""
    shown = row.signed_review.reading_shown_id
    return [reference("Observation", f"reading-{row.pk}")] if shown and shown == row.prediction_id else []


def value_of(review: Review) -> Dict:
    return {
        "valueCodeableConcept": diagnosis(review.diagnosis, review.words),
        "component": components_of(review),
        "note": notes([review.words]),
    }


def components_of(review: Review) -> list[Dict]:
    advice = RECOMMENDED.concept(review.recommendation, text=str(review.recommended))
    told = [
        {"code": OBSERVED.concept("suspicious"), "valueBoolean": review.suspicious},
        {"code": OBSERVED.concept("recommendation"), "valueCodeableConcept": advice},
    ]
    if review.follow_up_months:
        months = quantity(review.follow_up_months, "months", "mo")
        told.append({"code": OBSERVED.concept("follow-up-after"), "valueQuantity": months})
    return told
