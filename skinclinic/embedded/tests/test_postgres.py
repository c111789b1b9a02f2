"""With real servers: each start costs about a second, so some tests share one."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from skinclinic.embedded import place, postgres, processes
from skinclinic.embedded.postgres import EmbeddedPostgres
from skinclinic.embedded.problems import DiskFull, EmbeddedProblem, FolderTaken, NoProgram, OtherVersion


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedPostgres]:
    """One for all tests that leave it running."""
    with place.temporary_folder() as folder, EmbeddedPostgres(folder / "postgres", durable=False) as running:
        yield running


def ask(url: str, statement: str) -> list[Any]:
    """One statement in a transaction of its own."""
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall() if cursor.description else []


def test_it_works(server: EmbeddedPostgres) -> None:
    [(who, version)] = ask(server.owner_url(), "SELECT current_user, current_setting('server_version_num')::int")
    assert who == "skinclinic_owner"
    assert version >= 180_000
    [rights] = ask(
        server.superuser_url(),
        "SELECT rolsuper, rolcreaterole, rolcreatedb FROM pg_roles WHERE rolname = 'skinclinic_owner'",
    )
    assert rights == (False, True, True)
    [(encoding, locale)] = ask(
        server.owner_url(),
        "SELECT pg_encoding_to_char(encoding), datlocale FROM pg_database WHERE datname='skinclinic'",
    )
    assert (encoding, locale) == ("UTF8", "C.UTF-8")
    assert ask(server.superuser_url(), "SHOW listen_addresses") == [("",)]


def test_owner_can_make_roles_extensions_and_cloned_databases(server: EmbeddedPostgres) -> None:
    ask(server.owner_url(), "CREATE EXTENSION pg_trgm; CREATE ROLE skinclinic_app NOLOGIN")
    ask(server.owner_url(), "CREATE TABLE lesion AS SELECT 7 AS id")
    with closing(psycopg2.connect(server.owner_url("postgres"))) as connection:
        connection.autocommit = True
        connection.cursor().execute("CREATE DATABASE clone TEMPLATE skinclinic")
    assert ask(server.owner_url("clone"), "SELECT id FROM lesion") == [(7,)]


def test_a_password_is_asked_for_on_the_socket(server: EmbeddedPostgres) -> None:
    password = server.owner_url().partition("@")[0].rpartition(":")[2]
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        psycopg2.connect(server.owner_url().replace(password, "guessed"))


def test_data_outlive_a_stop_and_a_kill(folder: Path) -> None:
    server = EmbeddedPostgres(folder / "postgres")
    with server:
        url = server.owner_url()
        ask(url, "CREATE TABLE visit AS SELECT 1 AS id")
    with server:
        assert server.owner_url() == url
        ask(url, "INSERT INTO visit VALUES (2)")
        server.kill()
        assert not server.running
        server.start()
        assert ask(url, "SELECT count(*) FROM visit") == [(2,)]
        assert ask(server.superuser_url(), "SHOW fsync") == [("on",)]


def test_stop_leaves_no_process_and_no_pid_file(folder: Path) -> None:
    server = EmbeddedPostgres(folder / "postgres", durable=False)
    server.start()
    pid = server.pid
    assert pid is not None
    assert processes.runs_with(pid, str(server.data))
    server.stop()
    assert not processes.runs_with(pid, str(server.data))
    assert not (server.data / "postmaster.pid").exists()


def test_a_second_server_on_the_same_folder_is_refused(server: EmbeddedPostgres) -> None:
    second = EmbeddedPostgres(server.folder, durable=False)
    with pytest.raises(FolderTaken, match=f"already running on .*process {os.getpid()}.*end that one first"):
        second.start()
    assert ask(server.owner_url(), "SELECT 1") == [(1,)]


def test_an_orphan_is_ended_and_replaced(folder: Path) -> None:
    first = EmbeddedPostgres(folder / "postgres", durable=False)
    first.start()
    orphan = first.pid
    assert orphan is not None
    # As if the process that had started it were gone: its lock is.
    first._lock.release()
    with EmbeddedPostgres(folder / "postgres", durable=False) as second:
        assert second.pid != orphan
        assert first._process is not None
        assert first._process.wait(10) == 0
        assert ask(second.owner_url(), "SELECT 1") == [(1,)]


def test_a_stale_pid_file_that_names_a_stranger_is_no_obstacle(folder: Path) -> None:
    server = EmbeddedPostgres(folder / "postgres", durable=False)
    server.start()
    pid_file = server.data / "postmaster.pid"
    content = pid_file.read_text().splitlines()
    server.kill()
    stranger = subprocess.Popen(["sleep", "60"], **(user.popen_options() if (user := place.service_user()) else {}))
    try:
        pid_file.write_text("\n".join([str(stranger.pid), *content[1:]]) + "\n")
        began = time.monotonic()
        with server:
            assert ask(server.owner_url(), "SELECT 1") == [(1,)]
        assert time.monotonic() - began < 15
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_data_of_another_version_are_refused(folder: Path) -> None:
    server = EmbeddedPostgres(folder / "postgres", durable=False)
    with server:
        pass
    (server.data / "PG_VERSION").write_text("15\n")
    with pytest.raises(OtherVersion, match="made by Postgres 15 and this is Postgres 18; move that folder away"):
        server.start()
    assert not server.running


def test_an_interrupted_first_start_is_made_good(folder: Path) -> None:
    server = EmbeddedPostgres(folder / "postgres", durable=False)
    half_made = server.folder / "data.new"
    half_made.mkdir(parents=True)
    (half_made / "PG_VERSION").write_text("18\n")
    with server:
        assert ask(server.owner_url(), "SELECT 1") == [(1,)]
    assert not half_made.exists()


def test_a_folder_too_deep_for_a_socket_still_works(folder: Path) -> None:
    deep = folder / ("a-long-name-" * 5) / ("and-longer-" * 5)
    with EmbeddedPostgres(deep, durable=False) as server:
        url = server.owner_url()
        sockets = server._sockets
        assert ask(url, "SELECT 1") == [(1,)]
        server.kill()
        server.start()
        assert server.owner_url() == url
    assert sockets is not None
    assert sockets.stat().st_mode & 0o777 == 0o700
    shutil.rmtree(sockets)


def test_an_address_is_known_only_once_it_runs(folder: Path) -> None:
    with pytest.raises(EmbeddedProblem, match="start it first"):
        EmbeddedPostgres(folder / "postgres").owner_url()


def test_a_platform_without_a_build_is_told_of_database_url(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres.util, "find_spec", lambda _: None)
    with pytest.raises(NoProgram, match="set DATABASE_URL and REDIS_URL"):
        EmbeddedPostgres(folder / "postgres").start()


def test_a_full_disk_is_one_sentence(folder: Path) -> None:
    server = EmbeddedPostgres(folder / "postgres")
    problem = server._failure("initdb: error: could not write: No space left on device")
    assert isinstance(problem, DiskFull)
    assert "free some space" in str(problem)


def test_the_log_holds_no_statement_and_no_key(server: EmbeddedPostgres) -> None:
    ask(server.owner_url(), "CREATE TABLE person (name text PRIMARY KEY)")
    ask(server.owner_url(), "INSERT INTO person VALUES ('Alice Nowak')")
    with pytest.raises(psycopg2.errors.UniqueViolation):
        ask(server.owner_url(), "INSERT INTO person VALUES ('Alice Nowak')")
    said = server.log.read_text()
    assert "duplicate key value" in said
    assert "Nowak" not in said


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts servers as another user")
def test_root_runs_it_as_nobody_and_refuses_a_closed_folder(server: EmbeddedPostgres, tmp_path: Path) -> None:
    user = place.service_user()
    assert user is not None
    assert server.pid is not None
    assert Path(f"/proc/{server.pid}").stat().st_uid == user.uid
    assert (server.folder / "secrets.json").stat().st_mode & 0o777 == 0o600
    assert (server.folder / "secrets.json").stat().st_uid == 0
    tmp_path.chmod(0o700)
    with pytest.raises(EmbeddedProblem, match="who cannot reach"):
        EmbeddedPostgres(tmp_path / "postgres").start()


def test_a_server_that_dies_can_be_started_again(folder: Path) -> None:
    with EmbeddedPostgres(folder / "postgres", durable=False) as server:
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        while server.running:
            time.sleep(0.01)
        server.start()
        assert ask(server.owner_url(), "SELECT 1") == [(1,)]
