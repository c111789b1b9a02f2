"""What a store is answered: PS3.18's Store Instances Response, as JSON of PS3.18 F."""

from dataclasses import dataclass
from typing import Any

from rest_framework import status
from rest_framework.renderers import JSONRenderer

RETRIEVE_URL, SOP_CLASS, SOP_INSTANCE = "00081190", "00081150", "00081155"
REFERENCED, FAILED, OTHER_FAILURES = "00081199", "00081198", "0008119A"
FAILURE_REASON, COMMENT = "00081197", "00000902"
# Of PS3.18 I.2.2: what it has words for; the rest of Cxxx, "cannot understand", is an implementation's own.
OUT_OF_RESOURCES, CLASS_UNKNOWN, SYNTAX_UNKNOWN, NOT_UNDERSTOOD = 0xA700, 0x0122, 0xC122, 0xC000
# By the refusal's code: the Failure Reason, and its comment in at most 64 characters.
REASONS = {
    "too_large": (OUT_OF_RESOURCES, "The object is larger than 25 MB."),
    "too_many_pixels": (OUT_OF_RESOURCES, "The photograph has too many pixels."),
    "dicom_class": (CLASS_UNKNOWN, "Dermoscopic and VL photographs are taken, no other class."),
    "dicom_syntax": (SYNTAX_UNKNOWN, "This transfer syntax is not read here."),
    "dicom_pixels": (0xC001, "The pixels are no colours of 8 bits."),
    "dicom_frames": (0xC002, "The object holds several frames."),
    "too_small": (0xC003, "The photograph is under 64 pixels on a side."),
    "burned_in": (0xC004, "Words are burned into the photograph."),
    "patient_unknown": (0xC010, "No patient here has this number from this issuer."),
    "another_person": (0xC011, "The record of this number contradicts the object."),
    "patient_unsure": (0xC012, "Name the issuer, or send name and birth date."),
    "photographs_refused": (0xC013, "The patient refuses photographs."),
    "place_unknown": (0xC020, "Neither a known lesion nor a site and side of one meaning."),
    "place_contradicted": (0xC021, "The tracked lesion lies elsewhere."),
    "other_study": (0xC030, "The object is of another study than the address."),
    "instance_of_another": (0x0111, "Another patient's object has this SOP Instance UID."),
}
DAMAGED = (NOT_UNDERSTOOD, "The object cannot be read.")
NOT_READ = (OUT_OF_RESOURCES, "There were more than 100 objects; the rest was not read.")


class DicomRenderer(JSONRenderer):
    media_type = "application/dicom+json"
    charset = None


class PlainRenderer(DicomRenderer):
    media_type = "application/json"


@dataclass(frozen=True)
class Outcome:
    """Of one object; `reason` is None where it is stored. Without an instance it can only be counted."""

    sop_class: str
    instance_uid: str
    reason: tuple[int, str] | None = None


def reason_of(code: str) -> tuple[int, str]:
    return REASONS.get(code, DAMAGED)


def status_of(outcomes: list[Outcome]) -> int:
    stored = [outcome.reason is None for outcome in outcomes]
    if all(stored):
        return status.HTTP_200_OK
    return status.HTTP_202_ACCEPTED if any(stored) else status.HTTP_409_CONFLICT


def answer_of(outcomes: list[Outcome]) -> dict[str, Any]:
    """Retrieve URLs are empty: nothing is retrieved by DICOMweb here."""
    items: dict[str, list[dict[str, Any]]] = {}
    for outcome in outcomes:
        items.setdefault(sequence_of(outcome), []).append(item_of(outcome))
    return {RETRIEVE_URL: {"vr": "UR"}} | {tag: {"vr": "SQ", "Value": found} for tag, found in items.items()}


def sequence_of(outcome: Outcome) -> str:
    if outcome.reason is None:
        return REFERENCED
    return FAILED if outcome.instance_uid else OTHER_FAILURES


def item_of(outcome: Outcome) -> dict[str, Any]:
    item: dict[str, Any] = {}
    if outcome.instance_uid:
        item[SOP_CLASS] = {"vr": "UI", "Value": [outcome.sop_class]}
        item[SOP_INSTANCE] = {"vr": "UI", "Value": [outcome.instance_uid]}
    if outcome.reason is None:
        return item | {RETRIEVE_URL: {"vr": "UR"}}
    code, comment = outcome.reason
    return item | {FAILURE_REASON: {"vr": "US", "Value": [code]}, COMMENT: {"vr": "LO", "Value": [comment]}}
