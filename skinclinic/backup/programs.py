"""Postgres' own programs, which read a database out and put it back in."""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg2.extensions import make_dsn

from skinclinic.embedded.postgres import program_source
from skinclinic.embedded.problems import NoProgram
from skinclinic.errors import ClinicError

NAMES = ("pg_dump", "pg_restore", "psql")
SECRET_OPTIONS = ("password", "passfile", "sslpassword")
PASSED_ON = ("PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH")


class ProgramsMissing(ClinicError):
    """There are none, or none as new as the server."""

    def __init__(self, wanted: int, found: list[int]):
        has = f"here is {max(found)}" if found else "there are none on the PATH"
        super().__init__(
            f"Back-up and restore want Postgres' programs {', '.join(NAMES)} of version {wanted} or newer, and {has}. "
            f"Install postgresql-client-{wanted}."
        )


@dataclass(frozen=True)
class Programs:
    """Those of one version, `major`, in one folder."""

    folder: Path
    major: int

    def command(self, name: str, *arguments: str) -> list[str]:
        return [str(self.folder / name), *arguments]


def programs_for(major: int) -> Programs:
    """The oldest that will do: newer ones may write what an older server does not understand."""
    found = [each for folder in folders() if (each := programs_in(folder))]
    new_enough = [each for each in found if each.major >= major]
    if not new_enough:
        raise ProgramsMissing(major, [each.major for each in found])
    return min(new_enough, key=lambda each: each.major)


def folders() -> list[Path]:
    """Those of the PATH before ours: of ours no connection is encrypted."""
    on_path = shutil.which("pg_dump")
    found = [Path(on_path).parent] if on_path else []
    try:
        return [*found, program_source() / "pginstall" / "bin"]
    except NoProgram:
        return found


def programs_in(folder: Path) -> Programs | None:
    if not all(os.access(folder / name, os.X_OK) for name in NAMES):
        return None
    asked = subprocess.run([folder / "pg_dump", "--version"], check=False, capture_output=True, text=True)
    version = re.search(r"\(PostgreSQL\) (\d+)", asked.stdout)
    return Programs(folder, int(version[1])) if version else None


def address_of(owner: BaseDatabaseWrapper) -> str:
    """For a command line, which everybody on the machine can read: without a secret."""
    owner.ensure_connection()
    settings, connected = owner.settings_dict, owner.connection.info
    options = {name: value for name, value in settings["OPTIONS"].items() if name not in SECRET_OPTIONS}
    return make_dsn(
        **options, dbname=settings["NAME"], user=settings["USER"], host=connected.host, port=str(connected.port)
    )


def environment_for(owner: BaseDatabaseWrapper) -> dict[str, str]:
    """The password goes here, which only this user and root can read."""
    kept = {name: value for name, value in os.environ.items() if name in PASSED_ON or name.startswith("PG")}
    settings = owner.settings_dict
    secrets = {"PGPASSWORD": settings["PASSWORD"], "PGPASSFILE": settings["OPTIONS"].get("passfile")}
    return {**kept, "LC_ALL": "C", **{name: str(value) for name, value in secrets.items() if value}}
