"""A Patient that is sent: as the REST API takes one, from other words."""

from typing import Any
from uuid import UUID

from rest_framework.exceptions import ValidationError

from patients.codes import IdentifierType
from patients.services import add_identifier, register_patient
from skinclinic.api.fhir.elements import Dict
from skinclinic.api.fhir.errors import Unprocessable
from skinclinic.api.fhir.received import codes_in, part, parts, received, text, texts
from skinclinic.api.problems import field_errors
from skinclinic.api.v1.serializers import PatientSerializer
from skinclinic.audit.acting import Actor

NUMBER_TYPE = "http://terminology.hl7.org/CodeSystem/v2-0203"
TYPES = {"MR": IdentifierType.RECORD, "NI": IdentifierType.NATIONAL}
# Where in the resource our fields come from.
PLACES = {
    "identity.family_name": "Patient.name.family",
    "identity.given_name": "Patient.name.given",
    "identity.birth_date": "Patient.birthDate",
    "identity.phone": "Patient.telecom",
    "identity.email": "Patient.telecom",
    "identity.address": "Patient.address",
    "identifiers.system": "Patient.identifier.system",
    "identifiers.value": "Patient.identifier.value",
    "sex": "Patient.gender",
}


def create_patient(*, actor: Actor, body: Any) -> UUID:
    """Raises Unprocessable, IdentifierTaken."""
    wanted = checked(as_ours(received(body, "Patient")))
    numbers = wanted.pop("identifiers", [])
    patient = register_patient(actor=actor, **wanted)
    for each in numbers:
        add_identifier(patient=patient, system=each["system"], value=each["value"], number_type=each["type"])
    return patient.pk


def checked(told: Dict) -> Dict:
    serializer = PatientSerializer(data=told)
    try:
        serializer.is_valid(raise_exception=True)
    except ValidationError as error:
        raise Unprocessable(
            *((each["detail"], place_of(each["field"])) for each in field_errors(error.detail))
        ) from error
    found: Dict = serializer.validated_data
    return found


def place_of(path: str) -> str:
    """path: such as `identifiers.0.system`."""
    return PLACES.get(".".join(name for name in path.split(".") if not name.isdecimal()), "Patient")


def as_ours(told: Dict) -> Dict:
    if told.get("active") is False or told.get("link"):
        raise Unprocessable(("A new Patient is active, and is linked to no other.", "Patient.active"))
    return {
        "identity": identity_of(told),
        "sex": text(told, "gender", "Patient") or "unknown",
        "identifiers": [number_of(each) for each in parts(told, "identifier", "Patient")],
    }


def identity_of(told: Dict) -> Dict:
    names = parts(told, "name", "Patient")
    name = next((each for each in names if each.get("use") == "official"), names[0] if names else {})
    return {
        "family_name": text(name, "family", "Patient.name"),
        "given_name": " ".join(texts(name, "given", "Patient.name")),
        "birth_date": text(told, "birthDate", "Patient"),
        "phone": telecom(told, "phone"),
        "email": telecom(told, "email"),
        "address": address_of(told),
    }


def telecom(told: Dict, system: str) -> str:
    ways = parts(told, "telecom", "Patient")
    return next((text(each, "value", "Patient.telecom") for each in ways if each.get("system") == system), "")


def address_of(told: Dict) -> str:
    """As one text, which is how the clinic keeps it."""
    places = parts(told, "address", "Patient")
    if not places:
        return ""
    first, place = places[0], "Patient.address"
    town = " ".join(filter(None, (text(first, name, place) for name in ("postalCode", "city"))))
    lines = [*texts(first, "line", place), town, text(first, "country", place)]
    return text(first, "text", place) or "\n".join(filter(None, lines))


def number_of(told: Dict) -> Dict:
    place = "Patient.identifier"
    kinds = codes_in(part(told, "type", place), NUMBER_TYPE, f"{place}.type")
    kind = next((TYPES[each] for each in kinds if each in TYPES), IdentifierType.OTHER if kinds else "record")
    return {"system": text(told, "system", place), "value": text(told, "value", place), "type": str(kind)}
