from argparse import ArgumentParser

from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from skinclinic.audit.sealing import seal_ledger, seal_state
from skinclinic.audit.verify import Verified, verify_ledger
from skinclinic.errors import ClinicError


class Command(BaseCommand):
    help = "Seal the ledger, say its head, or hold every line of it against the seals."

    def add_arguments(self, parser: ArgumentParser) -> None:
        acts = parser.add_subparsers(dest="act", required=True)
        verify = acts.add_parser("verify", help="Read the whole ledger as its owner and name the first bad line.")
        verify.add_argument("--head", default="", help="A head that was kept elsewhere, such as 412:9f86d0…")
        acts.add_parser("head", help="Print the head of the chain; keep it where nobody of this machine can write.")
        acts.add_parser("seal", help="Seal what is not sealed yet, now.")

    def handle(self, *args, act: str, verbosity: int, **options) -> None:
        try:
            match act:
                case "verify":
                    self.verify(head=options["head"])
                case "head":
                    self.stdout.write(seal_state().head or "Nothing is sealed yet.")
                case "seal":
                    self.stdout.write(f"{seal_ledger()} lines sealed.")
        except OperationalError as error:
            raise CommandError(f"The database cannot be reached: {str(error).strip().splitlines()[0]}") from error
        except ClinicError as error:
            raise CommandError(str(error)) from error

    def verify(self, *, head: str) -> None:
        if "owner" not in connections:
            raise CommandError("Set DATABASE_OWNER_URL to the role that owns the database; the ledger is read as it.")
        verified = verify_ledger(connections["owner"], head=head, progress=self.say)
        waiting = waiting_in(connections["owner"])
        self.stdout.write(f"{verified.lines} lines in {verified.seals} seals are as they were sealed.")
        self.stdout.write(f"{waiting} lines are not sealed yet, so nothing is said of them.")
        self.stdout.write(f"Head: {verified.head or 'none yet'}")

    def say(self, verified: Verified) -> None:
        if self.stderr.isatty():
            self.stderr.write(f"\r{verified.lines} lines", ending="")


def waiting_in(owner: BaseDatabaseWrapper) -> int:
    with owner.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM audit_unsealedevent")
        return int(cursor.fetchone()[0])
