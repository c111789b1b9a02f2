"""A clinic's folder and table, sent through the pages as a browser sends them."""

import csv
import io
from collections.abc import Callable
from uuid import uuid4

from django.apps import apps
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection

from conftest import Cast, Person
from screening.import_report import Line, assess
from screening.models import ImportBatch, ImportRow
from screening.services.importing import import_next
from screening.tests.conftest import the_only

ERNA = {
    "file": "erna-1.jpg", "record_number": "R-4711", "family_name": "Winterbottom", "given_name": "Erna",
    "birth_date": "1961-04-30", "lesion": "A", "site": "back", "laterality": "left", "date": "2024-03-01",
    "sex": "female", "skin_type": "II", "kind": "", "consent_reading": "given", "consent_date": "2024-02-29",
    "question": "",
}  # fmt: skip
JOSEF = ERNA | {
    "file": "josef-1.jpg", "record_number": "R-4712", "family_name": "Autumnbottom", "given_name": "Josef",
    "birth_date": "12.11.1948", "sex": "male", "consent_reading": "", "consent_date": "",
}  # fmt: skip
# What only the import itself writes; everything else is the record.
OF_THE_IMPORT = {"screening_importbatch", "screening_importrow", "screening_storedfile", "screening_storedchunk"}


def table_of(*rows: dict[str, str], columns: tuple[str, ...] = tuple(ERNA), delimiter: str = ",") -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, delimiter=delimiter, extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def send_table(person: Person, table: bytes, **fields: str):
    given = {"table": SimpleUploadedFile("t.csv", table), "clinic": str(person.actor.clinic_id)} | fields
    return person.client.post("/imports/start/", given)


def begin(cast: Cast, *rows: dict[str, str]) -> ImportBatch:
    """The dry run of a table that is taken."""
    with cast.in_north():
        before = set(ImportBatch.objects.values_list("pk", flat=True))
    response = send_table(cast.alice, table_of(*rows), submission=str(uuid4()))
    assert response.status_code == 302, response.content
    with cast.in_north():
        return ImportBatch.objects.exclude(pk__in=before).get()


def refused_table(cast: Cast, table: bytes) -> str:
    """The sentence why it is not taken."""
    response = send_table(cast.alice, table)
    assert response["Location"] == "/imports/"
    with cast.in_north():
        assert not ImportBatch.objects.exists()
    (message,) = response.wsgi_request._messages
    return str(message)


def send_photograph(cast: Cast, batch: ImportBatch, name: str, data: bytes):
    return cast.alice.client.post(
        f"/imports/{batch.pk}/photographs/",
        {"photographs": SimpleUploadedFile(name, data), "clinic": str(cast.north.pk)},
        headers={"Accept": "application/json"},
    )


def send_all(cast: Cast, batch: ImportBatch, draw: Callable[[], bytes]) -> dict[str, bytes]:
    """A photograph of its own for each row that waits for one."""
    names = cast.alice.client.get(f"/imports/{batch.pk}/needed/").json()["names"]
    sent = {name: draw() for name in names}
    for name, data in sent.items():
        response = send_photograph(cast, batch, name, data)
        assert response.status_code == 201, response.content
    return sent


def post(cast: Cast, batch: ImportBatch, what: str, **fields):
    return cast.alice.client.post(f"/imports/{batch.pk}/{what}/", {"clinic": str(cast.north.pk)} | fields)


def run(batch: ImportBatch) -> None:
    """What the workers do, here and now."""
    while import_next(batch_id=batch.pk, clinic_id=batch.clinic_id):
        pass


def import_rows(cast: Cast, draw: Callable[[], bytes], *rows: dict[str, str]) -> ImportBatch:
    batch = begin(cast, *rows)
    send_all(cast, batch, draw)
    post(cast, batch, "confirm")
    run(batch)
    return batch


def lines_of(cast: Cast, batch: ImportBatch) -> list[Line]:
    with cast.in_north():
        return assess(ImportRow.objects.filter(batch=batch).in_order())


def verdicts(cast: Cast, batch: ImportBatch) -> list[str]:
    return [str(line.verdict) for line in lines_of(cast, batch)]


def said(cast: Cast, batch: ImportBatch) -> list[str]:
    return [line.said for line in lines_of(cast, batch)]


def refusal_of(cast: Cast, **cells: str) -> str:
    """Why the one row that differs from Erna's in these cells is refused."""
    (line,) = lines_of(cast, begin(cast, ERNA | cells))
    assert line.verdict == "refused"
    return line.said


def status_of(cast: Cast) -> str:
    return the_only(cast, ImportBatch).status


def record_counts() -> dict[str, int]:
    """Rows of every table of the record, past the policies of any clinic but North's."""
    models = [model for label in ("patients", "screening") for model in apps.get_app_config(label).get_models()]
    tables = {model._meta.db_table for model in models} - OF_THE_IMPORT
    counted = {}
    with connection.cursor() as cursor:
        for table in sorted(tables):
            cursor.execute(f"SELECT count(*) FROM {table}")
            counted[table] = cursor.fetchone()[0]
    return counted
