"""Restoring a back-up: the whole file is opened once to see that it is whole, then once more into one transaction."""

import re
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.loader import MigrationLoader
from psycopg2 import sql

from skinclinic.audit.roles import prepare_roles
from skinclinic.backup.contents import Notes, refuse_unless_empty, server_version
from skinclinic.backup.programs import Programs, address_of, environment_for, programs_for
from skinclinic.backup.sealed import Progress, SealedFile
from skinclinic.backup.taking import first_error
from skinclinic.errors import ClinicError

CLEAR = Path(__file__).resolve().parent / "sql" / "clear.sql"
# What belongs to the place and not to the clinic: the schema itself, and privileges that name the owner's role.
OF_THE_PLACE = re.compile(r"\d+; \d+ \d+ (?:SCHEMA|DEFAULT ACL|(?:ACL|COMMENT) - SCHEMA) ")
RESTORE = ("--no-owner", "--no-tablespaces", "--no-security-labels", "--file=-")
PSQL = ("--no-psqlrc", "--quiet", "--no-password", "--set=ON_ERROR_STOP=1", "--set=VERBOSITY=terse")


class RestoreFailed(ClinicError):
    """Nothing was restored."""


@dataclass(frozen=True)
class Place:
    """Where it is put, and by which programs."""

    owner: BaseDatabaseWrapper
    programs: Programs

    def psql(self, said: IO[bytes]) -> subprocess.Popen[bytes]:
        command = self.programs.command("psql", *PSQL, f"--dbname={address_of(self.owner)}")
        environment, nowhere = environment_for(self.owner), subprocess.DEVNULL
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=nowhere, stderr=said, env=environment)

    def pg_restore(self, chosen: str, target: IO[bytes], said: IO[bytes]) -> subprocess.Popen[bytes]:
        command = self.programs.command("pg_restore", *RESTORE, f"--use-list={chosen}")
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=target, stderr=said)


def restore_backup(
    *,
    owner: BaseDatabaseWrapper,
    application: dict[str, Any],
    source: SealedFile,
    notes: Notes,
    begin: Callable[[str], Progress],
) -> None:
    """All that is in it becomes the owner's; `application` is the DATABASES entry that the web will connect with.

    `begin` is told what begins, and returns what is told each part.
    Raises NotEmpty, ProgramsMissing, RestoreFailed, BackupUnreadable: the tables are then as they were.
    """
    refuse_other_version(owner, notes)
    refuse_unless_empty(owner)
    programs = programs_for(server_version(owner), written_by=notes.programs)
    prepare_roles(owner, application)
    place = Place(owner, programs)
    contents = read_through(source, programs, begin("Reading"))
    with tempfile.NamedTemporaryFile("w", encoding="utf-8") as chosen:
        chosen.writelines(line for line in contents if not OF_THE_PLACE.match(line))
        chosen.flush()
        finish = refusal_of_other_counts(owner, notes) + b"COMMIT;\n"
        load(place, source, chosen.name, finish, begin("Restoring"))
    with owner.cursor() as cursor:
        cursor.execute("ANALYZE")  # without it the first pages would be slow, until Postgres comes to it by itself


def refuse_other_version(owner: BaseDatabaseWrapper, notes: Notes) -> None:
    if (version := server_version(owner)) < notes.postgres:
        raise RestoreFailed(
            f"This back-up is of Postgres {notes.postgres} and this is Postgres {version}. Restore it into "
            f"{notes.postgres} or newer."
        )
    known = {f"{app}.{name}" for app, name in MigrationLoader(None).disk_migrations}
    if set(notes.migrations) - known:
        raise RestoreFailed(
            "This back-up was made by a newer version of this project. Restore it with that version, or a later one."
        )


def read_through(source: SealedFile, programs: Programs, progress: Progress) -> list[str]:
    """The table of contents, which stands at the front; the rest is opened to see that it is there."""
    with tempfile.TemporaryFile("w+", encoding="utf-8") as listed, tempfile.TemporaryFile() as said:
        command = programs.command("pg_restore", "--list")
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=listed, stderr=said) as process:
            assert process.stdin
            is_read = True
            for part in source.parts(progress):
                is_read = is_read and is_taken(process.stdin, part)
            close(process.stdin)
        if process.returncode:
            raise RestoreFailed(f"What is in this back-up cannot be read: {first_error(said)}")
        listed.seek(0)
        return listed.readlines()


def load(place: Place, source: SealedFile, chosen: str, finish: bytes, progress: Progress) -> None:
    """pg_restore writes what psql runs. `finish`, with the COMMIT, is said once the last chunk was opened and taken:
    whatever ends before that, and be it this process, leaves nothing behind.
    """
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as complained:
        with place.psql(said) as client:
            assert client.stdin
            is_taken(client.stdin, CLEAR.read_bytes())
            with place.pg_restore(chosen, client.stdin, complained) as script, ended_with(client, script):
                feed(script.stdin, source.parts(progress))
            if not script.returncode:
                is_taken(client.stdin, finish)
            close(client.stdin)
        if client.returncode:
            raise RestoreFailed(f"Nothing was restored. Postgres said: {first_error(said)}")
        if script.returncode:
            raise RestoreFailed(f"Nothing was restored. pg_restore said: {first_error(complained)}")


@contextmanager
def ended_with(*processes: subprocess.Popen[bytes]) -> Iterator[None]:
    """What goes wrong here ends them, too."""
    try:
        yield
    except BaseException:
        for process in processes:
            process.kill()
        raise


def feed(pipe: IO[bytes] | None, parts: Iterable[bytes]) -> None:
    """Until all is taken, or the other end is gone: why, it has said itself."""
    assert pipe
    for part in parts:
        if not is_taken(pipe, part):
            break
    close(pipe)


def is_taken(pipe: IO[bytes], data: bytes) -> bool:
    try:
        pipe.write(data)
        pipe.flush()
    except BrokenPipeError:
        return False
    return True


def close(pipe: IO[bytes]) -> None:
    with suppress(BrokenPipeError):
        pipe.close()


def refusal_of_other_counts(owner: BaseDatabaseWrapper, notes: Notes) -> bytes:
    """Run before the COMMIT, after which a worker may be at it already."""
    refusal = sql.SQL(
        "DO $$ BEGIN IF (SELECT count(*) FROM public.{table}) <> {count} THEN "
        "RAISE EXCEPTION USING MESSAGE = {message}; END IF; END $$;\n"
    )
    statements = [
        refusal.format(
            table=sql.Identifier(table),
            count=sql.Literal(count),
            message=sql.Literal(f"{table} has other rows than were counted"),
        )
        for table, count in notes.counts.items()
    ]
    return sql.Composed(statements).as_string(owner.connection).encode()
