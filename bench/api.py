"""How long the API takes over HTTP with a worker beside it: `python bench/api.py [--screenings N] [--seconds S]`.

Each address is asked ten times a second, every request on a thread of its own. The bars are of the project; the last
column holds each against `/healthz` in the same run, which is what the web process and this client cost by themselves.
"""

import argparse
import random
import re
import statistics
import sys
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import requests
from lists import fill
from requests.adapters import HTTPAdapter
from rich.console import Console
from rich.progress import track
from rich.table import Table
from stack import photograph, running_stack
from urllib3.util import Retry

RATE = 10  # requests a second
OBJECT, LIST, UPLOAD = 60.0, 100.0, 150.0  # milliseconds that 95 of 100 may take
SCOPES = (
    "patients:read", "patients:write", "screenings:read", "screenings:write", "reviews:read", "webhooks:manage",
    "fhir:read", "audit:read",
)  # fmt: skip


@dataclass
class Row:
    what: str
    times: list[float]
    bar: float | None

    @property
    def p50(self) -> float:
        return statistics.median(self.times)

    @property
    def p95(self) -> float:
        return statistics.quantiles(self.times, n=20, method="inclusive")[-1]

    @property
    def is_kept(self) -> bool:
        return self.bar is None or self.p95 < self.bar


class Caller:
    """A system with its token; a connection of its own for each thread, as a pool has it."""

    def __init__(self, address: str, clinic) -> None:
        from skinclinic.api.services import create_client

        client, secret = create_client(clinic=clinic, name="bench", scopes=SCOPES)
        form = {"grant_type": "client_credentials"}
        told = requests.post(f"{address}/api/oauth2/token/", data=form, auth=(client.client_id, secret), timeout=30)
        self.address, self.session = address, requests.Session()
        # A kept connection may be closed by the other side just as it is used again, which every pool has to live with.
        again = Retry(total=1, allowed_methods=None)
        self.session.mount("http://", HTTPAdapter(pool_maxsize=50, max_retries=again))
        self.session.headers["Authorization"] = f"Bearer {told.json()['access_token']}"

    def get(self, path: str) -> requests.Response:
        answer = self.session.get(f"{self.address}{path}", timeout=60)
        assert answer.ok, (path, answer.status_code, answer.text[:300])
        return answer

    def post(self, path: str, body: dict) -> dict:
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        answer = self.session.post(f"{self.address}{path}", json=body, headers=headers, timeout=60)
        assert answer.ok, (path, answer.text[:300])
        return answer.json()

    def upload(self, visit: str, lesion: str, data: bytes) -> dict:
        headers = {"Idempotency-Key": str(uuid.uuid4()), "Content-Type": "image/jpeg"}
        asked = {"visit": visit, "lesion": lesion}
        place = f"{self.address}/api/v1/screenings/"
        answer = self.session.post(place, params=asked, data=data, headers=headers, timeout=60)
        assert answer.status_code == 202, answer.text[:300]
        return answer.json()


def at_rate(what: str, seconds: float, act: Callable[[int], object], bar: float | None) -> Row:
    times: list[float] = []

    def one(number: int) -> None:
        began = time.perf_counter()
        act(number)
        times.append(1000 * (time.perf_counter() - began))

    for number in range(5):
        act(-1 - number)
    threads, start = [], time.monotonic()
    for number in range(round(RATE * seconds)):
        time.sleep(max(0.0, start + number / RATE - time.monotonic()))
        threads.append(threading.Thread(target=one, args=[number]))
        threads[-1].start()
    for thread in threads:
        thread.join()
    assert len(times) == len(threads), "a request failed"
    return Row(what, times, bar)


def wait_until_read(caller: Caller, key: str) -> None:
    deadline = time.monotonic() + 60
    while caller.get(f"/api/v1/screenings/{key}/").json()["reading_status"] in ("queued", "running"):
        assert time.monotonic() < deadline, "not read within a minute"
        time.sleep(0.1)


