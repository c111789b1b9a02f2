"""Where a manager starts: this moment, its alarms, and what is overdue."""

from dataclasses import dataclass

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from screening.codes import NoticeKind, Recommendation
from screening.dashboard.alarms import Asked, asking, kept_from
from screening.dashboard.now import FINISHED, Now, is_late, lacks_pathology, look
from screening.models import Alarm, FollowUp
from screening.services.alarms import acknowledge_alarm
from screening.services.notices import see_notices
from skinclinic.accounts.permissions import member_required
from skinclinic.audit.acting import AUDITOR, MANAGER, Actor
from skinclinic.audit.record import record_page
from skinclinic.errors import ClinicError
from skinclinic.workers import call_roll

PAGE, LIST = 30, 100


@dataclass(frozen=True)
class ShownAlarm:
    """What asks now, and what has been noted of it; `noted` is None until the watch has seen it."""

    asked: Asked
    noted: Alarm | None

    @property
    def is_acknowledged(self) -> bool:
        return self.noted is not None and self.noted.acknowledged_by is not None


@require_GET
@member_required(MANAGER, AUDITOR)
def dashboard(request: HttpRequest) -> HttpResponse:
    """Counts alone, no patient: nothing here is a look at a record."""
    now = look(request.actor, call_roll())
    shown = shown_alarms(request.actor, now)
    if not request.htmx and request.actor.has_role(MANAGER):
        see_notices(actor=request.actor, kind=NoticeKind.ALARM)
    context = {
        "now": now,
        "alarms": [alarm for alarm in shown if not alarm.is_acknowledged],
        "acknowledged": [alarm for alarm in shown if alarm.is_acknowledged],
        "readings": [(status.label, now.readings.get(status, 0)) for status in FINISHED],
        "follow_ups": [(Recommendation(what).label, count) for what, count in now.follow_ups_overdue.items()],
    }
    return render(request, "dashboard/_now.html" if request.htmx else "dashboard/now.html", context)


def shown_alarms(actor: Actor, now: Now) -> list[ShownAlarm]:
    noted = Alarm.objects.visible_to(actor).open().select_related("acknowledged_by")
    known = {(alarm.code, alarm.about): alarm for alarm in noted}
    return [ShownAlarm(asked, known.get((asked.code, asked.about))) for asked in asking(now)]


@require_GET
@member_required(MANAGER, AUDITOR)
def alarms(request: HttpRequest) -> HttpResponse:
    """Those that ask now, each with its form; then those that are over."""
    over = Alarm.objects.visible_to(request.actor).raised().filter(ended_at__isnull=False)
    over = over.exclude(code__in=kept_from(request.actor, request.clinic))
    context = {
        "shown": shown_alarms(request.actor, look(request.actor, call_roll())),
        "page": Paginator(over.select_related("acknowledged_by"), PAGE).get_page(request.GET.get("page")),
        "may_acknowledge": request.actor.has_role(MANAGER),
    }
    return render(request, "dashboard/alarms.html", context)


@require_POST
@member_required(MANAGER)
def alarm_acknowledge(request: HttpRequest) -> HttpResponse:
    wanted = (request.POST.get("code"), request.POST.get("about", ""))
    now = look(request.actor, call_roll())
    asked = next((each for each in asking(now) if (each.code, each.about) == wanted), None)
    if asked is None:
        messages.info(request, _("This alarm is over meanwhile."))
        return redirect("alarms")
    try:
        acknowledge_alarm(actor=request.actor, asked=asked, words=request.POST.get("note", ""))
        messages.success(request, _("Acknowledged. It stays here until it is over."))
    except ClinicError as refusal:
        messages.error(request, str(refusal))
    return redirect("alarms")


@require_GET
@member_required(MANAGER, AUDITOR)
def overdue(request: HttpRequest) -> HttpResponse:
    """What was recommended and is not done in time, whoever's it is; and tissue of which no report came."""
    now, found = timezone.now(), FollowUp.objects.visible_to(request.actor)
    found = found.with_closed_charts_marked(request.actor).select_related("lesion", "patient__identity", "owner")
    context = {
        "follow_ups": list(found.filter(is_late(now)).order_by("due_on", "id")[:LIST]),
        "pathology": list(found.filter(lacks_pathology(now)).order_by("closed_at", "id")[:LIST]),
        "most": LIST,
    }
    listed = [row.pk for row in (*context["follow_ups"], *context["pathology"])]
    record_page("follow_ups_listed", subject_type="screening_followup", ids=listed)
    return render(request, "dashboard/overdue.html", context)
