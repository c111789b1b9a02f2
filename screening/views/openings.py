"""Restricted charts: the page that asks why, who restricts one, and the list of those who opened one."""

from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render, resolve_url
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from patients.models import ChartOpening, Patient
from patients.restricted import open_chart, restrict
from screening.codes import NoticeKind
from screening.services.notices import see_notices
from skinclinic.accounts.forms import ReasonForm
from skinclinic.accounts.permissions import get_visible, member_required
from skinclinic.audit.acting import AUDITOR, CLINICIAN, MANAGER, acting
from skinclinic.audit.record import record_page
from skinclinic.errors import ClinicError

PAGE = 50


@require_http_methods(["GET", "POST"])
@member_required()
def chart_open(request: HttpRequest, patient_id: UUID) -> HttpResponse:
    """Not by `get_visible`, which would ask for what is given here. Of the patient the page says nothing."""
    patient = Patient.objects.visible_to(request.actor).filter(pk=patient_id).first()
    if patient is None:
        raise Http404
    following = next_page(request, patient)
    if not patient.is_restricted or patient.erased_at:
        return redirect(following)
    form = ReasonForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        reason = form.cleaned_data["reason"]
        with acting(request.actor, reason=reason):
            open_chart(actor=request.actor, patient=patient, reason=reason)
        return redirect(following)
    return render(request, "patients/chart_open.html", {"form": form, "next": following})


def next_page(request: HttpRequest, patient: Patient) -> str:
    wanted = request.POST.get("next") or request.GET.get("next") or ""
    if url_has_allowed_host_and_scheme(wanted, {request.get_host()}, require_https=request.is_secure()):
        return wanted
    return resolve_url("patient_chart", patient.pk)


def restricting(*, restricted: bool):
    @require_POST
    @member_required(CLINICIAN, MANAGER)
    def view(request: HttpRequest, patient_id: UUID) -> HttpResponse:
        patient = get_visible(Patient.objects.all(), request.actor, patient_id)
        form = ReasonForm(request.POST)
        if not form.is_valid():
            kept = _("The reason is kept on the ledger. %(problem)s")
            messages.error(request, kept % {"problem": form.errors["reason"][0]})
            return redirect("patient_chart", patient.pk)
        try:
            with acting(request.actor, reason=form.cleaned_data["reason"]):
                restrict(actor=request.actor, patient=patient, restricted=restricted)
        except ClinicError as refusal:
            messages.error(request, str(refusal))
            return redirect("patient_chart", patient.pk)
        messages.success(request, said(restricted))
        return redirect("patient_chart", patient.pk)

    return view


def said(restricted: bool) -> str:
    if restricted:
        return _("The chart is restricted. Who opens it says why, and the managers are told.")
    return _("The chart is open again to everybody in the clinic.")


chart_restrict = restricting(restricted=True)
chart_unrestrict = restricting(restricted=False)


@require_GET
@member_required(MANAGER, AUDITOR)
def openings(request: HttpRequest) -> HttpResponse:
    """The newest first; a manager has seen her notices of them then."""
    listed = ChartOpening.objects.visible_to(request.actor).select_related("person", "patient__identity")
    page = Paginator(listed, PAGE).get_page(request.GET.get("page"))
    see_notices(actor=request.actor, kind=NoticeKind.CHART_OPENED)
    record_page("openings_listed", subject_type="patients_chartopening", ids=[each.pk for each in page])
    restricted = Patient.objects.visible_to(request.actor).filter(is_restricted=True).current().with_identity()
    context = {"page": page, "restricted": restricted.by_name()}
    return render(request, "dashboard/openings.html", context)
