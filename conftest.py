"""The cast of every test, and the two kinds of database a test can have.

`db` is a transaction that is rolled back. `real_db` is a database of the test's own, cloned from the migrated
template: commits are real, and other processes see them.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from io import BytesIO
from uuid import uuid4

import numpy as np
import psycopg2
import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import connection, connections
from django.test import Client
from psycopg2 import sql
from zeal.patch import patch

from ml.drawing import draw_photograph
from patients.models import Lesion, Patient, Visit
from patients.services import add_lesion, note_consent, open_visit, register_patient
from screening.images import clean_photograph
from screening.models import Screening
from screening.services.photographs import add_photograph
from skinclinic.accounts.models import Clinic, Membership, User
from skinclinic.audit.acting import Actor, acting, system
from skinclinic.logs import Json, Plain
from skinclinic.testing import SHARED, TEMPLATE, servers

PASSWORD = "correct-horse-battery-staple"
# What patients of the tests are known by, wherever they are made.
PATIENTS = ("Winterbottom", "Autumnbottom", "1961-04-30", "5551234", "Changing for three months?", "Bleeding since")
IDENTITY = {"family_name": "Winterbottom", "given_name": "Erna", "birth_date": "1961-04-30", "phone": "+43 660 5551234"}


@pytest.fixture(scope="session", autouse=True)
def n_plus_one_is_refused() -> None:
    """A page that asks once for each row of a list fails its test."""
    settings.ZEAL_RAISE = True
    # The OAuth library asks for the client of one request more than once, and allauth for each session of a person.
    of_libraries = [("api.Client", "get()"), ("sessions.Session", "*"), ("accounts.User", "get()")]
    settings.ZEAL_ALLOWLIST = [{"model": model, "field": field} for model, field in of_libraries]
    patch()
    settings.MIDDLEWARE = ["zeal.middleware.zeal_middleware", *settings.MIDDLEWARE]


@pytest.fixture(scope="session", autouse=True)
def nothing_logged_names_a_patient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Whatever this process, the programs that tests start and the servers log while the suite runs."""
    folder = tmp_path_factory.getbasetemp()
    handler = logging.FileHandler(folder / "suite.log")
    handler.addFilter(Plain("tests"))
    handler.setFormatter(Json())
    logging.getLogger().addHandler(handler)
    yield
    logging.getLogger().removeHandler(handler)
    handler.close()
    logs = [*folder.rglob("*.log"), *servers.folder.rglob("*.log")]
    found = [(path, name) for path in logs for name in PATIENTS if name.encode() in path.read_bytes()]
    assert not found, f"A log holds what it must not: {found}"


def owner_connection(database: str) -> psycopg2.extensions.connection:
    connected = psycopg2.connect(servers.postgres.owner_url(database))
    connected.autocommit = True
    return connected


def clone_template(name: str) -> None:
    with owner_connection("postgres").cursor() as cursor:
        cursor.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(*map(sql.Identifier, (name, TEMPLATE))))


@pytest.fixture(scope="session")
def django_db_setup(django_db_blocker) -> None:
    with owner_connection("postgres").cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {TEMPLATE}")
    with django_db_blocker.unblock():
        call_command("prepare_database", verbosity=0)
        connections["owner"].close()
    clone_template(SHARED)


@pytest.fixture
def real_db(django_db_setup, django_db_blocker) -> Iterator[str]:
    """The name of a database of this test's own; `connection` leads to it."""
    name = f"clinic_{uuid4().hex[:12]}"
    clone_template(name)
    connection.close()
    connection.settings_dict["NAME"] = name
    with django_db_blocker.unblock():
        yield name
        connection.close()
    connection.settings_dict["NAME"] = SHARED
    drop_database(name)


def drop_database(name: str) -> None:
    """The owner may not end the application's sessions, so the application ends those that a killed worker left."""
    with psycopg2.connect(servers.postgres.app_url("postgres")) as connected, connected.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND usename = current_user",
            [name],
        )
    connected.close()
    with owner_connection("postgres").cursor() as cursor:
        cursor.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(name)))


