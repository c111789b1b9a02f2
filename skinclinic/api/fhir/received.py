"""Reading what was sent: it may be any JSON, and nothing in it may end in a fault of ours."""

import re
from typing import Any

from skinclinic.api.fhir.elements import Dict
from skinclinic.api.fhir.errors import Unprocessable

HALVES = re.compile("[\ud800-\udfff]")
# What changes the meaning of all the rest, so that it may not be left out unread.
MUST_BE_UNDERSTOOD = ("modifierExtension", "implicitRules")


def received(body: Any, kind: str) -> Dict:
    """Raises Unprocessable for another resource than the address says, or one with a part that changes its meaning."""
    if not isinstance(body, dict) or body.get("resourceType") != kind:
        raise Unprocessable((f"Send a {kind} here.", "resourceType"))
    for name in MUST_BE_UNDERSTOOD:
        if body.get(name):
            raise Unprocessable((f"{name} is not understood here, so this is not taken.", f"{kind}.{name}"))
    return body


def part(told: Dict, name: str, place: str) -> Dict:
    found = told.get(name)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise Unprocessable((f"{name} is an object.", f"{place}.{name}"))
    return found


def parts(told: Dict, name: str, place: str) -> list[Dict]:
    found = told.get(name)
    if found is None:
        return []
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise Unprocessable((f"{name} is a list of objects.", f"{place}.{name}"))
    return found


def text(told: Dict, name: str, place: str) -> str:
    found = told.get(name, "")
    if not is_text(found):
        raise Unprocessable((f"{name} is a text.", f"{place}.{name}"))
    return str(found).strip()


def texts(told: Dict, name: str, place: str) -> list[str]:
    found = told.get(name) or []
    if not isinstance(found, list) or not all(map(is_text, found)):
        raise Unprocessable((f"{name} is a list of texts.", f"{place}.{name}"))
    return found


def is_text(found: Any) -> bool:
    """JSON has more than Postgres takes: NUL, and halves of characters."""
    return isinstance(found, str) and "\0" not in found and (found.isascii() or not HALVES.search(found))


def codes_in(told: Dict, system: str, place: str) -> list[str]:
    """Of a CodeableConcept, those of this system."""
    return [text(each, "code", place) for each in parts(told, "coding", place) if text(each, "system", place) == system]
