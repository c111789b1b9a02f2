"""Erasing a patient: what goes and what stays, who asks, who agrees, and what her chart says afterwards."""

from collections.abc import Callable
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from patients.models import Erasure, LegalHold, Patient
from patients.services import ids_of_person
from screening.codes import NoticeKind
from screening.forms import EraseForm, HoldForm
from screening.services import erasing, holds
from screening.services.notices import see_notices
from skinclinic.accounts.approval import may_agree
from skinclinic.accounts.permissions import View, get_visible, member_required
from skinclinic.audit.acting import AUDITOR, MANAGER, REVIEWER, Actor
from skinclinic.audit.record import record, record_page
from skinclinic.errors import ClinicError
from skinclinic.text import uuids

PAGE = 100


def asked_of(actor: Actor, records: list[UUID]) -> Erasure | None:
    asked = Erasure.objects.visible_to(actor).asked().filter(patient__in=records)
    return asked.select_related("asked_by").first()


def hold_on(actor: Actor, records: list[UUID]) -> LegalHold | None:
    held = LegalHold.objects.visible_to(actor).open().filter(patient__in=records)
    return held.select_related("put_by", "lift_asked_by").first()


def concerned(queryset: QuerySet[Patient]) -> QuerySet[Patient]:
    """Each with whether a hold or a wish to erase stands on her or on a record merged with hers: few have any, and a
    chart is not to ask for both each time."""
    hers = Q(patient=OuterRef("pk")) | Q(patient=OuterRef("merged_into")) | Q(patient__merged_into=OuterRef("pk"))
    person = hers | Q(patient__merged_into=OuterRef("merged_into"))
    holds, erasures = LegalHold.objects.open().filter(person), Erasure.objects.asked().filter(person)
    return queryset.annotate(is_concerned=Exists(holds) | Exists(erasures))


def record_panel(request: HttpRequest, patient: Patient, records: list[UUID]) -> dict[str, object]:
    """What the chart says of erasing and holding, to who may do something about it. patient: as `concerned` has her."""
    actor = request.actor
    is_named = request.clinic.approver_id == actor.user_id
    if not (actor.has_role(MANAGER, REVIEWER) or (is_named and may_agree(actor))):
        return {}
    hold = hold_on(actor, records) if patient.is_concerned else None
    if hold and hold.lift_asked_by:
        see_notices(actor=actor, hold=hold)
    return {
        "shows_record": True,
        "is_manager": actor.has_role(MANAGER),
        "erasure": asked_of(actor, records) if patient.is_concerned else None,
        "hold": hold,
        "hold_form": HoldForm(auto_id="id_hold_%s"),
    }


def show_erased(request: HttpRequest, patient_id: UUID) -> HttpResponse:
    """In place of her chart."""
    patient = Patient.objects.visible_to(request.actor).erased().get(pk=patient_id)
    record("chart_seen", subject_type="patients_patient", subject_id=patient.pk, patient_id=patient.pk)
    done = Erasure.objects.visible_to(request.actor).done().select_related("asked_by", "agreed_by")
    erasure = done.filter(records__contains=[patient.pk]).first()
    records = erasure.records if erasure else [patient.pk]
    context = {"patient": patient, "erasure": erasure, "extent": erasing.extent_of(records)}
    return render(request, "patients/erased.html", context)


@require_http_methods(["GET", "POST"])
@member_required(MANAGER)
def patient_erase(request: HttpRequest, patient_id: UUID) -> HttpResponse:
    """Says with counts what would go and what would stay; nothing goes before somebody else agrees."""
    patient = get_visible(Patient.objects.with_identity(), request.actor, patient_id)
    if patient.merged_into_id:
        return redirect("patient_erase", patient.merged_into_id)
    records = ids_of_person(patient.pk)
    if before := asked_of(request.actor, records):
        return redirect("erasure", before.pk)
    extent = erasing.extent_of(records)
    form = EraseForm(request.POST or None, follow_ups=extent.malignant_follow_ups)
    if request.method == "POST" and form.is_valid():
        try:
            erasing.ask_erasure(actor=request.actor, patient=patient, **form.cleaned_data)
        except ClinicError as refusal:
            form.add_error(None, str(refusal))
        else:
            messages.success(request, _("Asked. Nothing is erased before another manager or a reviewer agrees."))
            return redirect("patient_chart", patient.pk)
    context = {"patient": patient, "extent": extent, "form": form, "hold": hold_on(request.actor, records)}
    return render(request, "patients/erase.html", context)


