"""What goes away while photographs are uploaded and read: the database, the disk, the power, the model."""

import hashlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import psycopg2
import pytest
import requests
from django.core.files.storage import default_storage
from django.db import connection
from django.utils import timezone
from psycopg2 import sql

from conftest import Cast, make_chart, make_screening, owner_connection
from screening.models import LesionImage, Screening
from screening.tests.conftest import Web, Worker, fresh, rows, status_of, wait_until
from skinclinic.api.tests.test_api import Api
from skinclinic.embedded.place import service_user
from skinclinic.testing import servers
from skinclinic.workers import forget_who_reads

POWER_CUT_AFTER, SENT = 40, 100
LEFT = 2_000_000  # bytes: room for some photographs, and not for forty


@pytest.fixture
def safe_db(real_db: str) -> str:
    """What is committed here is on the disk when it is answered, as in a clinic."""
    with owner_connection("postgres").cursor() as cursor:
        cursor.execute(sql.SQL("ALTER DATABASE {} SET synchronous_commit = on").format(sql.Identifier(real_db)))
    connection.close()
    return real_db


@pytest.fixture
def web(safe_db: str, collected: None, tmp_path: Path) -> Iterator[Web]:
    """As it runs in a clinic, where an error is a page and no trace."""
    running = Web(safe_db, tmp_path / "web.log", DEBUG="0")
    try:
        running.start()
        yield running
    finally:
        running.end()


def kill_database(*, away: float = 0.0) -> None:
    """As the kernel does; it comes back after so many seconds."""
    servers.postgres.kill()
    time.sleep(away)
    servers.postgres.start()
    connection.close()


class Sender:
    """A record system that uploads over the wire, and knows what was acknowledged."""

    def __init__(self, cast: Cast, address: str):
        self.cast, self.chart = cast, make_chart(cast.alice)
        self.address, self.bearer = address, Api(cast.north).bearer
        self.acknowledged: dict[str, str] = {}

    def send(self, photograph: bytes) -> int:
        """The status of the answer; 0 where there was none."""
        ids = {"visit": str(self.chart.visit.pk), "lesion": str(self.chart.lesion.pk)}
        try:
            answer = requests.post(
                f"{self.address}/api/v1/screenings/", data=ids, files={"photograph": ("a.jpg", photograph)},
                headers=self.bearer | {"Idempotency-Key": str(uuid4())}, timeout=30,
            )  # fmt: skip
        except requests.RequestException:
            return 0
        if answer.status_code == 202:
            self.acknowledged[answer.json()["id"]] = hashlib.sha256(photograph).hexdigest()
        return answer.status_code


def assert_bytes_are_there(sender: Sender) -> None:
    """Of each that was acknowledged, as it was sent; and what is stored of any is what was to be stored."""
    with sender.cast.in_north():
        images = {str(each.pk): each.image for each in Screening.objects.select_related("image")}
        assert set(sender.acknowledged) <= set(images)
        for key, sha256 in sender.acknowledged.items():
            assert images[key].upload_sha256 == sha256
        for image in LesionImage.objects.all():
            with default_storage.open(image.photograph.name) as stored:
                assert hashlib.sha256(stored.read()).hexdigest() == image.sha256


def test_database_killed_while_predicting(safe_db, real_cast, start_worker, random_photograph):
    screening = make_screening(real_cast.alice, make_chart(real_cast.alice), random_photograph())
    worker = start_worker(beat=True, delay=1.5)
    wait_until(lambda: status_of(screening) == "running")
    kill_database(away=2)
    wait_until(lambda: status_of(screening) == "predicted", seconds=40)
    assert fresh(screening).attempt > 1
    with real_cast.in_north():
        assert fresh(screening).predictions.count() == 1
    assert worker.process.poll() is None


def test_database_restarted_under_load(safe_db, real_cast, start_worker, random_photograph):
    chart = make_chart(real_cast.alice)
    start_worker(beat=True, delay=0.1)
    sent = [make_screening(real_cast.alice, chart, random_photograph()) for _ in range(5)]
    kill_database()
    sent += [make_screening(real_cast.alice, chart, random_photograph()) for _ in range(5)]
    wait_until(lambda: all(status_of(each) == "predicted" for each in sent), seconds=40)
    with real_cast.in_north():
        assert [fresh(each).predictions.count() for each in sent] == [1] * 10


