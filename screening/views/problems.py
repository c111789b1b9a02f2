"""Problems that people report with readings: told on the result page, answered on a page of the managers."""

from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from screening.forms import AnswerForm, ProblemForm
from screening.models import ReadingProblem, Screening
from screening.services.problems import answer_problem, report_problem
from skinclinic.accounts.permissions import get_visible, member_required
from skinclinic.audit.acting import AUDITOR, CLINICIAN, MANAGER, REVIEWER
from skinclinic.audit.record import record_page
from skinclinic.errors import ClinicError

PAGE = 30


@require_POST
@member_required(CLINICIAN, REVIEWER, MANAGER)
def problem_report(request: HttpRequest, screening_id: UUID) -> HttpResponse:
    shown = get_visible(Screening.objects.shown_to(request.actor), request.actor, screening_id)
    form = ProblemForm(request.POST)
    if not form.is_valid():
        messages.error(request, " ".join(error for errors in form.errors.values() for error in errors))
        return redirect("screening", shown.pk)
    try:
        report_problem(actor=request.actor, screening=shown, **form.cleaned_data)
        messages.success(request, _("Thank you. The managers see your report beside the reading."))
    except ClinicError as refusal:
        messages.error(request, str(refusal))
    return redirect("screening", shown.pk)


@require_GET
@member_required(MANAGER, AUDITOR)
def problems(request: HttpRequest) -> HttpResponse:
    """Those that wait for an answer first, the oldest of them on top; then the answered, the newest first."""
    hidden = Screening.objects.visible_to(request.actor).shown_to(request.actor).filter(is_hidden=True)
    reported = ReadingProblem.objects.visible_to(request.actor).exclude(screening__in=hidden)
    reported = reported.with_closed_charts_marked(request.actor).select_related(
        "screening__image__lesion", "prediction", "reported_by", "answered_by", "patient__identity"
    )
    answered = reported.filter(answered_at__isnull=False).order_by("-answered_at")
    page = Paginator(answered, PAGE).get_page(request.GET.get("page"))
    waiting = list(reported.open())
    record_page("problems_listed", subject_type="screening_readingproblem", ids=[each.pk for each in [*waiting, *page]])
    context = {"waiting": waiting, "page": page, "form": AnswerForm(), "may_answer": request.actor.has_role(MANAGER)}
    return render(request, "screening/problems.html", context)


@require_POST
@member_required(MANAGER)
def problem_answer(request: HttpRequest, problem_id: UUID) -> HttpResponse:
    problem = get_visible(ReadingProblem.objects.all(), request.actor, problem_id)
    form = AnswerForm(request.POST)
    try:
        if form.is_valid():
            answer_problem(actor=request.actor, problem=problem, answer=form.cleaned_data["answer"])
            messages.success(request, _("The report is answered."))
        else:
            messages.error(request, _("Say what you found, or what was done."))
    except ClinicError as refusal:
        messages.error(request, str(refusal))
    return redirect("problems")
