"""What a screening costs beside the model, and what one machine sustains: `python bench/pipeline.py [--short]`.

Uploads go through the API to a real web process; a worker of two processes reads them. What is beside the model is
measured with the pretended model in its place, whose own cost is taken off. Times are of this machine in
this run; compare the ratios and hold the figures against the bars, not against another day's.
"""

import argparse
import base64
import statistics
import subprocess
import sys
import threading
import time
import uuid
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import psutil
import requests
from rich.console import Console
from rich.progress import track
from rich.table import Table
from stack import Stack, backends_of, cpu_seconds, photograph, resident_megabytes, running_stack


@dataclass
class Row:
    what: str
    measured: float
    at_most: float | None = None

    @property
    def kept(self) -> bool:
        return self.at_most is None or self.measured <= self.at_most


@dataclass
class Uploader:
    address: str
    token: str
    visit: str
    lesion: str

    def send(self, data: bytes, *, key: str = "", timeout: float = 30) -> requests.Response:
        return requests.post(
            f"{self.address}/api/v1/screenings/",
            data={"visit": self.visit, "lesion": self.lesion},
            files={"photograph": ("a.jpg", data, "image/jpeg")},
            headers={"Authorization": f"Bearer {self.token}", "Idempotency-Key": key or str(uuid.uuid4())},
            timeout=timeout,
        )

    def upload(self, data: bytes) -> tuple[str, float, float]:
        """The screening's id, the moment of its 202 and the milliseconds until then."""
        began = time.time()
        answer = self.send(data)
        answered = time.time()
        assert answer.status_code == 202, answer.text
        return answer.json()["id"], answered, 1000 * (answered - began)


def make_uploader(address: str) -> Uploader:
    from skinclinic.accounts.services import open_clinic
    from skinclinic.api.services import create_client

    clinic = open_clinic(name="Bench")
    scopes = ["patients:read", "patients:write", "screenings:read", "screenings:write"]
    client, secret = create_client(clinic=clinic, name="bench", scopes=scopes)
    basic = base64.b64encode(f"{client.client_id}:{secret}".encode()).decode()
    token = requests.post(
        f"{address}/api/oauth2/token/",
        data={"grant_type": "client_credentials"},
        headers={"Authorization": f"Basic {basic}"},
        timeout=30,
    ).json()["access_token"]
    bearer = {"Authorization": f"Bearer {token}"}

    def post(path: str, body: dict) -> dict:
        headers = bearer | {"Idempotency-Key": str(uuid.uuid4())}
        return requests.post(f"{address}/api/v1/{path}", json=body, headers=headers, timeout=30).json()

    identity = {"family_name": "Bench", "given_name": "Ben", "birth_date": "1970-01-01"}
    patient = post("patients/", {"identity": identity})["id"]
    consent = {"kind": "ai_reading", "decision": "given", "decided_on": "2026-01-01"}
    post(f"patients/{patient}/consents/", consent)
    visit = post("visits/", {"patient": patient})["id"]
    spot = {"site": "back", "laterality": "left", "view": "back", "x": 0.5, "y": 0.3}
    return Uploader(address, token, visit, post("lesions/", {"patient": patient, **spot})["id"])


def send_at_rate(uploader: Uploader, data: bytes, *, rate: float, seconds: float, title: str) -> list[tuple]:
    """Uploads at a steady rate, each on a thread of its own, so that a slow answer does not slow the next."""
    sent: list[tuple] = []
    threads = []
    began = time.monotonic()
    for number in track(range(round(rate * seconds)), description=title, console=Console(stderr=True)):
        time.sleep(max(0.0, began + number / rate - time.monotonic()))
        thread = threading.Thread(target=lambda: sent.append(uploader.upload(data)))
        thread.start()
        threads.append(thread)
    for thread in threads:
        thread.join()
    return sent


