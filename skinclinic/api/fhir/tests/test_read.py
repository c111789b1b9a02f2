"""Everything that is read as FHIR is FHIR, and every reference leads somewhere."""

import importlib
from collections.abc import Iterator
from typing import Any

import pytest

from skinclinic.api.fhir.registry import RESOURCES


def checked(told: dict[str, Any]) -> dict[str, Any]:
    """Held against the standard's own shapes."""
    kind = told["resourceType"]
    getattr(importlib.import_module(f"fhir.resources.R4B.{kind.lower()}"), kind).model_validate(told)
    return told


def references(told: Any) -> Iterator[str]:
    if isinstance(told, dict):
        for name, inner in told.items():
            if name == "reference" or (name == "url" and isinstance(inner, str) and "/Binary/" in inner):
                yield inner
            yield from references(inner)
    elif isinstance(told, list):
        for inner in told:
            yield from references(inner)


def test_it_works(clinic, api):
    read = checked(api.read(f"Observation/reading-{clinic.key('read')}"))
    assert (read["status"], read["code"]["coding"][0]["code"]) == ("preliminary", "malignancy-score")
    assert read["subject"] == {"reference": f"Patient/{clinic.patient}"}


@pytest.mark.parametrize("kind", RESOURCES)
def test_every_resource_is_valid_and_its_references_resolve(clinic, api, kind):
    search = f"{kind}?target=Observation/reading-{clinic.key('agreed')}" if kind == "Provenance" else kind
    seen = set()
    for page in api.pages(search):
        for told in [checked(page), *(entry["resource"] for entry in page["entry"])]:
            checked(told)
            if told["resourceType"] != "Bundle":
                assert checked(api.read(f"{told['resourceType']}/{told['id']}")) == told
        seen.update(references(page))
    for place in seen:
        assert api.ask(place).status_code == 200, place
    assert page["entry"]
