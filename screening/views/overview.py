"""An overview photograph: where a lesion sits. And the scale of a photograph that is read."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from screening.forms import ScaleForm, WithdrawForm
from screening.models import Overview, Screening
from screening.services.photographs import Points, set_scale, withdraw_overview
from skinclinic.accounts.permissions import get_visible, member_required
from skinclinic.audit.acting import CLINICIAN, REVIEWER, acting
from skinclinic.audit.record import record
from skinclinic.errors import ClinicError


@require_GET
@member_required()
def overview(request: HttpRequest, overview_id: UUID) -> HttpResponse:
    shown = get_overview(request, overview_id)
    record("overview_seen", subject_type="screening_overview", subject_id=shown.pk, patient_id=shown.patient_id)
    return render(request, "screening/overview.html", overview_context(request, shown, WithdrawForm()))


def get_overview(request: HttpRequest, overview_id: UUID) -> Overview:
    overviews = Overview.objects.select_related("image__lesion", "patient__identity", "visit")
    return get_visible(overviews, request.actor, overview_id)


def overview_context(request: HttpRequest, shown: Overview, form: WithdrawForm) -> dict[str, object]:
    return {
        "overview": shown,
        "patient": shown.patient,
        "form": form,
        "may_withdraw": not shown.is_withdrawn and request.actor.has_role(CLINICIAN, REVIEWER),
    }


@require_POST
@member_required(CLINICIAN, REVIEWER)
def overview_withdraw(request: HttpRequest, overview_id: UUID) -> HttpResponse:
    shown = get_overview(request, overview_id)
    form = WithdrawForm(request.POST)
    if form.is_valid():
        try:
            with acting(request.actor, reason=form.cleaned_data["reason"]):
                withdraw_overview(actor=request.actor, overview=shown, **form.cleaned_data)
            messages.success(request, _("The photograph is withdrawn. It stays on record, on no page."))
        except ClinicError as refusal:
            messages.error(request, str(refusal))
        return redirect("visit", shown.visit_id)
    return render(request, "screening/overview.html", overview_context(request, shown, form))


@require_POST
@member_required(CLINICIAN, REVIEWER)
def scale_set(request: HttpRequest, screening_id: UUID) -> HttpResponse:
    """Two points marked on the photograph, and how far apart they are on the skin."""
    shown = get_visible(Screening.objects.select_related("image"), request.actor, screening_id)
    form = ScaleForm(request.POST)
    if form.is_valid():
        cleaned = form.cleaned_data
        points = Points(**{name: cleaned[name] for name in Points.__dataclass_fields__})
        set_scale(
            actor=request.actor,
            image=shown.image,
            submission=cleaned["submission"],
            points=points,
            millimetres=cleaned["millimetres"],
        )
        messages.success(request, _("The scale is kept. Distances on this photograph are told in millimetres now."))
    else:
        messages.error(request, " ".join(error for errors in form.errors.values() for error in errors))
    return redirect("screening", shown.pk)
