"""What a screening costs beside the model, and what one machine sustains: `python bench/pipeline.py [--short]`.

Uploads go through the API to a real web process; a worker of two processes reads them. Times are of this machine in
this run; compare the ratios and hold the figures against the bars, not against another day's.
"""

import argparse
import base64
import statistics
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import psutil
import requests
from rich.console import Console
from rich.progress import track
from rich.table import Table
from stack import Stack, cpu_seconds, photograph, resident_megabytes, running_stack

BARS = {"cost": 20.0, "p95": 1000.0, "web": 200.0, "child": 250.0}


@dataclass
class Uploader:
    address: str
    token: str
    visit: str
    lesion: str

    def upload(self, data: bytes) -> tuple[str, float, float]:
        """The screening's id, the moment of its 202 and the milliseconds until then."""
        began = time.time()
        answer = requests.post(
            f"{self.address}/api/v1/screenings/",
            data={"visit": self.visit, "lesion": self.lesion},
            files={"photograph": ("a.jpg", data, "image/jpeg")},
            headers={"Authorization": f"Bearer {self.token}"},
            timeout=30,
        )
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
        return requests.post(f"{address}/api/v1/{path}", json=body, headers=bearer, timeout=30).json()

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
    """When each screening was done, by its id; waits until none is open."""
    from screening.models import Screening
    from skinclinic.accounts.models import Clinic
    from skinclinic.audit.acting import acting, system

    clinic = Clinic.objects.get(name="Bench")
    deadline = time.monotonic() + wait
    while True:
        with acting(system(clinic_id=clinic.pk)):
            rows = list(Screening.objects.values_list("pk", "reading_status", "finished_at"))
        still_open = [row for row in rows if row[2] is None]
        if not still_open:
            return {str(key): moment.timestamp() for key, _, moment in rows}
        if time.monotonic() > deadline:
            raise TimeoutError(f"{len(still_open)} screenings are not read.")
        time.sleep(0.5)


def to_result(sent: list[tuple], done: dict[str, float]) -> list[float]:
    return [max(0.0, 1000 * (done[key] - answered)) for key, answered, _ in sent]


def percentile(values: list[float], share: float) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[round(100 * share) - 1]


def core_cost_of_steps(data: bytes, repeats: int) -> dict[str, float]:
    """Milliseconds of core per screening for each step, this process and the database's side of its connection."""
    from io import BytesIO

    from django.db import connection

    from ml.predictor import load
    from patients.models import Lesion, Visit
    from screening.images import clean_photograph
    from screening.reader import register_version
    from screening.services import readings
    from screening.services.photographs import add_photograph
    from skinclinic.accounts.models import Clinic
    from skinclinic.audit.acting import acting, system

    clinic = Clinic.objects.get(name="Bench")
    actor = system(clinic_id=clinic.pk)
    predictor = load()
    with acting(actor):
        version = register_version(predictor)
        visit, lesion = Visit.objects.get(), Lesion.objects.get()
    clean = clean_photograph(BytesIO(data))
    reading = predictor.read(data)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        backend = psutil.Process(cursor.fetchone()[0])
    # The steps are run by hand here: no message goes out, and no worker competes.
    readings_queue = sys.modules["screening.services.queue"]
    readings_queue.send = lambda *ids: True
    costs = dict.fromkeys(("claim and bytes", "finish, prediction and ledger"), 0.0)
    for _ in range(repeats):
        with acting(actor):
            screening = add_photograph(actor=actor, visit=visit, lesion=lesion, clean=clean)
        before = own_cpu(backend)
        with acting(actor):
            claim = readings.claim_reading(screening.pk)
        middle = own_cpu(backend)
        with acting(actor):
            readings.finish_reading(claim=claim, reading=reading, version=version)
        after = own_cpu(backend)
        costs["claim and bytes"] += middle - before
        costs["finish, prediction and ledger"] += after - middle
    return {name: 1000 * seconds / repeats for name, seconds in costs.items()}


def own_cpu(backend: psutil.Process) -> float:
    times = backend.cpu_times()
    return time.process_time() + times.user + times.system


def predictor_cost(data: bytes, repeats: int = 100) -> float:
    """Milliseconds of core for one reading by the model."""
    from ml.predictor import load

    predictor = load()
    for _ in range(5):
        predictor.read(data)
    began = time.process_time()
    for _ in range(repeats):
        predictor.read(data)
    return 1000 * (time.process_time() - began) / repeats


