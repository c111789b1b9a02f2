"""A whole clinic for a benchmark: real servers, a web process, a worker, and a system that uploads."""

import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import psutil
import requests

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from ml.drawing import draw_photograph
from skinclinic.embedded.place import temporary_folder
from skinclinic.embedded.postgres import EmbeddedPostgres
from skinclinic.embedded.valkey import EmbeddedValkey


@dataclass
class Stack:
    address: str
    web: psutil.Process
    worker: psutil.Process
    postgres: psutil.Process
    valkey: psutil.Process


@contextmanager
def running_stack(*, worker_processes: int = 2, predictor: str = "ml.predictor.load") -> Iterator[Stack]:
    """Servers that keep what they are given (fsync on), as `bin/up` starts them."""
    with ExitStack() as stack:
        folder = stack.enter_context(temporary_folder())
        postgres = stack.enter_context(EmbeddedPostgres(folder / "postgres"))
        valkey = stack.enter_context(EmbeddedValkey(folder / "valkey"))
        port = free_port()
        address = f"http://127.0.0.1:{port}"
        os.environ |= surroundings(postgres, valkey, address, predictor) | {
            # Whoever looks at pages here has none; what it costs is a look into the session.
            "SECOND_FACTOR_REQUIRED": "0",
            # The database's side of a connection is told by its process, which must outlive the measuring.
            "CONNECTION_MAX_AGE": "3600",
        }
        prepare()
        log = stack.enter_context((folder / "processes.log").open("wb"))
        gunicorn = ["-m", "gunicorn", "--config", "deploy/gunicorn.conf.py", "skinclinic.wsgi:application"]
        web = start([*gunicorn, "--bind", f"127.0.0.1:{port}"], log, name="web")
        stack.callback(end, web)
        celery = ["-m", "celery", "-A", "skinclinic", "worker", "--loglevel", "WARNING", "--without-gossip"]
        worker = start([*celery, "--without-mingle", "-c", str(worker_processes)], log, name="worker")
        stack.callback(end, worker)
        wait_for(lambda: answers(address))
        wait_for(lambda: b"The worker is ready" in (folder / "processes.log").read_bytes())
        yield Stack(address, process(web.pid), process(worker.pid), process(postgres.pid), process(valkey.pid))


def surroundings(postgres: EmbeddedPostgres, valkey: EmbeddedValkey, address: str, predictor: str) -> dict[str, str]:
    return {
        "DJANGO_SETTINGS_MODULE": "skinclinic.settings",
        "SECRET_KEY": secrets.token_urlsafe(48),
        "DATABASE_URL": postgres.app_url(),
        "DATABASE_OWNER_URL": postgres.owner_url(),
        "REDIS_URL": valkey.url,
        "SITE_URL": address,
        "PREDICTOR": predictor,
        "PROCESS_NAME": "bench",
    }


def prepare() -> None:
    import django
    from django.core.management import call_command

    django.setup()
    call_command("prepare_database", verbosity=0)
    call_command("collectstatic", interactive=False, verbosity=0)


def start(arguments: list[str], log, *, name: str) -> subprocess.Popen[bytes]:
    """Under a name of its own, by which its connections to Postgres are told apart."""
    environment = os.environ | {"PROCESS_NAME": name}
    return subprocess.Popen([sys.executable, *arguments], cwd=ROOT, env=environment, stdout=log, stderr=log)


def end(running: subprocess.Popen[bytes]) -> None:
    running.terminate()
    try:
        running.wait(timeout=30)
    except subprocess.TimeoutExpired:
        running.kill()


def process(pid: int | None) -> psutil.Process:
    assert pid is not None
    return psutil.Process(pid)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def answers(address: str) -> bool:
    try:
        return requests.get(f"{address}/readyz", timeout=5).ok
    except requests.RequestException:
        return False


def wait_for(holds, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError("The clinic did not start in time.")
        time.sleep(0.1)


def cpu_seconds(*processes: psutil.Process) -> float:
    """Core seconds used so far by these processes and all their descendants, those that have ended among them."""
    times = [one.cpu_times() for each in processes for one in [each, *each.children(recursive=True)]]
    return sum(each.user + each.system + each.children_user + each.children_system for each in times)


def backends_of(name: str) -> list[psutil.Process]:
    """The database's side of the connections that processes of this name hold."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT pid FROM pg_stat_activity WHERE application_name = %s", [name])
        return [psutil.Process(pid) for (pid,) in cursor.fetchall()]


def resident_megabytes(one: psutil.Process) -> float:
    return one.memory_info().rss / 1e6


def photograph(seed: int, width: int = 600, height: int = 450) -> bytes:
    buffer = BytesIO()
    draw_photograph(seed).resize((width, height)).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()
