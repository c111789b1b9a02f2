from django.core.management.base import BaseCommand, CommandError, CommandParser

from skinclinic.accounts.models import IdentityProvider
from skinclinic.accounts.services import NoSuchClinic, find_clinic
from skinclinic.audit.acting import acting, system


class Command(BaseCommand):
    help = "Let members in by their passwords again, where the hospital's sign-in was the only way and is broken."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("clinic")

    def handle(self, *args, clinic: str, **options) -> None:
        try:
            found = find_clinic(clinic)
        except NoSuchClinic as refusal:
            raise CommandError(str(refusal)) from refusal
        with acting(system(clinic_id=found.pk)):
            providers = IdentityProvider.objects.filter(clinic=found, is_required=True)
            changed = providers.update(is_required=False)
        if not changed:
            raise CommandError(f"Members of {clinic} may come in by their passwords already.")
        self.stdout.write(f"Members of {clinic} may come in by their passwords again. Who has none asks for a new one.")
