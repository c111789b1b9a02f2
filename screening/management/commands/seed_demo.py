import json
from dataclasses import asdict
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError, CommandParser

from screening.demo import seed_demo


class Command(BaseCommand):
    help = "Make a demo clinic with drawn photographs, or with those of a folder. Nothing happens if it is there."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--photos", type=Path, help="a folder of photographs to show instead of the drawn ones")
        parser.add_argument("--json", action="store_true", help="print the sign-ins as JSON on standard output")

    def handle(self, *args, photos: Path | None, json: bool, **options) -> None:
        if photos is not None and not photos.is_dir():
            raise CommandError(f"{photos} is no folder. Name a folder of photographs after --photos.")
        sign_ins = []
        try:
            for step in seed_demo(photographs=photos):
                if isinstance(step, str):
                    self.stderr.write(f"demo: {step}")
                else:
                    sign_ins = step
        except OSError as error:
            raise CommandError(str(error)) from error
        if json:
            self.stdout.write(as_json(sign_ins))
        elif not sign_ins:
            self.stdout.write("The demo clinic is there already; its passwords were printed when it was made.")
        for sign_in in [] if json else sign_ins:
            self.stdout.write(f"{sign_in.email}  {sign_in.password}  ({', '.join(sign_in.roles)})")


def as_json(sign_ins: list) -> str:
    return json.dumps([asdict(sign_in) for sign_in in sign_ins])
