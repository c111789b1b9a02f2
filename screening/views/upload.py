"""Photographs on their way in. A view here opens its own short transactions: none while a slow line sends."""

import zoneinfo
from dataclasses import dataclass
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.core.files.uploadedfile import UploadedFile
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from patients.models import Lesion, Visit
from screening.codes import Finding, PhotographKind
from screening.images import CleanPhotograph, clean_photograph, file_name
from screening.models import Screening
from screening.services.photographs import add_overview, add_photograph, duplicates_of
from screening.status import ReadingStatus
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
    if not request.user.is_authenticated:
        return redirect_to_login(reverse("visit", args=[visit_id]))
    files = request.FILES.getlist("photographs")
    with request_acting(request):
        visit, _lesion = visit_and_lesion(request, visit_id)
        zone = zoneinfo.ZoneInfo(request.clinic.time_zone)
    outcomes = [take_one(request, visit_id, file, zone, sent_with(request, files)) for file in files]
    if "application/json" in request.headers.get("Accept", ""):
        return as_json(outcomes)
    for outcome in outcomes:
        tell(request, outcome)
    if not outcomes:
        messages.error(request, _("No photograph was chosen."))
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


@dataclass(frozen=True)
class Sent:
    """What the form says of its files. `submission` is a file's own number: sent twice, it is stored once."""

    is_overview: bool
    findings: list[str]
    submission: UUID | None


def sent_with(request: HttpRequest, files: list[UploadedFile]) -> Sent:
    """What the browser sends was ticked in our form; a word that is none of ours was not, and says nothing."""
    return Sent(
        is_overview=request.POST.get("kind") == PhotographKind.OVERVIEW,
        findings=sorted(set(request.POST.getlist("findings")) & set(Finding.values)),
        submission=uuid_or_none(request.POST.get("submission")) if len(files) == 1 else None,
    )


def take_one(
    request: HttpRequest, visit_id: UUID, file: UploadedFile, zone: zoneinfo.ZoneInfo, sent: Sent
) -> dict[str, object]:
    """One file's outcome: where the photograph is, or the sentence why it is not taken."""
    name = file_name(file.name or "")
    try:
        clean = clean_photograph(file, zone=zone, takes_dicom=True)
        with request_acting(request):
            return stored(request, visit_id, clean, name, sent)
    except ClinicError as refusal:
        code = getattr(refusal, "code", "refused")
        with request_acting(request):
            record("upload_refused", subject_type="patients_visit", subject_id=visit_id, detail={"reason": code})
        return {"name": name, "refused": str(refusal)}


def stored(request: HttpRequest, visit_id: UUID, clean: CleanPhotograph, name: str, sent: Sent) -> dict[str, object]:
    visit, lesion = visit_and_lesion(request, visit_id)
    given = {
        "actor": request.actor,
        "visit": visit,
        "lesion": lesion,
        "clean": clean,
        "original_name": name,
        "submission": sent.submission,
    }
    if sent.is_overview:
        overview = add_overview(**given)
        image, url, said = (
            overview.image,
            reverse("overview", args=[overview.pk]),
            _("Stored as an overview photograph."),
        )
    else:
        screening = add_photograph(**given, findings=sent.findings)
        image, url, said = screening.image, reverse("screening", args=[screening.pk]), said_of(screening)
    duplicate = duplicates_of(image).exists()
    if duplicate:
        said = _("Stored, but this patient has the same photograph already: withdraw it if it was sent twice.")
    return {"name": name, "url": url, "said": said, "duplicate": duplicate}


def said_of(screening: Screening) -> str:
    if screening.reading_status == ReadingStatus.NOT_WANTED:
        return _("Stored; it is not read, since no consent to that is recorded.")
    return _("Stored; it waits to be read.")


def as_json(outcomes: list[dict[str, object]]) -> JsonResponse:
    refused_only = bool(outcomes) and all("refused" in outcome for outcome in outcomes)
    status = 422 if refused_only else 400 if not outcomes else 201
    return JsonResponse({"photographs": outcomes}, status=status)


def tell(request: HttpRequest, outcome: dict[str, object]) -> None:
    level = messages.ERROR if "refused" in outcome else messages.WARNING if outcome["duplicate"] else messages.SUCCESS
    messages.add_message(request, level, f"{outcome['name']}: {outcome.get('refused') or outcome['said']}")
