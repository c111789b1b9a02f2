"""Pages of the record that know nothing of photographs: the list, details, consents, lesions, merging."""

import json
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from patients.body_map import proposals
from patients.codes import WITHDRAWAL, ConsentKind
from patients.forms import ConsentForm, CorrectionForm, LesionForm, PatientForm, SearchForm
from patients.models import Patient
from patients.services import (
    CannotMerge,
    IdentifierTaken,
    add_lesion,
    correct_patient,
    merge_patients,
    note_consent,
    record_number_of,
    refuse_without_consent,
    register_patient,
    unmerge_patient,
    withdraw_consent,
)
from skinclinic.accounts.permissions import get_visible, member_required
from skinclinic.audit.acting import CLINICIAN, MANAGER, REVIEWER
from skinclinic.audit.record import record_page
from skinclinic.errors import ClinicError, StaleForm
from skinclinic.text import uuid_or_none

PAGE = 40


@require_http_methods(["GET", "POST"])
@member_required()
def patient_list(request: HttpRequest) -> HttpResponse:
    """The clinic's patients by name. A search is a POST, so that no name stands in a URL or a log."""
    patients = Patient.objects.visible_to(request.actor).current().with_identity().by_name()
    form = SearchForm(request.POST if request.method == "POST" else None)
    searching = request.method == "POST" and (not form.is_valid() or bool(form.cleaned_data["words"]))
    if searching and form.errors:
        page, more = [], False
    elif searching:
        found = list(patients.matching(form.cleaned_data["words"])[: PAGE + 1])
        page, more = found[:PAGE], len(found) > PAGE
    else:
        pages = Paginator(patients, PAGE)
        page = pages.get_page(request.GET.get("page"))
        more = False
    record_page("patients_listed", subject_type="patients_patient", ids=[patient.pk for patient in page])
    context = {"page": page, "form": form, "searching": searching, "more": more}
    template = "patients/_list.html" if request.htmx else "patients/list.html"
    return render(request, template, context)


@require_http_methods(["GET", "POST"])
@member_required(CLINICIAN, REVIEWER, MANAGER)
def patient_new(request: HttpRequest) -> HttpResponse:
    form = PatientForm(request.POST or None)
    duplicates: list[Patient] = []
    if request.method == "POST" and form.is_valid():
        duplicates = likely_duplicates(request, form)
        if not duplicates or form.cleaned_data["confirmed"]:
            try:
                patient = register_patient(
                    actor=request.actor,
                    identity=form.identity(),
                    sex=form.cleaned_data["sex"],
                    skin_type=form.cleaned_data["skin_type"],
                    risk_factors=form.cleaned_data["risk_factors"],
                    record_number=form.cleaned_data["record_number"],
                )
            except IdentifierTaken as taken:
                form.add_error("record_number", str(taken))
                duplicates = [taken.patient]
            else:
                messages.success(request, _("The patient is registered. Note the consents next."))
                return redirect("patient_chart", patient.pk)
    return render(request, "patients/new.html", {"form": form, "duplicates": duplicates})


def likely_duplicates(request: HttpRequest, form: PatientForm) -> list[Patient]:
    names = {name: form.cleaned_data[name] for name in ("family_name", "given_name", "birth_date")}
    return Patient.objects.visible_to(request.actor).current().likely_duplicates(**names)


