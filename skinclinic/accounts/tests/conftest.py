"""The hospital beside clinic North."""

from collections.abc import Iterator

import pytest

from conftest import Cast
from skinclinic.accounts.tests.hospital import Hospital, has_joined, open_hospital, set_up
from skinclinic.api.tests.receiving import LOOPBACK


@pytest.fixture
def hospital(settings) -> Iterator[Hospital]:
    settings.SEND_TO_NETWORKS = LOOPBACK
    with open_hospital() as opened:
        yield opened


@pytest.fixture
def north(cast: Cast, hospital: Hospital) -> Cast:
    """Clinic North lets its people in by the hospital too, to which Alice has joined her account."""
    set_up(hospital, cast.north)
    has_joined(hospital, cast.alice, cast.north)
    return cast
