"""The reviewers' list of visits."""

from uuid import UUID

from django.contrib import messages
from django.db.models import Prefetch
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from patients.models import Visit
from screening.models import Screening
from screening.querysets import visits_to_review
from screening.services.errors import NotYours
from screening.services.reviews import release_visit, take_visit
from skinclinic.accounts.permissions import get_visible, member_required
from skinclinic.audit.acting import AUDITOR, MANAGER, REVIEWER, Actor
from skinclinic.audit.record import record_page

PAGE = 30


@require_GET
@member_required(REVIEWER, MANAGER, AUDITOR)
def worklist(request: HttpRequest) -> HttpResponse:
    only_disputed = request.GET.get("show") == "disputed"
    visits = waiting_visits(request.actor, only_disputed=only_disputed)
    if not request.htmx:
        record_page("worklist_seen", subject_type="patients_visit", ids=[visit.pk for visit in visits])
    template = "screening/_worklist.html" if request.htmx else "screening/worklist.html"
    context = {
        "visits": visits,
        "now": timezone.now(),
        "is_cut": len(visits) == PAGE,
        "only_disputed": only_disputed,
    }
    return render(request, template, context)


def waiting_visits(actor: Actor, *, only_disputed: bool = False) -> list[Visit]:
    """The first page of what waits, each visit with its `shown` screenings.

    The order is found on narrow rows first: sorting every waiting visit with all that a row shows took twice as long.
    """
    visits = Visit.objects.visible_to(actor)
    if only_disputed:
        visits = visits.filter(pk__in=Screening.objects.disputed().values("visit"))
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
    with_all = visits.select_related("patient__identity", "clinician", "taken_by")
    found = with_all.prefetch_related(shown, "patient__identifiers").in_bulk(list(waiting))
    page = [found[key] for key in waiting if key in found]
    for visit in page:
        visit.waiting_since = waiting[visit.pk]
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
