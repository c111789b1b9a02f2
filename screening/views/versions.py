"""Which models read for the clinic: the page of the managers, and its acts."""

from dataclasses import dataclass
from functools import partial

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext
from django.views.decorators.http import require_GET, require_POST

from screening.codes import ABOUT_MODELS
from screening.dashboard.by_version import Figures, counted_by_version, of, read_by_version
from screening.dashboard.shown import said
from screening.deeds import line_of
from screening.forms import ExpectedShareForm
from screening.models import (
    ModelVersion,
    ReadingProblem,
    Suspension,
    SwitchRequest,
)
from screening.services.notices import see_notices
from screening.views.history import history_page
from skinclinic.accounts.approval import may_agree
from skinclinic.accounts.models import Clinic, as_told
from skinclinic.accounts.permissions import member_required
from skinclinic.accounts.services import expect_malignant_share
from skinclinic.audit.acting import AUDITOR, MANAGER, REVIEWER, Actor
from skinclinic.audit.models import AuditEvent

TABLES = (
    "screening_readingpolicy",
    "screening_switchrequest",
    "screening_shadowversion",
    "screening_suspension",
    "accounts_clinic",
)


@dataclass(frozen=True)
class Row:
    """One version as the table shows it. is_next: no photograph was read yet, and this one would read the first."""

    version: ModelVersion
    is_active: bool
    is_previous: bool
    is_shadow: bool
    is_next: bool
    suspension: Suspension | None
    readings: int
    beside: int

    @property
    def is_retired(self) -> bool:
        """It has read here, and reads no more; nobody stopped it."""
        reads = self.is_active or self.is_shadow or self.suspension is not None
        return bool(self.readings or self.beside) and not reads

    @property
    def refers(self) -> str:
        """What the threshold attained on test lesions, with its intervals; empty where the manifest does not say."""
        refer = self.version.manifest.get("refer")
        if not refer:
            return ""
        found, left = refer["sensitivity"], refer["specificity"]
        refers = gettext("%(found)s of the malignant are referred, %(left)s of the benign are not")
        return refers % {"found": percent(found), "left": percent(left)}


def percent(share: dict[str, float | None]) -> str:
    return said(share, 100, ".1f", gettext("%(value)s %% (%(low)s to %(high)s)"))


@require_GET
@member_required(MANAGER, REVIEWER, AUDITOR, or_approver=True)
def models(request: HttpRequest) -> HttpResponse:
    see_notices(actor=request.actor, kind__in=sorted(ABOUT_MODELS))
    return show(request)


def show(request: HttpRequest, share_form: ExpectedShareForm | None = None) -> HttpResponse:
    events = AuditEvent.objects.visible_to(request.actor).of_rules().filter(subject_type__in=TABLES)
    all_stops = list(Suspension.objects.visible_to(request.actor).select_related("suspended_by", "resume_asked_by"))
    suspensions = [stop for stop in all_stops if stop.resumed_at is None]
    for stop in suspensions:
        stop.resume_reason = reason_of_request(stop)
    figures, counted = counted_by_version(request.actor, read_by_version)
    rows = rows_of(request.actor, suspensions, figures)
    context = {
        "rows": rows,
        "counted": counted,
        "first": next((row for row in rows if row.is_next), None),
        "switch": switch_asked(request.actor),
        "everything": next((stop for stop in suspensions if stop.model_version_id is None), None),
        "expected": expected_now(request.clinic),
        "share_form": share_form or ExpectedShareForm(initial=expected_now(request.clinic)),
        "is_manager": request.actor.has_role(MANAGER),
        "open_problems": open_problems(request.actor),
        "may_agree": may_agree(request.actor),
        "approver": request.clinic.approver,
        **history_page(request, events, partial(line_of, named=suspended_things(all_stops))),
    }
    return render(request, "screening/models.html", context)


def switch_asked(actor: Actor) -> SwitchRequest | None:
    return SwitchRequest.objects.visible_to(actor).open().select_related("asked_by").first()


def open_problems(actor: Actor) -> int | None:
    """How many reports wait for an answer; None for who does not see them."""
    if not actor.has_role(MANAGER, AUDITOR):
        return None
    return ReadingProblem.objects.visible_to(actor).open().count()


def reason_of_request(stop: Suspension) -> str:
    """Why readings may go on, as the one who asked said to the ledger; empty while nobody asks."""
    if not stop.resume_asked_by_id:
        return ""
    steps = AuditEvent.objects.filter(clinic_id=stop.clinic_id, subject_id=stop.pk, action="update")
    return steps.order_by("-pk").values_list("reason", flat=True).first() or ""


def suspended_things(stops: list[Suspension]) -> dict[str, str]:
    """What each suspension stops or stopped, for the history, whose later lines do not say it."""
    return {str(stop.pk): stop.model_version_id or gettext("all readings") for stop in stops}


def expected_now(clinic: Clinic) -> dict[str, object]:
    return {
        "per_thousand": round(1000 * clinic.expected_malignant_share),
        "source": as_told(clinic.expected_malignant_source),
        "on": clinic.expected_malignant_on,
    }


@require_POST
@member_required(MANAGER)
def expected_share(request: HttpRequest) -> HttpResponse:
    form = ExpectedShareForm(request.POST)
    if not form.is_valid():
        return show(request, form)
    told = form.cleaned_data
    share = told["per_thousand"] / 1000
    expect_malignant_share(actor=request.actor, share=share, source=told["source"], on=told["on"])
    messages.success(request, gettext("The counts beside every reading are weighed with this share from now on."))
    return redirect("models")


def rows_of(actor: Actor, suspensions: list[Suspension], figures: Figures) -> list[Row]:
    known = ModelVersion.objects.for_clinic(actor).newest_first()
    stopped = {stop.model_version_id: stop for stop in suspensions}
    has_policy = any(each.is_active for each in known)
    return [
        Row(
            version=each,
            is_active=each.is_active,
            is_previous=each.is_previous,
            is_shadow=each.is_shadow,
            is_next=not has_policy and rank == 0,
            suspension=stopped.get(each.pk),
            readings=of(each, figures)["decided"],
            beside=of(each, figures)["beside"],
        )
        for rank, each in enumerate(known)
    ]
