from collections.abc import Iterator

import pytest

from skinclinic.api.tests.receiving import LOOPBACK, Receiver, receiving


@pytest.fixture
def inside(settings) -> None:
    """This machine may be sent to."""
    settings.SEND_TO_NETWORKS = LOOPBACK


@pytest.fixture
def receiver(inside) -> Iterator[Receiver]:
    with receiving() as started:
        yield started
