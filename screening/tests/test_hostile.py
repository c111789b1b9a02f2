"""Every file of the hostile corpus, through the portal and the REST API of a web that runs as in a clinic."""

import signal
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

import pytest

from screening.tests.conftest import Web
from screening.tests.hostile import Hostile, corpus
from screening.tests.sending import MOST_MEGABYTES, Doors, Record, faults, peak_megabytes, the_record
from skinclinic.testing import servers


@pytest.fixture(scope="module")
def files() -> list[Hostile]:
    """Here, since they take seconds and 300 MB, of each process that would only collect tests."""
    return corpus()


@pytest.fixture
def web(real_db: str, collected: None, tmp_path: Path) -> Iterator[Web]:
    running = Web(real_db, tmp_path / "web.log", DEBUG="0", SECOND_FACTOR_REQUIRED="0")
    try:
        running.start()
        yield running
    finally:
        running.end(signal.SIGKILL)


@pytest.fixture
def record(real_db: str) -> Iterator[Record]:
    with the_record(servers.postgres.owner_url(real_db)) as record:
        yield record


def test_corpus_is_large_and_each_of_it_has_a_name(files):
    assert len({file.name for file in files}) == len(files) > 200


def test_hostile_files_are_taken_or_refused_as_wanted_and_leave_nothing(files, web, real_cast, record):
    doors = Doors(real_cast, web.address)
    found = {}
    # By one door each, in turns: `python bench/fuzz_uploads.py --corpus` has each go through both.
    for file, way in zip(files, cycle((doors.by_portal, doors.by_rest)), strict=False):
        if wrong := faults(file, way, record):
            found[f"{file.name} ({way.__name__})"] = wrong
    assert not found, found
    assert peak_megabytes(web.process.pid) < MOST_MEGABYTES
    assert "Traceback" not in web.log.read_text()