def finished_at(wait: float = 120) -> dict[str, float]:
    """When each screening that was read was done, by its id; waits until none is open."""
    from screening.models import Screening
    from screening.status import ReadingStatus
    from skinclinic.accounts.models import Clinic
    from skinclinic.audit.acting import acting, system

    was_read = {ReadingStatus.PREDICTED, ReadingStatus.UNSCORABLE}
    clinic = Clinic.objects.get(name="Bench")
    deadline = time.monotonic() + wait
    while True:
        with acting(system(clinic_id=clinic.pk)):
            rows = list(Screening.objects.values_list("pk", "reading_status", "finished_at"))
        still_open = [row for row in rows if row[2] is None]
        if not still_open:
            return {str(key): moment.timestamp() for key, status, moment in rows if status in was_read}
        if time.monotonic() > deadline:
            raise TimeoutError(f"{len(still_open)} screenings are not read.")
        time.sleep(0.5)


def to_result(sent: list[tuple], done: dict[str, float]) -> list[float]:
    """Milliseconds, of those that were read."""
    return [max(0.0, 1000 * (done[key] - answered)) for key, answered, _ in sent if key in done]


def percentile(values: list[float], share: float) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[round(100 * share) - 1]


def core_cost_of_steps(data: bytes, repeats: int) -> dict[str, float]:
    """Milliseconds of core per screening for each step done by hand: this process and the database's side of it."""
    from django.db import connection

    from ml.fake import load
    from patients.models import Lesion, Visit
    from screening.images import clean_photograph
    from screening.reader import register_version
    from screening.services import queue, readings
    from screening.services.photographs import add_photograph
    from skinclinic.accounts.models import Clinic
    from skinclinic.audit.acting import acting, system

    actor = system(clinic_id=Clinic.objects.get(name="Bench").pk)
    predictor = load()
    with acting(actor):
        version = register_version(predictor.manifest)
        visit, lesion = Visit.objects.get(), Lesion.objects.get()
    clean = clean_photograph(BytesIO(data))
    reading = predictor.read(data)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        backend = psutil.Process(cursor.fetchone()[0])
    costs = dict.fromkeys(
        ("claim, and bytes fetched", "finish, with prediction, event and ledger", "reading by the pretended model"), 0.0
    )
    queue.send = lambda *ids: True  # no message goes out, and so no worker competes
    for _ in range(repeats):
        with acting(actor):
            screening = add_photograph(actor=actor, visit=visit, lesion=lesion, clean=clean)
        marks = [own_cpu(backend)]
        with acting(actor):
            claim = readings.claim_reading(screening_id=screening.pk)
        with acting(actor):
            readings.fetch_photograph(claim)
        marks.append(own_cpu(backend))
        with acting(actor):
            readings.finish_reading(claim=claim, reading=reading, version=version)
        marks.append(own_cpu(backend))
        predictor.read(data)
        marks.append(own_cpu(backend))
        for name, before, after in zip(costs, marks, marks[1:], strict=False):
            costs[name] += after - before
    return {name: 1000 * seconds / repeats for name, seconds in costs.items()}


def own_cpu(backend: psutil.Process) -> float:
    times = backend.cpu_times()
    return time.process_time() + times.user + times.system


def cost_of_empty_messages(stack: Stack, repeats: int) -> float:
    """Celery alone: messages about screenings that are not there, so that the claim finds nothing."""
    import uuid

    from screening.services.queue import send, waiting_in_broker
    from skinclinic.accounts.models import Clinic

    clinic = Clinic.objects.get(name="Bench").pk
    before = cpu_seconds(stack.worker, stack.valkey, *backends_of("worker"))
    for _ in range(repeats):
        send(uuid.uuid4(), clinic)
    while waiting_in_broker():
        time.sleep(0.1)
    time.sleep(0.5)
    return 1000 * (cpu_seconds(stack.worker, stack.valkey, *backends_of("worker")) - before) / repeats


def cost_of_screenings(stack: Stack, uploader: Uploader, data: bytes, seconds: float) -> float:
    """Milliseconds of core a screening in worker, broker and the worker's side of the database, read by the pretended
    model (whose own part is taken off by the caller). The upload's own cost is the web's and not in it."""
    parts = [stack.worker, stack.valkey, *backends_of("worker")]
    before = cpu_seconds(*parts)
    sent = send_at_rate(uploader, data, rate=10, seconds=seconds, title="Cost of a screening")
    finished_at()
    return 1000 * (cpu_seconds(*parts) - before) / len(sent)


