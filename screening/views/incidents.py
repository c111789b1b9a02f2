"""Incidents: a list, a page of each, and what is done about it."""

from collections.abc import Callable
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from screening.forms import IncidentForm
from screening.incidents import Incident, IncidentQuerySet
from screening.models import Screening
from screening.services.incidents import (
    close_incident,
    give_incident,
    may_own,
    note_incident,
    open_incident,
    reopen_incident,
)
from screening.tables import table_response
from skinclinic.accounts.models import User
from skinclinic.accounts.permissions import get_visible, member_required, require_role
from skinclinic.audit.acting import AUDITOR, CLINICIAN, MANAGER, REVIEWER, Actor
from skinclinic.audit.record import record, record_page
from skinclinic.errors import ClinicError
from skinclinic.text import uuid_or_none

PAGE, MOST_IN_TABLE = 30, 50_000
COLUMNS = (
    gettext_lazy("number"), gettext_lazy("opened"), gettext_lazy("opened by"), gettext_lazy("kind"),
    gettext_lazy("what happened"), gettext_lazy("patient"), gettext_lazy("screening"), gettext_lazy("model"),
    gettext_lazy("score"), gettext_lazy("owner"), gettext_lazy("closed"), gettext_lazy("closed by"),
    gettext_lazy("what was found"),
)  # fmt: skip


@require_GET
@member_required()
def incidents(request: HttpRequest) -> HttpResponse:
    """Open ones first, the oldest on top; then the closed, the newest first."""
    found = Incident.objects.visible_to(request.actor).select_related("opened_by", "owner", "patient__identity")
    if "csv" in request.GET:
        return incident_table(request, found)
    found = found.with_closed_charts_marked(request.actor)
    waiting = list(found.open().order_by("created_at"))
    page = Paginator(found.filter(closed_at__isnull=False).order_by("-closed_at"), PAGE)
    page = page.get_page(request.GET.get("page"))
    record_page("incidents_listed", subject_type="screening_incident", ids=[each.pk for each in [*waiting, *page]])
    context = {
        "waiting": waiting,
        "page": page,
        "may_open": request.actor.has_role(CLINICIAN, REVIEWER, MANAGER),
        "may_export": request.actor.has_role(MANAGER, AUDITOR),
    }
    return render(request, "screening/incidents.html", context)


def incident_table(request: HttpRequest, found: IncidentQuerySet) -> HttpResponse:
    require_role(request.actor, MANAGER, AUDITOR)
    found = found.without_closed_charts(request.actor).select_related("prediction", "closed_by")[:MOST_IN_TABLE]
    hidden = hidden_from(request.actor, found)
    rows = [cells_of(incident, incident.screening_id in hidden) for incident in found]
    record("incidents_exported", detail={"lines": len(rows)})
    return table_response("incidents", COLUMNS, rows)


def hidden_from(actor: Actor, found: IncidentQuerySet) -> set[UUID]:
    about = [incident.screening_id for incident in found if incident.screening_id]
    shown = Screening.objects.visible_to(actor).filter(pk__in=about).shown_to(actor)
    return set(shown.filter(is_hidden=True).values_list("pk", flat=True))


def cells_of(incident: Incident, is_hidden: bool) -> list[object]:
    reading = None if is_hidden else incident.prediction
    return [
        incident.pk, moment(incident.created_at), incident.opened_by.full_name, incident.get_kind_display(),
        incident.words, incident.patient_id or "", incident.screening_id or "",
        reading.model_version_id if reading else "", f"{reading.malignancy:.4f}" if reading else "",
        incident.owner.full_name if incident.owner else "",
        moment(incident.closed_at), incident.closed_by.full_name if incident.closed_by else "", incident.finding,
    ]  # fmt: skip


def moment(at) -> str:
    return timezone.localtime(at).isoformat(timespec="seconds") if at else ""


@require_http_methods(["GET", "POST"])
@member_required(CLINICIAN, REVIEWER, MANAGER)
def incident_new(request: HttpRequest) -> HttpResponse:
    """`?screening=`: the result that it was opened from."""
    screening, key = None, request.GET.get("screening")
    if key:
        seen = Screening.objects.shown_to(request.actor).select_related("patient__identity", "image__lesion")
        screening = get_visible(seen, request.actor, uuid_or_none(key) or UUID(int=0))
    form = IncidentForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        incident = open_incident(actor=request.actor, screening=screening, **form.cleaned_data)
        messages.success(request, _("The incident is open. Managers are told, and give it an owner."))
        return redirect("incident", incident.pk)
    context = {"form": form, "screening": screening, "patient": screening.patient if screening else None}
    return render(request, "screening/incident_new.html", context)


@require_GET
@member_required()
def incident(request: HttpRequest, incident_id: UUID) -> HttpResponse:
    seen = Incident.objects.select_related("opened_by", "owner", "closed_by", "patient__identity", "prediction")
    shown = get_visible(seen.select_related("screening__image__lesion"), request.actor, incident_id)
    record("incident_seen", subject_type="screening_incident", subject_id=shown.pk, patient_id=shown.patient_id)
    mine = request.actor.user_id in (shown.opened_by_id, shown.owner_id)
    is_manager = request.actor.has_role(MANAGER)
    context = {
        "incident": shown,
        "patient": shown.patient,
        "notes": list(shown.notes.select_related("author")),
        "may_add": mine or is_manager,
        "is_manager": is_manager,
        "owners": owners(request.actor) if is_manager and shown.is_open else [],
    }
    return render(request, "screening/incident.html", context)


def owners(actor: Actor) -> list[User]:
    return [member.user for member in may_own(actor).select_related("user").order_by("user__full_name")]


@require_POST
@member_required(CLINICIAN, REVIEWER, MANAGER)
def incident_note(request: HttpRequest, incident_id: UUID) -> HttpResponse:
    words = request.POST.get("words", "")
    return act(request, incident_id, lambda found: note_incident(actor=request.actor, incident=found, words=words))


@require_POST
@member_required(MANAGER)
def incident_give(request: HttpRequest, incident_id: UUID) -> HttpResponse:
    owner = uuid_or_none(request.POST.get("owner"))
    return act(request, incident_id, lambda found: give_incident(actor=request.actor, incident=found, owner=owner))


@require_POST
@member_required(MANAGER)
def incident_close(request: HttpRequest, incident_id: UUID) -> HttpResponse:
    finding = request.POST.get("finding", "")
    return act(request, incident_id, lambda found: close_incident(actor=request.actor, incident=found, finding=finding))


@require_POST
@member_required(MANAGER)
def incident_reopen(request: HttpRequest, incident_id: UUID) -> HttpResponse:
    words = request.POST.get("words", "")
    return act(request, incident_id, lambda found: reopen_incident(actor=request.actor, incident=found, words=words))


def act(request: HttpRequest, incident_id: UUID, does: Callable[[Incident], object]) -> HttpResponse:
    found = get_visible(Incident.objects.all(), request.actor, incident_id)
    try:
        does(found)
        messages.success(request, _("Noted."))
    except ClinicError as refusal:
        messages.error(request, str(refusal))
    return redirect("incident", found.pk)
