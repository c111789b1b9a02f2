"""What a reviewer types is kept while she types it, and is there when she comes back."""

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from screening.models import Screening
from screening.services.drafts import drop_draft, keep_draft
from skinclinic.accounts.permissions import get_visible, member_required
from skinclinic.audit.acting import REVIEWER


@require_POST
@member_required(REVIEWER)
def draft_keep(request: HttpRequest, screening_id: UUID) -> HttpResponse:
    """Asked for by the page a moment after each change."""
    screening = get_visible(Screening.objects.in_use(), request.actor, screening_id)
    draft = keep_draft(actor=request.actor, screening=screening, typed=request.POST)
    return render(request, "screening/_draft.html", {"draft": draft, "screening": screening})


@require_POST
@member_required(REVIEWER)
def draft_drop(request: HttpRequest, screening_id: UUID) -> HttpResponse:
    screening = get_visible(Screening.objects.all(), request.actor, screening_id)
    drop_draft(actor=request.actor, screening=screening)
    return redirect("screening", screening.pk)
