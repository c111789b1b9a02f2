"""What every resource is made by: the rows that an actor may see, how they are looked for, and what they look like."""

from collections.abc import Mapping
from typing import Any, ClassVar
from uuid import UUID

from django.db.models import DateTimeField, F, Model, Q, QuerySet
from django.db.models.functions import Greatest

from patients.erased import refuse_erased
from patients.querysets import ClinicQuerySet
from skinclinic.api.fhir.elements import Dict
from skinclinic.api.fhir.searching import Condition, Search, as_uuid, by_date, by_id
from skinclinic.audit.acting import Actor


class Resource:
    """One row of `rows()` is one or several resources. All rows have `updated`, a time."""

    name: ClassVar[str]
    model: ClassVar[type[Model]]
    scope: ClassVar[str] = "fhir"
    # Search by parameter; `_id` and `_lastUpdated` are known of all.
    conditions: ClassVar[Mapping[str, Condition]] = {}
    has_provenance: ClassVar[bool] = False
    # The order of a list: newest first, and of equals by the key.
    moment: ClassVar[str] = "created_at"

    def rows(self, actor: Actor) -> QuerySet[Any]:
        raise NotImplementedError

    def build(self, row: Any) -> list[Dict]:
        raise NotImplementedError

    def narrowed(self, rows: QuerySet[Any], search: Search) -> QuerySet[Any]:
        for asked in search.asked:
            rows = rows.filter(self.condition(asked.name)(asked))
        return rows

    def condition(self, name: str) -> Condition:
        return {"_id": by_id(), "_lastUpdated": by_date("updated"), **self.conditions}[name]

    def of_patients(self, rows: QuerySet[Any], patients: list[UUID]) -> QuerySet[Any]:
        return rows.filter(patient__in=patients)

    def find(self, actor: Actor, key: str) -> tuple[Any, Dict] | None:
        """The row and the resource with this id, where the actor may see it. Raises RecordErased."""
        pk = as_uuid(key)
        row = self.rows(actor).filter(pk=pk).first() if pk else None
        if row is None:
            return None
        refuse_erased(row)
        return row, self.build(row)[0]

    def patient_of(self, row: Any) -> UUID | None:
        found: UUID | None = row.patient_id
        return found

    @property
    def known(self) -> set[str]:
        return {"_id", "_lastUpdated", *self.conditions}

    @property
    def table(self) -> str:
        return str(self.model._meta.db_table)

    def position(self, row: Any) -> tuple[str, str]:
        return getattr(row, self.moment).isoformat(), str(row.pk)

    def from_position(self, rows: QuerySet[Any], at: str, key: str) -> QuerySet[Any]:
        """From the row at this position on, with it."""
        return rows.filter(Q(**{f"{self.moment}__lt": at}) | Q(**{self.moment: at, "pk__lte": key}))

    def in_order(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        return rows.order_by(f"-{self.moment}", "-pk")


def without_erased(rows: QuerySet[Any]) -> QuerySet[Any]:
    """Rows of a clinic; of others, and of the ledger, all stay."""
    return rows.without_erased() if isinstance(rows, ClinicQuerySet) else rows


def latest(*columns: str) -> Any:
    """Of these times the last; those that are not yet are left out, as Postgres does."""
    if len(columns) == 1:
        return F(columns[0])
    return Greatest(*columns, output_field=DateTimeField())
