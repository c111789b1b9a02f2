"""Who was erased, under opaque ids: kept beside back-ups, and repeated on one that is older than that."""

import hmac
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils import timezone

from patients.models import Erasure, Patient
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
    WHERE patient_id = ANY (%(records)s::uuid[]) AND id <> %(id)s AND taken_back_at IS NULL AND erased_at IS NULL
"""
# Who was merged with her when the back-up was made and parted since is somebody else.
PARTED = """
    UPDATE patients_patient SET merged_into_id = NULL, version = version + 1
    WHERE merged_into_id IS NOT NULL
        AND (id = ANY (%(records)s::uuid[])) <> (merged_into_id = ANY (%(records)s::uuid[]))
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


class NotWrittenOver(ClinicError):
    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} is no list of erasures under this BACKUP_KEY, and is not written over. Name another.")


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


def forgotten(path: Path, key: bytes, found: Iterable[Erased]) -> list[Erased]:
    """Whom the last list has and this clinic does not, as it was restored from a back-up that is older than these.

    Raises NotWrittenOver, where what it would forget cannot be known.
    """
    try:
        before = read_list(path, key)
    except FileNotFoundError:
        return []
    except (NoList, OtherSeal) as error:
        raise NotWrittenOver(path) from error
    known = {each.id for each in found}
    return [each for each in before if each.id not in known]


def replay(owner: BaseDatabaseWrapper, erasures: Iterable[Erased]) -> int:
    """Repeat those of whom the back-up still tells; how many these were."""
    return sum(repeat(owner, erased) for erased in erasures)


def repeat(owner: BaseDatabaseWrapper, erased: Erased) -> bool:
    """Whether the back-up tells of her."""
    records = still_there(owner, erased)
    if records:
        ask_again(owner, erased, records)
        carry_out(erased)
    return bool(records)


def still_there(owner: BaseDatabaseWrapper, erased: Erased) -> list[str]:
    with owner.cursor() as cursor:
        cursor.execute(STILL_THERE, [erased.clinic, erased.records])
        return [str(key) for (key,) in cursor.fetchall()]


def ask_again(owner: BaseDatabaseWrapper, erased: Erased, records: list[str]) -> None:
    """The owner alone may write that nobody has to agree any more: two people did."""
    patient = erased.patient if erased.patient in records else records[0]
    with transaction.atomic(using=owner.alias), owner.cursor() as cursor:
        for statement in (OTHERS, PARTED, REPEAT):
            cursor.execute(statement, asdict(erased) | {"records": records, "patient": patient})


def carry_out(erased: Erased) -> None:
    """As when two people had just agreed: whoever writes of her is waited for."""
    erasure_id, clinic_id = UUID(erased.id), UUID(erased.clinic)
    with acting(system(clinic_id=clinic_id), reason="erased before the restore"):
        erasure = Erasure.objects.get(pk=erasure_id)
        hers = Patient.objects.select_for_update().filter(pk__in=erasure.records).order_by("pk")
        erase_words(erasure, [record.pk for record in hers])
    while erase_files(erasure_id=erasure_id, clinic_id=clinic_id):
        pass
