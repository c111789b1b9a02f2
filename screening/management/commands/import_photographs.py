import time
from pathlib import Path
from uuid import uuid4
from zoneinfo import ZoneInfo

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.template.defaultfilters import filesizeformat
from rich.console import Console
from rich.progress import Progress, track

from screening.images import PhotographRefused, clean_photograph
from screening.import_report import Line, Verdict, assess
from screening.import_table import MOST_BYTES, file_key
from screening.models import ImportBatch, ImportRow
from screening.services import importing
from skinclinic.accounts.models import User
from skinclinic.accounts.services import actor_in, find_clinic
from skinclinic.audit.acting import CLINICIAN, Actor, acting, system
from skinclinic.errors import ClinicError
from skinclinic.locks import only_one


class Command(BaseCommand):
    help = "Import a folder of photographs by a table, as the page does. Exit code 1 if a row is not imported."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("clinic", help="the clinic's name")
        parser.add_argument("table", type=Path, help="the CSV; the page Import photographs names its columns")
        parser.add_argument("folder", type=Path, help="the photographs, in folders or not")
        parser.add_argument("--by", required=True, metavar="EMAIL", help="the clinician in whose name it is done")
        parser.add_argument("--dry-run", action="store_true", help="only say what would happen")

    def handle(self, *args, clinic: str, table: Path, folder: Path, by: str, dry_run: bool, **options) -> None:
        try:
            actor, zone = clinician(clinic, by)
            with table.open("rb") as opened, acting(actor):
                batch = importing.start_import(actor=actor, submission=uuid4(), table=opened.read(MOST_BYTES + 1))
            try:
                keep_photographs(actor, batch, folder, zone)
                lines = lines_of(actor, batch)
                if not dry_run and any(line.verdict == Verdict.READY for line in lines):
                    with acting(actor):
                        importing.confirm_import(actor=actor, batch=batch)
                    import_all(batch)
                    lines = lines_of(actor, batch)
            finally:
                drop_unconfirmed(actor, batch)
        except (ClinicError, OSError) as error:
            raise CommandError(str(error)) from error
        self.tell(lines, "would be imported" if dry_run else "are in the record")

    def tell(self, lines: list[Line], fate: str) -> None:
        """Numbers of rows, as a spreadsheet has them; no name, since a terminal's text is kept who knows where."""
        fine = {Verdict.READY, Verdict.PRESENT, Verdict.IMPORTED}
        wrong = [line for line in lines if line.verdict not in fine]
        for line in wrong:
            self.stdout.write(f"row {line.row.number}: {line.verdict.label}. {line.said}".rstrip())
        self.stdout.write(f"{len(lines) - len(wrong)} of {len(lines)} rows {fate}.")
        if wrong:
            raise SystemExit(1)


def clinician(clinic_name: str, email: str) -> tuple[Actor, ZoneInfo]:
    clinic = find_clinic(clinic_name)
    with acting(system(clinic_id=clinic.pk)):
        actor = actor_in(clinic.pk, User.objects.filter(email__iexact=email).first(), CLINICIAN)
    if actor is None:
        raise CommandError(f"{email} is no clinician of this clinic. Name one after --by.")
    return actor, ZoneInfo(clinic.time_zone)


def keep_photographs(actor: Actor, batch: ImportBatch, folder: Path, zone: ZoneInfo) -> None:
    with acting(actor):
        wanted = set(ImportRow.objects.filter(batch=batch).exclude(file_key="").values_list("file_key", flat=True))
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        key = file_key(path.name)
        if path.is_file() and key in wanted and found.setdefault(key, path) is not path:
            raise CommandError(f"{found[key]} and {path} have the same name. Rename one, also in the table.")
    if (size := sum(path.stat().st_size for path in found.values())) > importing.most_bytes():
        raise CommandError(f"{importing.ImportFull()} They take {filesizeformat(size)}.")
    for path in track(list(found.values()), "Photographs", console=Console(stderr=True)):
        try:
            with path.open("rb") as opened:
                clean = clean_photograph(opened, zone=zone)
        except PhotographRefused as refusal:
            with acting(actor):
                importing.refuse_photograph(batch=batch, name=path.name, refusal=refusal)
        else:
            with acting(actor):
                importing.keep_photograph(batch=batch, name=path.name, clean=clean)


def import_all(batch: ImportBatch) -> None:
    """Patient after patient, here or by a worker that took the message first; until it is done."""
    everybody = people_left(batch)
    with Progress(console=Console(stderr=True)) as progress:
        bar = progress.add_task("Patients", total=everybody)
        while True:
            with only_one(f"import-{batch.pk}") as mine:
                if mine and not importing.import_next(batch_id=batch.pk, clinic_id=batch.clinic_id):
                    return
            if not mine:
                time.sleep(0.2)
            progress.update(bar, completed=everybody - people_left(batch))


def people_left(batch: ImportBatch) -> int:
    with acting(system(clinic_id=batch.clinic_id)):
        return ImportRow.objects.open().filter(batch=batch).values("person").distinct().count()


def lines_of(actor: Actor, batch: ImportBatch) -> list[Line]:
    with acting(actor):
        return assess(ImportRow.objects.filter(batch=batch).in_order())


def drop_unconfirmed(actor: Actor, batch: ImportBatch) -> None:
    with acting(actor):
        if ImportBatch.objects.unconfirmed().filter(pk=batch.pk).exists():
            importing.drop_import(batch=batch)
