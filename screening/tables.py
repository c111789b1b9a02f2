"""Tables that leave the clinic as files."""

import csv
from collections.abc import Iterable, Sequence

from django.http import HttpResponse
from django.utils import timezone

# A cell that begins so is a formula to a spreadsheet.
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def table_response(name: str, columns: Sequence[object], rows: Iterable[Sequence[object]]) -> HttpResponse:
    """A CSV file called after `name` and today; texts that a spreadsheet would run are made harmless."""
    response = HttpResponse(content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}-{timezone.localdate():%Y-%m-%d}.csv"'
    writer = csv.writer(response)
    writer.writerow(map(str, columns))
    writer.writerows([harmless(cell) for cell in row] for row in rows)
    return response


def harmless(cell: object) -> object:
    """A spreadsheet must not run what somebody typed."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA) else cell
