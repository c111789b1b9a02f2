"""What was not read: failed readings to try again, and photographs to take again."""

from uuid import UUID

from django.contrib import messages
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_POST

from screening.codes import FailureCode
from screening.forms import AssigneeForm, RetryForm
from screening.models import Screening
from screening.services.readings import retry_reading
from screening.services.retakes import assign_retake
from screening.status import ReadingStatus
from skinclinic.accounts.models import User
from skinclinic.accounts.permissions import get_visible, member_required
from skinclinic.audit.acting import AUDITOR, CLINICIAN, MANAGER, Actor, acting
from skinclinic.audit.record import record_page
from skinclinic.errors import ClinicError
from skinclinic.text import uuids

LIST = 100


@require_GET
@member_required(MANAGER, AUDITOR)
def unread(request: HttpRequest) -> HttpResponse:
    failed = failed_for(request.actor).with_reading().with_closed_charts_marked(request.actor)
    failed = list(failed.order_by("-finished_at", "id")[:LIST])
    unfit = Screening.objects.visible_to(request.actor).to_be_retaken().shown_to(request.actor).filter(is_hidden=False)
    unfit = unfit.with_reading().with_closed_charts_marked(request.actor)
    unfit = unfit.select_related("retake__assignee", "visit__clinician").order_by("created_at", "id")
    context = {
        "failed": failed,
        "reasons": reasons_of(request.actor),
        "most": LIST,
        "unfit": list(unfit[:LIST]),
        "retry": RetryForm(),
        "clinicians": clinicians_of(request.actor),
        "may_act": request.actor.has_role(MANAGER),
    }
    listed = [screening.pk for screening in (*failed, *context["unfit"])]
    record_page("screenings_listed", subject_type="screening_screening", ids=listed)
    return render(request, "dashboard/unread.html", context)


def failed_for(actor: Actor):
    failed = Screening.objects.visible_to(actor).in_use().without_erased().filter(reading_status=ReadingStatus.FAILED)
    return failed.shown_to(actor).filter(is_hidden=False)


def reasons_of(actor: Actor) -> list[tuple[str, int]]:
    """Of all of them, the most common first."""
    counts = failed_for(actor).order_by().values_list("failure_code").annotate(count=Count("pk")).order_by("-count")
    return [(FailureCode(code).label, count) for code, count in counts]


def clinicians_of(actor: Actor) -> "list[User]":
    """Who may take a photograph again."""
    members = User.objects.filter(memberships__clinic=actor.own_clinic(), memberships__is_active=True, is_active=True)
    return list(members.filter(memberships__roles__contains=[CLINICIAN]).order_by("full_name"))


@require_POST
@member_required(MANAGER)
def unread_retry(request: HttpRequest) -> HttpResponse:
    """Those that were ticked, with one reason; what cannot be tried again is said and keeps nothing else back."""
    form = RetryForm(request.POST)
    chosen = list(failed_for(request.actor).filter(pk__in=uuids(request.POST.getlist("screening"))))
    if not form.is_valid() or not chosen:
        messages.error(request, _("Tick what is to be tried again, and say why."))
        return redirect("unread")
    tried = 0
    for screening in chosen:
        try:
            with acting(request.actor, reason=form.cleaned_data["reason"]):
                retry_reading(actor=request.actor, screening=screening)
            tried += 1
        except ClinicError as refusal:
            messages.error(request, str(refusal))
    if tried:
        said = ngettext(
            "%(count)d photograph waits to be read again.", "%(count)d photographs wait to be read again.", tried
        )
        messages.success(request, said % {"count": tried})
    return redirect("unread")


@require_POST
@member_required(MANAGER)
def retake_assign(request: HttpRequest, screening_id: UUID) -> HttpResponse:
    screening = get_visible(Screening.objects.all(), request.actor, screening_id)
    form = AssigneeForm(request.POST, clinicians=clinicians_of(request.actor))
    try:
        if form.is_valid():
            assignee = form.cleaned_data["assignee"]
            assign_retake(actor=request.actor, screening=screening, assignee=assignee)
            messages.success(request, _("%(name)s is asked to take it again.") % {"name": assignee.full_name})
        else:
            messages.error(request, _("Choose who takes it again."))
    except ClinicError as refusal:
        messages.error(request, str(refusal))
    return redirect("unread")
