import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.template.defaultfilters import filesizeformat

from skinclinic.backup.command import ELSEWHERE, Bars, owner_connection, record_in_each_clinic, told_in_a_sentence
from skinclinic.backup.contents import Notes
from skinclinic.backup.files import new_file
from skinclinic.backup.keys import backup_key, new_key
from skinclinic.backup.taking import take_backup


class Command(BaseCommand):
    help = "Write the whole clinic into one file, sealed with BACKUP_KEY, while people go on working."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", nargs="?", metavar="FILE", help="where nothing is yet; - for standard output")
        parser.add_argument("--new-key", action="store_true", help="only print a new key for BACKUP_KEY")

    def handle(self, *args, file: str | None, **options) -> None:
        if options["new_key"]:
            self.print_key()
        elif file is None:
            raise CommandError("Name the file to write.")
        else:
            with told_in_a_sentence():
                self.back_up(file)

    def print_key(self) -> None:
        self.stdout.write(new_key())
        self.stderr.write("Keep it apart from the back-ups: without it nobody reads them, with it everybody does.")

    def back_up(self, file: str) -> None:
        key, owner, began = backup_key(), owner_connection(), time.monotonic()
        bars = Bars()
        with opened(file) as target, bars.progress:
            notes, size = take_backup(
                owner=owner, key=key, target=target, begin=lambda notes: bars.begin("Backing up", notes.size)
            )
            bars.finish()
        record_in_each_clinic("backed_up", notes)
        self.tell(file, notes, size, time.monotonic() - began)

    def tell(self, file: str, notes: Notes, size: int, seconds: float) -> None:
        """Not among the bytes, where those go to standard output."""
        out = self.stderr if file == "-" else self.stdout
        name = "The back-up" if file == "-" else Path(file).resolve()
        out.write(f"{name}: {filesizeformat(size)} in {seconds:.0f} s. In it: {notes.told}.")
        out.write(f"Head of the ledger: {notes.head or 'none yet'}")
        if notes.photographs != "postgres":
            self.stderr.write(ELSEWHERE)


@contextmanager
def opened(file: str) -> Iterator[BinaryIO]:
    if file != "-":
        with new_file(Path(file).absolute()) as target:
            yield target
    elif sys.stdout.isatty():
        raise CommandError("A back-up is nothing to look at: lead standard output somewhere, or name a file.")
    else:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