@require_http_methods(["GET", "POST"])
@member_required(CLINICIAN, REVIEWER, MANAGER)
def patient_correct(request: HttpRequest, patient_id: UUID) -> HttpResponse:
    patient = get_visible(Patient.objects.with_identity(), request.actor, patient_id)
    kept = ("sex", "skin_type", "risk_factors", "version")
    number = record_number_of(patient)
    initial = {name: getattr(patient, name) for name in kept} | {"record_number": number.value if number else ""}
    form = CorrectionForm(request.POST or None, instance=patient.identity, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            correct_patient(
                patient=patient,
                version=form.cleaned_data["version"],
                identity=form.identity(),
                sex=form.cleaned_data["sex"],
                skin_type=form.cleaned_data["skin_type"],
                risk_factors=form.cleaned_data["risk_factors"],
                record_number=form.cleaned_data["record_number"],
            )
        except IdentifierTaken as taken:
            form.add_error("record_number", str(taken))
        except StaleForm as stale:
            form.add_error(None, str(stale))
        else:
            messages.success(request, _("The details are corrected."))
            return redirect("patient_chart", patient.pk)
    return render(request, "patients/correct.html", {"form": form, "patient": patient})


@require_POST
@member_required(CLINICIAN, REVIEWER, MANAGER)
def consent_note(request: HttpRequest, patient_id: UUID) -> HttpResponse:
    patient = get_visible(Patient.objects.with_identity(), request.actor, patient_id)
    form = ConsentForm(request.POST, born=patient.identity.birth_date)
    if form.is_valid():
        note_consent(actor=request.actor, patient=patient, **form.cleaned_data)
        messages.success(request, _("The consent is noted."))
    else:
        messages.error(request, " ".join(error for errors in form.errors.values() for error in errors))
    return redirect("patient_chart", patient.pk)


@require_http_methods(["GET", "POST"])
@member_required(CLINICIAN, REVIEWER, MANAGER)
def consent_withdraw(request: HttpRequest, patient_id: UUID, kind: str) -> HttpResponse:
    """Says what stops and what stays before anything is withdrawn."""
    if kind not in ConsentKind.values:
        raise Http404
    patient = get_visible(Patient.objects.with_identity(), request.actor, patient_id)
    try:
        if request.method == "GET":
            refuse_without_consent(patient=patient, kind=kind)
            stops, stays = WITHDRAWAL[ConsentKind(kind)]
            context = {"patient": patient, "kind": ConsentKind(kind), "stops": stops, "stays": stays}
            return render(request, "patients/consent_withdraw.html", context)
        withdraw_consent(actor=request.actor, patient=patient, kind=kind)
    except ClinicError as refusal:
        messages.error(request, str(refusal))
    else:
        messages.success(request, _("The consent is withdrawn from now on."))
    return redirect("patient_chart", patient.pk)


@require_http_methods(["GET", "POST"])
@member_required(CLINICIAN, REVIEWER)
def lesion_new(request: HttpRequest, patient_id: UUID) -> HttpResponse:
    """Mark a lesion on the body map; `?visit=` leads back to the visit it is marked in."""
    patient = get_visible(Patient.objects.with_identity(), request.actor, patient_id)
    visit = patient.visits.filter(pk=uuid_or_none(request.GET.get("visit"))).first()
    form = LesionForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        lesion = add_lesion(patient=patient, **form.place())
        messages.success(request, _("Lesion %(lesion)s is on the body map.") % {"lesion": lesion.label})
        return redirect("visit", visit.pk) if visit else redirect("patient_chart", patient.pk)
    context = {
        "form": form,
        "patient": patient,
        "visit": visit,
        "lesions": list(patient.lesions.all()),
        "regions": json.dumps(proposals()),
    }
    return render(request, "patients/lesion_new.html", context)


@require_http_methods(["GET", "POST"])
@member_required(CLINICIAN, MANAGER)
def patient_merge(request: HttpRequest, patient_id: UUID) -> HttpResponse:
    """Say that two records are one person; candidates are the likely duplicates."""
    patient = get_visible(Patient.objects.with_identity(), request.actor, patient_id)
    others = Patient.objects.visible_to(request.actor).current().exclude(pk=patient.pk)
    if request.method == "POST":
        into = get_visible(others, request.actor, uuid_or_none(request.POST.get("into")) or patient.pk)
        return after_merging(
            request, lambda: merge_patients(duplicate=patient, into=into), into.pk, _("The records are one now.")
        )
    identity = patient.identity
    candidates = others.likely_duplicates(
        family_name=identity.family_name, given_name=identity.given_name, birth_date=identity.birth_date
    )
    return render(request, "patients/merge.html", {"patient": patient, "candidates": candidates})


@require_POST
@member_required(CLINICIAN, MANAGER)
def patient_unmerge(request: HttpRequest, patient_id: UUID) -> HttpResponse:
    patient = get_visible(Patient.objects.all(), request.actor, patient_id)
    return after_merging(
        request, lambda: unmerge_patient(duplicate=patient), patient.pk, _("The records are two again.")
    )


def after_merging(request: HttpRequest, act, patient_id: UUID, sentence: str) -> HttpResponse:
    try:
        act()
    except CannotMerge as refusal:
        messages.error(request, str(refusal))
    else:
        messages.success(request, sentence)
    return redirect("patient_chart", patient_id)
