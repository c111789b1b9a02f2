from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from skinclinic.accounts.models import Clinic, validate_time_zone
from skinclinic.accounts.services import open_clinic


class Command(BaseCommand):
    help = "Open another clinic in this installation; then let its manager in with `let_in`."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")
        parser.add_argument("--time-zone", default="UTC", help="such as Europe/Vienna")

    def handle(self, *args, name: str, time_zone: str, **options) -> None:
        try:
            validate_time_zone(time_zone)
        except ValidationError as error:
            raise CommandError(error.messages[0]) from error
        if Clinic.objects.filter(name__iexact=name).exists():
            raise CommandError(f"There is a clinic {name} already.")
        open_clinic(name=name, time_zone=time_zone)
        self.stdout.write(f'{name} is open. Let its manager in: let_in "{name}" EMAIL NAME manager')
