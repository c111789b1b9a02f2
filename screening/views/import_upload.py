"""What comes in for a bulk import. A view here opens its own short transactions: none while a slow line sends."""

import zoneinfo
from uuid import UUID, uuid4

from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.core.files.uploadedfile import UploadedFile
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from screening.images import PhotographRefused, clean_photograph, file_name
from screening.import_table import MOST_BYTES
from screening.models import ImportBatch
from screening.services.importing import keep_photograph, refuse_photograph, start_import
from screening.views.upload import as_json
from skinclinic.accounts.middleware import request_acting
from skinclinic.accounts.permissions import get_visible, require_role, require_same_clinic
from skinclinic.audit.acting import CLINICIAN
from skinclinic.audit.record import record
from skinclinic.errors import ClinicError
from skinclinic.text import uuid_or_none


def may_import(request: HttpRequest) -> None:
    """The door of the views that open their own transactions."""
    if not request.actor.is_member:
        raise Http404
    require_role(request.actor, CLINICIAN)
    require_same_clinic(request)


def batch_of(request: HttpRequest, batch_id: UUID) -> ImportBatch:
    may_import(request)
    return get_visible(ImportBatch.objects.all(), request.actor, batch_id)


@require_POST
def import_start(request: HttpRequest) -> HttpResponse:
    if not request.user.is_authenticated:
        return redirect_to_login(reverse("imports"))
    table = request.FILES.get("table")
    data = table.read(MOST_BYTES + 1) if table else b""
    with request_acting(request):
        may_import(request)
        try:
            submission = uuid_or_none(request.POST.get("submission")) or uuid4()
            batch = start_import(actor=request.actor, submission=submission, table=data)
        except ClinicError as refusal:
            messages.error(request, str(refusal))
            return redirect("imports")
    return redirect("import_batch", batch.pk)


import_start.own_transaction = True


@require_POST
def import_photographs(request: HttpRequest, batch_id: UUID) -> HttpResponse:
    """Photographs for rows that name them. The script sends one a request and asks for JSON."""
    if not request.user.is_authenticated:
        return redirect_to_login(reverse("import_batch", args=[batch_id]))
    files = request.FILES.getlist("photographs")
    with request_acting(request):
        batch_of(request, batch_id)
        zone = zoneinfo.ZoneInfo(request.clinic.time_zone)
    outcomes = [take_one(request, batch_id, file, zone) for file in files]
    if "application/json" in request.headers.get("Accept", ""):
        return as_json(outcomes)
    for outcome in outcomes:
        if "refused" in outcome:
            messages.error(request, f"{outcome['name']}: {outcome['refused']}")
    return redirect("import_batch", batch_id)


import_photographs.own_transaction = True


def take_one(request: HttpRequest, batch_id: UUID, file: UploadedFile, zone: zoneinfo.ZoneInfo) -> dict[str, object]:
    name = file.name or ""
    shown = file_name(name)
    try:
        clean = clean_photograph(file, zone=zone)
        with request_acting(request):
            keep_photograph(batch=batch_of(request, batch_id), name=name, clean=clean)
    except ClinicError as refusal:
        code = getattr(refusal, "code", "refused")
        with request_acting(request):
            batch = batch_of(request, batch_id)
            record("upload_refused", subject_type="screening_importbatch", subject_id=batch.pk, detail={"reason": code})
        return {"name": shown, "refused": said_in_row(request, batch, name, refusal)}
    return {"name": shown, "said": _("Kept beside its row.")}


def said_in_row(request: HttpRequest, batch: ImportBatch, name: str, refusal: ClinicError) -> str:
    """The row says so, too, where there is one; where there is none, that is what is told."""
    if not isinstance(refusal, PhotographRefused):
        return str(refusal)
    try:
        with request_acting(request):
            refuse_photograph(batch=batch, name=name, refusal=refusal)
    except ClinicError as without_row:
        return str(without_row)
    return str(refusal)
