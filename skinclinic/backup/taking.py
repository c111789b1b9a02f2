"""Taking a back-up: one snapshot, counted and read out, sealed as it comes."""

import subprocess
import tempfile
from collections.abc import Callable, Iterator
from typing import BinaryIO

from django.db.backends.base.base import BaseDatabaseWrapper

from skinclinic.audit.verify import one_snapshot
from skinclinic.backup.contents import LEFT_OUT, Notes, notes_on, server_version
from skinclinic.backup.programs import Programs, address_of, environment_for, programs_for
from skinclinic.backup.sealed import CHUNK, Progress, seal_parts
from skinclinic.errors import ClinicError

# Light compression: photographs are compressed already, but are read out as hexadecimal digits.
OPTIONS = ("--format=custom", "--compress=1", "--schema=public", "--no-password", "--lock-wait-timeout=60s")
EMPTY = tuple(f"--exclude-table-data=public.{table}" for table in sorted(LEFT_OUT))


class DumpFailed(ClinicError):
    """Postgres could not be read to the end."""


def take_backup(
    *, owner: BaseDatabaseWrapper, key: bytes, target: BinaryIO, begin: Callable[[Notes], Progress]
) -> tuple[Notes, int]:
    """What was noted, and how many bytes were written. `begin` is told the notes and returns what is told each part.

    Raises NothingThere, ProgramsMissing, DumpFailed, OSError; what is in `target` then opens nowhere.
    """
    programs = programs_for(server_version(owner))
    with one_snapshot(owner):
        snapshot = exported_snapshot(owner)
        notes = notes_on(owner, programs=programs.major)
        progress = begin(notes)
        parts = dumped(owner, programs, snapshot, progress)
        return notes, seal_parts(parts=parts, notes=notes.as_bytes(), key=key, target=target)


def exported_snapshot(owner: BaseDatabaseWrapper) -> str:
    """By which another session reads the same moment, as long as this transaction lasts."""
    with owner.cursor() as cursor:
        cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        cursor.execute("SELECT pg_export_snapshot()")
        return str(cursor.fetchone()[0])


def dumped(owner: BaseDatabaseWrapper, programs: Programs, snapshot: str, progress: Progress) -> Iterator[bytes]:
    command = programs.command("pg_dump", *OPTIONS, *EMPTY, f"--snapshot={snapshot}", f"--dbname={address_of(owner)}")
    with (
        tempfile.TemporaryFile() as said,
        subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said, env=environment_for(owner)
        ) as process,
    ):
        assert process.stdout
        try:
            while part := process.stdout.read(CHUNK):
                progress(len(part))
                yield part
        except BaseException:
            process.kill()
            raise
        if process.wait():
            raise DumpFailed(f"Postgres could not be read to the end. It said: {first_error(said)}")


def first_error(said: BinaryIO) -> str:
    """Without what follows it, which may hold a row."""
    said.seek(0)
    lines = said.read(2**16).decode(errors="replace").splitlines() or ["nothing"]
    errors = [line for line in lines if "error:" in line.lower() or "FATAL:" in line]
    return (errors or lines)[0].strip()
