"""Who was erased, under opaque ids: kept beside back-ups, and repeated on one that is older than that."""

import hmac
import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils import timezone

from patients.models import Erasure
from screening.services.erasing import erase_files, erase_words
from skinclinic.audit.acting import acting, system
from skinclinic.errors import ClinicError

DONE = """
    SELECT id::text, clinic_id::text, patient_id::text, records::text[], reason, asked_by_id::text, agreed_by_id::text,
        created_at::text, erased_at::text
    FROM patients_erasure WHERE erased_at IS NOT NULL ORDER BY erased_at
"""
STILL_THERE = "SELECT id FROM patients_patient WHERE clinic_id = %s AND id = ANY (%s::uuid[]) AND erased_at IS NULL"
# Of who asked and agreed only those are known who were there when the back-up was made.
REPEAT = """
    INSERT INTO patients_erasure (id, created_at, clinic_id, patient_id, reason, words, despite_follow_ups, records,
        counts, asked_by_id, agreed_by_id, replayed_at)
    VALUES (%(id)s, %(asked_at)s, %(clinic)s, %(patient)s, %(reason)s, '', true, %(records)s::uuid[], '{}',
        (SELECT id FROM accounts_user WHERE id = %(asked_by)s),
        (SELECT id FROM accounts_user WHERE id = %(agreed_by)s), now())
    ON CONFLICT (id) DO UPDATE SET replayed_at = now(), taken_back_at = NULL, records = excluded.records,
        agreed_by_id = excluded.agreed_by_id
"""
OTHERS = """
    UPDATE patients_erasure SET taken_back_at = now()
    WHERE patient_id = %(patient)s AND id <> %(id)s AND taken_back_at IS NULL AND erased_at IS NULL
"""


class NoList(ClinicError):
    def __init__(self) -> None:
        super().__init__("This is no list of erasures; it is written by `manage.py erasures FILE`.")


@dataclass(frozen=True)
class Erased:
    """One erasure that was done; ids and times, and a code for why."""

    id: str
    clinic: str
    patient: str
    records: list[str]
    reason: str
    asked_by: str | None
    agreed_by: str | None
    asked_at: str
    erased_at: str


def erasures_in(owner: BaseDatabaseWrapper) -> list[Erased]:
    """Of all clinics, the oldest first."""
    with owner.cursor() as cursor:
        cursor.execute(DONE)
        return [Erased(*row) for row in cursor.fetchall()]


class OtherSeal(ClinicError):
    def __init__(self) -> None:
        super().__init__(
            "This list of erasures was changed, or written with another BACKUP_KEY. Nobody is erased by it."
        )


def as_text(erasures: Iterable[Erased], key: bytes) -> str:
    """Sealed like the back-ups that it lies beside: whoever could write into it could have anybody erased."""
    told = {"made_at": timezone.now().isoformat(timespec="seconds"), "erasures": [asdict(each) for each in erasures]}
    return json.dumps(told | {"seal": seal_of(told, key)}, indent=1) + "\n"


def seal_of(told: dict[str, Any], key: bytes) -> str:
    """HMAC-SHA-256 over the list without white space, its names in order."""
    written = json.dumps(told, sort_keys=True, separators=(",", ":"))
    return hmac.new(key, b"skinclinic erasures\n" + written.encode(), "sha256").hexdigest()


def read_list(path: Path, key: bytes) -> list[Erased]:
    """Raises NoList, OtherSeal, OSError."""
    try:
        told = json.loads(path.read_text())
        seal, found = str(told.pop("seal")), [Erased(**each) for each in told["erasures"]]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise NoList from error
    if not hmac.compare_digest(seal.encode(), seal_of(told, key).encode()):
        raise OtherSeal
    return found


def keep_list(path: Path, text: str) -> None:
    """In the place of the last one, which stays until this one is whole."""
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    Path(file.name).replace(path)


def replay(owner: BaseDatabaseWrapper, erasures: Iterable[Erased]) -> int:
    """Repeat those of whom the back-up still tells; how many these were."""
    return sum(1 for erased in erasures for key in repeated(owner, erased) if carry_out(key, UUID(erased.clinic)))


def repeated(owner: BaseDatabaseWrapper, erased: Erased) -> Iterator[UUID]:
    """The owner alone may write that nobody has to agree any more: two people did."""
    values: dict[str, Any] = asdict(erased)
    with owner.cursor() as cursor:
        cursor.execute(STILL_THERE, [erased.clinic, erased.records])
        there = [str(key) for (key,) in cursor.fetchall()]
        if not there:
            return
        values |= {"records": there, "patient": erased.patient if erased.patient in there else there[0]}
        cursor.execute(OTHERS, values)
        cursor.execute(REPEAT, values)
    yield UUID(erased.id)


def carry_out(erasure_id: UUID, clinic_id: UUID) -> bool:
    """As when two people had just agreed."""
    with acting(system(clinic_id=clinic_id), reason="erased before the restore"):
        erasure = Erasure.objects.get(pk=erasure_id)
        erase_words(erasure, erasure.records)
    while erase_files(erasure_id=erasure_id, clinic_id=clinic_id):
        pass
    return True
