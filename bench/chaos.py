"""Ten minutes of uploads while everything is killed at random, and what became of each: `python bench/chaos.py`.

    [--minutes 10] [--rate 5] [--seed 1] [--model slow|real]

Photographs go through the API to a real web process; worker children, workers, broker, database, web and beat are
killed by SIGKILL (the broker is emptied, too) and started again. A client sends an upload again under its key until
it is acknowledged, as any client should. `slow` reads with a pretended model that takes 0.3 s, so that most kills hit
a reading.

Ends with 1 when an acknowledged photograph is lost or doubled, when one is not settled 90 s after the last fault, when
a process ended that nobody killed, or when its bytes or the ledger are not what they were.
"""

import argparse
import hashlib
import os
import random
import sys
import threading
import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import psutil
import requests
from pipeline import Uploader, make_uploader
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from stack import answers, free_port, photograph, prepare, start, surroundings, wait_for

from skinclinic.embedded.place import temporary_folder
from skinclinic.embedded.postgres import EmbeddedPostgres
from skinclinic.embedded.valkey import EmbeddedValkey

SETTLED_WITHIN = 90.0
DRAWN, PATIENTS, SENDERS = 30, 10, 24
SLOW = "0.3"
# How often each comes, beside the others; and the longest that it stays away, in seconds.
FAULTS = {
    "child": (6, 0), "worker": (3, 4), "broker": (3, 8), "flush": (2, 0),
    "database": (2, 5), "web": (3, 3), "beat": (1, 6),
}  # fmt: skip
BETWEEN = (3.0, 12.0)
WORKERS = 2
# A request that a restarting server cut is neither an answer nor a fault of ours; the client sends it again.
CUT = 0


