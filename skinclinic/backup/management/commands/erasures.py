from pathlib import Path

from django.core.management.base import BaseCommand, CommandParser

from skinclinic.backup.command import owner_connection, told_in_a_sentence
from skinclinic.backup.erasures import as_text, erasures_in, forgotten, read_list, replay, still_there
from skinclinic.backup.files import whole_file
from skinclinic.backup.keys import backup_key


class Command(BaseCommand):
    help = "Write who was erased, under opaque ids, for a restore to repeat. Keep it beside the back-ups."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", metavar="FILE", help="written anew, with all that it had; - for standard output")
        parser.add_argument("--repeat", action="store_true", help="read FILE instead, and erase again who is on it")

    def handle(self, *args, file: str, repeat: bool, **options) -> None:
        with told_in_a_sentence():
            if repeat:
                known = read_list(Path(file), backup_key())
                self.stdout.write(f"Erased again: {replay(owner_connection(), known)} of {len(known)} patients.")
                return
            owner, key = owner_connection(), backup_key()
            found = erasures_in(owner)
            if file == "-":
                self.stdout.write(as_text(found, key), ending="")
                return
            path = Path(file).absolute()
            old = forgotten(path, key, found)
            with whole_file(path) as target:
                target.write(as_text([*old, *found], key).encode())
            self.stdout.write(f"{file}: {len(old) + len(found)} erasures.")
            if back := sum(1 for each in old if still_there(owner, each)):
                verb = "is" if back == 1 else "are"
                self.stderr.write(f"{back} of them {verb} not erased here: `erasures FILE --repeat` erases them.")
