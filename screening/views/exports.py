"""What leaves the clinic: tables of the record, and the research set; each for a reason that the ledger keeps."""

import zipfile
from collections.abc import Iterator
from uuid import UUID

from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST
from zipstream import ZipStream

from screening.exports import EXPORTS
from screening.forms import ExportForm, ResearchForm
from screening.models import LesionImage
from screening.research import COLUMNS, ResearchSet, research_set, row_of
from screening.tables import as_csv, begins, ends, table_file
from skinclinic.accounts.permissions import member_required
from skinclinic.audit.acting import AUDITOR, MANAGER, Actor, acting
from skinclinic.audit.record import record


@require_GET
@member_required(MANAGER, AUDITOR)
def exports(request: HttpRequest) -> HttpResponse:
    return show(request)


def show(request: HttpRequest, *, form: ExportForm | None = None, research: ResearchForm | None = None) -> HttpResponse:
    """`?count`: what the research set holds now, which takes seconds in a large clinic."""
    is_manager = request.actor.has_role(MANAGER)
    context = {
        "form": form or ExportForm(),
        "research_form": research or ResearchForm(),
        "is_manager": is_manager,
        "research": research_set(request.actor) if is_manager and "count" in request.GET else None,
    }
    return render(request, "dashboard/exports.html", context)


@require_POST
@member_required(MANAGER, AUDITOR)
def table_export(request: HttpRequest) -> HttpResponseBase:
    form = ExportForm(request.POST)
    if not form.is_valid():
        return show(request, form=form)
    asked = form.cleaned_data
    export, since, until = EXPORTS[asked["table"]], begins(asked["since"]), ends(asked["until"])
    with acting(request.actor, reason=asked["reason"]):
        answer, lines = table_file(asked["table"], export.names, export.lines(request.actor, since, until))
        told = {"table": asked["table"], "lines": lines, "since": asked["since"], "until": asked["until"]}
        record("table_exported", detail=told)
    return answer


@require_POST
@member_required(MANAGER)
def research_export(request: HttpRequest) -> HttpResponseBase:
    form = ResearchForm(request.POST)
    if not form.is_valid():
        return show(request, research=form)
    found = research_set(request.actor)
    with acting(request.actor, reason=form.cleaned_data["reason"]):
        record("research_exported", detail={"photographs": len(found.cases), "patients": found.patients})
    name = f"research-{timezone.localdate():%Y-%m-%d}"
    response = StreamingHttpResponse(packed(request.actor, found, name), content_type="application/zip")
    response["Content-Disposition"] = f'attachment; filename="{name}.zip"'
    return response


def packed(actor: Actor, found: ResearchSet, folder: str) -> Iterator[bytes]:
    """The ZIP, while it is being made. Photographs are packed as they are: JPEG grows no smaller."""
    pack = ZipStream(compress_type=zipfile.ZIP_STORED)
    about = render_to_string("screening/research_readme.txt", {"found": found, "day": timezone.localdate()})
    table = as_csv(COLUMNS, (row_of(case) for case, _image in found.cases))
    pack.add(about.encode(), f"{folder}/README.txt")
    pack.add(table.encode(), f"{folder}/cases.csv")
    for case, image in found.cases:
        pack.add(photograph(actor, image), f"{folder}/photographs/{case.image}")
    yield from pack


def photograph(actor: Actor, image: UUID) -> Iterator[bytes]:
    """Read when its turn has come."""
    with acting(actor):
        data = LesionImage.objects.visible_to(actor).get(pk=image).photograph.read()
    yield data
