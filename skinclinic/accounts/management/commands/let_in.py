import secrets

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.validators import validate_email

from skinclinic.accounts.models import Role, User
from skinclinic.accounts.services import find_clinic, let_in
from skinclinic.errors import ClinicError


class Command(BaseCommand):
    help = "Give a person roles in a clinic. Somebody new gets a password, which is printed once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("clinic", help="the clinic's name")
        parser.add_argument("email")
        parser.add_argument("full_name", help='such as "Rita Rowan"')
        parser.add_argument("roles", nargs="+", choices=Role.values)

    def handle(self, *args, clinic: str, email: str, full_name: str, roles: list[str], **options) -> None:
        try:
            validate_email(email)
        except ValidationError as error:
            raise CommandError(f"{email} is no e-mail address.") from error
        password = secrets.token_urlsafe(15)
        is_new = not User.objects.filter(email__iexact=email).exists()
        try:
            let_in(clinic=find_clinic(clinic), email=email, full_name=full_name, password=password, roles=roles)
        except ClinicError as refusal:
            raise CommandError(str(refusal)) from refusal
        self.stdout.write(f"{email} is let in as {', '.join(roles)}.")
        if is_new:
            self.stdout.write(
                f"Password: {password}\nGive it to her in person; she changes it in the menu under her name."
            )
