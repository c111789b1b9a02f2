"""How long a back-up and a restore take, and how much memory: `python bench/backup.py [--megabytes 200]`.

Photographs of noise, which cannot be compressed, as JPEGs cannot; two servers that keep what they are given.
"""

import argparse
import hashlib
import os
import random
import secrets
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from lists import insert
from rich.console import Console
from rich.progress import track
from rich.table import Table
from stack import ROOT, prepare

from skinclinic.backup.keys import new_key
from skinclinic.embedded.place import temporary_folder
from skinclinic.embedded.postgres import EmbeddedPostgres

PHOTOGRAPH = 2**20


def fill(megabytes: int, console: Console) -> None:
    from patients.models import Lesion, Patient
    from screening.models import LesionImage, StoredChunk, StoredFile
    from skinclinic.accounts.services import open_clinic
    from skinclinic.audit.acting import acting, system
    from skinclinic.audit.sealing import seal_ledger

    clinic, draw = open_clinic(name="Bench"), random.Random(1)
    for number in track(range(megabytes), "Filling", console=console):
        name, data = f"{clinic.pk}/{number}/photograph.jpg", draw.randbytes(PHOTOGRAPH)
        patient = Patient(clinic=clinic, sex="female")
        about = {"clinic": clinic, "patient": patient}
        lesion = Lesion(site="back", laterality="left", view="back", x=0.5, y=0.3, number=1, **about)
        digest = hashlib.sha256(data).hexdigest()
        image = LesionImage(
            lesion=lesion, photograph=name, thumbnail=name, width=600, height=450, size=PHOTOGRAPH, sha256=digest,
            upload_sha256=digest, **about,
        )  # fmt: skip
        file = StoredFile(name=name, clinic_id=clinic.pk, size=PHOTOGRAPH)
        with acting(system(clinic_id=clinic.pk)):
            insert([[patient, lesion, image, file, StoredChunk(file=file, clinic_id=clinic.pk, position=0, data=data)]])
    seal_ledger()


def run(*arguments: str, environment: dict[str, str]) -> tuple[float, float]:
    """Seconds, and the most memory of the command itself in megabytes."""
    began = time.perf_counter()
    running = subprocess.Popen(
        [sys.executable, "manage.py", *arguments], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL
    )
    _pid, status, usage = os.wait4(running.pid, 0)
    if status:
        raise SystemExit(f"{arguments[0]} failed.")
    return time.perf_counter() - began, usage.ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


def measure(megabytes: int, console: Console) -> list[tuple[str, float, float, float]]:
    with ExitStack() as stack:
        folder = stack.enter_context(temporary_folder())
        first, second = (stack.enter_context(EmbeddedPostgres(folder / name)) for name in ("first", "second"))
        os.environ |= {
            "DATABASE_URL": first.app_url(),
            "DATABASE_OWNER_URL": first.owner_url(),
            "BACKUP_KEY": new_key(),
        }
        prepare()
        fill(megabytes, console)
        file = folder / "clinic.backup"
        taken = run("backup", str(file), environment=dict(os.environ))
        there = {"DATABASE_URL": second.app_url(), "DATABASE_OWNER_URL": second.owner_url()}
        restored = run("restore", str(file), environment=os.environ | there)
        size = file.stat().st_size / 1e6
    return [("backup", size, *taken), ("restore", size, *restored)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=200, help="of photographs")
    megabytes = parser.parse_args().megabytes
    os.environ |= {"DJANGO_SETTINGS_MODULE": "skinclinic.settings", "SECRET_KEY": secrets.token_urlsafe(48)}
    console = Console(width=100)
    table = Table("command", "file MB", "seconds", "seconds a GB of photographs", "memory MB")
    for name, size, seconds, memory in measure(megabytes, console):
        a_gigabyte = seconds * 1e9 / (megabytes * PHOTOGRAPH)
        table.add_row(name, f"{size:,.0f}", f"{seconds:.0f}", f"{a_gigabyte:.0f}", f"{memory:.0f}")
    console.print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
