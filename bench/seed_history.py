"""Years of a clinic's history, and how long each of its panels takes then.

    python bench/seed_history.py [--screenings 200000] [--seed 1]

Patients, visits, readings, reviews, pathology, follow-ups, incidents and their ledger, drawn by the seed; rows only, no
bytes of photographs. Ends with 1 when a page's p95 is over its bar, 300 ms inside the web process.
"""

import argparse
import gc
import random
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from lists import insert, measure
from rich.console import Console
from rich.progress import track
from rich.table import Table
from stack import running_stack

TIME_BAR = 300.0
PER_VISIT, BATCH = 2, 200
YEARS, WAITING_VISITS = 5, 250
REFER, HIGH = 0.1, 0.5  # scores from which a reading refers, and is high
SITES = (
    "scalp",
    "face",
    "neck",
    "chest",
    "abdomen",
    "back",
    "upper_arm",
    "forearm",
    "thigh",
    "lower_leg",
    "foot",
    "nail",
)
BENIGN, MALIGNANT = (
    ("nevus", "seborrheic_keratosis", "lentigo", "dermatofibroma"),
    ("melanoma", "bcc", "actinic_keratosis"),
)
PAGES = (
    "/dashboard/", "/dashboard/alarms/", "/dashboard/unread/", "/dashboard/overdue/", "/dashboard/agreement/",
    "/dashboard/agreement/?period=all", "/dashboard/truth/", "/dashboard/drift/", "/dashboard/beside/", "/models/",
    "/models/{version}/look-back/", "/incidents/", "/problems/", "/exports/", "/ledger/",
    "/ledger/?what=act:chart_seen", "/ledger/?who={person}",
    "/ledger/?since=2026-01-01&until=2026-01-31", "/clinic/history/", "/worklist/",
    "/patients/",
)  # fmt: skip


@dataclass(frozen=True)
class Cast:
    clinic: Any
    clinician: Any
    reviewers: list[Any]
    manager: Any
    deciding: Any
    beside: Any


