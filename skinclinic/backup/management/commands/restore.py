import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from skinclinic.audit.verify import LedgerBroken, verify_ledger
from skinclinic.backup.command import ELSEWHERE, Bars, owner_connection, record_in_each_clinic, told_in_a_sentence
from skinclinic.backup.contents import Notes, knows_secret_key, photographs_unlike_their_hash
from skinclinic.backup.erasures import Erased, read_list, replay
from skinclinic.backup.keys import backup_key
from skinclinic.backup.restoring import restore_backup
from skinclinic.backup.sealed import SealedFile

SET_UP_ANEW = (
    "SECRET_KEY is another one than where the back-up was made: second factors and webhook secrets cannot be read, so "
    "everybody sets hers up anew, and each webhook wants another secret. With the old SECRET_KEY all would work again."
)

NOT_KNOWN = (
    "Who was erased since the back-up was made is not known here, and is back in the record. With the list that "
    "`manage.py erasures LIST` wrote, `restore FILE --erasures LIST` erases them again; keep it beside the back-ups."
)


class Command(BaseCommand):
    help = "Put a back-up into an empty place, and hold it against what was counted and sealed when it was made."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", metavar="FILE", help="what `backup` wrote; - for standard input")
        parser.add_argument("--erasures", metavar="LIST", help="what `erasures` wrote: whom to erase again")

    def handle(self, *args, file: str, erasures: str | None, **options) -> None:
        with told_in_a_sentence(), opened(file) as opened_file:
            known = read_list(Path(erasures), backup_key()) if erasures else None
            source, owner = SealedFile(opened_file, backup_key()), owner_connection()
            notes = Notes.from_bytes(source.notes)
            self.stdout.write(f"Made on {notes.made:%Y-%m-%d %H:%M} UTC. In it: {notes.told}.")
            self.put(owner, source, notes)
            self.stdout.write("Each table has as many rows as it had.")
            call_command("prepare_database", verbosity=0)
            self.erase_again(owner, known)
            faults = [*self.faults_of_photographs(owner, notes), *self.faults_of_ledger(owner, notes)]
            record_in_each_clinic("restored", notes)
            if not knows_secret_key(notes):
                self.stderr.write(SET_UP_ANEW)
            self.stdout.write("Restored. Web, worker and beat that run here already have to be started again.")
        if faults:
            raise CommandError(f"What was backed up was not as it should be. {' '.join(faults)}")

    def erase_again(self, owner: BaseDatabaseWrapper, known: list[Erased] | None) -> None:
        if known is None:
            self.stderr.write(NOT_KNOWN)
        else:
            self.stdout.write(f"Erased again: {replay(owner, known)} of {len(known)} patients in the list of erasures.")

    def put(self, owner: BaseDatabaseWrapper, source: SealedFile, notes: Notes) -> None:
        bars = Bars()
        with bars.progress:
            restore_backup(
                owner=owner,
                application=connections["default"].settings_dict,
                source=source,
                notes=notes,
                begin=lambda title: bars.begin(title, source.size),
            )
            bars.finish()

    def faults_of_photographs(self, owner: BaseDatabaseWrapper, notes: Notes) -> list[str]:
        if notes.photographs != "postgres":
            self.stderr.write(ELSEWHERE)
            return []
        if unlike := photographs_unlike_their_hash(owner):
            return [f"Photographs differ from their hash ({len(unlike)}), such as {unlike[0]}."]
        self.stdout.write("Each photograph has the hash that it was stored under.")
        return []

    def faults_of_ledger(self, owner: BaseDatabaseWrapper, notes: Notes) -> list[str]:
        try:
            verified = verify_ledger(owner, head=notes.head)
        except LedgerBroken as broken:
            return [str(broken)]
        self.stdout.write(
            f"{verified.lines:,} lines of the ledger are as they were sealed. Head: {verified.head or 'none yet'}"
        )
        return []


@contextmanager
def opened(file: str) -> Iterator[BinaryIO]:
    """From standard input it is kept, sealed as it is, until it was read twice."""
    if file != "-":
        with Path(file).open("rb") as source:
            yield source
        return
    with tempfile.TemporaryFile() as kept:
        shutil.copyfileobj(sys.stdin.buffer, kept)
        yield kept
