"""What can go wrong, with real programs and real signals: a sentence, and neither half a file nor half a clinic."""

import os
import resource
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connections

from skinclinic import env
from skinclinic.backup import programs, restoring
from skinclinic.backup.contents import Notes
from skinclinic.backup.keys import new_key
from skinclinic.backup.programs import ProgramsMissing, programs_for
from skinclinic.backup.restoring import RestoreFailed, restore_backup
from skinclinic.backup.sealed import CHUNK, SealedFile
from skinclinic.backup.tests.conftest import Backup, Place, key_bytes, run_alone

WRITING = r"""
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND backend_xid IS NOT NULL AND query ~ '^(COPY|CREATE INDEX|ALTER TABLE ONLY)'
"""
# However slow this machine is, a restore is in the middle of its work for seconds.
SLOW = """
    CREATE SCHEMA slow;
    GRANT USAGE ON SCHEMA slow TO PUBLIC;
    CREATE FUNCTION slow.wait() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(1); END';
    CREATE EVENT TRIGGER slow ON ddl_command_end WHEN TAG IN ('CREATE INDEX') EXECUTE FUNCTION slow.wait();
"""
SOMEBODY = """
    INSERT INTO accounts_user (id, password, is_superuser, email, full_name, is_staff, is_active, date_joined, language)
    VALUES (gen_random_uuid(), '', false, 'ada@example.org', 'Ada', false, true, now(), '')
"""
BETWEEN_MACHINES = """
    python=$1; application=$2; owner=$3
    "$python" manage.py backup - | DATABASE_URL=$application DATABASE_OWNER_URL=$owner "$python" manage.py restore -
"""


@pytest.fixture
def key(monkeypatch, backup: Backup) -> str:
    monkeypatch.setenv("BACKUP_KEY", backup.key)
    return backup.key


def tables_in(place: Place) -> int:
    return place.ask("SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace")[0][0]


def refusal(place: Place, file: Path | str) -> str:
    with place.inside(), pytest.raises(CommandError) as refused:
        call_command("restore", str(file))
    return str(refused.value)


def refusal_of_backup(place: Place, file: Path | str) -> str:
    with place.inside(), pytest.raises(CommandError) as refused:
        call_command("backup", str(file))
    return str(refused.value)


def test_back_up_has_more_than_one_chunk(backup):
    assert backup.path.stat().st_size > 2 * CHUNK, "else nothing here is in the middle"


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda written: written[: len(written) // 2], "changed or cut short"),
        (lambda written: written[:-1], "changed or cut short"),
        (lambda written: written + b"\0", "changed or cut short"),
        (lambda written: written[:-9] + bytes([written[-9] ^ 1]) + written[-8:], "changed or cut short"),
        (lambda written: b"PGDMP" + written, "is no back-up of a clinic"),
    ],
)
@pytest.mark.usefixtures("key")
def test_spoilt_file_restores_nothing(place, backup, tmp_path, spoil, said):
    spoilt = tmp_path / "spoilt"
    spoilt.write_bytes(spoil(backup.path.read_bytes()))
    assert said in refusal(place, spoilt)
    assert tables_in(place) == 0


def test_file_that_changes_while_it_is_restored_restores_nothing(place, backup, key, monkeypatch, tmp_path):
    """It was whole when it was read through."""
    spoilt, read_through = tmp_path / "spoilt", restoring.read_through
    spoilt.write_bytes(backup.path.read_bytes())

    def and_then_spoil(*arguments):
        found = read_through(*arguments)
        with spoilt.open("r+b") as file:
            file.truncate(spoilt.stat().st_size - 1)
        return found

    monkeypatch.setattr(restoring, "read_through", and_then_spoil)
    assert "changed or cut short" in refusal(place, spoilt)
    assert tables_in(place) == 0


def test_other_key_and_no_key_restore_nothing(place, backup, monkeypatch):
    monkeypatch.setenv("BACKUP_KEY", new_key())
    assert "sealed with another key" in refusal(place, backup.path)
    monkeypatch.delenv("BACKUP_KEY")
    assert "set BACKUP_KEY" in refusal(place, backup.path)
    assert tables_in(place) == 0


def test_missing_file_is_named(place, key, tmp_path):
    assert str(tmp_path / "gone") in refusal(place, tmp_path / "gone")


def test_place_with_people_or_other_tables_is_left_alone(clinic, place, backup, key):
    people = clinic.ask("SELECT count(*) FROM accounts_user")
    assert "people or clinics in this database already" in refusal(clinic, backup.path)
    assert clinic.ask("SELECT count(*) FROM accounts_user") == people
    place.ask("CREATE TABLE invoices (id int)")
    assert "Something else has tables in this database, such as invoices" in refusal(place, backup.path)
    assert tables_in(place) == 1


def test_place_in_which_somebody_begins_meanwhile_is_left_alone(prepared_place, backup, monkeypatch):
    """The look before is a courtesy; the transaction looks again."""
    monkeypatch.setenv("BACKUP_KEY", backup.key)
    monkeypatch.setattr(restoring, "refuse_unless_empty", lambda owner: None)
    before = tables_in(prepared_place)
    prepared_place.ask(SOMEBODY)
    assert "somebody has begun to work in this database meanwhile" in refusal(prepared_place, backup.path)
    assert tables_in(prepared_place) == before
    assert prepared_place.ask("SELECT full_name FROM accounts_user") == [("Ada",)]


