"""The way in: the first-run page and the choice of a clinic."""

import json
from uuid import UUID

from allauth.account.views import LoginView
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login
from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.middleware.csrf import get_token
from django.shortcuts import redirect, render, resolve_url
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from skinclinic.accounts import unlock
from skinclinic.accounts.approval import could_approve, name_approver
from skinclinic.accounts.entry import ACTIVE_CLINIC, asks_for_provider
from skinclinic.accounts.forms import ClinicForm, FirstRunForm, KeepingForm, LanguageForm
from skinclinic.accounts.invitations import invite
from skinclinic.accounts.models import Membership
from skinclinic.accounts.oidc.finding import DOOR
from skinclinic.accounts.oidc.provider import provider_of
from skinclinic.accounts.permissions import member_required
from skinclinic.accounts.services import (
    REVIEWING,
    AlreadyOpen,
    choose_language_of,
    decide_keeping,
    decide_reviewing,
    is_first_run,
    open_first_clinic,
)
from skinclinic.audit.acting import CLINICIAN, MANAGER, acting
from skinclinic.errors import ClinicError

BACKEND = "django.contrib.auth.backends.ModelBackend"


@require_http_methods(["GET", "POST"])
def sign_in(request: HttpRequest) -> HttpResponse:
    """allauth's own page, unless there is nobody yet who could sign in."""
    if is_first_run():
        return redirect("first_run")
    context = {"hospital": provider_of(request.COOKIES.get(DOOR)), "unlocking": options_to_unlock(request)}
    return LoginView.as_view(extra_context=context)(request)


def options_to_unlock(request: HttpRequest) -> str:
    """What the page asks the browser's authenticator; empty where there is nothing to unlock."""
    found = unlock.locked_at(request) if request.method == "GET" else None
    return json.dumps(unlock.ask_for_passkey(found[0]), default=dict) if found else ""


@require_POST
def unlock_session(request: HttpRequest) -> HttpResponse:
    """Back to where she was, or to the sign-in page with the reason."""
    back = request.POST.get("next", "")
    if not url_has_allowed_host_and_scheme(back, {request.get_host()}, require_https=request.is_secure()):
        back = resolve_url("home")
    try:
        unlock.unlock(request, request.POST.get("credential", ""))
    except unlock.NotUnlocked as refusal:
        messages.error(request, str(refusal))
        return redirect_to_login(back)
    answer = redirect(back)
    answer.delete_cookie(unlock.COOKIE, samesite="Strict")
    return answer


@require_GET
def session_now(request: HttpRequest) -> JsonResponse:
    """Asked for by a page before it sends what somebody typed, so that a session that has ended loses nothing."""
    answer = JsonResponse(
        {
            "person": request.actor.user_id,
            "clinic": request.actor.clinic_id,
            "token": get_token(request),
        }
    )
    answer["Cache-Control"] = "no-store, private"
    return answer


@require_http_methods(["GET", "POST"])
def first_run(request: HttpRequest) -> HttpResponse:
    """Opens the first clinic, and is gone (404) from then on."""
    if not is_first_run():
        raise Http404
    form = FirstRunForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        second = form.cleaned_data.pop("approver_email")
        try:
            membership = open_first_clinic(**form.cleaned_data)
        except AlreadyOpen as refusal:
            messages.error(request, str(refusal))
            return redirect("account_login")
        login(request, membership.user, backend=BACKEND)
        request.session[ACTIVE_CLINIC] = str(membership.clinic_id)
        if second:
            invite_approver(request, membership, second)
        return redirect("home")
    return render(request, "accounts/first_run.html", {"form": form})


def invite_approver(request: HttpRequest, first: Membership, email: str) -> None:
    """The clinic is open whether the mail is taken or not."""
    try:
        with acting(first.actor(), reason=_("named at the opening of the clinic")):
            invite(actor=first.actor(), email=email, roles=[CLINICIAN], as_approver=True)
        messages.success(request, _("The second person is invited, and is the approver once they have joined."))
    except ClinicError as refusal:
        messages.warning(request, str(refusal))


