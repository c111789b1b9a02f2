"""Photographs on their way in. A view here opens its own short transactions: none while a slow line sends."""

import zoneinfo
from uuid import UUID

from django.contrib import messages
from django.core.files.uploadedfile import UploadedFile
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from patients.models import Lesion, Visit
from screening.codes import Finding
from screening.images import CleanPhotograph, clean_photograph, file_name
from screening.services.photographs import add_photograph, duplicates_of
from skinclinic.accounts.middleware import request_acting
from skinclinic.accounts.permissions import get_visible, require_role, require_same_clinic
from skinclinic.audit.acting import CLINICIAN
from skinclinic.audit.record import record
from skinclinic.errors import ClinicError
from skinclinic.text import uuid_or_none


@require_POST
def photograph_upload(request: HttpRequest, visit_id: UUID) -> HttpResponse:
    """Take photographs of one lesion in this visit. Each has its own outcome; one refused does not hold up the others.

    The script sends one file a request and asks for JSON; the plain form sends several and is led back to the visit.
    """
    files = request.FILES.getlist("photographs")
    with request_acting(request):
        visit, _ = visit_and_lesion(request, visit_id)
        zone = zoneinfo.ZoneInfo(request.clinic.time_zone)
    # What the browser sends was ticked in our form; a word that is none of ours was not, and says nothing.
    findings = sorted(set(request.POST.getlist("findings")) & set(Finding.values))
    outcomes = [take_one(request, visit_id, file, zone, findings) for file in files]
    if "application/json" in request.headers.get("Accept", ""):
        return as_json(outcomes)
    for outcome in outcomes:
        tell(request, outcome)
    if not outcomes:
        messages.error(request, "No photograph was chosen.")
    return redirect("visit", visit.pk)


photograph_upload.own_transaction = True


def visit_and_lesion(request: HttpRequest, visit_id: UUID) -> tuple[Visit, Lesion]:
    """The visit of the URL and the lesion of the form, as far as this actor may add to them."""
    if not request.actor.is_member:
        raise Http404
    visit = get_visible(Visit.objects.select_related("patient"), request.actor, visit_id)
    require_role(request.actor, CLINICIAN)
    require_same_clinic(request)
    chosen = uuid_or_none(request.POST.get("lesion"))
    lesion = Lesion.objects.visible_to(request.actor).filter(patient=visit.patient_id, pk=chosen).first()
    if lesion is None:
        raise Http404
    return visit, lesion


def take_one(
    request: HttpRequest, visit_id: UUID, file: UploadedFile, zone: zoneinfo.ZoneInfo, findings: list[str]
) -> dict[str, object]:
    """One file's outcome: the new screening, or the sentence why there is none."""
    name = file_name(file.name or "")
    try:
        clean = clean_photograph(file, zone=zone)
        with request_acting(request):
            return stored(request, visit_id, clean, name, findings)
    except ClinicError as refusal:
        code = getattr(refusal, "code", "refused")
        with request_acting(request):
            record("upload_refused", subject_type="patients_visit", subject_id=visit_id, detail={"reason": code})
        return {"name": name, "refused": str(refusal)}


def stored(
    request: HttpRequest, visit_id: UUID, clean: CleanPhotograph, name: str, findings: list[str]
) -> dict[str, object]:
    visit, lesion = visit_and_lesion(request, visit_id)
    screening = add_photograph(
        actor=request.actor, visit=visit, lesion=lesion, clean=clean, original_name=name, findings=findings
    )
    return {
        "name": name,
        "screening": str(screening.pk),
        "url": reverse("screening", args=[screening.pk]),
        "duplicate": duplicates_of(screening.image).exists(),
    }


def as_json(outcomes: list[dict[str, object]]) -> JsonResponse:
    refused_only = bool(outcomes) and all("refused" in outcome for outcome in outcomes)
    status = 422 if refused_only else 400 if not outcomes else 201
    return JsonResponse({"photographs": outcomes}, status=status)


def tell(request: HttpRequest, outcome: dict[str, object]) -> None:
    if "refused" in outcome:
        messages.error(request, f"{outcome['name']}: {outcome['refused']}")
    elif outcome["duplicate"]:
        messages.warning(request, f"{outcome['name']} is stored, but this patient has the same photograph already.")
    else:
        messages.success(request, f"{outcome['name']} is stored and waits to be read.")
