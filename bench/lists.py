"""How long the worklist and the patient list take at 10,000 screenings: `python bench/lists.py [--screenings N]`."""

import argparse
import gc
import random
import statistics
import sys
import time
import uuid
from datetime import date, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from rich.console import Console
from rich.progress import track
from rich.table import Table
from stack import running_stack

QUERY_BAR, TIME_BAR = 12, 100.0
PER_VISIT, BATCH = 2, 250


def fill(clinic, people, screenings: int) -> None:
    """Patients with visits of two lesions each; a tenth still waits for review. Rows only: no bytes."""
    from django.db import connections

    from skinclinic.audit.acting import acting

    draws = random.Random(1)
    visits = range(screenings // PER_VISIT)
    for first in track(visits[::BATCH], description="Filling", console=Console(stderr=True)):
        with acting(people[1]):
            insert(rows_of(clinic, people, draws, number) for number in visits[first : first + BATCH])
    with connections["owner"].cursor() as cursor:
        cursor.execute("ANALYZE")  # as autovacuum does in a clinic's first minutes


def insert(rows_of_visits) -> None:
    """Table by table; keys that point forward are checked when the transaction ends."""
    by_model: dict[type, list] = {}
    for rows in rows_of_visits:
        for row in rows:
            by_model.setdefault(type(row), []).append(row)
    for model, rows in by_model.items():
        model.objects.bulk_create(rows)


def rows_of(clinic, people, draws, number: int) -> list:
    from django.utils import timezone

    from patients.models import Lesion, Patient, PatientIdentity, Visit
    from screening.models import LesionImage, Review, Screening, Signature

    clinician, reviewer = people
    patient = Patient(clinic=clinic)
    identity = PatientIdentity(
        patient=patient,
        clinic=clinic,
        family_name=f"Family{draws.randrange(5000)}",
        given_name=f"Given{number}",
        birth_date=date(1940, 1, 1) + timedelta(days=draws.randrange(25_000)),
    )
    due = timezone.now() + timedelta(hours=draws.randrange(-20, 200))
    visit = Visit(clinic=clinic, patient=patient, clinician_id=clinician.user_id, due_at=due)
    rows = [patient, identity, visit]
    about = {"clinic": clinic, "patient": patient}
    signature = Signature(visit=visit, reviewer_id=reviewer.user_id, **about) if number % 10 else None
    for spot in range(PER_VISIT):
        lesion = Lesion(site="back", laterality="left", view="back", x=0.5, y=0.3, number=spot + 1, **about)
        name = f"{clinic.pk}/{uuid.uuid4()}"
        image = LesionImage(
            lesion=lesion, photograph=name, thumbnail=name, width=600, height=450, size=1,
            sha256="0" * 64, upload_sha256=uuid.uuid4().hex * 2, **about,
        )  # fmt: skip
        screening = Screening(visit=visit, image=image, reading_status="not_wanted", **about)
        rows += [lesion, image, screening]
        if signature:
            review = Review(
                screening=screening, reviewer_id=reviewer.user_id, suspicious=False, diagnosis="nevus",
                recommendation="reassure", submission=uuid.uuid4(), **about,
            )  # fmt: skip
            screening.review_status, screening.signed_review, screening.signature = "signed", review, signature
            rows.append(review)
    return [*rows, signature] if signature else rows


def measure(client, path: str, repeats: int = 60) -> tuple[int, float, float]:
    """Queries for rows, and p50 and p95 in milliseconds of the whole request inside the web process."""
    from django.db import connection

    for _ in range(5):
        assert client.get(path).status_code == 200
    count = 0

    def counted(execute, sql, *arguments):
        nonlocal count
        count += not sql.startswith("SELECT set_config")  # who acts
        return execute(sql, *arguments)

    with connection.execute_wrapper(counted):
        client.get(path)
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        client.get(path)
        times.append(1000 * (time.perf_counter() - began))
    return count, statistics.median(times), statistics.quantiles(times, n=20)[-1]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--screenings", type=int, default=10_000)
    wanted = parser.parse_args().screenings
    with running_stack(predictor="ml.fake.load"):
        from django.conf import settings
        from django.test import Client

        from skinclinic.accounts.services import decide_reviewing, let_in, open_clinic

        settings.ALLOWED_HOSTS = ["testserver"]
        clinic = open_clinic(name="Bench")
        people = [
            let_in(clinic=clinic, email=f"{role}@example.org", full_name=role, password=None, roles=[role])
            for role in ("clinician", "reviewer")
        ]
        fill(clinic, [member.actor() for member in people], wanted)
        # What filling left behind is no part of a web process; its garbage is not collected during a request.
        gc.collect()
        gc.freeze()
        client = Client()
        client.force_login(people[1].user, backend="django.contrib.auth.backends.ModelBackend")
        rows = [(path, *measure(client, path)) for path in ("/worklist/", "/patients/")]
        decide_reviewing(actor=people[1].actor(), blind_first_reading=True)
        rows.append(("/worklist/ of a blind reviewer", *measure(client, "/worklist/")))
    table = Table("page", "queries", "bar", "p50 ms", "p95 ms", "bar", title=f"Lists at {wanted:,} screenings")
    for path, queries, p50, p95 in rows:
        table.add_row(path, str(queries), f"≤ {QUERY_BAR}", f"{p50:.0f}", f"{p95:.0f}", f"< {TIME_BAR:.0f}")
    Console(width=100).print(table)
    return 0 if all(queries <= QUERY_BAR and p95 < TIME_BAR for _, queries, _, p95 in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
