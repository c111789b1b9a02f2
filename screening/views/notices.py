"""The bell, and the list behind it."""

from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from screening.forms import NoticesForm
from screening.models import Notice, NoticeChoice
from screening.services.notices import choose_notices, see_notices
from screening.templatetags.chips import bell_of
from skinclinic.accounts.permissions import get_visible, member_required
from skinclinic.audit.record import record_page

PAGE = 30


@require_GET
@member_required()
def notices(request: HttpRequest) -> HttpResponse:
    """Hers, the unseen ones first, and how she wants to be told."""
    told = Notice.objects.told_to(request.actor).with_closed_charts_marked(request.actor).select_related(
        "patient__identity", "screening__image__lesion", "signature__reviewer", "follow_up__lesion", "alarm",
        "switch__asked_by", "suspension__resume_asked_by", "opening__person", "erasure__asked_by",
        "hold__lift_asked_by", "endpoint",
    )  # fmt: skip
    unseen = list(told.unseen()[:200])
    page = Paginator(told.filter(seen_at__isnull=False), PAGE).get_page(request.GET.get("page"))
    record_page("notices_listed", subject_type="screening_notice", ids=[notice.pk for notice in [*unseen, *page]])
    chosen = NoticeChoice.objects.visible_to(request.actor).filter(person=request.actor.user_id)
    form = NoticesForm(roles=request.actor.roles, initial=dict(chosen.values_list("kind", "way")), auto_id="notice_%s")
    return render(request, "screening/notices.html", {"unseen": unseen, "page": page, "form": form})


@require_GET
@member_required()
def bell(request: HttpRequest) -> HttpResponse:
    """The number alone; asked for every half minute, so not recorded."""
    return render(request, "screening/_bell.html", bell_of(request.actor))


@require_GET
@member_required()
def notice_open(request: HttpRequest, notice_id: UUID) -> HttpResponse:
    """To what it is about; it is seen from now on."""
    mine = Notice.objects.told_to(request.actor).select_related("signature", "follow_up")
    notice = get_visible(mine, request.actor, notice_id)
    see_notices(actor=request.actor, pk=notice.pk)
    return redirect(notice)


@require_POST
@member_required()
def notices_seen(request: HttpRequest) -> HttpResponse:
    see_notices(actor=request.actor)
    return redirect("notices")


@require_POST
@member_required()
def notices_choose(request: HttpRequest) -> HttpResponse:
    form = NoticesForm(request.POST, roles=request.actor.roles)
    if form.is_valid():
        choose_notices(actor=request.actor, ways=form.cleaned_data)
        messages.success(request, _("From now on you are told so."))
    else:
        messages.error(request, _("Choose one way for each kind."))
    return redirect("notices")
