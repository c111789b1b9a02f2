from pathlib import Path

from django.core.management.base import BaseCommand, CommandParser

from skinclinic.backup.command import owner_connection, told_in_a_sentence
from skinclinic.backup.erasures import as_text, erasures_in, read_list, replay
from skinclinic.backup.files import whole_file
from skinclinic.backup.keys import backup_key


class Command(BaseCommand):
    help = "Write who was erased, under opaque ids, for a restore to repeat. Keep it beside the back-ups."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", metavar="FILE", help="written over; - for standard output")
        parser.add_argument("--repeat", action="store_true", help="read FILE instead, and erase again who is on it")

    def handle(self, *args, file: str, repeat: bool, **options) -> None:
        with told_in_a_sentence():
            if repeat:
                known = read_list(Path(file), backup_key())
                self.stdout.write(f"Erased again: {replay(owner_connection(), known)} of {len(known)} patients.")
                return
            found = erasures_in(owner_connection())
            text = as_text(found, backup_key())
            if file == "-":
                self.stdout.write(text, ending="")
                return
            with whole_file(Path(file).absolute()) as target:
                target.write(text.encode())
            self.stdout.write(f"{file}: {len(found)} erasures.")
