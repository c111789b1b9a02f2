"""Records whose time has ended: a manager asks for their erasure, and another person agrees under Erasures."""

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods

from patients.codes import ErasureReason
from screening.services.erasing import ask_erasure
from screening.services.retention import past_retention
from skinclinic.accounts.permissions import member_required
from skinclinic.audit.acting import MANAGER
from skinclinic.audit.record import record_page
from skinclinic.errors import ClinicError
from skinclinic.text import uuids

PAGE = 100


@require_http_methods(["GET", "POST"])
@member_required(MANAGER)
def retention(request: HttpRequest) -> HttpResponse:
    if request.method == "POST":
        return ask_for(request)
    found = past_retention(actor=request.actor, clinic=request.clinic).with_identity()
    page = Paginator(found, PAGE).get_page(request.GET.get("page"))
    record_page("retention_listed", subject_type="patients_patient", ids=[patient.pk for patient in page])
    return render(request, "dashboard/retention.html", {"page": page, "years": request.clinic.retention_years})


def ask_for(request: HttpRequest) -> HttpResponse:
    """Of those that were ticked, whoever is still past her time; each is asked for or refused alone."""
    keys = uuids(request.POST.getlist("patients")[:PAGE])
    asked, refusals = 0, set()
    for patient in past_retention(actor=request.actor, clinic=request.clinic).filter(pk__in=keys):
        try:
            ask_erasure(actor=request.actor, patient=patient, reason=ErasureReason.RETENTION)
            asked += 1
        except ClinicError as refusal:
            refusals.add(str(refusal))
    for refusal in sorted(refusals):
        messages.error(request, refusal)
    if asked:
        messages.success(request, said(asked))
    return redirect("erasures" if asked else "retention")


def said(count: int) -> str:
    sentence = ngettext(
        "%(count)s erasure is asked for. Another manager or a reviewer has to agree.",
        "%(count)s erasures are asked for. Another manager or a reviewer has to agree.",
        count,
    )
    return sentence % {"count": count}
