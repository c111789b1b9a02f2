"""A clinic with something in it, and a second server whose roles have other names."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg2
import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import connections

from conftest import Cast, clone_template, drop_database, make_cast, make_chart, make_screening
from screening.tests.conftest import give, sign
from skinclinic import env
from skinclinic.audit.sealing import seal_ledger
from skinclinic.backup.files import new_file
from skinclinic.backup.keys import backup_key, new_key
from skinclinic.backup.taking import take_backup
from skinclinic.embedded.place import temporary_folder
from skinclinic.embedded.postgres import EmbeddedPostgres
from skinclinic.testing import servers

KEEPER, FRONT, PASSWORD = "keeper", "front_desk", "quite-another-password"


@dataclass(frozen=True)
class Place:
    """A database, by the two addresses that an installation has of it."""

    owner: str
    application: str

    def environment(self, **extra: str) -> dict[str, str]:
        return os.environ | {"DATABASE_OWNER_URL": self.owner, "DATABASE_URL": self.application} | extra

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Both of Django's connections lead there."""
        with leading_to("owner", self.owner), leading_to("default", self.application):
            yield

    def ask(self, statement: str) -> list[Any]:
        with closing(psycopg2.connect(self.owner)) as connected, connected, connected.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []


@contextmanager
def leading_to(alias: str, address: str) -> Iterator[None]:
    led = connections[alias]
    before = dict(led.settings_dict)
    led.close()
    there = env.database(address)
    led.settings_dict.update({name: there[name] for name in ("NAME", "USER", "PASSWORD", "HOST", "PORT")})
    try:
        yield
    finally:
        led.close()
        led.settings_dict.update(before)


def here(name: str) -> Place:
    """A database on the server that the tests run against."""
    return Place(servers.postgres.owner_url(name), servers.postgres.app_url(name))


def fill(cast: Cast, *photographs: bytes) -> None:
    """North has a signed visit and one that waits, South a patient; all of it is sealed."""
    signed, waiting, south = make_chart(cast.alice), make_chart(cast.alice), make_chart(cast.bob)
    for photograph in photographs:
        give(cast, make_screening(cast.alice, signed, photograph))
        make_screening(cast.alice, waiting, photograph)
        make_screening(cast.bob, south, photograph)
    sign(cast, signed.visit)
    seal_ledger()


@pytest.fixture
def clinic(real_cast: Cast, real_db: str, photograph_bytes: bytes, random_photograph) -> Place:
    fill(real_cast, photograph_bytes, random_photograph())
    return here(real_db)


@pytest.fixture(scope="session")
def second_server(django_db_setup) -> Iterator[EmbeddedPostgres]:
    with temporary_folder(in_memory=True) as folder, EmbeddedPostgres(folder / "postgres", durable=False) as server:
        make_keeper = f"CREATE ROLE {KEEPER} LOGIN CREATEROLE PASSWORD '{PASSWORD}'"
        run_alone(server.superuser_url("postgres"), make_keeper)
        yield server


@pytest.fixture
def place(second_server: EmbeddedPostgres, django_db_blocker) -> Iterator[Place]:
    """An empty database on a server that has never seen a clinic (or another test's)."""
    name = f"restored_{uuid4().hex[:8]}"
    run_alone(second_server.superuser_url("postgres"), f"CREATE DATABASE {name} OWNER {KEEPER}")
    there = env.database(second_server.superuser_url(name))

    def address(role: str) -> str:
        return env.postgres_url(user=role, password=PASSWORD, host=there["HOST"], port=there["PORT"], name=name)

    with django_db_blocker.unblock():
        yield Place(address(KEEPER), address(FRONT))
    run_alone(second_server.superuser_url("postgres"), f"DROP DATABASE {name} WITH (FORCE)")


def run_alone(address: str, statement: str) -> None:
    with closing(psycopg2.connect(address)) as connected:
        connected.autocommit = True
        connected.cursor().execute(statement)


@dataclass(frozen=True)
class Backup:
    path: Path
    key: str
    head: str


@pytest.fixture(scope="session")
def kept(django_db_setup, django_db_blocker, random_photograph) -> Iterator[tuple[Backup, Backup]]:
    """Of a database that was prepared and in which nobody worked, and of one whose noise fills some chunks."""
    with ExitStack() as stack:
        stack.enter_context(django_db_blocker.unblock())
        folder = stack.enter_context(temporary_folder(in_memory=True))
        name = f"clinic_{uuid4().hex[:12]}"
        clone_template(name)
        stack.callback(drop_database, name)
        with here(name).inside():
            before = backed_up(folder / "prepared.backup")
            fill(make_cast(), *(random_photograph() for _ in range(12)))
            after = backed_up(folder / "clinic.backup")
        yield before, after


def backed_up(path: Path) -> Backup:
    key, unseen = new_key(), lambda _: lambda _: None
    with new_file(path) as target:
        notes, _ = take_backup(owner=connections["owner"], key=key_bytes(key), target=target, begin=unseen)
    return Backup(path, key, notes.head)


@pytest.fixture
def backup(kept: tuple[Backup, Backup]) -> Backup:
    """For all tests that only try to restore it."""
    return kept[1]


@pytest.fixture
def prepared_place(place: Place, kept: tuple[Backup, Backup], monkeypatch) -> Place:
    """As `prepare_database` leaves it, in a tenth of its time."""
    monkeypatch.setenv("BACKUP_KEY", kept[0].key)
    with place.inside():
        call_command("restore", str(kept[0].path))
    return place


def key_bytes(key: str) -> bytes:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BACKUP_KEY", key)
        return backup_key()


Manage = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def manage() -> Manage:
    """`manage.py …` as a program of its own, with the environment that it is given."""

    def run(*arguments: str | Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "manage.py", *map(str, arguments)]
        return subprocess.run(
            command, cwd=settings.BASE_DIR, env=environment, check=False, capture_output=True, text=True
        )

    return run
