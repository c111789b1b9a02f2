"""A DocumentReference as it leaves: with its bytes and with the patient in it, since the receiver asks us nothing."""

import base64
from typing import Any
from uuid import UUID

from patients.codes import Sex
from patients.models import Patient
from skinclinic.api.fhir.diagnostic_report import DocumentReferenceResource
from skinclinic.api.fhir.elements import VISIT, Dict, filled
from skinclinic.api.fhir.models import SignedDocument
from skinclinic.api.fhir.patient import number_of

# Names of ours, which the receiver replaces by its own.
LEFT_OUT = ("id", "meta")
INSIDE = "patient"


def document_to_send(row: Any) -> Dict:
    """row: of `reported_visits`."""
    (told,) = DocumentReferenceResource().build(row)
    attachment = told["content"][0]["attachment"]
    if binary := attachment.pop("url", ""):
        attachment["data"] = base64.b64encode(bytes_of(binary)).decode()
    visit = {"system": VISIT, "value": str(row.pk)}
    return {name: part for name, part in told.items() if name not in LEFT_OUT} | {
        "contained": [patient_inside(row.patient_id)],
        "subject": {"reference": f"#{INSIDE}"},
        "context": {"related": [{"type": "DiagnosticReport", "identifier": visit}]},
    }


def bytes_of(binary: str) -> bytes:
    """binary: as a reference. Of the very document whose hash is told beside."""
    with SignedDocument.objects.get(pk=binary.removeprefix("Binary/")).pdf.open() as pdf:
        return bytes(pdf.read())


def patient_inside(patient_id: UUID) -> Dict:
    """Of the record that stands for the person, no more than tells who she is."""
    found = Patient.objects.with_identity().select_related("merged_into").get(pk=patient_id)
    if found.merged_into:
        return patient_inside(found.merged_into_id)
    identity = found.identity
    return {"resourceType": "Patient", "id": INSIDE} | filled(
        identifier=[number_of(each) for each in found.identifiers.all()],
        name=[{"use": "official", "family": identity.family_name, "given": [identity.given_name]}],
        gender=Sex(found.sex).value,
        birthDate=identity.birth_date.isoformat(),
    )
