"""The pages of an invitation: for who is new, and for who has an account."""

from uuid import UUID

from django.contrib import messages
from django.contrib.auth import login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods

from skinclinic.accounts import invitations
from skinclinic.accounts.entry import ACTIVE_CLINIC, BOUND_TO
from skinclinic.accounts.forms import JoinForm
from skinclinic.accounts.models import Invitation, Membership
from skinclinic.accounts.oidc.binding import refuse_bound
from skinclinic.accounts.oidc.provider import provider_of
from skinclinic.accounts.views import BACKEND
from skinclinic.errors import ClinicError

KEPT = "invitation"


@require_GET
@never_cache
def invitation(request: HttpRequest, clinic_id: UUID, token: str) -> HttpResponse:
    """Take the token out of the address, so that no history and no other site's log has it."""
    request.session[KEPT] = [str(clinic_id), token[:100]]
    return redirect("join")


@require_http_methods(["GET", "POST"])
@never_cache
def join(request: HttpRequest) -> HttpResponse:
    found = kept(request)
    if found is None:
        return render(request, "accounts/join_gone.html", status=404)
    if request.session.get(BOUND_TO, str(found.clinic_id)) != str(found.clinic_id):
        refuse_bound()
    if request.user.is_authenticated:
        return join_signed_in(request, found)
    if invitations.account_of(found):
        return render(request, "accounts/join_sign_in.html", {"invitation": found})
    hospital = provider_of(found.clinic_id)
    if hospital and hospital.is_required:
        return render(request, "accounts/join.html", {"invitation": found, "hospital": hospital})
    form = JoinForm(request.POST or None, invitation=found)
    if request.method == "POST" and form.is_valid():
        try:
            return enter_as_new(request, form)
        except ClinicError as refusal:
            form.add_error(None, str(refusal))
    return render(request, "accounts/join.html", {"form": form, "invitation": found, "hospital": hospital})


def kept(request: HttpRequest) -> Invitation | None:
    clinic_id, token = request.session.get(KEPT) or (None, "")
    return invitations.find(UUID(clinic_id), token) if clinic_id else None


def enter_as_new(request: HttpRequest, form: JoinForm) -> HttpResponse:
    clinic_id, token = request.session[KEPT]
    given = {name: form.cleaned_data[name] for name in ("full_name", "password")}
    membership = invitations.join_as_new(clinic_id=UUID(clinic_id), token=token, **given)
    login(request, membership.user, backend=BACKEND)
    return enter(request, membership)


def join_signed_in(request: HttpRequest, found: Invitation) -> HttpResponse:
    if request.method != "POST":
        return render(request, "accounts/join_confirm.html", {"invitation": found})
    clinic_id, token = request.session[KEPT]
    try:
        membership = invitations.join_as(user=request.user, clinic_id=UUID(clinic_id), token=token)
    except ClinicError as refusal:
        messages.error(request, str(refusal))
        return redirect("join")
    return enter(request, membership)


def enter(request: HttpRequest, membership: Membership) -> HttpResponse:
    request.session.pop(KEPT, None)
    request.session[ACTIVE_CLINIC] = str(membership.clinic_id)
    messages.success(request, _("Welcome to %(clinic)s.") % {"clinic": membership.clinic.name})
    return redirect("home")
