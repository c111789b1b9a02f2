"""Every file of the hostile corpus, through the portal and the REST API of a web that runs as in a clinic."""

import signal
import unicodedata
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path

import psutil
import pytest

from ml.predictor import load
from screening.tests.conftest import Web
from screening.tests.hostile import UNSCORABLE, Hostile, corpus
from screening.tests.sending import LEDGER_LINE, Answer, Doors, Record, more, refuse_leftovers, the_record
from skinclinic.testing import servers

MOST_MEGABYTES = 400
MOST_MILLISECONDS = 15_000  # on a machine that does other things too; alone the slowest takes 2 s
FILES = corpus()


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


def peak_megabytes(pid: int) -> float:
    """The most that the largest process of the web ever had in memory, as the kernel counts it."""
    own = psutil.Process(pid)
    told = [Path(f"/proc/{each.pid}/status").read_text() for each in (own, *own.children())]
    return max(int(text.split("VmHWM:")[1].split()[0]) for text in told) / 1000


def faults(file: Hostile, send: Callable[[Hostile, bytes], Answer], record: Record) -> list[str]:
    """What is not as it is wanted, in words."""
    before = record.counts()
    answer = send(file, file.make())
    found = []
    changed = more(before, record.counts())
    if answer.milliseconds > MOST_MILLISECONDS:
        found.append(f"took {answer.milliseconds:.0f} ms")
    if file.is_taken:
        return found + faults_of_taken(file, answer, changed, record)
    if answer.status != 422 or record.last_refusal() != file.wanted or changed != LEDGER_LINE:
        found.append(f"{answer.status}, {record.last_refusal()} in place of {file.wanted}, rows {changed}")
    return found


def faults_of_taken(file: Hostile, answer: Answer, changed: dict[str, int], record: Record) -> list[str]:
    if answer.status not in (201, 202) or changed.get("screening_lesionimage") != 1:
        return [f"{answer.status}, {record.last_refusal()} in place of {file.wanted}, rows {changed}"]
    kept = record.last_image()
    for name in ("photograph", "thumbnail"):
        refuse_leftovers(kept[name])
    odd = [char for char in str(kept["name"]) if unicodedata.category(char)[0] == "C" or char in "/\\"]
    found = [f"is called {kept['name']!r}"] if odd or len(str(kept["name"])) > 100 else []
    if file.wanted == UNSCORABLE and "too_small" not in load().read(kept["photograph"]).unscorable_reasons:
        found.append("is not found too small to be read")
    return found


def test_corpus_is_large_and_each_of_it_has_a_name():
    assert len({file.name for file in FILES}) == len(FILES) > 200


def test_hostile_files_are_taken_or_refused_as_wanted_and_leave_nothing(web, real_cast, record):
    doors = Doors(real_cast, web.address)
    found = {}
    # By one door each, in turns: `python bench/fuzz_uploads.py --corpus` has each go through both.
    for file, way in zip(FILES, cycle((doors.by_portal, doors.by_rest)), strict=False):
        if wrong := faults(file, way, record):
            found[f"{file.name} ({way.__name__})"] = wrong
    assert not found, found
    assert peak_megabytes(web.process.pid) < MOST_MEGABYTES
    assert "Traceback" not in web.log.read_text()