class History:
    """Rows of one visit after the other, from five years ago until now."""

    def __init__(self, cast: Cast, visits: int, seed: int) -> None:
        self.cast, self.visits, self.draw = cast, visits, random.Random(seed)
        self.patient: Any = None
        self.lesions = 0

    def visit(self, number: int) -> list[Any]:
        from patients.models import Visit
        from screening.models import Signature

        at = datetime.now(UTC) - timedelta(days=365 * YEARS * (1 - number / self.visits)) - timedelta(minutes=10)
        rows = [] if self.patient and self.draw.random() < 0.4 else list(self.new_patient(at))
        about = {"clinic": self.cast.clinic, "patient": self.patient, "created_at": at}
        visit = Visit(clinician=self.cast.clinician.user, due_at=at + timedelta(days=7), **about)
        signed_at = at + timedelta(hours=self.draw.expovariate(1 / 20))
        is_signed = number < self.visits - WAITING_VISITS
        reviewer = self.draw.choice(self.cast.reviewers).user
        signature = None
        if is_signed:
            seen = {"acknowledged_by": self.cast.clinician.user, "acknowledged_at": signed_at + timedelta(days=1)}
            signature = Signature(visit=visit, reviewer=reviewer, **about | {"created_at": signed_at}, **seen)
        rows.append(visit)
        for _ in range(PER_VISIT):
            rows += self.photograph(visit, signature, reviewer, about, signed_at)
        return [*rows, signature] if signature else rows

    def new_patient(self, at: datetime) -> Iterator[Any]:
        from patients.models import Consent, Patient, PatientIdentity

        clinic, draw = self.cast.clinic, self.draw
        self.lesions = 0
        self.patient = Patient(
            clinic=clinic,
            sex=draw.choice(("female", "male")),
            skin_type=draw.choice((None, 1, 2, 2, 3, 4, 5)),
            created_at=at,
        )
        yield self.patient
        yield PatientIdentity(
            patient=self.patient, clinic=clinic, family_name=f"Family{draw.randrange(5000)}",
            given_name=f"Given{draw.randrange(500)}",
            birth_date=date(1935, 1, 1) + timedelta(days=draw.randrange(25_000)),
        )  # fmt: skip
        for kind, share in (("ai_reading", 1.0), ("research", 0.3)):
            if draw.random() < share:
                yield Consent(
                    clinic=clinic,
                    patient=self.patient,
                    kind=kind,
                    decision="given",
                    decided_on=at.date(),
                    created_at=at,
                )

    def photograph(self, visit, signature, reviewer, about: dict[str, Any], signed_at: datetime) -> Iterator[Any]:
        from patients.models import Lesion
        from screening.models import LesionImage, Screening

        draw, self.lesions = self.draw, self.lesions + 1
        is_malignant = draw.random() < 0.05
        lesion = Lesion(
            site=draw.choice(SITES), laterality="left", view="back", x=0.5, y=0.3, number=self.lesions, **about
        )
        name = f"{self.cast.clinic.pk}/{uuid.uuid4()}"
        image = LesionImage(
            lesion=lesion, photograph=name, thumbnail=name, width=600, height=450, size=1, sha256="0" * 64,
            upload_sha256=uuid.uuid4().hex * 2, camera=draw.choice(("A", "B")), **about,
        )  # fmt: skip
        screening = Screening(visit=visit, image=image, **about)
        prediction = self.reading(screening, self.cast.deciding, is_malignant, about)
        screening.prediction, screening.finished_at, screening.attempt = prediction, about["created_at"], 1
        screening.reading_status = "predicted" if prediction.band else "unscorable"
        yield from (lesion, image, screening, prediction)
        if draw.random() < 0.2:
            yield self.reading(screening, self.cast.beside, is_malignant, about)
        if signature:
            said = {"reviewer": reviewer, "suspicious": draw.random() < (0.9 if is_malignant else 0.1)}
            screening.signature = signature
            yield from self.reviewed(screening, said, is_malignant, about | {"created_at": signed_at})

    def reading(self, screening, version, is_malignant: bool, about: dict[str, Any]) -> Any:
        from screening.models import Prediction

        score = min(0.999, max(0.001, self.draw.betavariate(3, 2) if is_malignant else self.draw.betavariate(1, 12)))
        unfit = ["blurred"] if self.draw.random() < 0.03 else []
        band = "" if unfit else "low" if score < REFER else "intermediate" if score < HIGH else "high"
        rest = (1 - score) / 4
        probabilities = dict.fromkeys(("akiec", "bcc", "mel"), score / 3) | dict.fromkeys(
            ("bkl", "df", "nv", "vasc"), rest
        )
        return Prediction(
            screening=screening, model_version=version, attempt=1, malignancy=score, band=band, refer=score >= REFER,
            probabilities=probabilities, activation_map=bytes(1372), unscorable_reasons=unfit,
            quality={"sharpness": self.draw.random(), "exposure": self.draw.random(), "in_domain": self.draw.random()},
            milliseconds=12.0, weights_sha256="0" * 64, preprocessing="1", **about,
        )  # fmt: skip

    def reviewed(self, screening, said: dict[str, Any], is_malignant: bool, later: dict[str, Any]) -> Iterator[Any]:
        from screening.models import FollowUp, Outcome, Review

        draw, at, suspicious = self.draw, later["created_at"], said["suspicious"]
        called, asked = (MALIGNANT, "excise") if suspicious else (BENIGN, "reassure")
        said |= {"diagnosis": draw.choice(called), "recommendation": asked, "screening": screening, **later}
        blind = Review(kind="blind", submission=uuid.uuid4(), **said) if draw.random() < 0.3 else None
        if blind:
            yield blind
        reading = screening.prediction
        reason = "history" if reading.band and reading.refer != suspicious else ""
        review = Review(
            submission=uuid.uuid4(), reading_shown=reading, blind_opinion=blind, difference_reason=reason, **said
        )
        screening.review_status, screening.signed_review = "signed", review
        yield review
        if suspicious:
            lesion, done = screening.image.lesion, draw.random() < 0.95
            report = None
            if done and draw.random() < 0.9:
                found = draw.choice(MALIGNANT if is_malignant else BENIGN)
                report = Outcome(
                    lesion=lesion, diagnosis=found, reported_on=at.date() + timedelta(days=14),
                    entered_by=self.cast.clinician.user, submission=uuid.uuid4(), **later,
                )  # fmt: skip
                yield report
            closed = {"status": "done", "closed_at": at + timedelta(days=20), "reported_by": report} if done else {}
            yield FollowUp(
                lesion=lesion, review=review, what="excise", owner=self.cast.clinician.user,
                due_on=at.date() + timedelta(days=30), **later, **closed,
            )  # fmt: skip


