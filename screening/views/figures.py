"""The dashboard's figures: as they were last counted, with their age."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from screening.codes import Panel
from screening.dashboard.agreement import PERIODS
from screening.dashboard.agreement_page import own_rows, parts
from screening.dashboard.beside_page import beside_pages
from screening.dashboard.drift_page import drift_page
from screening.dashboard.truth_page import truth_page
from screening.models import CountedPanel
from skinclinic.accounts.permissions import member_required
from skinclinic.audit.acting import AUDITOR, MANAGER, REVIEWER


def counted(request: HttpRequest, panel: Panel) -> CountedPanel | None:
    return CountedPanel.objects.visible_to(request.actor).filter(panel=panel).first()


@require_GET
@member_required(MANAGER, AUDITOR, REVIEWER)
def agreement(request: HttpRequest) -> HttpResponse:
    """A reviewer sees her own rows, who manages or audits everybody's. Counts alone: no look at a record."""
    panel = counted(request, Panel.AGREEMENT)
    period = request.GET.get("period") if request.GET.get("period") in PERIODS else "year"
    context = {"panel": panel, "period": period}
    if panel and request.actor.has_role(MANAGER, AUDITOR):
        context["parts"] = parts(panel.figures[period], request.actor)
    elif panel:
        context["own"] = own_rows(panel.figures[period], request.actor)
    return render(request, "dashboard/agreement.html", context)


@require_GET
@member_required(MANAGER, AUDITOR)
def truth(request: HttpRequest) -> HttpResponse:
    panel, version = counted(request, Panel.TRUTH), request.GET.get("version", "")
    context: dict[str, object] = {"panel": panel}
    if panel:
        versions = [name for name in panel.figures if name != "all"]
        version = version if version in versions else ""
        page = truth_page(panel.figures[version or "all"])
        context |= {"page": page, "version": version, "versions": versions}
    return render(request, "dashboard/truth.html", context)


@require_GET
@member_required(MANAGER, AUDITOR)
def drift(request: HttpRequest) -> HttpResponse:
    panel = counted(request, Panel.DRIFT)
    page = drift_page(panel.figures) if panel and panel.figures else None
    return render(request, "dashboard/drift.html", {"panel": panel, "page": page})


@require_GET
@member_required(MANAGER, AUDITOR)
def beside(request: HttpRequest) -> HttpResponse:
    panel = counted(request, Panel.BESIDE)
    pages = beside_pages(panel.figures) if panel else []
    return render(request, "dashboard/beside.html", {"panel": panel, "pages": pages})
