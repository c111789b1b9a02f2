"""Bulk import: what a table takes, the report of one that was sent, and the word to begin."""

import csv
from collections.abc import Iterable
from uuid import UUID, uuid4

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from patients.models import Patient
from screening.images import MAX_BYTES
from screening.import_report import Line, Verdict, assess, count
from screening.import_table import COLUMNS, EXAMPLE, MOST_ROWS, NAMES
from screening.importing import ImportRowStatus
from screening.models import ImportBatch, ImportRow
from screening.services.importing import (
    answer_likely,
    confirm_import,
    drop_import,
    most_bytes,
)
from screening.tables import table_response
from skinclinic.accounts.permissions import get_visible, member_required
from skinclinic.audit.acting import CLINICIAN
from skinclinic.audit.record import record
from skinclinic.errors import ClinicError

PAGE = 100
ASKED_AT_ONCE = 50
SHOWN = {"problems": lambda line: line.is_problem, "waiting": lambda line: line.verdict == Verdict.WAITING}


@require_GET
@member_required(CLINICIAN)
def imports(request: HttpRequest) -> HttpResponse:
    """What an import takes, and those that were begun."""
    batches = ImportBatch.objects.visible_to(request.actor).select_related("started_by")
    context = {
        "batches": batches.annotate(row_count=Count("rows"))[:20],
        "columns": [(column, EXAMPLE.get(column.name, "")) for column in COLUMNS],
        "most_rows": MOST_ROWS,
        "submission": uuid4(),
    }
    return render(request, "screening/imports.html", context)


@require_GET
@member_required(CLINICIAN)
def import_template(request: HttpRequest) -> HttpResponse:
    """The header alone: an example left in it would be imported. The mark before it tells Excel that it is UTF-8."""
    response = HttpResponse("\ufeff", content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = 'attachment; filename="import.csv"'
    csv.writer(response).writerow(NAMES)
    return response


def get_batch(request: HttpRequest, batch_id: UUID) -> ImportBatch:
    return get_visible(ImportBatch.objects.select_related("started_by"), request.actor, batch_id)


def lines_of(batch: ImportBatch) -> list[Line]:
    return assess(ImportRow.objects.filter(batch=batch).select_related("patient__identity").in_order())


@require_GET
@member_required(CLINICIAN)
def import_batch(request: HttpRequest, batch_id: UUID) -> HttpResponse:
    batch = get_batch(request, batch_id)
    lines = lines_of(batch)
    show = request.GET.get("show", "")
    shown = list(filter(SHOWN[show], lines)) if show in SHOWN else lines
    page = Paginator(shown, PAGE).get_page(request.GET.get("page"))
    asked = asked_of(lines)
    seen = {line.row.patient_id for line in page} | {patient.pk for each in asked for patient in each["patients"]}
    record_look("import_seen", batch, seen)
    context = {
        "batch": batch,
        "page": page,
        "show": show if show in SHOWN else "",
        "counts": count(lines),
        "asked": asked,
        "largest": MAX_BYTES,
        "most": most_bytes(),
        "left": most_bytes() - sum(line.row.size for line in lines),
        "progress": progress_of(batch),
    }
    return render(request, "screening/import_batch.html", context)


def record_look(action: str, batch: ImportBatch, patients: Iterable[UUID | None]) -> None:
    """What names those of its patients who are in the record already."""
    known = sorted(str(key) for key in patients if key)
    record(action, subject_type="screening_importbatch", subject_id=batch.pk, detail={"patients": known})


def asked_of(lines: list[Line]) -> list[dict[str, object]]:
    """New patients who resemble others, once each; those that nobody answered for yet come first.

    A row that is refused asks for nothing more: what is wrong with it is to be put right first.
    """
    people = {}
    for line in lines:
        row = line.row
        is_open = row.status == ImportRowStatus.OPEN and line.verdict != Verdict.REFUSED
        if is_open and line.entry and (row.likely_patients or row.likely_rows):
            people.setdefault(row.person, line)
    found = sorted(people.values(), key=lambda line: (line.row.is_another, line.row.number))[:ASKED_AT_ONCE]
    ids = {key for line in found for key in line.row.likely_patients}
    patients = {patient.pk: patient for patient in Patient.objects.filter(pk__in=ids).with_identity()}
    return [
        {"line": line, "patients": [patients[key] for key in line.row.likely_patients if key in patients]}
        for line in found
    ]


def progress_of(batch: ImportBatch) -> dict[str, int]:
    statuses = {status: Count("pk", filter=Q(status=status)) for status in ImportRowStatus.values}
    found = ImportRow.objects.filter(batch=batch).aggregate(rows=Count("pk"), **statuses)
    return {**found, "decided": found["rows"] - found[ImportRowStatus.OPEN]}


@require_GET
@member_required(CLINICIAN)
def import_live(request: HttpRequest, batch_id: UUID) -> HttpResponse:
    """How far it is; asked for every few seconds, so not recorded."""
    batch = get_batch(request, batch_id)
    context = {"batch": batch, "progress": progress_of(batch), "is_live": True}
    return render(request, "screening/_import_progress.html", context)


@require_GET
@member_required(CLINICIAN)
def import_needed(request: HttpRequest, batch_id: UUID) -> JsonResponse:
    """The names of the files that rows wait for, so that no other leaves the clinician's machine."""
    batch = get_batch(request, batch_id)
    rows = list(ImportRow.objects.open().filter(batch=batch, photograph="").exclude(file_key=""))
    record_look("import_files_seen", batch, {row.patient_id for row in rows})
    return JsonResponse({"names": [row.file_key for row in rows]})


@require_GET
@member_required(CLINICIAN)
def import_report(request: HttpRequest, batch_id: UUID) -> HttpResponse:
    batch = get_batch(request, batch_id)
    lines = lines_of(batch)
    record_look("import_report_taken", batch, {line.row.patient_id for line in lines})
    columns = ("row", "file", "record_number", "patient", "lesion", "outcome", "why")
    return table_response("import-report", columns, map(cells_of, lines))


def cells_of(line: Line) -> list[object]:
    cells = line.row.cells
    name = ", ".join(filter(None, (cells.get("family_name"), cells.get("given_name"))))
    told = (cells.get("file", ""), cells.get("record_number", ""), name, cells.get("lesion", ""))
    return [line.row.number, *told, str(line.verdict.label), line.said]


@require_POST
@member_required(CLINICIAN)
def import_answer(request: HttpRequest, batch_id: UUID) -> HttpResponse:
    batch = get_batch(request, batch_id)
    asked, another = (
        {int(number) for number in request.POST.getlist(name) if number.isdecimal() and len(number) < 6}
        for name in ("asked", "another")
    )
    answer_likely(batch=batch, asked=asked, another=another)
    messages.success(request, _("Your answers are kept."))
    return redirect("import_batch", batch.pk)


@require_POST
@member_required(CLINICIAN)
def import_confirm(request: HttpRequest, batch_id: UUID) -> HttpResponse:
    batch = get_batch(request, batch_id)
    try:
        confirm_import(actor=request.actor, batch=batch)
    except ClinicError as refusal:
        messages.error(request, str(refusal))
    return redirect("import_batch", batch.pk)


@require_POST
@member_required(CLINICIAN)
def import_drop(request: HttpRequest, batch_id: UUID) -> HttpResponse:
    batch = get_batch(request, batch_id)
    try:
        drop_import(batch=batch)
    except ClinicError as refusal:
        messages.error(request, str(refusal))
        return redirect("import_batch", batch.pk)
    messages.success(request, _("The import is dropped. Nothing of it was in the record."))
    return redirect("imports")