@dataclass(frozen=True)
class Person:
    user: User
    actor: Actor

    @property
    def client(self) -> Client:
        """A browser in which this person is signed in, in her clinic."""
        client = Client()
        client.force_login(self.user, backend="django.contrib.auth.backends.ModelBackend")
        return client

    def acting(self) -> AbstractContextManager[Actor]:
        return acting(self.actor)


@dataclass(frozen=True)
class Cast:
    """Clinic North: alice the clinician, rita and rolf the reviewers, ada the manager, otto the auditor. South: bob."""

    north: Clinic
    south: Clinic
    alice: Person
    rita: Person
    rolf: Person
    ada: Person
    otto: Person
    bob: Person

    def in_north(self) -> AbstractContextManager[Actor]:
        return acting(system(clinic_id=self.north.pk))


def make_person(name: str, clinic: Clinic, *roles: str) -> Person:
    user = User.objects.create(email=f"{name.split(maxsplit=1)[0].lower()}@example.org", full_name=name)
    with acting(system(clinic_id=clinic.pk)):
        membership = Membership.objects.create(user=user, clinic=clinic, roles=list(roles))
    return Person(user, membership.actor())


def make_cast() -> Cast:
    north, south = Clinic.objects.create(name="North"), Clinic.objects.create(name="South")
    return Cast(
        north=north,
        south=south,
        alice=make_person("Alice Alder", north, "clinician"),
        rita=make_person("Rita Rowan", north, "reviewer"),
        rolf=make_person("Rolf Rush", north, "reviewer"),
        ada=make_person("Ada Ash", north, "manager"),
        otto=make_person("Otto Oak", north, "auditor"),
        bob=make_person("Bob Beech", south, "clinician", "reviewer", "manager"),
    )


@pytest.fixture
def cast(db) -> Cast:
    return make_cast()


@pytest.fixture
def real_cast(real_db) -> Cast:
    return make_cast()


@dataclass(frozen=True)
class Chart:
    """One patient with a visit and a lesion."""

    patient: Patient
    visit: Visit
    lesion: Lesion


def make_chart(person: Person, *, consent: str = "given", **identity) -> Chart:
    with person.acting() as actor:
        patient = register_patient(actor=actor, identity=IDENTITY | identity, sex="female", skin_type=2)
        note_consent(actor=actor, patient=patient, kind="ai_reading", decision=consent, decided_on="2026-11-22")
        visit = open_visit(actor=actor, patient=patient, question="Changing for three months?", history=["changing"])
        lesion = add_lesion(patient=patient, site="back", laterality="left", view="back", x=0.4, y=0.3)
    return Chart(patient, visit, lesion)


def with_another_lesion(person: Person, chart: Chart) -> Chart:
    """The same patient and visit, and a lesion on her face."""
    with person.acting():
        lesion = add_lesion(patient=chart.patient, site="face", laterality="left", view="front", x=0.5, y=0.1)
    return Chart(chart.patient, chart.visit, lesion)


@pytest.fixture
def chart(cast: Cast) -> Chart:
    return make_chart(cast.alice)


@pytest.fixture(scope="session")
def photograph_bytes() -> bytes:
    """A drawn photograph, as a camera would send it."""
    buffer = BytesIO()
    draw_photograph(7).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


@pytest.fixture(scope="session")
def random_photograph() -> Callable[[], bytes]:
    """A new photograph at each call; its pixels are noise."""
    draws = np.random.default_rng()

    def draw() -> bytes:
        from PIL import Image

        buffer = BytesIO()
        Image.fromarray(draws.integers(0, 255, (240, 320, 3), dtype=np.uint8)).save(buffer, "JPEG")
        return buffer.getvalue()

    return draw


def make_screening(person: Person, chart: Chart, photograph: bytes, *, findings: tuple[str, ...] = ()) -> Screening:
    with person.acting() as actor:
        return add_photograph(
            actor=actor,
            visit=chart.visit,
            lesion=chart.lesion,
            clean=clean_photograph(BytesIO(photograph)),
            original_name="lesion.jpg",
            findings=findings,
        )


@pytest.fixture
def screening(cast: Cast, chart: Chart, photograph_bytes: bytes) -> Screening:
    return make_screening(cast.alice, chart, photograph_bytes)