def warm_up(uploader: Uploader, data: bytes) -> None:
    """Every process has worked once, and Postgres knows its tables, as after a clinic's first minutes: without
    statistics it reads a clinic's rows from end to end for each one that is asked for by its key."""
    from django.db import connections

    for _ in range(50):
        uploader.upload(data)
    finished_at()
    with connections["owner"].cursor() as cursor:
        cursor.execute("ANALYZE")


def measure_cost(seconds: float) -> list[Row]:
    small = photograph(1)
    with running_stack(predictor="ml.fake.load") as stack:
        uploader = make_uploader(stack.address)
        warm_up(uploader, small)
        empty = cost_of_empty_messages(stack, 200)
        whole = cost_of_screenings(stack, uploader, small, seconds)
        steps = core_cost_of_steps(small, 100)
    pretended = steps.pop("reading by the pretended model")
    return [
        Row("Celery, broker and a claim that finds nothing, core ms a message", empty),
        *(Row(f"{name}, core ms", cost) for name, cost in steps.items()),
        Row("all of it beside the model, core ms a screening", whole - pretended, at_most=20),
    ]


def measure_pace(seconds: float) -> list[Row]:
    small, large = photograph(1), photograph(2, 4000, 3000)
    with running_stack() as stack:
        uploader = make_uploader(stack.address)
        warm_up(uploader, small)
        at_five = send_at_rate(uploader, small, rate=5, seconds=seconds, title="5 uploads a second")
        times = to_result(at_five, finished_at())
        at_ten = send_at_rate(uploader, small, rate=10, seconds=seconds, title="10 uploads a second")
        done = finished_at()
        read = [key for key, _, _ in at_ten if key in done]
        behind = max(done.values()) - max(answered for _, answered, _ in at_ten)
        usual = biggest(stack.web), biggest(stack.worker)
        for _ in range(20):
            uploader.upload(large)
        finished_at()
        large_ones = biggest(stack.web), biggest(stack.worker)
    return [
        Row("5 uploads/s: from 202 to result, p50 ms", statistics.median(times)),
        Row("5 uploads/s: from 202 to result, p95 ms", percentile(times, 0.95), at_most=1000),
        Row("5 uploads/s: upload to its 202, p95 ms", percentile([each[2] for each in at_five], 0.95)),
        Row(f"10 uploads/s for {seconds} s: not taken or not read", 10 * seconds - len(read), at_most=0),
        Row("10 uploads/s: the last result after the last upload, s", behind, at_most=5),
        Row("10 uploads/s: from 202 to result, p95 ms", percentile(to_result(at_ten, done), 0.95)),
        Row("web process after 600x450, MB", usual[0], at_most=200),
        Row("worker child after 600x450, MB", usual[1], at_most=250),
        Row("web process after 12 megapixels, MB", large_ones[0], at_most=200),
        Row("worker child after 12 megapixels, MB", large_ones[1], at_most=250),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="10 s a step instead of 60")
    parser.add_argument("--part", choices=["cost", "pace"], help="one of the two parts only")
    wanted = parser.parse_args()
    if not wanted.part:  # the parts do not share a process: each has servers of its own
        return max(
            subprocess.call([sys.executable, __file__, *sys.argv[1:], "--part", part]) for part in ("cost", "pace")
        )
    rows = {"cost": measure_cost, "pace": measure_pace}[wanted.part](10 if wanted.short else 60)
    table = Table("what", "measured", "at most", title=f"The pipeline on this machine: {wanted.part}")
    for row in rows:
        table.add_row(row.what, f"{row.measured:.1f}", "" if row.at_most is None else f"{row.at_most:g}")
    Console(width=110).print(table)
    missed = [row.what for row in rows if not row.kept]
    print(f"Missed: {'; '.join(missed)}." if missed else "All bars of this part are kept.")
    return 1 if missed else 0


def biggest(parent: psutil.Process) -> float:
    """Resident MB of the largest child that does the work."""
    return max(resident_megabytes(child) for child in parent.children())


if __name__ == "__main__":
    sys.exit(main())
