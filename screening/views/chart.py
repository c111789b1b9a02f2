"""The patient's chart: who she is, what she agreed to, her lesions and their photographs."""

from uuid import UUID

from django.db.models import Prefetch
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods

from patients.codes import ConsentKind
from patients.erased import ChartErased
from patients.forms import ConsentForm, VisitForm
from patients.models import Lesion, Patient, Visit
from patients.restricted import may_restrict
from patients.services import consents_of, ids_of_person, open_visit
from screening.models import FollowUp, LesionImage, Prediction, Screening
from screening.views.erasing import concerned, record_panel, show_erased
from screening.views.history import history_page, history_table, without_hidden
from skinclinic.accounts.permissions import get_visible, member_required
from skinclinic.audit.acting import CLINICIAN, REVIEWER, Actor
from skinclinic.audit.models import AuditEvent
from skinclinic.audit.record import record


@require_GET
@member_required()
def patient_chart(request: HttpRequest, patient_id: UUID) -> HttpResponse:
    try:
        patient = get_visible(concerned(Patient.objects.with_identity()), request.actor, patient_id)
    except ChartErased:
        return show_erased(request, patient_id)
    record("chart_seen", subject_type="patients_patient", subject_id=patient.pk, patient_id=patient.pk)
    ids = ids_of_person(patient.pk)
    visits = Visit.objects.visible_to(request.actor).filter(patient__in=ids).select_related("clinician")
    consents = consents_of(ids)
    context = {
        "patient": patient,
        "identity": patient.identity,
        "consents": [(ConsentKind(kind), consent) for kind, consent in consents.items()],
        "consent_form": ConsentForm(),
        "lesions": list(lesions_with_photographs(ids).visible_to(request.actor)),
        "visits": list(visits.prefetch_related(in_use("screenings", request.actor)).newest_first()),
        "follow_ups": list(
            FollowUp.objects.visible_to(request.actor)
            .filter(patient__in=ids)
            .select_related("lesion", "owner", "reported_by")
            .open_first()
        ),
        "today": timezone.localdate(),
        "may_close": request.actor.has_role(CLINICIAN, REVIEWER),
        "may_restrict": may_restrict(request.actor, patient),
        "merged_from": list(patient.merged_from.select_related("identity")) if len(ids) > 1 else [],
        **record_panel(request, patient, ids),
    }
    return render(request, "patients/chart.html", context)


def in_use(lookup: str, actor: Actor) -> Prefetch:
    return Prefetch(lookup, Screening.objects.in_use().with_prediction().shown_to(actor), to_attr="shown")


def lesions_with_photographs(patient_ids: list[UUID]):
    photographs = LesionImage.objects.in_use().screened().select_related("screening")
    newest_first = photographs.order_by(Coalesce("captured_at", "created_at").desc())
    return (
        Lesion.objects.filter(patient__in=patient_ids)
        .order_by("number")
        .prefetch_related(Prefetch("images", newest_first, to_attr="shown"))
    )


@require_http_methods(["GET", "POST"])
@member_required(CLINICIAN)
def visit_new(request: HttpRequest, patient_id: UUID) -> HttpResponse:
    patient = get_visible(Patient.objects.with_identity(), request.actor, patient_id)
    form = VisitForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        visit = open_visit(actor=request.actor, patient=patient, **form.cleaned_data)
        return redirect("visit", visit.pk)
    return render(request, "patients/visit_new.html", {"form": form, "patient": patient})


@require_GET
@member_required()
def patient_history(request: HttpRequest, patient_id: UUID) -> HttpResponse:
    """Every step on this patient's record, newest first, with who and when; also of one who was erased."""
    patients = Patient.objects.with_identity()
    erased = patients.visible_to(request.actor).erased().filter(pk=patient_id).first()
    patient = erased or get_visible(patients, request.actor, patient_id)
    record("history_seen", subject_type="patients_patient", subject_id=patient.pk, patient_id=patient.pk)
    people = ids_of_person(patient.pk)
    # What models say that read beside is on no page, and so not in the history of one.
    beside = (
        Prediction.objects.visible_to(request.actor).beside().filter(patient__in=people).values_list("pk", flat=True)
    )
    events = AuditEvent.objects.visible_to(request.actor).about_patients(people)
    events = events.not_about("screening_prediction", beside)
    events = without_hidden(
        events, request.actor, Screening.objects.visible_to(request.actor).filter(patient__in=people)
    )
    if "csv" in request.GET:
        return history_table(request, events)
    context = {"patient": patient, **history_page(request, events)}
    return render(request, "patients/history.html", context)
