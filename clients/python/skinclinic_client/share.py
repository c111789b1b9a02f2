"""A folder of photographs that says whose they are by where they lie: `<record number>/<lesion's number>/<file>`."""

import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import uuid5

from skinclinic_client.clinic import OF_PHOTOGRAPHS, Clinic, Dict
from skinclinic_client.errors import ClinicProblem, Refused

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}
UNREADABLE = -1  # instead of a size
MOST_BYTES = 25 * 1024 * 1024  # as the clinic has it


class Left(ClinicProblem):
    """A photograph is not sent, for a reason that somebody has to see to."""


@dataclass(frozen=True)
class Found:
    """A file as it was when it was looked at."""

    path: Path
    where: tuple[str, ...]  # the folders between the share and the file
    size: int
    changed: int  # nanoseconds

    @property
    def named(self) -> str:
        return "/".join((*self.where, self.path.name))


def photographs_in(folder: Path) -> Iterator[Found]:
    """In the order of their names; hidden ones, links, and what is no photograph by its name are passed over."""
    for path in sorted(folder.rglob("*")):
        where = path.relative_to(folder).parts
        if path.suffix.lower() not in SUFFIXES or any(part.startswith(".") for part in where):
            continue
        try:
            told = path.stat(follow_symlinks=False)
        except FileNotFoundError:  # it was moved meanwhile
            continue
        except OSError:  # somebody has to see to it, and to no other
            yield Found(path, where[:-1], UNREADABLE, 0)
            continue
        if stat.S_ISREG(told.st_mode):
            yield Found(path, where[:-1], told.st_size, told.st_mtime_ns)


class Share:
    """Sends photographs into a clinic's records. Makes no patient and no lesion, and writes nothing into the folder."""

    def __init__(self, clinic: Clinic, *, system: str = "") -> None:
        self.clinic, self.system = clinic, system
        self.lesions: dict[str, dict[str, Dict]] = {}

    def send(self, found: Found, progress: Callable[[int], None] = lambda sent: None) -> bool:
        """False where the record has it already. Raises Left, Refused, Unreachable."""
        if len(found.where) != 2:
            raise Left("It lies in no folder <record number>/<lesion's number>.")
        if found.size == UNREADABLE:
            raise Left("It cannot be read.")
        if not 0 < found.size <= MOST_BYTES:
            raise Left("It is empty." if not found.size else "It is larger than 25 MB.")
        number = found.where[0]
        was_known = number in self.lesions
        try:
            return self.give(found, progress)
        except Refused:
            # Her record may have been merged into another one since it was asked for.
            self.lesions.pop(number, None)
            if not was_known:
                raise
        return self.give(found, progress)

    def give(self, found: Found, progress: Callable[[int], None]) -> bool:
        lesion = self.lesion_of(*found.where)
        try:
            photograph = found.path.read_bytes()
        except OSError as error:
            raise Left(f"It cannot be read: {error.strerror}.") from error
        if self.clinic.is_here(photograph, lesion=lesion["id"]):
            return False
        visit = self.visit_of_today(lesion["patient"])
        self.clinic.upload(photograph, visit=visit, lesion=lesion["id"], progress=progress)
        return True

    def lesion_of(self, number: str, lesion: str) -> Dict:
        """What is known is kept; what is not known is asked for again, since somebody may see to it. Raises Left."""
        known = self.lesions.get(number, {}) or self.lesions_of(number)
        if lesion not in known:
            known = self.lesions_of(number)
        if lesion not in known:
            raise Left(f"The patient with this number has no lesion {lesion} on the body map.")
        return known[lesion]

    def lesions_of(self, number: str) -> dict[str, Dict]:
        patient = self.clinic.find_patient(number, system=self.system)
        if patient is None:
            raise Left(f"Nobody in the clinic has the number {number}.")
        found = self.clinic.list("lesions/", patient=patient["id"])
        self.lesions[number] = {str(each["number"]): each for each in found}
        return self.lesions[number]

    def visit_of_today(self, patient: str) -> str:
        """The newest that is not signed, or another one; two that ask at the same moment make one."""
        today = datetime.now().astimezone().replace(hour=0, minute=0, second=0, microsecond=0)
        since = {"patient": patient, "created_after": today.isoformat()}
        unsigned = self.clinic.get("visits/", signed="false", **since)["results"]
        if unsigned:
            return str(unsigned[0]["id"])
        signed = len(list(self.clinic.list("visits/", **since)))
        key = uuid5(OF_PHOTOGRAPHS, f"visit {patient} {today.date()} {signed}")
        return str(self.clinic.create("visits/", {"patient": patient}, key=key)["id"])
