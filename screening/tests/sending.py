"""Hostile files through both doors of a web that runs, and what became of them in its database."""

import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from uuid import uuid4

import psutil
import psycopg2
import requests
from django.conf import settings
from PIL import Image

from conftest import Cast, make_chart
from ml.predictor import load
from screening.tests.forging import SECRETS
from screening.tests.hostile import UNSCORABLE, Hostile
from skinclinic.api.tests.test_api import Api

LEDGER_LINE = {"audit_auditevent": 1, "audit_unsealedevent": 1}  # and that it waits to be sealed
MOST_MEGABYTES = 400
MOST_MILLISECONDS = 15_000  # on a machine that does other things too; alone the slowest takes 2 s
SIGN = "a" * 32  # against forged forms; any will do that is sent twice


@dataclass(frozen=True)
class Answer:
    status: int
    milliseconds: float


class Doors:
    """The page that clinicians use, and the REST API."""

    def __init__(self, cast: Cast, address: str):
        self.chart, self.bearer = make_chart(cast.alice), Api(cast.north).bearer
        self.rest = f"{address}/api/v1/screenings/"
        self.portal = f"{address}/visits/{self.chart.visit.pk}/photographs/"
        self.clinic = str(cast.north.pk)
        self.lines = requests.Session()
        self.lines.cookies[settings.SESSION_COOKIE_NAME] = cast.alice.client.cookies[settings.SESSION_COOKIE_NAME].value
        self.lines.cookies[settings.CSRF_COOKIE_NAME] = SIGN

    def by_portal(self, file: Hostile, data: bytes) -> Answer:
        return self.post(
            self.portal,
            {"lesion": str(self.chart.lesion.pk), "clinic": self.clinic},
            {"photographs": (file.file_name, data, file.declared)},
            {"Accept": "application/json", "X-CSRFToken": SIGN},
        )

    def by_rest(self, file: Hostile, data: bytes) -> Answer:
        return self.post(
            self.rest,
            {"lesion": str(self.chart.lesion.pk), "visit": str(self.chart.visit.pk)},
            {"photograph": (file.file_name, data, file.declared)},
            self.bearer | {"Idempotency-Key": str(uuid4())},
        )

    def post(self, address: str, fields: dict, files: dict, headers: dict) -> Answer:
        answer = self.lines.post(address, data=fields, files=files, headers=headers, timeout=60, allow_redirects=False)
        return Answer(answer.status_code, answer.elapsed.total_seconds() * 1000)


class Record:
    """All that is kept, as the owner of the tables sees it."""

    def __init__(self, cursor: psycopg2.extensions.cursor):
        self.cursor = cursor
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        tables = [name for (name,) in cursor.fetchall()]
        self.question = " UNION ALL ".join(f"SELECT '{name}', count(*) FROM {name}" for name in tables)

    def counts(self) -> dict[str, int]:
        self.cursor.execute(self.question)
        return dict(self.cursor.fetchall())

    def is_settled(self) -> bool:
        """Whether no photograph waits to be read, which would add rows of its own."""
        self.cursor.execute("SELECT count(*) FROM screening_screening WHERE reading_status IN ('queued', 'running')")
        return self.cursor.fetchone() == (0,)

    def last_refusal(self) -> str:
        self.cursor.execute(
            "SELECT changes->>'reason' FROM audit_auditevent WHERE action = 'upload_refused' ORDER BY id DESC"
        )
        found = self.cursor.fetchone()
        return found[0] if found else ""

    def last_image(self) -> dict[str, object]:
        self.cursor.execute(
            "SELECT original_name, photograph, thumbnail FROM screening_lesionimage ORDER BY created_at DESC"
        )
        name, photograph, thumbnail = self.cursor.fetchone()
        return {"name": name, "photograph": self.bytes_of(photograph), "thumbnail": self.bytes_of(thumbnail)}

    def bytes_of(self, name: str) -> bytes:
        self.cursor.execute("SELECT data FROM screening_storedchunk WHERE file_id = %s ORDER BY position", [name])
        return b"".join(bytes(data) for (data,) in self.cursor.fetchall())


@contextmanager
def the_record(url: str) -> Iterator[Record]:
    connected = psycopg2.connect(url)
    connected.autocommit = True
    try:
        with connected.cursor() as cursor:
            yield Record(cursor)
    finally:
        connected.close()


def more(before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    """Which tables have other rows than before."""
    return {name: after[name] - before[name] for name in after if after[name] != before[name]}


def refuse_leftovers(data: bytes) -> None:
    """What is stored is a picture, and nothing that was hidden in what was sent."""
    image = Image.open(BytesIO(data))
    image.load()
    assert (image.format, image.mode) == ("JPEG", "RGB")
    assert not image.getexif()
    assert set(image.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density", "dpi"}
    assert data.endswith(b"\xff\xd9")
    assert not [secret for secret in SECRETS if secret in data]


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
