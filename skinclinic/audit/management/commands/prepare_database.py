from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError, connections

from skinclinic.audit.roles import prepare_roles
from skinclinic.errors import ClinicError


class Command(BaseCommand):
    help = "Make the database's roles and tables, or bring them up to date. Run it as often as you like."

    def handle(self, *args, verbosity: int, **options) -> None:
        if "owner" not in connections:
            raise CommandError("Set DATABASE_OWNER_URL to the role that owns the database; tables are made as it.")
        try:
            prepare_roles(connections["owner"], connections["default"].settings_dict)
            call_command("migrate", database="owner", interactive=False, verbosity=verbosity)
        except OperationalError as error:
            raise CommandError(f"The database cannot be reached: {str(error).strip().splitlines()[0]}") from error
        except ClinicError as error:
            raise CommandError(str(error)) from error
