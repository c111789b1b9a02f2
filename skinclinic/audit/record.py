"""Acts that change no row: somebody looked, exported, signed in or was refused."""

import json
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.db import connection


def record(
    action: str,
    *,
    subject_type: str = "",
    subject_id: UUID | str = "",
    patient_id: UUID | None = None,
    detail: dict[str, Any] | None = None,
) -> int:
    """Write one event to the ledger and return its number. `detail` holds opaque ids and codes, never a name."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT audit_record(%s, %s, %s, %s, %s)",
            [action, subject_type, str(subject_id), patient_id, json.dumps(detail or {}, default=str)],
        )
        return int(cursor.fetchone()[0])


def record_page(action: str, *, subject_type: str, ids: Iterable[UUID | str]) -> int:
    """One event for a list that was shown, with the ids that were on it."""
    return record(action, subject_type=subject_type, detail={"ids": [str(key) for key in ids]})