def test_portal_says_that_the_database_is_away_and_goes_on_when_it_is_back(web):
    assert requests.get(f"{web.address}/accounts/login/", timeout=10).status_code == 200
    servers.postgres.kill()
    try:
        page = requests.get(f"{web.address}/worklist/", timeout=10)
        ready, alive = (requests.get(f"{web.address}/{name}", timeout=10).status_code for name in ("readyz", "healthz"))
    finally:
        servers.postgres.start()
        connection.close()
    assert (page.status_code, ready, alive) == (503, 503, 200)
    assert page.headers["Retry-After"] == "10"
    assert "Traceback" not in page.text
    assert "OperationalError" not in page.text
    wait_until(lambda: requests.get(f"{web.address}/accounts/login/", timeout=10).status_code == 200)


def test_power_cut_in_the_middle_of_a_hundred_uploads(real_cast, web, random_photograph, start_worker):
    sender = Sender(real_cast, web.address)
    worker = start_worker(beat=True, delay=0.05)
    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(sender.send, random_photograph()) for _ in range(SENT)]
        wait_until(lambda: len(sender.acknowledged) >= POWER_CUT_AFTER, seconds=60)
        for thing in (
            worker.kill_everything,
            lambda: web.end(signal.SIGKILL),
            servers.postgres.kill,
            servers.valkey.kill,
        ):
            thing()
        statuses = {answer.result() for answer in answers}
    servers.postgres.start()
    servers.valkey.start()
    connection.close()
    assert statuses <= {202, 503, 0}
    assert POWER_CUT_AFTER <= len(sender.acknowledged) < SENT
    assert_bytes_are_there(sender)
    start_worker(beat=True)
    wait_until(lambda: {each.reading_status for each in rows(real_cast, Screening)} == {"predicted"}, seconds=60)
    with real_cast.in_north():
        assert all(each.predictions.count() == 1 for each in Screening.objects.all())


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """A file system of its own, which only root may make."""
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", folder], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip("A small disk can be made by root alone, and not in every container.")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@contextmanager
def database_on(disk: Path, database: str) -> Iterator[None]:
    """Its tables lie there, the server's own files elsewhere: what is full is the disk of the photographs."""
    place = disk / "tables"
    place.mkdir()
    if user := service_user():
        os.chown(place, user.uid, user.gid)
    owner = psycopg2.connect(servers.postgres.superuser_url("postgres"))
    owner.autocommit = True
    connection.close()
    with owner.cursor() as cursor:
        cursor.execute(sql.SQL("CREATE TABLESPACE small LOCATION {}").format(sql.Literal(str(place))))
        cursor.execute(sql.SQL("ALTER DATABASE {} SET TABLESPACE small").format(sql.Identifier(database)))
        try:
            yield
        finally:
            connection.close()
            cursor.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [database])
            cursor.execute(sql.SQL("ALTER DATABASE {} SET TABLESPACE pg_default").format(sql.Identifier(database)))
            cursor.execute("DROP TABLESPACE small")
    owner.close()


def test_disk_full(safe_db, real_cast, random_photograph, tmp_path):
    """What was acknowledged before is there, what comes now is refused in words, and what comes after is taken."""
    web = Web(safe_db, tmp_path / "web.log", DEBUG="0")
    with small_disk(servers.folder / "small", 120) as disk, database_on(disk, safe_db):
        try:
            web.start()
            fill_and_empty(disk, Sender(real_cast, web.address), random_photograph)
        finally:
            web.end()
        assert "Traceback" not in web.log.read_text()


def fill_and_empty(disk: Path, sender: Sender, draw: Callable[[], bytes]) -> None:
    assert sender.send(draw()) == 202
    free = os.statvfs(disk)
    ballast = disk / "ballast"
    ballast.write_bytes(bytes(max(0, free.f_bavail * free.f_frsize - LEFT)))
    assert {sender.send(draw()) for _ in range(40)} == {202, 503}
    assert_bytes_are_there(sender)
    ballast.unlink()
    assert sender.send(draw()) == 202
    assert_bytes_are_there(sender)


def test_model_that_is_missing_is_said_and_photographs_wait(real_cast, random_photograph, start_worker, tmp_path):
    screening = make_screening(real_cast.alice, make_chart(real_cast.alice), random_photograph())
    nothing = {"PREDICTOR": "ml.predictor.load", "MODELS_FOLDER": str(tmp_path)}
    refused = Worker(connection.settings_dict["NAME"], tmp_path / "refused.log", **nothing)
    assert refused.process.wait(timeout=30) == 78
    with real_cast.in_north():
        Screening.objects.update(created_at=timezone.now() - timedelta(minutes=1))
    assert "Reading is unavailable" in page_of(real_cast, screening)
    start_worker(beat=True)
    wait_until(lambda: status_of(screening) == "predicted", seconds=30)
    assert "Reading is unavailable" not in page_of(real_cast, screening)


def page_of(cast: Cast, screening: Screening) -> str:
    forget_who_reads()
    return cast.alice.client.get(f"/screenings/{screening.pk}/").content.decode()
