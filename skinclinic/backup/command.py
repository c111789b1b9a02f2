"""What `manage.py backup` and `manage.py restore` have in common."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.core.management.base import CommandError
from django.db import DatabaseError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from skinclinic.accounts.models import Clinic
from skinclinic.audit.acting import acting, system
from skinclinic.audit.record import record
from skinclinic.backup.contents import Notes
from skinclinic.env import EnvironmentProblem
from skinclinic.errors import ClinicError
from skinclinic.logs import kind_of

ELSEWHERE = "The photographs are in the S3 bucket and not in this file; see to it that the bucket is kept, too."


def owner_connection() -> BaseDatabaseWrapper:
    if "owner" not in connections:
        raise CommandError(
            "Set DATABASE_OWNER_URL to the role that owns the database; the clinic is read and put as it."
        )
    return connections["owner"]


@contextmanager
def told_in_a_sentence() -> Iterator[None]:
    try:
        yield
    except (ClinicError, EnvironmentProblem) as refusal:
        raise CommandError(str(refusal)) from refusal
    except DatabaseError as error:
        raise CommandError(f"The database refused: {kind_of(error.__cause__ or error)}.") from error
    except KeyboardInterrupt:
        raise CommandError("Stopped.", returncode=130) from None
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        raise CommandError(f"The operating system refused: {error.strerror or error}{where}.") from error


def record_in_each_clinic(action: str, notes: Notes) -> None:
    """All of it left or came, so all are told."""
    with acting(system()):
        clinics = list(Clinic.objects.values_list("pk", flat=True))
    for clinic_id in clinics:
        with acting(system(clinic_id=clinic_id)):
            record(action, subject_type="backup", detail={"made_at": notes.made_at, "head": notes.head})


class Bars:
    """Bars of bytes on the terminal, one under the other."""

    def __init__(self) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        console = Console(stderr=True)
        self.progress = Progress(*columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal)
        self.task: TaskID | None = None

    def begin(self, title: str, total: int) -> Callable[[int], None]:
        self.finish()
        self.task = self.progress.add_task(title, total=total)
        return self.advance

    def advance(self, count: int) -> None:
        assert self.task is not None
        self.progress.advance(self.task, count)

    def finish(self) -> None:
        """What was reckoned beforehand was a guess."""
        if self.task is not None:
            done = self.progress.tasks[self.task].completed
            self.progress.update(self.task, total=done, completed=done)