def cost_beside_the_model(stack: Stack, uploader: Uploader, data: bytes, seconds: float) -> dict[str, float]:
    """Worker, broker and database: milliseconds of core a screening, whole processes, in 5 uploads a second.

    The upload's own part (web process and its connections) is measured apart and not counted to the pipeline.
    """
    before = cpu_seconds(stack.worker)
    before_valkey = cpu_seconds(stack.valkey)
    sent = send_at_rate(uploader, data, rate=5, seconds=seconds, title="5 uploads a second")
    done = finished_at()
    count = len(sent)
    times = to_result(sent, done)
    return {
        "worker, with the model": 1000 * (cpu_seconds(stack.worker) - before) / count,
        "broker": 1000 * (cpu_seconds(stack.valkey) - before_valkey) / count,
        "p50 from 202 to result": statistics.median(times),
        "p95 from 202 to result": percentile(times, 0.95),
        "p95 of the upload to its 202": percentile([each[2] for each in sent], 0.95),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="10 s a step instead of 60")
    seconds = 10 if parser.parse_args().short else 60
    console = Console(width=110)
    small, large = photograph(1), photograph(2, 4000, 3000)
    with running_stack() as stack:
        uploader = make_uploader(stack.address)
        for _ in range(10):
            uploader.upload(small)
        finished_at()
        at_five = cost_beside_the_model(stack, uploader, small, seconds)
        model = predictor_cost(small)
        sustained = send_at_rate(uploader, small, rate=10, seconds=seconds, title="10 uploads a second")
        last_sent = max(answered for _, answered, _ in sustained)
        drained = max(finished_at().values()) - last_sent
        behind = percentile(to_result(sustained, finished_at()), 0.95)
        web_small = biggest(stack.web)
        child_small = biggest(stack.worker)
        for _ in range(10):
            uploader.upload(large)
        finished_at()
        web_large, child_large = biggest(stack.web), biggest(stack.worker)
        steps = core_cost_of_steps(small, 100)
    beside = at_five["worker, with the model"] - model + at_five["broker"]
    database = sum(steps.values())
    table = Table("what", "measured", "bar", title="The pipeline on this machine")
    rows = [
        ("the model itself, core ms a photograph", f"{model:.1f}", ""),
        ("worker beside the model, core ms a screening", f"{at_five['worker, with the model'] - model:.1f}", ""),
        ("broker, core ms a screening", f"{at_five['broker']:.1f}", ""),
        *(
            (f"of it by hand, with the database's side: {name}, core ms", f"{cost:.1f}", "")
            for name, cost in steps.items()
        ),
        ("beside the model, worker and broker, core ms", f"{beside:.1f}", f"≤ {BARS['cost']:.0f}"),
        ("claim, bytes, finish and ledger with the database, core ms", f"{database:.1f}", f"≤ {BARS['cost']:.0f}"),
        ("at 5/s: 202 to result, p50 ms", f"{at_five['p50 from 202 to result']:.0f}", ""),
        ("at 5/s: 202 to result, p95 ms", f"{at_five['p95 from 202 to result']:.0f}", f"< {BARS['p95']:.0f}"),
        ("at 5/s: upload to its 202, p95 ms", f"{at_five['p95 of the upload to its 202']:.0f}", ""),
        (f"at 10/s for {seconds} s: uploads taken", f"{len(sustained)}", f"{10 * seconds}"),
        ("at 10/s: the last result after the last upload, s", f"{drained:.1f}", ""),
        ("at 10/s: 202 to result, p95 ms", f"{behind:.0f}", ""),
        ("web process, MB, after 600x450", f"{web_small:.0f}", f"< {BARS['web']:.0f}"),
        ("worker child, MB, after 600x450", f"{child_small:.0f}", f"< {BARS['child']:.0f}"),
        ("web process, MB, after 12 megapixels", f"{web_large:.0f}", f"< {BARS['web']:.0f}"),
        ("worker child, MB, after 12 megapixels", f"{child_large:.0f}", f"< {BARS['child']:.0f}"),
    ]
    for row in rows:
        table.add_row(*row)
    console.print(table)
    kept = (
        max(beside, database) <= BARS["cost"]
        and at_five["p95 from 202 to result"] < BARS["p95"]
        and len(sustained) == 10 * seconds
        and max(web_small, web_large) < BARS["web"]
        and max(child_small, child_large) < BARS["child"]
    )
    console.print("All bars are kept." if kept else "[bold]A bar is missed.[/bold]")
    return 0 if kept else 1


def biggest(parent: psutil.Process) -> float:
    """Resident MB of the largest child that does the work."""
    return max(resident_megabytes(child) for child in parent.children())


if __name__ == "__main__":
    sys.exit(main())
