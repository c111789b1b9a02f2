"""A real worker on the real broker, reading with the pretended model."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from uuid import UUID, uuid4

import psutil
import pytest
import redis
import requests
from django.conf import settings

from ml.fake import load
from screening.models import HeldSignature, Review, Screening, Signature
from screening.reader import register_version
from screening.services import holding, readings, reviews, signing
from screening.services.reviews import Opinion
from skinclinic.audit.acting import acting, system
from skinclinic.audit.models import AuditEvent
from skinclinic.testing import servers

ROOT = Path(settings.BASE_DIR)


class Worker:
    """`celery worker` as its own processes; `delay` is how long the pretended model takes, in seconds."""

    def __init__(
        self, database: str, log: Path, *, beat: bool = False, delay: float = 0.0, children: int = 1, **extra: str
    ):
        self.log = log
        celery = [sys.executable, "-m", "celery", "-A", "skinclinic"]
        environment = {
            "DATABASE_URL": servers.postgres.app_url(database),
            "REDIS_URL": settings.REDIS_URL,
            "PROCESS_NAME": "worker",
            "SKINCLINIC_FAKE_DELAY": str(delay),
            "READING_LEASE": "2",
            "READING_SWEEP_EVERY": "1",
            "READING_RESEND_AFTER": "1",
        }
        self.environment = os.environ | environment | extra
        self.process = self.run([*celery, "worker", "-c", str(children), "--loglevel", "WARNING"], log)
        beat_log = log.with_suffix(".beat.log")
        self.beat = self.run([*celery, "beat", "--schedule", str(log.with_suffix(".beat"))], beat_log) if beat else None

    def run(self, command: list[str], log: Path) -> subprocess.Popen[bytes]:
        with log.open("wb") as output:
            return subprocess.Popen(
                command, cwd=ROOT, env=self.environment, stdout=output, stderr=output, start_new_session=True
            )

    def is_ready(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        return "The worker is ready" in self.log.read_text()

    def child(self) -> psutil.Process:
        """The one pool process that predicts."""
        (child,) = psutil.Process(self.process.pid).children()
        return child

    def kill_everything(self) -> None:
        for process in filter(None, (self.process, self.beat)):
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


class Web:
    """The portal as its own process on a test's database, with what a test has it know beside."""

    def __init__(self, database: str, log: Path, **extra: str):
        self.log, self.address = log, f"http://127.0.0.1:{free_port()}"
        environment = {
            "DATABASE_URL": servers.postgres.app_url(database),
            "REDIS_URL": settings.REDIS_URL,
            "SITE_URL": self.address,
        }
        self.environment = os.environ | environment | extra
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """And wait until it answers."""
        gunicorn = [sys.executable, "-m", "gunicorn", "skinclinic.wsgi:application", "--threads", "8"]
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [*gunicorn, "--bind", self.address.removeprefix("http://")],
                cwd=ROOT, env=self.environment, stdout=output, stderr=output, start_new_session=True,
            )  # fmt: skip
        wait_until(self.is_ready, seconds=30)

    def is_ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()
        try:
            return requests.get(f"{self.address}/readyz", timeout=5).ok
        except requests.RequestException:
            return False

    def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, how)
            self.process.wait()


@pytest.fixture(scope="session")
def collected() -> None:
    """The pages' files, which a portal that shows no traces wants in one place."""
    command = [sys.executable, "manage.py", "collectstatic", "--noinput", "-v0"]
    subprocess.run(command, cwd=settings.BASE_DIR, env=os.environ | {"DEBUG": "0"}, check=True)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture
def broker() -> Iterator[redis.Redis]:
    """The broker, empty."""
    client = redis.Redis.from_url(settings.REDIS_URL)
    client.flushall()
    yield client
    client.close()


@pytest.fixture
def start_worker(real_db: str, broker: redis.Redis, tmp_path: Path) -> Iterator[Callable[..., Worker]]:
    started: list[Worker] = []

    def start(**options) -> Worker:
        worker = Worker(real_db, tmp_path / f"worker{len(started)}.log", **options)
        started.append(worker)
        wait_until(worker.is_ready, seconds=30)
        return worker

    yield start
    for worker in started:
        worker.kill_everything()


def wait_until(holds: Callable[[], bool], *, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "It did not happen in time."
        time.sleep(0.05)


def fresh(screening: Screening) -> Screening:
    with acting(system(clinic_id=screening.clinic_id)):
        return Screening.objects.select_related("prediction").get(pk=screening.pk)


def status_of(screening: Screening) -> str:
    return fresh(screening).reading_status


def rows(cast, model: type, **wanted: object) -> list:
    """Of clinic North, in the order they were written."""
    with cast.in_north():
        return list(model.objects.filter(**wanted).order_by("id" if model is AuditEvent else "created_at"))


def the_only(cast, model: type, **wanted: object):
    (row,) = rows(cast, model, **wanted)
    return row


BENIGN = Opinion(suspicious=False, diagnosis="nevus", recommendation="reassure")


def finish(cast, screening, **changes: object) -> None:
    """As a worker would, with an answer of our choice."""
    with cast.in_north():
        claim = readings.claim_reading(screening_id=screening.pk)
        reading = replace(load().read(readings.fetch_photograph(claim), claim.ground), **changes)
        readings.finish_reading(claim=claim, reading=reading, version=register_version(load().manifest))


def read_by_model(cast, screening, *, refer: bool) -> None:
    finish(cast, screening, refer=refer, band="high" if refer else "low")


def give(cast, screening, opinion=BENIGN, *, by=None, submission=None) -> Review:
    with (by or cast.rita).acting() as actor:
        beside = Screening.objects.shown_to(actor).get(pk=screening.pk)
        return reviews.save_opinion(
            actor=actor,
            screening=screening,
            submission=submission or uuid4(),
            reading_shown=reviews.shown_reading_id(beside),
            opinion=opinion,
        )


def sign(cast, visit, *, by=None) -> Signature:
    with (by or cast.rita).acting() as actor:
        return signing.sign_visit(actor=actor, visit=visit, opinions_shown=shown_in(visit))


def hold(cast, visit, *, by=None) -> HeldSignature:
    with (by or cast.rita).acting() as actor:
        return holding.hold_signature(actor=actor, visit=visit, opinions_shown=shown_in(visit))


def shown_in(visit) -> list[UUID]:
    """The opinions that stand beside the button."""
    waiting = list(Screening.objects.to_be_reviewed().filter(visit=visit))
    return [review.pk for review in reviews.latest_opinions(waiting).values()]
