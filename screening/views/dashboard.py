"""Where a manager starts."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from screening.codes import Recommendation
from screening.now import FINISHED, alarms, look
from skinclinic.accounts.permissions import member_required
from skinclinic.audit.acting import AUDITOR, MANAGER
from skinclinic.workers import call_roll


@require_GET
@member_required(MANAGER, AUDITOR)
def dashboard(request: HttpRequest) -> HttpResponse:
    """Counts alone, no patient: nothing here is a look at a record."""
    now = look(request.actor, call_roll())
    context = {
        "now": now,
        "alarms": list(alarms(now)),
        "readings": [(status.label, now.readings.get(status, 0)) for status in FINISHED],
        "follow_ups": [(Recommendation(what).label, count) for what, count in now.follow_ups_overdue.items()],
    }
    return render(request, "dashboard/_now.html" if request.htmx else "dashboard/now.html", context)
