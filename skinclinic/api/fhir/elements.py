"""The small parts that resources are put together from, as plain dicts."""

from collections.abc import Iterable
from datetime import date, datetime
from typing import Any
from uuid import UUID

from django.utils import timezone

from skinclinic.accounts.models import User

Dict = dict[str, Any]

UCUM = "http://unitsofmeasure.org"
SHA256 = "urn:skinclinic:sha256"
PERSON, VISIT, CLIENT, CLINIC = (f"urn:skinclinic:{name}" for name in ("person", "visit", "actor", "clinic"))
BODY_SITE_EXTENSION = "http://hl7.org/fhir/StructureDefinition/bodySite"
# What an artificial intelligence asserts is marked as such, wherever it goes.
AI_ASSERTED = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
    "code": "AIAST",
    "display": "Artificial Intelligence asserted",
}


def filled(**parts: Any) -> Dict:
    """Without what is empty: FHIR has no empty elements. False and 0 are not empty."""
    return {name: value for name, value in parts.items() if value not in (None, "", [], {})}


def resource(kind: str, key: object, updated: datetime, *, ai: bool = False, **parts: Any) -> Dict:
    meta = filled(lastUpdated=moment(updated), security=[AI_ASSERTED] if ai else None)
    return {"resourceType": kind, "id": str(key), "meta": meta} | filled(**parts)


def moment(at: datetime | date) -> str:
    """With its zone, which FHIR asks of every time; a day has none."""
    if not isinstance(at, datetime):
        return at.isoformat()
    return timezone.localtime(at).isoformat(timespec="milliseconds")


def reference(kind: str, key: object) -> Dict:
    return {"reference": f"{kind}/{key}"}


def named(kind: str, system: str, value: object, display: str) -> Dict:
    """Somebody who has no resource of her own here: by her identifier and her name."""
    return {"type": kind, "identifier": {"system": system, "value": str(value)}, "display": display}


def doctor(person: User) -> Dict:
    return named("Practitioner", PERSON, person.pk, person.full_name)


def clinic(key: UUID, name: str) -> Dict:
    return named("Organization", CLINIC, key, name)


def coding(system: str, code: str, display: str = "", version: str = "") -> Dict:
    return filled(system=system, version=version, code=code, display=display)


def concept(*codings: Dict, text: str = "") -> Dict:
    return filled(coding=list(codings), text=text)


def quantity(value: float, unit: str, code: str) -> Dict:
    return {"value": value, "unit": unit, "system": UCUM, "code": code}


def notes(sentences: Iterable[str]) -> list[Dict]:
    return [{"text": sentence} for sentence in sentences if sentence]


def body_site(location: Dict, lesion_id: UUID) -> Dict:
    """A concept, and beside it the lesion itself."""
    return {
        "extension": [{"url": BODY_SITE_EXTENSION, "valueReference": reference("BodyStructure", lesion_id)}]
    } | location