def fill(cast: Cast, screenings: int, seed: int, console: Console) -> None:
    from skinclinic.audit.acting import acting

    visits = screenings // PER_VISIT
    history = History(cast, visits, seed)
    for first in track(range(0, visits, BATCH), description="Filling", console=console):
        with acting(cast.clinician.actor()):
            insert(history.visit(number) for number in range(first, min(visits, first + BATCH)))


def open_bench(console: Console) -> Cast:
    from screening.models import ModelVersion, ReadingPolicy, ShadowVersion
    from skinclinic.accounts.services import let_in, open_clinic
    from skinclinic.audit.acting import acting, system

    clinic = open_clinic(name="Bench")
    names = {"clinician": ["clinician"], "rita": ["reviewer"], "rolf": ["reviewer"], "ada": ["manager"]}
    people = {
        name: let_in(clinic=clinic, email=f"{name}@example.org", full_name=name, password=None, roles=roles)
        for name, roles in names.items()
    }
    deciding, beside = (
        ModelVersion.objects.create(version=name, weights_sha256="0" * 64, preprocessing="1", manifest={})
        for name in ("deciding", "beside")
    )
    with acting(system(clinic_id=clinic.pk)):
        ReadingPolicy.objects.create(clinic=clinic, active=deciding)
        ShadowVersion.objects.create(clinic=clinic, model_version=beside)
    reviewers = [people["rita"], people["rolf"]]
    return Cast(clinic, people["clinician"], reviewers, people["ada"], deciding, beside)


def count_all(cast: Cast) -> list[tuple[str, float]]:
    from screening.services.figures import COUNTS, count_panel
    from skinclinic.audit.acting import system

    return [(panel.label, count_panel(system(clinic_id=cast.clinic.pk), panel).seconds) for panel in COUNTS]


def seal(console: Console) -> float:
    from skinclinic.audit.sealing import seal_ledger

    began = time.perf_counter()
    lines = seal_ledger()
    took = time.perf_counter() - began
    console.print(f"{lines:,} lines of the ledger sealed in {took:.0f} s.")
    return took


def verify(console: Console) -> None:
    from django.db import connections

    from skinclinic.audit.verify import verify_ledger

    began = time.perf_counter()
    lines = verify_ledger(connections["owner"]).lines
    took = time.perf_counter() - began
    console.print(f"Verified in {took:.0f} s: {lines / took:,.0f} lines a second (bar: 1,000,000 within a minute).")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--screenings", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    console = Console(width=100)
    with running_stack(predictor="ml.fake.load"):
        from django.conf import settings
        from django.db import connections
        from django.test import Client

        settings.ALLOWED_HOSTS = ["testserver"]
        cast = open_bench(console)
        fill(cast, asked.screenings, asked.seed, console)
        seal(console)
        with connections["owner"].cursor() as cursor:
            cursor.execute("ANALYZE")  # as autovacuum does in a clinic that grew over years
            cursor.execute("SELECT pg_size_pretty(pg_database_size(current_database()))")
            console.print(f"The database has {cursor.fetchone()[0]}.")
        counted = count_all(cast)
        # What filling left behind is no part of a web process; its garbage is not collected during a request.
        gc.collect()
        gc.freeze()
        client = Client()
        client.force_login(cast.manager.user, backend="django.contrib.auth.backends.ModelBackend")
        pages = [page.format(version=cast.deciding.pk, person=cast.manager.user_id) for page in PAGES]
        rows = [(page, *measure(client, page, repeats=40)) for page in track(pages, "Measuring", console=console)]
        verify(console)
    table = Table(
        "page", "queries", "p50 ms", "p95 ms", title=f"Pages at {asked.screenings:,} screenings (bar: {TIME_BAR:.0f})"
    )
    for path, queries, p50, p95 in rows:
        table.add_row(path, str(queries), f"{p50:.0f}", f"{p95:.0f}", style="" if p95 < TIME_BAR else "red")
    console.print(table)
    for name, seconds in counted:
        console.print(f"{name} is counted by the beat in {seconds:.1f} s.")
    return 0 if all(p95 < TIME_BAR for *_others, p95 in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
