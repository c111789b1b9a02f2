"""The reviewers' list of visits."""

from uuid import UUID

from django.contrib import messages
from django.db.models import Prefetch
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from patients.forms import SearchForm
from patients.models import Patient, Visit
from patients.querysets import ClinicQuerySet
from screening.filters import WorklistFilter
from screening.forms import KeepFilterForm
from screening.models import SavedFilter, Screening
from screening.presentation import open_first
from screening.querysets import visits_to_review
from screening.services.errors import NotYours
from screening.services.reviews import release_visit, take_visit
from skinclinic.accounts.permissions import get_visible, member_required
from skinclinic.audit.acting import AUDITOR, MANAGER, REVIEWER, Actor
from skinclinic.audit.record import record_page

PAGE = 30
# The end of the address under which she saw the list last: “next” goes by it.
NARROWED = "worklist"


@require_http_methods(["GET", "POST"])
@member_required(REVIEWER, MANAGER, AUDITOR)
def worklist(request: HttpRequest) -> HttpResponse:
    """What waits for review, narrowed as the address says. A search is a POST, so that no name stands in a URL."""
    search = SearchForm(request.POST if request.method == "POST" else None)
    words = search.cleaned_data["words"] if search.is_valid() else ""
    filters = WorklistFilter(request.GET, queryset=Visit.objects.visible_to(request.actor), request=request)
    visits = filters.qs
    if words:
        visits = visits.filter(patient__in=Patient.objects.visible_to(request.actor).matching(words))
    page = waiting_visits(request.actor, visits)
    if request.session.get(NARROWED, "") != filters.query:
        request.session[NARROWED] = filters.query
    if request.method == "POST" or not request.htmx:
        record_page("worklist_seen", subject_type="patients_visit", ids=[visit.pk for visit in page])
    template = "screening/_worklist.html" if request.htmx else "screening/worklist.html"
    context = {
        "visits": page,
        "now": timezone.now(),
        "is_cut": len(page) == PAGE,
        "filters": filters,
        "search": search,
        "words": words,
        "kept": list(SavedFilter.objects.visible_to(request.actor).filter(owner=request.actor.user_id)),
        "keep_form": KeepFilterForm(),
    }
    return render(request, template, context)


def waiting_visits(actor: Actor, visits: ClinicQuerySet) -> list[Visit]:
    """The first page of those of `visits` that wait, each with its `shown` screenings, the unsigned first.

    The order is found on narrow rows first: sorting every waiting visit with all that a row shows took twice as long.
    """
    waiting = dict(visits_to_review(visits, actor).values_list("pk", "waiting_since")[:PAGE])
    shown = Prefetch(
        "screenings",
        Screening.objects.in_use()
        .with_prediction()
        .shown_to(actor)
        .select_related("image__lesion")
        .order_by("image__lesion__number"),
        to_attr="shown",
    )
    with_all = Visit.objects.with_closed_charts_marked(actor).select_related(
        "patient__identity", "clinician", "taken_by"
    )
    found = with_all.prefetch_related(shown, "patient__identifiers").in_bulk(list(waiting))
    page = [found[key] for key in waiting if key in found]
    for visit in page:
        visit.waiting_since = waiting[visit.pk]
        visit.shown, visit.has_signed = open_first(visit.shown)
    return page


@require_POST
@member_required(REVIEWER)
def visit_take(request: HttpRequest, visit_id: UUID) -> HttpResponse:
    visit = get_visible(Visit.objects.all(), request.actor, visit_id)
    try:
        take_visit(actor=request.actor, visit=visit)
    except NotYours as refusal:
        messages.warning(request, str(refusal))
        return redirect("worklist")
    return redirect("visit", visit.pk)


@require_POST
@member_required(REVIEWER)
def visit_release(request: HttpRequest, visit_id: UUID) -> HttpResponse:
    release_visit(actor=request.actor, visit=get_visible(Visit.objects.all(), request.actor, visit_id))
    return redirect("worklist")


@require_POST
@member_required(REVIEWER, MANAGER, AUDITOR)
def filter_keep(request: HttpRequest) -> HttpResponse:
    """Keep the list as it is narrowed now, under a name of her own; the same name again is put in its place."""
    form = KeepFilterForm(request.POST)
    query = request.session.get(NARROWED, "")
    if not query:
        messages.error(request, _("Narrow the list first; then it can be kept."))
    elif not form.is_valid():
        messages.error(request, _("Give the list a name of up to 40 characters."))
    else:
        SavedFilter.objects.update_or_create(
            clinic_id=request.actor.own_clinic(),
            owner_id=request.actor.person(),
            name__iexact=form.cleaned_data["name"],
            defaults={"query": query, "name": form.cleaned_data["name"]},
        )
    return redirect(f"{reverse('worklist')}?{query}")


@require_POST
@member_required(REVIEWER, MANAGER, AUDITOR)
def filter_drop(request: HttpRequest, filter_id: UUID) -> HttpResponse:
    mine = SavedFilter.objects.filter(owner=request.actor.user_id)
    get_visible(mine, request.actor, filter_id).delete()
    return redirect("worklist")
