"""Where each role starts."""

from datetime import timedelta

from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET

from screening.models import FollowUp, Screening, Signature
from skinclinic.accounts.permissions import member_required
from skinclinic.audit.acting import AUDITOR, CLINICIAN, MANAGER, REVIEWER
from skinclinic.audit.record import record_page

RECENT = timedelta(days=7)


@require_GET
@member_required()
def home(request: HttpRequest) -> HttpResponse:
    """A reviewer starts at the worklist, a manager at the dashboard, everybody who photographs at her own day."""
    if request.actor.has_role(MANAGER, AUDITOR) and not request.actor.has_role(CLINICIAN, REVIEWER):
        return redirect("dashboard")
    if request.actor.has_role(REVIEWER) and not request.actor.has_role(CLINICIAN):
        return redirect("worklist")
    return redirect("today")


@require_GET
@member_required()
def today(request: HttpRequest) -> HttpResponse:
    """A clinician's own photographs of the last days, those to take again, what was signed, and her follow-ups."""
    template = "screening/_today.html" if request.htmx else "screening/today.html"
    context = todays_work(request)
    if not request.htmx:
        record_page(
            "screenings_listed", subject_type="screening_screening", ids=[row.pk for row in context["screenings"]]
        )
    return render(request, template, context)


def todays_work(request: HttpRequest) -> dict[str, object]:
    actor = request.actor
    mine = Screening.objects.visible_to(actor).in_use().without_erased()
    unfit = mine.to_be_retaken().shown_to(actor).filter(is_hidden=False)
    signatures = Signature.objects.visible_to(actor).unacknowledged()
    follow_ups = FollowUp.objects.visible_to(actor).open()
    if not actor.has_role(AUDITOR, MANAGER):
        mine = mine.for_clinician(actor.user_id)
        unfit = unfit.to_be_retaken_by(actor.user_id)
        signatures = signatures.for_clinician(actor.user_id)
        follow_ups = follow_ups.for_owner(actor.user_id)
    since = timezone.now() - RECENT
    recent = mine.filter(Q(visit__photographed_on=None) | Q(visit__photographed_on__gte=since), created_at__gte=since)
    return {
        "screenings": list(
            recent.with_reading().shown_to(actor).with_closed_charts_marked(actor).order_by("-created_at")[:60]
        ),
        "unfit": list(
            unfit.with_reading()
            .with_closed_charts_marked(actor)
            .select_related("retake__assignee")
            .order_by("created_at")[:20]
        ),
        "signatures": list(
            signatures.select_related("visit__patient__identity", "reviewer").order_by("created_at")[:50]
        ),
        "follow_ups": list(
            follow_ups.with_closed_charts_marked(actor)
            .select_related("lesion", "patient__identity")
            .order_by("due_on")[:50]
        ),
        "today": timezone.localdate(),
    }
