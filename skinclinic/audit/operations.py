"""Migration operations: what every table of ours is given beside its columns.

`Recorded` puts a table on the ledger, `ClinicScoped` shows a clinic its own rows only, `SameClinic` refuses a row that
points into another clinic, `AppendOnly` takes the application's right to change what was written.
"""

from collections.abc import Sequence
from typing import Any

from django.db.migrations.operations import RunSQL

APP_ROLE = "skinclinic_app"
ACTING_CLINIC = "nullif(current_setting('skinclinic.clinic', true), '')::uuid"
ACTING_USER = "nullif(current_setting('skinclinic.user', true), '')::uuid"


class Recorded(RunSQL):
    """Every insert, update and delete of `table` is a line on the ledger.

    Of `private` columns the ledger tells that they changed, never the text; `skipped` ones it does not know.
    """

    def __init__(self, table: str, *, private: Sequence[str] = (), skipped: Sequence[str] = ()):
        self.table = table
        self.arguments = b"".join(",".join(columns).encode() + b"\0" for columns in (private, skipped))
        super().__init__(
            f"CREATE TRIGGER audit_row AFTER INSERT OR UPDATE OR DELETE ON {table} FOR EACH ROW "
            f"EXECUTE FUNCTION audit_row('{','.join(private)}', '{','.join(skipped)}')",
            f"DROP TRIGGER audit_row ON {table}",
        )


class KeptErased(RunSQL):
    """Of a patient who was erased nothing is written into the private columns of `table` any more."""

    def __init__(self, table: str, *, private: Sequence[str]):
        super().__init__(
            f"CREATE TRIGGER erasure_guard AFTER INSERT OR UPDATE OF {', '.join(private)} ON {table} FOR EACH ROW "
            "EXECUTE FUNCTION erasure_guard()",
            f"DROP TRIGGER erasure_guard ON {table}",
        )


class ClinicScoped(RunSQL):
    """A transaction sees and writes the rows of the clinic it acts in, no others; without a clinic, none.

    Not FORCEd: that would bind the owner too, whose updates would then touch no row, silently.
    """

    def __init__(self, table: str, *, seen_also: str = ""):
        mine = f"clinic_id = {ACTING_CLINIC}"
        seen = f"{mine} OR {seen_also}" if seen_also else mine
        super().__init__(
            [
                f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
                f"CREATE POLICY clinic_reads ON {table} FOR SELECT USING ({seen})",
                f"CREATE POLICY clinic_writes ON {table} USING ({mine}) WITH CHECK ({mine})",
            ],
            [
                f"DROP POLICY clinic_writes ON {table}",
                f"DROP POLICY clinic_reads ON {table}",
                f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY",
            ],
        )


class SameClinic(RunSQL):
    """`column` of `table` may only point at a row of `other` in the same clinic (and about the same patient)."""

    def __init__(self, table: str, column: str, other: str, *, patient: bool = True):
        mine, theirs = ("clinic_id", "clinic_id")
        if patient:
            mine, theirs = ("clinic_id, patient_id", "clinic_id, patient_id")
        name = f"{table}_{column}_same_clinic"
        super().__init__(
            f"ALTER TABLE {table} ADD CONSTRAINT {name} FOREIGN KEY ({column}, {mine}) "
            f"REFERENCES {other} (id, {theirs}) DEFERRABLE INITIALLY DEFERRED",
            f"ALTER TABLE {table} DROP CONSTRAINT {name}",
        )


class Referable(RunSQL):
    """The key that `SameClinic` points at."""

    def __init__(self, table: str, *, patient: bool = True):
        columns = "id, clinic_id, patient_id" if patient else "id, clinic_id"
        super().__init__(
            f"ALTER TABLE {table} ADD CONSTRAINT {table}_referable UNIQUE ({columns})",
            f"ALTER TABLE {table} DROP CONSTRAINT {table}_referable",
        )


class AppendOnly(RunSQL):
    """The application may insert into `table`, and change no more than the `mutable` columns."""

    def __init__(self, table: str, *, mutable: Sequence[str] = ()):
        forwards: list[Any] = [f"REVOKE UPDATE, DELETE ON {table} FROM {APP_ROLE}"]
        if mutable:
            forwards.append(f"GRANT UPDATE ({', '.join(mutable)}) ON {table} TO {APP_ROLE}")
        super().__init__(forwards, [f"GRANT UPDATE, DELETE ON {table} TO {APP_ROLE}"])


class NeverDeleted(RunSQL):
    """The application withdraws rows of `table`, it does not delete them."""

    def __init__(self, table: str):
        super().__init__(f"REVOKE DELETE ON {table} FROM {APP_ROLE}", f"GRANT DELETE ON {table} TO {APP_ROLE}")
