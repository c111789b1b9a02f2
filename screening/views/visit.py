"""A visit: its lesions, the upload of photographs, what became of them, and the signature."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from patients.codes import ConsentDecision, ConsentKind
from patients.models import Visit
from patients.services import decisions_of
from screening.codes import Finding, HeldStatus, PhotographKind, ReviewKind
from screening.images import MAX_BYTES
from screening.models import HeldSignature, Overview, Screening, Signature
from screening.presentation import open_first
from screening.services.notices import see_notices
from screening.services.reviews import latest_opinions, may_not_adjudicate, shown_reading_id
from screening.services.second import is_second_reading_due, lacks_second_reader, readers_of
from screening.services.signing import acknowledge
from screening.status import READING_IS_OPEN, ReviewStatus
from skinclinic.accounts.confirm import is_confirmed
from skinclinic.accounts.oidc.confirming import confirms_at
from skinclinic.accounts.permissions import get_visible, member_required
from skinclinic.audit.acting import CLINICIAN, REVIEWER, Actor
from skinclinic.audit.record import record
from skinclinic.errors import ClinicError


def visits() -> "QuerySet[Visit]":
    return Visit.objects.select_related("patient__identity", "clinician", "taken_by")


@require_GET
@member_required()
def visit(request: HttpRequest, visit_id: UUID) -> HttpResponse:
    shown = get_visible(visits(), request.actor, visit_id)
    record("visit_seen", subject_type="patients_visit", subject_id=shown.pk, patient_id=shown.patient_id)
    see_notices(actor=request.actor, signature__visit=shown)
    return render(request, "screening/visit.html", visit_context(request, shown))


@require_GET
@member_required()
def visit_live(request: HttpRequest, visit_id: UUID) -> HttpResponse:
    """The part of the page that changes while photographs are read; asked for every few seconds, so not recorded."""
    shown = get_visible(visits(), request.actor, visit_id)
    return render(request, "screening/_visit_screenings.html", visit_context(request, shown))


def visit_context(request: HttpRequest, shown: Visit) -> dict[str, object]:
    in_use = Screening.objects.visible_to(request.actor).in_use().filter(visit=shown)
    screenings, has_signed = open_first(in_use.with_reading().shown_to(request.actor))
    opinions = latest_opinions(screenings)
    is_disputed = any(screening.review_status == ReviewStatus.DISPUTED for screening in screenings)
    for screening in screenings:
        screening.opinion = None if screening.is_hidden else opinions.get(screening.pk)
        # On the rest of a visit with a dispute two readers agree.
        is_settled = is_disputed and screening.review_status != ReviewStatus.DISPUTED
        screening.is_judged = is_settled or is_judged(screening, request.actor)
    waiting = [screening for screening in screenings if not screening.is_signed]
    held = HeldSignature.objects.visible_to(request.actor).filter(visit=shown).select_related("reviewer")
    held = held.order_by("-created_at").first()
    context = {
        "visit": shown,
        "patient": shown.patient,
        "screenings": screenings,
        "has_signed": has_signed,
        "is_reading": any(awaits_reading(screening) for screening in screenings),
        "overviews": list(
            Overview.objects.visible_to(request.actor).in_use().filter(visit=shown).select_related("image__lesion")
        ),
        "signatures": list(shown.signatures.select_related("reviewer", "acknowledged_by")),
        "waiting": waiting,
        "withdrawn": list(
            Screening.objects.visible_to(request.actor)
            .withdrawn()
            .filter(visit=shown)
            .select_related("image__lesion")
        ),
        "can_sign": bool(waiting) and request.actor.has_role(REVIEWER) and all(each.is_judged for each in waiting),
        "needs_another": not is_disputed
        and any(screening.is_judged for screening in waiting)
        and needs_another(request, waiting),
        "is_disputed": is_disputed,
        "taken_by_other": shown.is_taken_from(request.actor),
        "held": held if held and held.status == HeldStatus.HELD else None,
        "refused": held if held and waiting and held.status == HeldStatus.REFUSED else None,
        "asks_password": not is_confirmed(request),
        "hospital": None if is_confirmed(request) else confirms_at(request),
    }  # fmt: skip
    if request.actor.has_role(CLINICIAN):
        context |= upload_context(shown)
    return context | {"next_step": next_step(request.actor, context)}


def upload_context(shown: Visit) -> dict[str, object]:
    decisions = decisions_of(shown.patient_id)
    return {
        "lesions": list(shown.patient.lesions.order_by("number")),
        "reading_allowed": decisions.get(ConsentKind.AI_READING) == ConsentDecision.GIVEN,
        "photographs_refused": decisions.get(ConsentKind.PHOTOGRAPH) == ConsentDecision.REFUSED,
        "findings": Finding.choices,
        "largest": MAX_BYTES,
        "kinds": PhotographKind.choices,
    }


@dataclass(frozen=True)
class NextStep:
    """What a person does next in a visit: where it stands, and a link to what is to be done."""

    said: str
    label: str
    address: str


def next_step(actor: Actor, context: Mapping[str, Any]) -> NextStep | None:
    """The reviewer's, while something waits that is hers to judge or sign; then the clinician's who acknowledges."""
    waiting: list[Screening] = context["waiting"]
    if actor.has_role(REVIEWER) and waiting and not context["held"] and not context["taken_by_other"]:
        left = [screening for screening in waiting if not screening.is_judged]
        said = _("%(judged)s of %(all)s judged") % {"judged": len(waiting) - len(left), "all": len(waiting)}
        if not left:
            return None if context["needs_another"] else NextStep(said, _("Sign below"), "#sign-title")
        if context["is_disputed"] and may_not_adjudicate(actor, left[0]):
            return None
        return NextStep(said, _("Judge the next one"), reverse("screening", args=[left[0].pk]))
    if actor.has_role(CLINICIAN) and any(not signature.acknowledged_by_id for signature in context["signatures"]):
        return NextStep(_("Not acknowledged yet"), _("Acknowledge below"), "#signed-title")
    return None


def needs_another(request: HttpRequest, waiting: list[Screening]) -> bool:
    """The actor has read the visit, and the clinic asks for another reader before it is signed."""
    readers = readers_of(waiting)
    due = is_second_reading_due(request.clinic, waiting, readers)
    return due and lacks_second_reader(waiting, readers, request.actor.user_id)


def is_judged(screening: Screening, actor: Actor) -> bool:
    """The last opinion is the actor's, given beside the reading that is there now."""
    opinion = screening.opinion
    if opinion is None or opinion.reviewer_id != actor.user_id:
        return False
    if screening.review_status == ReviewStatus.DISPUTED and opinion.kind != ReviewKind.ADJUDICATION:
        return False
    return opinion.reading_shown_id == shown_reading_id(screening)


def awaits_reading(screening: Screening) -> bool:
    return not screening.is_hidden and screening.reading_status in READING_IS_OPEN


@require_POST
@member_required(CLINICIAN)
def signature_acknowledge(request: HttpRequest, signature_id: UUID) -> HttpResponse:
    signature = get_visible(Signature.objects.all(), request.actor, signature_id)
    try:
        acknowledge(actor=request.actor, signature=signature)
    except ClinicError as refusal:
        messages.info(request, str(refusal))
    else:
        messages.success(request, _("You have acknowledged the signed review."))
    return redirect("visit", signature.visit_id)
