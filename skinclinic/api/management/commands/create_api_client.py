from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from skinclinic.accounts.services import find_clinic
from skinclinic.api.services import create_client
from skinclinic.errors import ClinicError


class Command(BaseCommand):
    help = "Make an OAuth2 client (client credentials) for a system that uses the API of one clinic."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("clinic", help="the clinic's name")
        parser.add_argument("name", help="what the client is called on the ledger")
        parser.add_argument("--scopes", nargs="+", default=list(settings.OAUTH2_PROVIDER["SCOPES"]))

    def handle(self, *args, clinic: str, name: str, scopes: list[str], **options) -> None:
        try:
            client, secret = create_client(clinic=find_clinic(clinic), name=name, scopes=scopes)
        except ClinicError as refusal:
            raise CommandError(str(refusal)) from refusal
        self.stdout.write(f"client_id      {client.client_id}\nclient_secret  {secret}")
        self.stdout.write("Keep the secret now; only its hash is stored.")
