"""A lesion's page: its course, and what pathology found."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from patients.models import Lesion
from screening import course
from screening.codes import TAKES_TISSUE
from screening.forms import OutcomeForm, TakeBackForm
from screening.models import FollowUp, Outcome, Overview, Screening
from screening.services.notices import see_notices
from screening.services.outcomes import Finding, enter_outcome
from skinclinic.accounts.permissions import get_visible, member_required
from skinclinic.audit.acting import CLINICIAN, REVIEWER
from skinclinic.audit.record import record
from skinclinic.errors import ClinicError


@require_GET
@member_required()
def lesion(request: HttpRequest, lesion_id: UUID) -> HttpResponse:
    shown = get_lesion(request, lesion_id)
    record("lesion_seen", subject_type="patients_lesion", subject_id=shown.pk, patient_id=shown.patient_id)
    see_notices(actor=request.actor, follow_up__lesion=shown)
    return render(request, "screening/lesion.html", lesion_context(request, shown, OutcomeForm()))


def get_lesion(request: HttpRequest, lesion_id: UUID) -> Lesion:
    return get_visible(Lesion.objects.select_related("patient__identity"), request.actor, lesion_id)


def lesion_context(request: HttpRequest, shown: Lesion, form: OutcomeForm) -> dict[str, object]:
    screenings = sorted(screenings_of(request, shown), key=course.taken_at, reverse=True)
    counted = [each for each in screenings if not each.is_repeat]
    outcomes = Outcome.objects.visible_to(request.actor).filter(lesion=shown)
    reported = list(outcomes.in_force().select_related("entered_by").order_by("-reported_on", "-created_at"))
    form.offer(reported)
    follow_ups = list(
        FollowUp.objects.visible_to(request.actor)
        .filter(lesion=shown)
        .select_related("lesion", "owner", "reported_by")
        .open_first()
    )
    return {
        "lesion": shown,
        "patient": shown.patient,
        "screenings": screenings,
        "overviews": list(
            Overview.objects.visible_to(request.actor)
            .in_use()
            .filter(image__lesion=shown)
            .select_related("visit", "image")
            .order_by("-created_at")
        ),
        "chart": course.draw(course.points_of(counted)),
        "chart_lines": course.scale(),
        "change": course.change_sentence(counted),
        "outcomes": [
            (outcome, course.beside_pathology(outcome, screenings), TakeBackForm(auto_id=f"back-{outcome.pk}-%s"))
            for outcome in reported
        ],
        "follow_ups": follow_ups,
        "for_tissue": [each for each in follow_ups if each.is_open and each.what in TAKES_TISSUE],
        "today": timezone.localdate(),
        "may_enter": request.actor.has_role(CLINICIAN, REVIEWER),
        "form": form,
    }


def screenings_of(request: HttpRequest, shown: Lesion) -> list[Screening]:
    return list(
        Screening.objects.visible_to(request.actor)
        .in_use()
        .filter(image__lesion=shown)
        .with_reading()
        .with_repeats_marked()
        .prefetch_related("prediction__model_version")
        .shown_to(request.actor)
    )


@require_POST
@member_required(CLINICIAN, REVIEWER)
def outcome_enter(request: HttpRequest, lesion_id: UUID) -> HttpResponse:
    """A pathology report on this lesion, or the correction of one."""
    shown = get_lesion(request, lesion_id)
    form = OutcomeForm(request.POST)
    if form.is_valid():
        said = form.cleaned_data
        finding = Finding(said["diagnosis"], said["reported_on"], said["words"])
        earlier = said["supersedes"] and get_visible(outcomes_of(shown), request.actor, said["supersedes"])
        closed_by_earlier = earlier and closed_by(earlier)
        try:
            outcome = enter_outcome(
                actor=request.actor,
                lesion=shown,
                submission=said["submission"],
                finding=finding,
                supersedes=earlier or None,
                keeps_open=said["keeps_open"],
            )
        except ClinicError as refusal:
            form.add_error(None, str(refusal))
        else:
            told = said_of_correction(closed_by_earlier) if earlier else said_of_report(closed_by(outcome))
            messages.success(request, told)
            return redirect("lesion", shown.pk)
    return render(request, "screening/lesion.html", lesion_context(request, shown, form))


def closed_by(outcome: Outcome) -> str:
    """What the report answers, such as “Biopsy, Excise”."""
    return ", ".join(each.get_what_display() for each in outcome.closed.order_by("what"))


def said_of_report(closed: str) -> str:
    if not closed:
        return _("The report is entered.")
    return _("The report is entered. It answers what was asked for, which is closed: %(closed)s.") % {"closed": closed}


def said_of_correction(opened: str) -> str:
    return " ".join(filter(None, [_("The report is corrected."), said_of_opened(opened)]))


def said_of_opened(opened: str) -> str:
    if not opened:
        return ""
    again = _("What it had closed is open again: %(opened)s. Close that yourself if the tissue was taken.")
    return again % {"opened": opened}


def outcomes_of(shown: Lesion):
    return Outcome.objects.filter(lesion=shown)


@require_POST
@member_required(CLINICIAN, REVIEWER)
def outcome_take_back(request: HttpRequest, outcome_id: UUID) -> HttpResponse:
    """An entry that should not be there is kept, and counts no more."""
    taken = get_visible(Outcome.objects.select_related("lesion"), request.actor, outcome_id)
    form = TakeBackForm(request.POST)
    if not form.is_valid():
        messages.error(request, _("Say why the entry is taken back."))
        return redirect("lesion", taken.lesion_id)
    opened = closed_by(taken)
    try:
        enter_outcome(
            actor=request.actor,
            lesion=taken.lesion,
            submission=form.cleaned_data["submission"],
            finding=Finding("", taken.reported_on, form.cleaned_data["words"]),
            supersedes=taken,
        )
        told = [_("The report is taken back. The history keeps it."), said_of_opened(opened)]
        messages.success(request, " ".join(filter(None, told)))
    except ClinicError as refusal:
        messages.error(request, str(refusal))
    return redirect("lesion", taken.lesion_id)
