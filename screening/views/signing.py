"""Signing a visit, undoing that within seconds, and going on to the next one."""

from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext, gettext_lazy
from django.views.decorators.http import require_GET, require_POST

from patients.models import Visit
from screening.codes import HeldStatus
from screening.filters import WorklistFilter
from screening.models import HeldSignature, Review, Screening
from screening.querysets import ScreeningQuerySet, visits_to_review
from screening.services.errors import NotYours
from screening.services.holding import give_signature, hold_signature, undo_signature
from screening.services.reviews import release_visit, take_visit
from screening.services.second import is_second_reading_due, lacks_second_reader, readers_of
from screening.services.signing import sign_visit
from screening.views.worklist import NARROWED
from skinclinic.accounts.confirm import confirm, keep_confirmed
from skinclinic.accounts.models import Clinic
from skinclinic.accounts.permissions import get_visible, member_required
from skinclinic.audit.acting import REVIEWER, Actor
from skinclinic.errors import ClinicError
from skinclinic.text import uuid_or_none, uuids

SIGNED = gettext_lazy("The visit is signed. The clinician sees it now.")
DIFFERS = gettext_lazy("You differ from the first reader. A third reviewer decides and signs.")
# So much of the list “next” goes through.
TOP = 200


@require_POST
@member_required(REVIEWER)
def visit_sign(request: HttpRequest, visit_id: UUID) -> HttpResponse:
    signed = get_visible(Visit.objects.all(), request.actor, visit_id)
    shown = uuids(request.POST.getlist("opinion"))
    try:
        confirm(request, request.POST.get("password", ""))
        if settings.SIGNATURE_HOLD:
            hold_signature(actor=request.actor, visit=signed, opinions_shown=shown)
        else:
            tell_signed(request, sign_visit(actor=request.actor, visit=signed, opinions_shown=shown) is not None)
    except ClinicError as refusal:
        messages.error(request, str(refusal))
        return redirect("visit", signed.pk)
    keep_confirmed(request)
    return redirect("worklist")


def tell_signed(request: HttpRequest, is_signed: bool) -> None:
    if is_signed:
        messages.success(request, SIGNED)
    else:
        messages.warning(request, DIFFERS)


def held_signatures() -> "QuerySet[HeldSignature]":
    return HeldSignature.objects.select_related("visit__patient__identity")


@require_POST
@member_required(REVIEWER)
def signature_give(request: HttpRequest, held_id: UUID) -> HttpResponse:
    """The seconds are over: asked for by the page, which is told in its own place what became of it."""
    held = get_visible(held_signatures(), request.actor, held_id)
    try:
        give_signature(actor=request.actor, held=held)
        held.refresh_from_db(fields=["status", "refusal"])
        sentence = outcome_of(held)
    except ClinicError as refusal:
        held.refresh_from_db(fields=["status", "refusal"])
        sentence = str(refusal)
    if not request.htmx:
        messages.info(request, sentence)
        return redirect("visit", held.visit_id)
    return render(request, "screening/_held_closed.html", {"held": held, "sentence": sentence})


def outcome_of(held: HeldSignature) -> str:
    """What became of it, here or in another window."""
    match HeldStatus(held.status):
        case HeldStatus.UNDONE:
            return gettext("Undone: the visit is not signed.")
        case HeldStatus.REFUSED:
            return held.refusal
        case HeldStatus.GIVEN:
            is_disputed = Screening.objects.disputed().filter(visit=held.visit_id).exists()
            return str(DIFFERS if is_disputed else SIGNED)
    raise ValueError(held.status)


@require_POST
@member_required(REVIEWER)
def signature_undo(request: HttpRequest, held_id: UUID) -> HttpResponse:
    held = get_visible(held_signatures(), request.actor, held_id)
    try:
        undo_signature(actor=request.actor, held=held)
        messages.success(request, gettext("Undone: the visit is not signed. Change what you said, or sign again."))
    except ClinicError as refusal:
        messages.error(request, str(refusal))
    return redirect("visit", held.visit_id)


@require_POST
@member_required(REVIEWER)
def visit_next(request: HttpRequest) -> HttpResponse:
    """Take the next free visit of her list, and open the first of its photographs that lacks her opinion.

    The one she comes from, `after`, goes back to the list if she has said nothing of it, or waits for another reader.
    """
    after = uuid_or_none(request.POST.get("after"))
    keys = next_visits(request, after)
    if left := Visit.objects.visible_to(request.actor).filter(pk=after).first():
        give_back_unread(request.actor, left)
    for key in keys:
        try:
            take_visit(actor=request.actor, visit=get_visible(Visit.objects.all(), request.actor, key))
        except NotYours:
            continue
        return redirect("screening", lacking_opinion(request).filter(visit=key).in_reading_order()[0].pk)
    messages.info(request, gettext("Nothing else on your list waits for an opinion of yours."))
    return redirect("worklist")


def give_back_unread(actor: Actor, visit: Visit) -> None:
    """Where she has said nothing, or has said all and a second reader is asked for."""
    said = Review.objects.filter(screening__visit=visit, reviewer=actor.user_id).exists()
    if not said or waits_for_another(actor, visit):
        release_visit(actor=actor, visit=visit)


def waits_for_another(actor: Actor, visit: Visit) -> bool:
    waiting = list(Screening.objects.to_be_reviewed().filter(visit=visit))
    readers = readers_of(waiting)
    has_read_all = all(actor.user_id in readers[each.pk] for each in waiting)
    clinic = Clinic.objects.get(pk=actor.own_clinic())
    return (
        has_read_all
        and is_second_reading_due(clinic, waiting, readers)
        and lacks_second_reader(waiting, readers, actor.user_id)
    )


@require_GET
@member_required(REVIEWER)
def worklist_ahead(request: HttpRequest) -> HttpResponse:
    """The photographs of the visit that comes after this one, for the browser to fetch while she is reading."""
    keys = next_visits(request, uuid_or_none(request.GET.get("after")))
    images = lacking_opinion(request).filter(visit__in=keys[:1]).values_list("image", flat=True)
    return render(request, "screening/_ahead.html", {"images": list(images)})


def next_visits(request: HttpRequest, after: UUID | None) -> list[UUID]:
    """Of her list as she narrowed it what nobody else holds and lacks an opinion of hers: what stands below `after`,
    then what stands above it. Only the top of a long list counts."""
    asked = QueryDict(request.session.get(NARROWED, ""))
    filters = WorklistFilter(asked, queryset=Visit.objects.visible_to(request.actor), request=request)
    held_by_others = Q(taken_until__gt=timezone.now()) & ~Q(taken_by=request.actor.user_id)
    lacking = lacking_opinion(request).filter(visit=OuterRef("pk"))
    free = filters.qs.exclude(held_by_others).filter(Exists(lacking) | Q(pk=after))
    keys = [key for key, *_ in visits_to_review(free, request.actor).values_list("pk", "waiting_since")[:TOP]]
    place = keys.index(after) if after in keys else -1
    return keys[place + 1 :] + keys[: max(place, 0)]


def lacking_opinion(request: HttpRequest) -> ScreeningQuerySet:
    hers = Review.objects.filter(screening=OuterRef("pk"), reviewer=request.actor.user_id)
    return Screening.objects.visible_to(request.actor).to_be_reviewed().exclude(Exists(hers))
