"""The clinic's whole ledger: who did and saw what, whether it is sealed, and whether it is what was sealed."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from patients.forms import SearchForm
from patients.models import Patient
from screening.deeds import bare_line_of
from screening.models import Screening
from screening.views.history import LedgerForm, history_page, history_table, without_hidden
from skinclinic.accounts.permissions import member_required
from skinclinic.audit.acting import AUDITOR, MANAGER, Actor
from skinclinic.audit.models import AuditEvent, Verification
from skinclinic.audit.record import record, record_page
from skinclinic.audit.sealing import ask_to_verify, seal_state
from skinclinic.errors import ClinicError

FOUND, VERIFIED = 10, 5


@require_GET
@member_required(MANAGER, AUDITOR)
def ledger(request: HttpRequest) -> HttpResponse:
    """Of a patient's record it tells that something was done; what that was stands in her history."""
    events = AuditEvent.objects.visible_to(request.actor)
    waiting = Screening.objects.visible_to(request.actor).to_be_reviewed()
    events = without_hidden(events, request.actor, waiting)
    if "csv" in request.GET:
        return history_table(request, events, bare_line_of, LedgerForm)
    record("ledger_seen", detail={"asked": request.GET.urlencode()})
    page = history_page(request, events, bare_line_of, LedgerForm)
    return render(request, "screening/ledger.html", {**page, **seals_for(request.actor)})


def seals_for(actor: Actor) -> dict[str, object]:
    verified = list(Verification.objects.visible_to(actor).newest_first()[:VERIFIED])
    return {"seals": seal_state(), "verified": verified, "is_verifying": any(not row.finished_at for row in verified)}


@require_GET
@member_required(MANAGER, AUDITOR)
def ledger_seals(request: HttpRequest) -> HttpResponse:
    return render(request, "screening/_seals.html", seals_for(request.actor))


@require_POST
@member_required(MANAGER, AUDITOR)
def ledger_patients(request: HttpRequest) -> HttpResponse:
    """Whose histories there are; a POST, since a name is searched for."""
    form = SearchForm(request.POST)
    found: list[Patient] = []
    if form.is_valid() and form.cleaned_data["words"]:
        patients = Patient.objects.visible_to(request.actor).with_identity().by_name()
        found = list(patients.matching(form.cleaned_data["words"])[:FOUND])
    record_page("patients_listed", subject_type="patients_patient", ids=[patient.pk for patient in found])
    return render(request, "screening/_ledger_patients.html", {"found": found})


@require_POST
@member_required(MANAGER, AUDITOR)
def ledger_verify(request: HttpRequest) -> HttpResponse:
    try:
        ask_to_verify(actor=request.actor)
        messages.success(request, _("The ledger is being verified; a worker begins within a few seconds."))
    except ClinicError as refusal:
        messages.info(request, str(refusal))
    return redirect("ledger")
