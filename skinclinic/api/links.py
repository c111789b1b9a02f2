"""From a record system to a chart, by a link that says nothing of whose chart it is (decision 040)."""

import secrets
from uuid import UUID

from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from patients.models import Patient
from skinclinic.accounts.entry import ACTIVE_CLINIC, enter_clinic, signed_in
from skinclinic.accounts.models import Membership, digest
from skinclinic.api.models import ChartLink
from skinclinic.audit.acting import Actor

KEPT = "chart_link"


def make_link(*, patient: Patient) -> tuple[ChartLink, str]:
    """Returned with its token, which names the clinic, so that she is asked in which she acts by nobody."""
    secret = secrets.token_urlsafe(32)
    link = ChartLink.objects.create(clinic_id=patient.clinic_id, patient=patient, token_hash=digest(secret))
    return link, f"{patient.clinic_id.hex}.{secret}"


def use_link(*, actor: Actor, secret: str) -> ChartLink | None:
    """None where it was used before, is too old or was made up."""
    good = ChartLink.objects.visible_to(actor).filter(
        token_hash=digest(secret), used_at__isnull=True, ends_at__gt=timezone.now()
    )
    link = good.first()
    used = good.update(used_at=timezone.now(), used_by=actor.user_id)
    return link if used else None


@require_GET
@never_cache
def open_chart(request: HttpRequest) -> HttpResponse:
    """The token leaves the address first, so that no history has it, and is kept while she signs in."""
    if token := request.GET.get("token"):
        request.session[KEPT] = token[:100]
        return redirect("open_chart")
    if not request.user.is_authenticated:
        return redirect_to_login(request.get_full_path())
    link = link_of(request, *read_token(request.session.pop(KEPT, "")))
    if link is None:
        return render(request, "accounts/link_gone.html", status=404)
    return redirect("patient_chart", link.patient_id)


def read_token(token: str) -> tuple[UUID | None, str]:
    clinic, _, secret = token.partition(".")
    try:
        return UUID(hex=clinic), secret
    except ValueError:
        return None, ""


def link_of(request: HttpRequest, clinic_id: UUID | None, secret: str) -> ChartLink | None:
    """In the clinic of the link, if she is a member there; her session is in it from here on."""
    hers = Membership.objects.active().filter(user=request.user, clinic=clinic_id)
    if clinic_id is None or not hers.exists():
        return None
    request.session[ACTIVE_CLINIC] = str(clinic_id)
    request.actor = enter_clinic(request, signed_in(request))
    return use_link(actor=request.actor, secret=secret)
