"""Tables that leave the clinic as files, and the days that they are of."""

import csv
import io
import tempfile
from collections.abc import Iterable, Sequence
from datetime import date, datetime, time, timedelta
from typing import Protocol

from django.http import FileResponse, HttpResponse
from django.utils import timezone

# A cell that begins so is a formula to a spreadsheet.
FORMULA = ("=", "+", "-", "@", "\t", "\r")
CSV = "text/csv; charset=utf-8"
KEPT_IN_MEMORY = 1_000_000  # bytes; what is larger waits on the disk to be fetched

Columns, Rows = Sequence[object], Iterable[Sequence[object]]


class Writable(Protocol):
    def write(self, text: str, /) -> object: ...


def table_response(name: str, columns: Columns, rows: Rows) -> HttpResponse:
    """A CSV file called after `name` and today; texts that a spreadsheet would run are made harmless."""
    response = HttpResponse(content_type=CSV)
    response["Content-Disposition"] = f'attachment; filename="{file_name(name)}"'
    write_table(response, columns, rows)
    return response


def table_file(name: str, columns: Columns, rows: Rows) -> tuple[FileResponse, int]:
    """Likewise of a table of any length, and how many lines it has."""
    whole = tempfile.SpooledTemporaryFile(KEPT_IN_MEMORY)  # noqa: SIM115 (the response closes it)
    text = io.TextIOWrapper(whole, encoding="utf-8", newline="", write_through=True)  # type: ignore[type-var]
    lines = write_table(text, columns, rows)
    text.detach()
    whole.seek(0)
    return FileResponse(whole, as_attachment=True, filename=file_name(name), content_type=CSV), lines


def as_csv(columns: Columns, rows: Rows) -> str:
    text = io.StringIO(newline="")
    write_table(text, columns, rows)
    return text.getvalue()


def write_table(target: Writable, columns: Columns, rows: Rows) -> int:
    writer, lines = csv.writer(target), 0
    writer.writerow(map(str, columns))
    for row in rows:
        writer.writerow([harmless(cell) for cell in row])
        lines += 1
    return lines


def file_name(name: str) -> str:
    return f"{name}-{timezone.localdate():%Y-%m-%d}.csv"


def harmless(cell: object) -> object:
    """A spreadsheet must not run what somebody typed."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA) else cell


def begins(day: date | None) -> datetime | None:
    """Its first moment in the clinic's zone."""
    return timezone.make_aware(datetime.combine(day, time.min)) if day else None


def ends(day: date | None) -> datetime | None:
    """The first moment after it."""
    return begins(day + timedelta(days=1)) if day else None