@require_GET
@member_required(MANAGER, REVIEWER, AUDITOR, or_approver=True)
def erasures(request: HttpRequest) -> HttpResponse:
    """What waits for somebody's agreement, and what was done."""
    seen = Erasure.objects.visible_to(request.actor).select_related("asked_by", "agreed_by", "patient__identity")
    waiting = list(seen.asked().order_by("created_at")[:PAGE])
    page = Paginator(seen.done().order_by("-erased_at"), PAGE).get_page(request.GET.get("page"))
    record_page("erasures_listed", subject_type="patients_erasure", ids=[each.pk for each in (*waiting, *page)])
    see_notices(actor=request.actor, kind=NoticeKind.ERASURE_ASKED)
    of_others = any(each.asked_by_id != request.actor.user_id for each in waiting)
    context = {"waiting": waiting, "page": page, "may_choose": of_others and may_agree(request.actor)}
    return render(request, "dashboard/erasures.html", context)


@require_GET
@member_required(MANAGER, REVIEWER, AUDITOR, or_approver=True)
def erasure(request: HttpRequest, erasure_id: UUID) -> HttpResponse:
    """What somebody asked for, for who is to agree."""
    asked = get_visible(Erasure.objects.select_related("patient__identity", "asked_by"), request.actor, erasure_id)
    if asked.erased_at or asked.taken_back_at:
        return redirect("patient_chart", asked.patient_id)
    patient = get_visible(Patient.objects.with_identity(), request.actor, asked.patient_id)
    records = ids_of_person(patient.pk)
    see_notices(actor=request.actor, erasure=asked)
    context = {
        "patient": patient,
        "extent": erasing.extent_of(records),
        "asked": asked,
        "hold": hold_on(request.actor, records),
        "may_agree": may_agree(request.actor),
    }
    return render(request, "patients/erase.html", context)


@require_POST
@member_required(MANAGER, REVIEWER, or_approver=True)
def erasures_agree(request: HttpRequest) -> HttpResponse:
    """To those that were ticked; each is done or refused alone."""
    done, keys = 0, uuids(request.POST.getlist("erasures")[:PAGE])
    for asked in Erasure.objects.visible_to(request.actor).filter(pk__in=keys).select_related("patient"):
        try:
            erasing.agree_to_erasure(actor=request.actor, erasure=asked)
            done += 1
        except ClinicError as refusal:
            messages.error(request, str(refusal))
    if done:
        messages.success(request, erased(done))
    return redirect("erasures")


def erased(count: int) -> str:
    said = ngettext(
        "%(count)s patient is erased: two people agreed. The photographs follow within minutes.",
        "%(count)s patients are erased: two people agreed. The photographs follow within minutes.",
        count,
    )
    return said % {"count": count}


@require_POST
@member_required(MANAGER, REVIEWER, or_approver=True)
def erasure_agree(request: HttpRequest, erasure_id: UUID) -> HttpResponse:
    asked = get_visible(Erasure.objects.select_related("patient"), request.actor, erasure_id)
    return act(
        request,
        lambda: erasing.agree_to_erasure(actor=request.actor, erasure=asked),
        erased(1),
        asked.patient_id,
    )


@require_POST
@member_required(MANAGER, REVIEWER, or_approver=True)
def erasure_take_back(request: HttpRequest, erasure_id: UUID) -> HttpResponse:
    asked = get_visible(Erasure.objects.all(), request.actor, erasure_id)
    said = _("The erasure is taken back. All stays as it was.")
    return act(request, lambda: erasing.take_back_erasure(actor=request.actor, erasure=asked), said, asked.patient_id)


def act(request: HttpRequest, do: Callable[[], object], said: str, patient_id: UUID) -> HttpResponse:
    try:
        do()
    except ClinicError as refusal:
        messages.error(request, str(refusal))
    else:
        messages.success(request, said)
    return redirect("patient_chart", patient_id)


@require_POST
@member_required(MANAGER)
def hold_put(request: HttpRequest, patient_id: UUID) -> HttpResponse:
    patient = get_visible(Patient.objects.all(), request.actor, patient_id)
    form = HoldForm(request.POST)
    if not form.is_valid():
        messages.error(request, _("Say why the record is held."))
        return redirect("patient_chart", patient.pk)
    said = _("The record is held: nothing of it is erased until two people lift the hold.")
    words = form.cleaned_data["words"]
    return act(request, lambda: holds.put_hold(actor=request.actor, patient=patient, words=words), said, patient.pk)


def hold_act(do: Callable[..., None], said: Callable[[], str], *roles: str, or_approver: bool = False) -> View:
    @require_POST
    @member_required(*roles, or_approver=or_approver)
    def view(request: HttpRequest, hold_id: UUID) -> HttpResponse:
        hold = get_visible(LegalHold.objects.all(), request.actor, hold_id)
        return act(request, lambda: do(actor=request.actor, hold=hold), said(), hold.patient_id)

    return view


hold_ask = hold_act(holds.ask_to_lift, lambda: _("Asked. Another manager or a reviewer has to agree."), MANAGER)
hold_keep = hold_act(holds.take_back_lifting, lambda: _("The request is taken back. The hold stays."), MANAGER)
hold_agree = hold_act(
    holds.agree_to_lift, lambda: _("The hold is lifted: two people agreed."), MANAGER, REVIEWER, or_approver=True
)
