"""What keeping clinics apart and keeping a sealed ledger cost: `python bench/trust.py [--rounds 4] [--seconds 10]`.

The same stack in turns with and without: row-level security off, no trigger on the ledger, no look recorded, nothing
sealed. What cannot be taken away is the application's own saying who acts (`set_config`). Ends with 1 when they take
more than a quarter of the pipeline's rate, or more than 15 ms of a page.
"""

import argparse
import statistics
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from lists import fill, measure
from pipeline import make_uploader, send_at_rate, warm_up
from rich.console import Console
from rich.table import Table
from stack import Stack, cpu_seconds, photograph, running_stack, wait_for

RATE_BAR, PAGE_BAR = 0.75, 15.0
RATE, SEALED_EVERY = 8, 2.0
LOOKS = "audit_record(text, text, text, uuid, jsonb)"
SECURED = "SELECT oid::regclass::text FROM pg_class WHERE relrowsecurity AND relnamespace = 'public'::regnamespace"
TRIGGERED = "SELECT tgrelid::regclass::text FROM pg_trigger WHERE tgname = 'audit_row'"


@dataclass
class Found:
    """With the trust or without: core milliseconds of each screening, lines that it leaves on the ledger, and median
    milliseconds of each page, by round."""

    screening: list[float] = field(default_factory=list)
    lines: list[float] = field(default_factory=list)
    pages: dict[str, list[float]] = field(default_factory=dict)


class Trust:
    """Taken away and given back by the owner of the database."""

    def __init__(self) -> None:
        self.secured = [name for (name,) in self.ask(SECURED)]
        self.triggered = [name for (name,) in self.ask(TRIGGERED)]
        ((self.look,),) = self.ask(f"SELECT pg_get_functiondef('{LOOKS}'::regprocedure)")

    def ask(self, statement: str) -> list[tuple]:
        from django.db import connections

        with connections["owner"].cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def wait_until_read(self) -> None:
        waiting = "SELECT count(*) FROM screening_screening WHERE reading_status IN ('queued', 'running')"
        wait_for(lambda: self.ask(waiting) == [(0,)])

    def lines(self) -> int:
        return int(self.ask("SELECT count(*) FROM audit_auditevent")[0][0])

    def switch(self, *, on: bool) -> None:
        word = "ENABLE" if on else "DISABLE"
        for table in self.secured:
            self.ask(f"ALTER TABLE {table} {word} ROW LEVEL SECURITY")
        for table in self.triggered:
            self.ask(f"ALTER TABLE {table} {word} TRIGGER audit_row")
        head, _quote, _body = self.look.partition("\nAS $")
        self.ask(self.look if on else f"{head}\nAS 'SELECT 0::bigint'")


@contextmanager
def sealing() -> Iterator[None]:
    """As the watch does beside, more often than it does."""
    from django.db import connection

    from skinclinic.audit.sealing import seal_ledger

    ended = threading.Event()

    def seal() -> None:
        while not ended.wait(SEALED_EVERY):
            seal_ledger()
        connection.close()

    thread = threading.Thread(target=seal)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def core_milliseconds(stack: Stack, send: Callable[[], int]) -> float:
    """Of web, worker, broker and database for each screening that is sent; `send` waits until they are read."""
    parts = (stack.web, stack.worker, stack.valkey, stack.postgres)
    before = cpu_seconds(*parts)
    count = send()
    return 1000 * (cpu_seconds(*parts) - before) / count


def run(rounds: int, seconds: float) -> dict[bool, Found]:
    data, found = photograph(1), {True: Found(), False: Found()}
    with running_stack() as stack:
        uploader = make_uploader(stack.address)
        warm_up(uploader, data)
        client, pages = clinic_with_pages()
        trust = Trust()

        def send(count: float = RATE * seconds) -> int:
            sent = send_at_rate(uploader, data, rate=RATE, seconds=count / RATE, title="Uploading")
            trust.wait_until_read()
            return len(sent)

        for number in range(rounds):
            for on in (number % 2 == 0, number % 2 == 1):
                trust.switch(on=on)
                send(2 * RATE)
                with sealing() if on else nothing():
                    before = trust.lines()
                    found[on].screening.append(core_milliseconds(stack, send))
                    found[on].lines.append((trust.lines() - before) / (RATE * seconds))
                    for name, path in pages.items():
                        found[on].pages.setdefault(name, []).append(measure(client, path, repeats=20)[1])
        trust.switch(on=True)
    return found


@contextmanager
def nothing() -> Iterator[None]:
    yield


def clinic_with_pages():
    """A reviewer's browser in a clinic of 4,000 screenings, and the pages that she opens there. It is the clinic that
    uploads: with another one beside it there would be more rows to read without row-level security than with."""
    from django.conf import settings
    from django.test import Client

    from patients.models import Visit
    from screening.models import Screening
    from skinclinic.accounts.models import Clinic
    from skinclinic.accounts.services import let_in
    from skinclinic.audit.acting import acting

    settings.ALLOWED_HOSTS = ["testserver"]
    clinic = Clinic.objects.get(name="Bench")
    people = [
        let_in(clinic=clinic, email=f"{role}@example.org", full_name=role, password=None, roles=[role])
        for role in ("clinician", "reviewer")
    ]
    fill(clinic, [member.actor() for member in people], 4000)
    client = Client()
    client.force_login(people[1].user, backend="django.contrib.auth.backends.ModelBackend")
    with acting(people[1].actor()):
        visit = Visit.objects.filter(clinic=clinic).order_by("-due_at").first()
        screening = Screening.objects.filter(visit=visit).first()
    return client, {
        "worklist": "/worklist/",
        "patients": "/patients/",
        "a patient's chart": f"/patients/{visit.patient_id}/",
        "a visit": f"/visits/{visit.pk}/",
        "a result": f"/screenings/{screening.pk}/",
        "its history": f"/screenings/{screening.pk}/history/",
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=10)
    wanted = parser.parse_args()
    found = run(wanted.rounds, wanted.seconds)
    table = Table("what", "with", "without", "cost", "bar", title="Clinics kept apart, a sealed ledger: what they cost")
    fine = add_pipeline(table, found) & add_pages(table, found)
    Console(width=100).print(table)
    return 0 if fine else 1


def add_pipeline(table: Table, found: dict[bool, Found]) -> bool:
    """The rate is the inverse of the core time that each screening takes."""
    times = [found[on].screening for on in (True, False)]
    with_it, without = (statistics.median(each) for each in times)
    share = without / with_it
    told = f"{100 * (1 - share):.0f} % of the rate"
    table.add_row("a screening, core ms", f"{with_it:.1f}", f"{without:.1f}", told, f"≤ {100 * (1 - RATE_BAR):.0f} %")
    table.add_row("of the rounds", *(f"{min(each):.1f} to {max(each):.1f}" for each in times), "", "")
    lines = [f"{statistics.median(found[on].lines):.1f}" for on in (True, False)]
    table.add_row("lines on the ledger for it", *lines, "", "")
    return share >= RATE_BAR


def add_pages(table: Table, found: dict[bool, Found]) -> bool:
    fine = True
    for name, times in found[True].pages.items():
        with_it, without = statistics.median(times), statistics.median(found[False].pages[name])
        cost = with_it - without
        table.add_row(f"{name}, ms", f"{with_it:.1f}", f"{without:.1f}", f"{cost:+.1f} ms", f"≤ {PAGE_BAR:.0f} ms")
        fine &= cost <= PAGE_BAR
    return fine


if __name__ == "__main__":
    sys.exit(main())
