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
# From this version on scripts begin with a setting that older servers refuse.
TALKS_TO_NEWER = 17


class ProgramsMissing(ClinicError):
    """There are none that this server and this back-up will do with."""

    def __init__(self, least: int, most: int | None, found: list[int]):
        wanted = f"{least} or newer" if most is None else f"{least}" if most == least else f"{least} to {most}"
        has = f"here is {', '.join(map(str, sorted(found)))}" if found else "there are none on the PATH"
        super().__init__(
            f"Back-up and restore want Postgres' programs {', '.join(NAMES)} of version {wanted}, and {has}. "
            f"Install postgresql-client-{least}."
        )


@dataclass(frozen=True)
class Programs:
    """Those of one version, `major`, in one folder."""

    folder: Path
    major: int

    def command(self, name: str, *arguments: str) -> list[str]:
        return [str(self.folder / name), *arguments]


def programs_for(server: int, *, written_by: int = 0) -> Programs:
    """The oldest that will do for a server of this version, and for a back-up that those of another version wrote."""
    least, most = max(server, written_by), TALKS_TO_NEWER - 1 if server < TALKS_TO_NEWER else None
    found = [each for folder in folders() if (each := programs_in(folder))]
    fit = [each for each in found if least <= each.major and (most is None or each.major <= most)]
    if not fit:
        raise ProgramsMissing(least, most, [each.major for each in found])
    return min(fit, key=lambda each: each.major)


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
