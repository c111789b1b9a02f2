"""A photograph that does not belong where it is: withdrawn, or moved to its own patient, visit or lesion."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from patients.forms import SearchForm
from patients.models import Patient
from screening.forms import MoveForm, WithdrawForm
from screening.models import Screening
from screening.services.photographs import move_screening, withdraw_screening
from skinclinic.accounts.permissions import get_visible, member_required
from skinclinic.audit.acting import CLINICIAN, REVIEWER, acting
from skinclinic.errors import ClinicError


@require_http_methods(["GET", "POST"])
@member_required(CLINICIAN, REVIEWER)
def screening_withdraw(request: HttpRequest, screening_id: UUID) -> HttpResponse:
    """Withdraw, here; the same page leads on to moving, where the right patient is searched for."""
    shown = get_visible(Screening.objects.with_everything(), request.actor, screening_id)
    form = WithdrawForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            with acting(request.actor, reason=form.cleaned_data["reason"]):
                withdraw_screening(actor=request.actor, screening=shown, **form.cleaned_data)
        except ClinicError as refusal:
            form.add_error(None, str(refusal))
        else:
            messages.success(request, _("The screening is withdrawn. It stays on record, on no list."))
            return redirect("patient_chart", shown.patient_id)
    context = {"screening": shown, "patient": shown.patient, "form": form, "search": SearchForm()}
    return render(request, "screening/withdraw.html", context)


@require_POST
@member_required(CLINICIAN, REVIEWER)
def move_search(request: HttpRequest, screening_id: UUID) -> HttpResponse:
    """Patients whose this photograph might be; a POST, since a name is searched for."""
    shown = get_visible(Screening.objects.all(), request.actor, screening_id)
    form = SearchForm(request.POST)
    found: list[Patient] = []
    if form.is_valid() and form.cleaned_data["words"]:
        patients = Patient.objects.visible_to(request.actor).current().with_identity().by_name()
        found = list(patients.matching(form.cleaned_data["words"])[:10])
    return render(request, "screening/_move_search.html", {"screening": shown, "found": found, "searched": True})


@require_http_methods(["GET", "POST"])
@member_required(CLINICIAN, REVIEWER)
def screening_move(request: HttpRequest, screening_id: UUID, patient_id: UUID) -> HttpResponse:
    """Move to another patient's visit and lesion, or to another lesion of the same patient."""
    shown = get_visible(Screening.objects.with_everything(), request.actor, screening_id)
    target = get_visible(Patient.objects.with_identity(), request.actor, patient_id)
    form = MoveForm(request.POST or None, patient=target)
    if request.method == "POST" and form.is_valid():
        try:
            with acting(request.actor, reason=form.cleaned_data["reason"]):
                moved = move_screening(actor=request.actor, screening=shown, **form.cleaned_data)
        except ClinicError as refusal:
            form.add_error(None, str(refusal))
        else:
            messages.success(request, _("The photograph is moved, and will be read there."))
            return redirect("screening", moved.pk)
    context = {"screening": shown, "patient": shown.patient, "target": target, "form": form}
    return render(request, "screening/move.html", context)