def own_patient(caller: Caller) -> tuple[str, str, str]:
    """A patient with a visit and a lesion, whose photographs may be read."""
    identity = {"family_name": "Bench", "given_name": "Ben", "birth_date": "1970-01-01"}
    numbers = [{"system": "urn:bench", "value": "4711"}]
    patient = caller.post("/api/v1/patients/", {"identity": identity, "identifiers": numbers})["id"]
    consent = {"kind": "ai_reading", "decision": "given", "decided_on": "2026-01-01"}
    caller.post(f"/api/v1/patients/{patient}/consents/", consent)
    visit = caller.post("/api/v1/visits/", {"patient": patient})["id"]
    spot = {"site": "back", "laterality": "left", "view": "back", "x": 0.5, "y": 0.3}
    return patient, visit, caller.post("/api/v1/lesions/", {"patient": patient, **spot})["id"]


def addresses(caller: Caller, patient: str, screening: str) -> list[tuple[str, float | None]]:
    told = caller.get(f"/api/v1/screenings/{screening}/").json()
    report = caller.get("/api/v1/reports/").json()["results"][0]["id"]
    last = caller.get("/api/v1/changes/").json()["since"]
    objects = (
        f"patients/{patient}/", f"patients/{patient}/consents/", f"visits/{told['visit']}/",
        f"lesions/{told['lesion']}/", f"screenings/{screening}/", f"screenings/{screening}/photograph/",
        f"screenings/{screening}/thumbnail/", f"screenings/{screening}/map/", f"screenings/{screening}/history/",
        f"reports/{report}/",
    )  # fmt: skip
    lists = (
        "patients/", "visits/", "lesions/", "screenings/", "screenings/?reading_status=predicted", "reports/",
        f"screenings/?patient={patient}", f"changes/?since={last}",
    )  # fmt: skip
    fhir = (f"Patient/{patient}", f"Observation/reading-{screening}")
    searches = (f"Observation?patient={patient}", "Observation?_count=20", f"Patient/{patient}/$everything")
    return [
        ("/healthz", None),
        *((f"/api/v1/{path}", OBJECT) for path in objects),
        *((f"/fhir/{path}", OBJECT) for path in fhir),
        *((f"/api/v1/{path}", LIST) for path in lists),
        *((f"/fhir/{path}", LIST) for path in searches),
    ]


def shown(path: str) -> str:
    return re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "…", path)


def measure(caller: Caller, seconds: float) -> list[Row]:
    patient, visit, lesion = own_patient(caller)
    first = caller.upload(visit, lesion, photograph(1))["id"]
    wait_until_read(caller, first)
    photographs = [photograph(seed) for seed in range(20)]
    rows = []
    for path, bar in track(addresses(caller, patient, first), description="Reading", console=Console(stderr=True)):
        rows.append(at_rate(shown(path), seconds, lambda _number, path=path: caller.get(path), bar))
    number_of = {"identifier": {"system": "urn:bench", "value": "4711"}}
    rows.append(
        at_rate("patients/search/", seconds, lambda _number: caller.post("/api/v1/patients/search/", number_of), LIST)
    )

    def send(number: int) -> None:
        caller.upload(visit, lesion, random.choice(photographs))

    rows.append(at_rate("upload, 600 x 450", 2 * seconds, send, UPLOAD))
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--screenings", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=10)
    wanted = parser.parse_args()
    with running_stack() as stack:
        from skinclinic.accounts.services import let_in, open_clinic

        clinic = open_clinic(name="Bench")
        people = [
            let_in(clinic=clinic, email=f"{role}@example.org", full_name=role, password=None, roles=[role])
            for role in ("clinician", "reviewer")
        ]
        fill(clinic, [member.actor() for member in people], wanted.screenings)
        rows = measure(Caller(stack.address, clinic), wanted.seconds)
    table = Table("address", "p50 ms", "p95 ms", "bar", "of /healthz", title=f"API at {wanted.screenings:,} screenings")
    base = rows[0].p95
    for row in rows:
        bar = f"< {row.bar:.0f}" if row.bar else ""
        table.add_row(row.what, f"{row.p50:.0f}", f"{row.p95:.0f}", bar, f"{row.p95 / base:.1f}")
    Console(width=110).print(table)
    missed = [row.what for row in rows if not row.is_kept]
    print("missed: " + ", ".join(missed) if missed else "all kept")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
