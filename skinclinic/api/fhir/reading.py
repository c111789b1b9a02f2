"""The model's Observation: a calibrated score, never a diagnosis."""

from collections.abc import Iterator
from typing import Any

from ml.contract import UNSCORABLE_REASONS
from ml.labels import DIAGNOSES
from screening.codes import FailureCode
from screening.models import Prediction
from screening.presentation import DISCLAIMER
from screening.status import ReadingStatus
from skinclinic.api.fhir.body_structure import location_of
from skinclinic.api.fhir.codes import BANDS, CLASSES, IMAGING, OBSERVED, READING, absent
from skinclinic.api.fhir.elements import Dict, body_site, clinic, moment, notes, quantity, reference, resource
from skinclinic.api.v1.serializers import ReadingSerializer

OVERRIDDEN = "A doctor's signed review differs from this reading; see DiagnosticReport/{}."
SUSPENDED = "The clinic does not rely on this reading now: readings of this model are suspended."
UNIT = "1"


def reading_observation(row: Any) -> Dict:
    """row: of `published_screenings`, with a reading that is published."""
    image, prediction = row.image, row.prediction
    withdrawn = row.reading_fhir == "entered-in-error"
    value = {} if withdrawn else value_of(row) if row.reading_status == ReadingStatus.PREDICTED else why_none(row)
    return resource(
        "Observation",
        f"reading-{row.pk}",
        row.updated,
        ai=True,
        status=row.reading_fhir,
        category=[IMAGING],
        code=OBSERVED.concept(READING),
        subject=reference("Patient", row.patient_id),
        focus=[reference("BodyStructure", image.lesion_id)],
        effectiveDateTime=moment(row.effective),
        issued=moment(row.finished_at or row.updated),
        performer=[clinic(row.clinic_id, row.clinic.name)],
        bodySite=body_site(location_of(image.lesion), image.lesion_id),
        method={"text": f"MobileNetV2, model {prediction.model_version_id}"} if prediction else None,
        device=reference("Device", prediction.model_version_id) if prediction else None,
        derivedFrom=[reference("Media", image.pk)],
        **value,
    )


def value_of(row: Any) -> Dict:
    """The score as the REST API tells it: no band where it is suspended, and none in place of a low one on doubtful
    ground."""
    prediction = row.prediction
    told = ReadingSerializer(prediction).data
    return {
        "valueQuantity": quantity(prediction.malignancy, "score", UNIT),
        "interpretation": [BANDS.concept(told["band"])] if told["band"] else None,
        "referenceRange": [{"text": threshold_of(prediction)}],
        "component": [component(name, prediction.probabilities[name]) for name in DIAGNOSES],
        "note": notes([str(DISCLAIMER), *remarks(row, told)]),
    }


def remarks(row: Any, told: Dict) -> Iterator[str]:
    yield "For research and education; not a medical device."
    if row.overridden:
        yield OVERRIDDEN.format(row.visit_id)
    if told["suspended"]:
        yield SUSPENDED
    yield from told["cautions"]


def component(name: str, share: float) -> Dict:
    return {"code": CLASSES.concept(name), "valueQuantity": quantity(share, "share", UNIT)}


def threshold_of(prediction: Prediction) -> str:
    refer = prediction.model_version.manifest["refer"]
    sensitivity, specificity = (f"{refer[name]['value']:.1%}" for name in ("sensitivity", "specificity"))
    return (
        f"Referred from {refer['value']:.4f} on: sensitivity {sensitivity} and specificity {specificity} in the "
        "calibration photographs. Below it is not normal."
    )


def why_none(row: Any) -> Dict:
    """An unfit photograph is a finding about the photograph; a failed reading is ours. Neither is ever benign."""
    match row.reading_status:
        case ReadingStatus.UNSCORABLE:
            reasons = [UNSCORABLE_REASONS.get(each, each) for each in row.prediction.unscorable_reasons]
            why = absent("not-performed", "Not Performed", " ".join(reasons))
        case ReadingStatus.NOT_WANTED:
            why = absent("not-performed", "Not Performed", "The patient has not consented to a reading by the model.")
        case ReadingStatus.FAILED:
            why = absent("error", "Error", str(FailureCode(row.failure_code).label))
        case _:
            raise ValueError(f"{row.pk} is not closed.")
    return {
        "dataAbsentReason": why,
        "note": notes([str(DISCLAIMER), "For research and education; not a medical device."]),
    }
