"""A clinic on the wire, and a system of its own."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from skinclinic_client import Clinic

from conftest import Cast, Chart, make_chart
from skinclinic.api.services import create_client
from skinclinic.api.tests.serving import serving

SCOPES = ["patients:read", "patients:write", "screenings:read", "screenings:write"]
NUMBER = {"system": "urn:his", "value": "4711"}


@pytest.fixture
def pair(real_cast: Cast) -> tuple[str, str]:
    row, secret = create_client(clinic=real_cast.north, name="Share", scopes=SCOPES)
    return row.client_id, secret


@pytest.fixture
def address(real_cast: Cast) -> Iterator[str]:
    with serving() as place:
        yield place


@pytest.fixture
def clinic(address: str, pair: tuple[str, str]) -> Clinic:
    return Clinic(address, *pair)


@pytest.fixture
def chart(real_cast: Cast, clinic: Clinic) -> Chart:
    chart = make_chart(real_cast.alice)
    clinic.create(f"patients/{chart.patient.pk}/identifiers/", NUMBER)
    return chart


@pytest.fixture
def named(address: str, pair: tuple[str, str]) -> dict[str, str]:
    """The environment of the command."""
    here = str(Path(__file__).parents[1])
    clinic = {"SKINCLINIC_URL": address, "SKINCLINIC_ID": pair[0], "SKINCLINIC_SECRET": pair[1]}
    return os.environ | clinic | {"PYTHONPATH": here, "PYTHONUNBUFFERED": "1"}
