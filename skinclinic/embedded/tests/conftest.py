from collections.abc import Iterator
from pathlib import Path

import pytest

from skinclinic.embedded import place


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that the servers can reach, also when the tests are run by root."""
    with place.temporary_folder() as path:
        yield path