@dataclass
class Clinic:
    """Every process of it, and how to start each again."""

    postgres: EmbeddedPostgres
    valkey: EmbeddedValkey
    address: str
    folder: Path
    running: dict[str, Any] = field(default_factory=dict)
    ended_by_themselves: list[str] = field(default_factory=list)

    def launch(self, name: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self.running[name] = start(self.command(name), log, name=name.partition("-")[0])

    def command(self, name: str) -> list[str]:
        celery = ["-m", "celery", "-A", "skinclinic"]
        if name == "web":
            gunicorn = ["-m", "gunicorn", "--config", "deploy/gunicorn.conf.py", "skinclinic.wsgi:application"]
            return [*gunicorn, "--bind", self.address.removeprefix("http://")]
        if name == "beat":
            return [*celery, "beat", "--loglevel", "WARNING", "--schedule", str(self.folder / "beat"), "--pidfile="]
        return [*celery, "worker", "-c", "2", "--loglevel", "WARNING", "-n", f"{name}@%h", "--without-gossip"]

    def kill(self, name: str) -> None:
        """The process and all that it started, as the kernel kills what has no memory left."""
        if self.running[name].poll() is not None:
            self.ended_by_themselves.append(name)
            return
        one = psutil.Process(self.running[name].pid)
        for each in [one, *one.children(recursive=True)]:
            each.kill()
        self.running[name].wait()

    def kill_child(self, draw: random.Random) -> None:
        children = [
            child
            for name, running in self.running.items()
            if name.startswith("worker")
            if running.poll() is None
            for child in psutil.Process(running.pid).children()
        ]
        if children:
            draw.choice(children).kill()

    def end(self) -> None:
        for name in list(self.running):
            self.kill(name)
            del self.running[name]


class Chaos(threading.Thread):
    """Kills one thing after the other until it is told to end, and starts again what it killed."""

    def __init__(self, clinic: Clinic, seed: int):
        super().__init__(daemon=True)
        self.clinic, self.draw, self.done = clinic, random.Random(seed), Counter[str]()
        self.ended = threading.Event()
        self.error: BaseException | None = None

    def run(self) -> None:
        names, weights = list(FAULTS), [weight for weight, _away in FAULTS.values()]
        while not self.ended.wait(self.draw.uniform(*BETWEEN)):
            fault = self.draw.choices(names, weights)[0]
            try:
                self.do(fault)
            except BaseException as error:
                self.error = error
                raise
            self.done[fault] += 1

    def do(self, fault: str) -> None:
        away = self.draw.uniform(0, FAULTS[fault][1])
        match fault:
            case "child":
                self.clinic.kill_child(self.draw)
            case "broker":
                self.clinic.valkey.kill()
                time.sleep(away)
                self.clinic.valkey.start()
            case "flush":
                flush()
            case "database":
                self.clinic.postgres.kill()
                time.sleep(away)
                self.clinic.postgres.start()
            case "worker" | "web" | "beat":
                name = f"worker-{self.draw.randrange(WORKERS)}" if fault == "worker" else fault
                self.clinic.kill(name)
                time.sleep(away)
                self.clinic.launch(name)
            case other:
                raise ValueError(other)


@dataclass(frozen=True)
class Sent:
    """An acknowledged upload."""

    screening: str
    sha256: str
    tries: int


class Sender:
    """A client that does not give up: the same bytes under the same key, until there is an answer."""

    def __init__(self, places: list[Uploader]):
        self.places = places
        self.answered = Counter[int]()

    def send(self, number: int, data: bytes) -> Sent:
        key, tries = str(uuid.uuid4()), 0
        while True:
            tries += 1
            status, screening = self.try_once(number, data, key)
            self.answered[status] += 1
            if screening:
                return Sent(screening, hashlib.sha256(data).hexdigest(), tries)
            time.sleep(min(0.5 * tries, 5))

    def try_once(self, number: int, data: bytes, key: str) -> tuple[int, str]:
        try:
            answer = self.places[number % len(self.places)].send(data, key=key, timeout=20)
        except requests.RequestException:
            return CUT, ""
        return answer.status_code, answer.json()["id"] if answer.status_code == 202 else ""


def marked(data: bytes, number: int) -> bytes:
    """The same picture under another hash: a JPEG's comment says which one it is."""
    comment = f"chaos {number}".encode()
    return data[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + data[2:]


def flush() -> None:
    import redis

    redis.Redis.from_url(os.environ["REDIS_URL"]).flushall()


def places_of(address: str, token: str) -> list[Uploader]:
    """A visit and a lesion of each of a few patients."""

    def post(path: str, body: dict) -> dict:
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": str(uuid.uuid4())}
        answer = requests.post(f"{address}/api/v1/{path}", json=body, headers=headers, timeout=30)
        assert answer.ok, answer.text
        return answer.json()

    found = []
    for number in range(PATIENTS):
        named = {"family_name": f"Drawn {number}", "given_name": "Patient", "birth_date": "1970-01-01"}
        patient = post("patients/", {"identity": named, "sex": "female"})["id"]
        consent = {"kind": "ai_reading", "decision": "given", "decided_on": "2026-01-01"}
        post(f"patients/{patient}/consents/", consent)
        spot = {"patient": patient, "site": "back", "laterality": "left", "view": "back", "x": 0.4, "y": 0.3}
        visit, lesion = post("visits/", {"patient": patient})["id"], post("lesions/", spot)["id"]
        found.append(Uploader(address, token, visit, lesion))
    return found


def run(minutes: float, rate: float, seed: int, model: str, console: Console) -> int:
    with ExitStack() as stack:
        folder = stack.enter_context(temporary_folder())
        postgres = stack.enter_context(EmbeddedPostgres(folder / "postgres"))
        valkey = stack.enter_context(EmbeddedValkey(folder / "valkey"))
        address = f"http://127.0.0.1:{free_port()}"
        predictor = "ml.fake.load" if model == "slow" else "ml.predictor.load"
        os.environ |= surroundings(postgres, valkey, address, predictor)
        os.environ |= {"SKINCLINIC_FAKE_DELAY": SLOW, "API_REQUESTS_A_MINUTE": "0"}
        prepare()
        clinic = Clinic(postgres, valkey, address, folder)
        stack.callback(clinic.end)
        for name in ("web", "beat", *(f"worker-{number}" for number in range(WORKERS))):
            clinic.launch(name)
        wait_for(lambda: answers(address))
        token = make_uploader(address).token
        sender = Sender(places_of(address, token))
        chaos = Chaos(clinic, seed)
        sent = upload_under_fire(chaos, sender, minutes=minutes, rate=rate, console=console)
        settled = wait_until_settled(sent, console)
        clinic.end()
        return report(sent, sender, chaos, settled, console)


def upload_under_fire(chaos: Chaos, sender: Sender, *, minutes: float, rate: float, console: Console) -> list[Sent]:
    pictures = [photograph(number) for number in range(DRAWN)]
    ends, futures = time.monotonic() + 60 * minutes, []
    chaos.start()
    bar = Progress(TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), console=console)
    with bar, ThreadPoolExecutor(SENDERS) as pool:
        shown = bar.add_task("Uploading", total=60 * minutes)
        began = time.monotonic()
        while time.monotonic() < ends and chaos.error is None:
            number = len(futures)
            futures.append(pool.submit(sender.send, number, marked(pictures[number % DRAWN], number)))
            time.sleep(max(0.0, began + len(futures) / rate - time.monotonic()))
            bar.update(shown, completed=time.monotonic() - began)
        chaos.ended.set()
        chaos.join()
        bar.update(shown, description="Waiting for the last answers")
        sent = [future.result(timeout=300) for future in futures]
    if chaos.error:
        raise chaos.error
    forget_connections()
    return sent


def forget_connections() -> None:
    """Ours were cut with everybody's."""
    from django.db import connections

    connections.close_all()


def asked(query: str, *values: Any) -> list[tuple[Any, ...]]:
    """As the owner, who sees all clinics."""
    from django.db import connections

    with connections["owner"].cursor() as cursor:
        cursor.execute(query, values)
        return cursor.fetchall()


def open_readings() -> int:
    counted = "SELECT count(*) FROM screening_screening WHERE reading_status IN ('queued', 'running')"
    return int(asked(counted)[0][0])


def wait_until_settled(sent: list[Sent], console: Console) -> float:
    """Seconds from the last fault until nothing waits; more than the bar where it never came to that."""
    began = time.monotonic()
    with console.status(f"{len(sent)} acknowledged; waiting until each has its result"):
        while open_readings() and time.monotonic() - began < 2 * SETTLED_WITHIN:
            time.sleep(0.5)
    return time.monotonic() - began


def report(sent: list[Sent], sender: Sender, chaos: Chaos, settled: float, console: Console) -> int:
    ended = chaos.clinic.ended_by_themselves
    rows: list[tuple[str, object, bool]] = [
        ("faults", ", ".join(f"{name} {count}" for name, count in sorted(chaos.done.items())), True),
        ("answers by status (0: cut off)", dict(sorted(sender.answered.items())), only_expected(sender.answered)),
        ("processes that ended by themselves", len(ended), not ended),
        ("acknowledged uploads", len(sent), len({each.screening for each in sent}) == len(sent)),
        ("of these sent more than once", sum(each.tries > 1 for each in sent), True),
        ("settled after the last fault", f"{settled:.0f} s", settled <= SETTLED_WITHIN),
        *what_became_of(sent),
        ("ledger", *verified()),
    ]
    table = Table(title=f"{len(sent)} photographs under fire", title_justify="left")
    for column in ("what", "found", ""):
        table.add_column(column)
    for name, found, fine in rows:
        table.add_row(name, str(found), "" if fine else "[red]not so[/red]")
    console.print(table)
    return 0 if all(fine for _name, _found, fine in rows) else 1


def only_expected(answered: Counter[int]) -> bool:
    """Whatever is away, a client is told so (503) or cut off with the process; 500 would be a fault of ours."""
    return set(answered) <= {CUT, 202, 503}


def what_became_of(sent: list[Sent]) -> list[tuple[str, object, bool]]:
    known = {str(key): (status, code, image) for key, status, code, image in asked(
        "SELECT id, reading_status, failure_code, image_id FROM screening_screening"
    )}  # fmt: skip
    lost = [each for each in sent if each.screening not in known]
    extra = set(known) - {each.screening for each in sent}
    results = dict(asked("SELECT screening_id::text, count(*) FROM screening_prediction GROUP BY screening_id"))
    read = {key for key, (status, *_rest) in known.items() if status in ("predicted", "unscorable")}
    failed = {key: code for key, (status, code, _image) in known.items() if status == "failed"}
    wrong = [key for key in known if results.get(key, 0) != (1 if key in read else 0)]
    statuses = Counter(status for status, *_rest in known.values())
    unequal = bytes_that_differ(sent)
    return [
        ("lost", len(lost), not lost),
        ("stored without an acknowledgement", len(extra), not extra),
        ("by status", dict(statuses), set(statuses) <= {"predicted", "unscorable", "failed"}),
        ("failed, by reason", dict(Counter(failed.values())), set(failed.values()) <= {"worker_lost", "too_slow"}),
        ("without exactly one result", len(wrong), not wrong),
        ("attempts beyond the first", asked("SELECT sum(attempt - 1) FROM screening_screening")[0][0], True),
        ("photographs whose bytes differ", len(unequal), not unequal),
    ]  # fmt: skip


def bytes_that_differ(sent: list[Sent]) -> list[str]:
    """Of what was sent, by the hash kept of it; of what is stored, by reading it."""
    from django.db import connections

    from skinclinic.backup.contents import photographs_unlike_their_hash

    uploads = dict(asked(
        "SELECT screening.id::text, upload_sha256 FROM screening_screening screening"
        " JOIN screening_lesionimage image ON image.id = image_id"
    ))  # fmt: skip
    unlike = [each.screening for each in sent if uploads.get(each.screening) != each.sha256]
    return [*unlike, *photographs_unlike_their_hash(connections["owner"])]


def verified() -> tuple[object, bool]:
    from django.db import connections

    from skinclinic.audit.sealing import seal_ledger
    from skinclinic.audit.verify import LedgerBroken, verify_ledger

    seal_ledger()
    try:
        found = verify_ledger(connections["owner"])
    except LedgerBroken as broken:
        return broken, False
    return f"{found.lines} lines under {found.seals} seals, verified", True


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--rate", type=float, default=5, help="uploads a second")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--model", choices=("slow", "real"), default="slow")
    return parser.parse_args()


def main() -> int:
    asked_for = arguments()
    return run(asked_for.minutes, asked_for.rate, asked_for.seed, asked_for.model, Console())


if __name__ == "__main__":
    sys.exit(main())