@require_POST
def choose_language(request: HttpRequest) -> HttpResponse:
    """Kept with the person; before she signs in with her browser, for which it ends where her own choice begins."""
    form = LanguageForm(request.POST)
    form.full_clean()
    wanted, following = form.cleaned_data.get("language"), form.cleaned_data.get("next", "")
    if not url_has_allowed_host_and_scheme(following, {request.get_host()}, require_https=request.is_secure()):
        following = resolve_url("home")
    response = redirect(following)
    if wanted and request.user.is_authenticated:
        choose_language_of(request.user, wanted)
    elif wanted:
        response.set_cookie(
            settings.LANGUAGE_COOKIE_NAME,
            wanted,
            max_age=settings.LANGUAGE_COOKIE_AGE,
            secure=settings.LANGUAGE_COOKIE_SECURE,
            httponly=settings.LANGUAGE_COOKIE_HTTPONLY,
            samesite=settings.LANGUAGE_COOKIE_SAMESITE,
        )
    return response


@require_http_methods(["GET", "POST"])
@login_required
def choose_clinic(request: HttpRequest) -> HttpResponse:
    """For people of several clinics; the choice stays with the session."""
    if request.method == "POST":
        for membership in request.memberships:
            if str(membership.clinic_id) == request.POST.get("clinic"):
                request.session[ACTIVE_CLINIC] = str(membership.clinic_id)
                return redirect("home")
        messages.error(request, _("You do not belong to this clinic."))
    context = {"memberships": request.memberships, "by_hospital": closed_to_passwords(request)}
    return render(request, "accounts/choose_clinic.html", context)


def closed_to_passwords(request: HttpRequest) -> list[Membership]:
    """Hers of clinics that let this session in no more, since they want her to come by the hospital."""
    here = [membership.pk for membership in request.memberships]
    hers = Membership.objects.active().filter(asks_for_provider(), user=request.user).exclude(pk__in=here)
    return list(hers.select_related("clinic"))


@require_http_methods(["GET", "POST"])
@member_required(MANAGER)
def clinic_settings(request: HttpRequest) -> HttpResponse:
    """What a manager decides for her clinic. Every change is on the ledger."""
    return show_settings(request)


@require_http_methods(["POST"])
@member_required(MANAGER)
def clinic_keeping(request: HttpRequest) -> HttpResponse:
    form = KeepingForm(request.POST, approvers=approvers_of(request), auto_id="id_keeping_%s")
    if not form.is_valid():
        return show_settings(request, form)
    told = form.cleaned_data
    decide_keeping(actor=request.actor, time_zone=told["time_zone"], retention_years=told["retention_years"])
    name_approver(actor=request.actor, person=told["approver"])
    messages.success(request, _("Saved. It holds from now on."))
    return redirect("clinic_settings")


def approvers_of(request: HttpRequest) -> list[tuple[UUID, str]]:
    return [(each.user_id, each.user.full_name or each.user.email) for each in could_approve(request.actor)]


def show_settings(request: HttpRequest, keeping: KeepingForm | None = None) -> HttpResponse:
    decided = {name: getattr(request.clinic, name) for name in REVIEWING}
    given = None if keeping else request.POST or None
    form = ClinicForm(given, initial=decided)
    if given and form.is_valid():
        decide_reviewing(actor=request.actor, **form.decided())
        messages.success(request, _("Saved. It holds from now on."))
        return redirect("clinic_settings")
    kept = {"time_zone": request.clinic.time_zone, "retention_years": request.clinic.retention_years}
    kept["approver"] = request.clinic.approver_id
    keeping = keeping or KeepingForm(initial=kept, approvers=approvers_of(request), auto_id="id_keeping_%s")
    return render(request, "accounts/clinic_settings.html", {"form": form, "keeping": keeping})