def test_script_that_ends_before_its_time_restores_nothing(prepared_place, backup, monkeypatch):
    monkeypatch.setenv("BACKUP_KEY", backup.key)
    before = tables_in(prepared_place)
    monkeypatch.setattr(restoring, "RESTORE", (*restoring.RESTORE, "--strict-names", "--table=nowhere"))
    assert "Nothing was restored. pg_restore said: " in refusal(prepared_place, backup.path)
    assert tables_in(prepared_place) == before


def test_other_rows_than_were_counted_restore_nothing(place, backup):
    with place.inside(), backup.path.open("rb") as file:
        source = SealedFile(file, key_bytes(backup.key))
        notes = Notes.from_bytes(source.notes)
        miscounted = replace(notes, counts=notes.counts | {"patients_patient": 99})
        with pytest.raises(RestoreFailed, match="patients_patient has other rows than were counted"):
            restore_backup(
                owner=connections["owner"],
                application=connections["default"].settings_dict,
                source=source,
                notes=miscounted,
                begin=lambda title: lambda count: None,
            )
    assert tables_in(place) == 0


def test_back_up_of_a_newer_version_is_refused(place, backup, key, monkeypatch):
    monkeypatch.setattr(restoring, "MigrationLoader", lambda connection: type("Older", (), {"disk_migrations": {}}))
    assert "made by a newer version of this project" in refusal(place, backup.path)


def test_older_server_is_refused(place, backup, key, monkeypatch):
    monkeypatch.setattr(restoring, "server_version", lambda owner: 15)
    assert "Restore it into 18 or newer." in refusal(place, backup.path)
    assert tables_in(place) == 0


def test_existing_file_is_not_written_over(clinic, key, tmp_path):
    there = tmp_path / "there"
    there.write_text("something")
    assert f"{there} is there already" in refusal_of_backup(clinic, there)
    assert there.read_text() == "something"


def test_database_without_a_clinic_is_no_back_up(place, key, tmp_path):
    assert "There is no clinic in this database" in refusal_of_backup(place, tmp_path / "file")
    assert not list(tmp_path.iterdir())


def test_full_disk_leaves_no_file(clinic, key, tmp_path):
    """As the system says it: a file may not grow beyond a limit."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        assert "File too large" in refusal_of_backup(clinic, tmp_path / "file")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(tmp_path.iterdir())


def test_missing_and_older_programs_are_named(clinic, key, tmp_path, monkeypatch):
    monkeypatch.setattr(programs, "folders", list)
    assert "there are none on the PATH. Install postgresql-client-18." in refusal_of_backup(clinic, tmp_path / "file")
    monkeypatch.setattr(programs, "folders", lambda: [tmp_path])
    for name in programs.NAMES:
        (tmp_path / name).write_text("#!/bin/sh\necho 'pg_dump (PostgreSQL) 15.3 (Debian 15.3-1)'\n")
        (tmp_path / name).chmod(0o755)
    assert "of version 18 or newer, and here is 15." in refusal_of_backup(clinic, tmp_path / "file")
    with pytest.raises(ProgramsMissing, match=r"of version 16, and here is 15\."):
        programs_for(16)
    assert programs_for(15).folder == tmp_path


def test_program_that_fails_leaves_no_file(clinic, key, tmp_path, monkeypatch):
    monkeypatch.setattr("skinclinic.backup.taking.OPTIONS", ("--format=custom", "--schema=nowhere", "--strict-names"))
    assert "Postgres could not be read to the end. It said: pg_dump: error: no matching schemas" in refusal_of_backup(
        clinic, tmp_path / "file"
    )
    assert not list(tmp_path.iterdir())


def test_no_password_is_on_a_command_line(clinic, key):
    with clinic.inside():
        address = programs.address_of(connections["owner"])
        password = connections["owner"].settings_dict["PASSWORD"]
        assert password not in address
        assert programs.environment_for(connections["owner"])["PGPASSWORD"] == password
        assert "BACKUP_KEY" not in programs.environment_for(connections["owner"])


@pytest.mark.parametrize(("ended_by", "said"), [(signal.SIGKILL, ""), (signal.SIGINT, "CommandError: Stopped.\n")])
def test_restore_that_is_killed_restores_nothing(second_server, place, backup, ended_by, said):
    run_alone(second_server.superuser_url(env.database(place.owner)["NAME"]), SLOW)
    environment = place.environment(BACKUP_KEY=backup.key)
    # A shell that runs the tests in the background has them, and all that they start, ignore Ctrl-C.
    heeding = ["env", "--default-signal=INT"]
    command = [*heeding, sys.executable, "manage.py", "restore", str(backup.path)]
    running = subprocess.Popen(
        command, cwd=settings.BASE_DIR, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    try:
        wait_until(lambda: place.ask(WRITING) != [(0,)])
        assert running.poll() is None
    finally:
        os.kill(running.pid, ended_by)
        assert running.communicate()[1] == said
    wait_until(lambda: place.ask("SELECT count(*) FROM pg_stat_activity WHERE usename = current_user") == [(1,)])
    assert tables_in(place) == 0


def wait_until(holds, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_back_up_goes_by_standard_output_and_comes_by_standard_input(clinic, place):
    """One line between two machines."""
    key = new_key()
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", BETWEEN_MACHINES, "bash", sys.executable, place.application, place.owner],
        cwd=settings.BASE_DIR, env=clinic.environment(BACKUP_KEY=key), check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Each photograph has the hash" in done.stdout
    assert "The back-up: " in done.stderr
