"""One screening: the photograph, its reading, the opinions, and what can be done about it."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from patients.services import allows_reading
from screening.agreement import contradiction_in_words, in_words, quick_opinion
from screening.codes import ReviewKind
from screening.forms import FollowUpForm, OpinionForm, ProblemForm, RetryForm, ScaleForm
from screening.models import FollowUp, Overview, Review, Screening
from screening.presentation import BLIND, open_first, present
from screening.querysets import ScreeningQuerySet
from screening.services.drafts import drop_draft, find_draft
from screening.services.errors import ReadingUnseen
from screening.services.follow_ups import close_follow_up
from screening.services.notices import see_notices
from screening.services.photographs import duplicates_of
from screening.services.readings import retry_reading
from screening.services.reviews import Opinion, may_not_adjudicate, opinion_from, save_opinion, shown_reading_id
from screening.services.signing import amend_review
from screening.status import ReadingStatus, ReviewStatus
from skinclinic.accounts.permissions import get_visible, member_required
from skinclinic.audit.acting import CLINICIAN, MANAGER, REVIEWER, Actor, acting
from skinclinic.audit.record import record
from skinclinic.errors import ClinicError


@require_GET
@member_required()
def screening(request: HttpRequest, screening_id: UUID) -> HttpResponse:
    shown = get_shown(request, screening_id)
    record("screening_seen", subject_type="screening_screening", subject_id=shown.pk, patient_id=shown.patient_id)
    see_notices(actor=request.actor, screening=shown)
    return render(request, "screening/result.html", result_context(request, shown, opinion_form(request.actor, shown)))


@require_GET
@member_required()
def screening_live(request: HttpRequest, screening_id: UUID) -> HttpResponse:
    """The reading alone, asked for while it is awaited."""
    shown = get_shown(request, screening_id)
    return render(request, "screening/_reading.html", result_context(request, shown, None))


def get_shown(request: HttpRequest, screening_id: UUID) -> Screening:
    screenings = Screening.objects.with_everything().shown_to(request.actor)
    return get_visible(screenings, request.actor, screening_id)


def result_context(request: HttpRequest, shown: Screening, form: OpinionForm | None) -> dict[str, object]:
    siblings, has_signed = open_first(siblings_of(request.actor, shown)) if form else ([], False)
    reading = present(shown, request.clinic)
    last = last_of(request.actor, shown)
    may_agree = form and not form.is_bound and form.draft is None and request.actor.has_role(REVIEWER)
    quick = quick_opinion(shown, reading, last) if may_agree else None
    return {
        "screening": shown,
        "patient": shown.patient,
        "reading": reading,
        "form": form,
        "draft": getattr(form, "draft", None),
        "quick": quick,
        "quick_words": in_words(quick) if quick else "",
        "quick_keeps": quick is not None and last is not None,
        "not_quick": contradiction_in_words(shown, reading) if may_agree and last is None else "",
        "reading_shown": shown_reading_id(shown),
        "reviews": reviews_shown(request, shown),
        "may_judge": shown.review_status != ReviewStatus.DISPUTED or not may_not_adjudicate(request.actor, shown),
        "duplicates": list(duplicates_of(shown.image).screened().select_related("screening")) if form else [],
        "siblings": siblings,
        "has_signed": has_signed,
        "still_open": [each for each in siblings if not each.is_signed] if has_signed else [],
        "overviews": list(
            Overview.objects.visible_to(request.actor).in_use().filter(image__lesion=shown.image.lesion_id).order_by("-created_at")[:4]
        ) if form else [],
        "scale": shown.image.scales.select_related("image", "set_by").last() if form else None,
        "scale_form": ScaleForm(auto_id="scale_%s"),
        "may_withdraw": not shown.is_withdrawn and request.actor.has_role(CLINICIAN, REVIEWER),
        "taken_by_other": shown.visit.is_taken_from(request.actor),
        "retry_form": RetryForm(),
        "problem_form": ProblemForm(auto_id="problem_%s"),
        "problems": [] if shown.is_hidden else list(shown.problems.select_related("reported_by", "answered_by")),
        "may_be_read": not shown.is_hidden and may_be_read(shown),
    }  # fmt: skip


def siblings_of(actor: Actor, shown: Screening) -> ScreeningQuerySet:
    """The photographs of its visit."""
    return Screening.objects.visible_to(actor).in_use().filter(visit=shown.visit_id).select_related("image__lesion")


def reviews_shown(request: HttpRequest, shown: Screening) -> list[Review]:
    """What doctors said: to a reviewer who may be the second reader, nothing before she has said something herself."""
    reviews = list(shown.reviews.all())
    if shown.is_hidden:
        return []
    first_says = request.actor.has_role(REVIEWER) and not any(
        review.reviewer_id == request.actor.user_id for review in reviews
    )
    if first_says and request.clinic.asks_second_reader and shown.review_status == ReviewStatus.READ:
        return []
    return reviews


def may_be_read(shown: Screening) -> bool:
    if shown.reading_status == ReadingStatus.NOT_WANTED:
        return allows_reading(shown.patient_id)
    return shown.reading_status == ReadingStatus.FAILED


@require_http_methods(["GET", "POST"])
@member_required(REVIEWER)
def opinion_save(request: HttpRequest, screening_id: UUID) -> HttpResponse:
    """An opinion on an open screening, or an amendment of a signed one.

    A refused form stands under this address: who enters it again is led back to the page.
    """
    if request.method == "GET":
        return redirect("screening", screening_id)
    shown = get_shown(request, screening_id)
    form = OpinionForm(request.POST)
    if form.is_valid():
        try:
            review = say_opinion(request.actor, shown, form.cleaned_data)
        except ReadingUnseen as refusal:
            form = opinion_form(request.actor, shown, request.POST)
            form.add_error(None, str(refusal))
        except ClinicError as refusal:
            form.add_error(None, str(refusal))
        else:
            drop_draft(actor=request.actor, screening=shown)
            messages.success(request, said_of(shown, review))
            return redirect(next_after(request.actor, shown, review))
    return render(request, "screening/result.html", result_context(request, shown, form))


def opinion_form(actor: Actor, shown: Screening, data: QueryDict | None = None) -> OpinionForm:
    """The form beside what is shown now; `data` is what was written beside something older."""
    beside = {"reading_shown": shown_reading_id(shown), "amends": shown.signed_review_id}
    if data is not None:
        return OpinionForm({**data.dict(), "reading_shown": str(beside["reading_shown"] or "")})
    draft = find_draft(actor=actor, screening=shown) if actor.has_role(REVIEWER) else None
    form = OpinionForm(initial=(draft.fields if draft else said_before(actor, shown)) | beside)
    form.draft = draft
    return form


def said_before(actor: Actor, shown: Screening) -> dict[str, object]:
    """Her last opinion on what is still open, to be kept or changed."""
    last = last_of(actor, shown)
    if last is None or shown.is_signed:
        return {}
    said = {name: getattr(last, name) for name in Opinion.__dataclass_fields__}
    return said | {"suspicious": "yes" if last.suspicious else "no"}


def last_of(actor: Actor, shown: Screening) -> Review | None:
    """Her last word on it, from the reviews that were fetched with it."""
    return next((each for each in reversed(shown.reviews.all()) if each.reviewer_id == actor.user_id), None)


def say_opinion(actor: Actor, shown: Screening, cleaned: dict[str, Any]) -> Review:
    """As the form was drawn, an opinion or an amendment: what was signed meanwhile is not amended unawares."""
    said = {name: cleaned[name] for name in ("submission", "reading_shown")}
    opinion = opinion_from(cleaned)
    if cleaned["amends"]:
        return amend_review(actor=actor, screening=shown, opinion=opinion, amends=cleaned["amends"], **said)
    return save_opinion(actor=actor, screening=shown, opinion=opinion, **said)


def said_of(shown: Screening, review: Review) -> str:
    if review.kind == ReviewKind.AMENDMENT:
        return _("The review is amended.")
    if discloses(shown, review):
        return _("Your first opinion is saved. Look at the reading, and keep your opinion or change it.")
    return _("Your opinion is saved.")


def discloses(shown: Screening, review: Review) -> bool:
    """There is a reading that she sees from now on, and has to judge beside."""
    return review.kind == ReviewKind.BLIND and shown.reading_status == ReadingStatus.PREDICTED


def next_after(actor: Actor, shown: Screening, review: Review) -> str:
    """The reading that a blind opinion discloses; else the next photograph without an opinion of hers, or the visit."""
    if discloses(shown, review):
        return reverse("screening", args=[shown.pk])
    of_visit = Screening.objects.to_be_reviewed().filter(visit=shown.visit_id)
    if shown.review_status == ReviewStatus.DISPUTED:
        of_visit = of_visit.filter(review_status=ReviewStatus.DISPUTED)
    waiting = of_visit.exclude(pk=shown.pk).exclude(reviews__reviewer=actor.user_id).first()
    if waiting and not shown.is_signed:
        return reverse("screening", args=[waiting.pk])
    return reverse("visit", args=[shown.visit_id])


@require_POST
@member_required(CLINICIAN, REVIEWER, MANAGER)
def reading_retry(request: HttpRequest, screening_id: UUID) -> HttpResponse:
    shown = get_visible(Screening.objects.shown_to(request.actor), request.actor, screening_id)
    form = RetryForm(request.POST)
    try:
        if shown.is_hidden:
            messages.error(request, BLIND)
        elif form.is_valid():
            with acting(request.actor, reason=form.cleaned_data["reason"]):
                retry_reading(actor=request.actor, screening=shown)
            messages.success(request, _("The photograph waits to be read again."))
        else:
            messages.error(request, _("Say why it is to be tried again."))
    except ClinicError as refusal:
        messages.error(request, str(refusal))
    return redirect("screening", shown.pk)


@require_POST
@member_required(CLINICIAN, REVIEWER)
def follow_up_close(request: HttpRequest, follow_up_id: UUID) -> HttpResponse:
    follow_up = get_visible(FollowUp.objects.all(), request.actor, follow_up_id)
    form = FollowUpForm(request.POST)
    try:
        if form.is_valid():
            close_follow_up(follow_up=follow_up, status=form.cleaned_data["status"])
            messages.success(request, _("The follow-up is closed."))
    except ClinicError as refusal:
        messages.error(request, str(refusal))
    return redirect("patient_chart", follow_up.patient_id)
