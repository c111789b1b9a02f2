"""The second step at the door, her own sessions, and how long the one at hand still lasts."""

import math

from allauth.account.internal.stagekit import unstash_login
from allauth.mfa.base.views import AuthenticateView
from allauth.usersessions.models import UserSession
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from skinclinic.accounts import unlock
from skinclinic.accounts.sessions import seconds_left
from skinclinic.audit.acting import narrow_to
from skinclinic.audit.record import record


@require_http_methods(["GET", "POST"])
def second_factor(request: HttpRequest) -> HttpResponse:
    """allauth's page for who gave her password: the database shows hers, though she is not signed in yet."""
    login = unstash_login(request, peek=True)
    if login and login.user:
        narrow_to(login.user.actor())
    return AuthenticateView.as_view()(request)


@require_http_methods(["GET", "POST"])
@login_required
def sessions(request: HttpRequest) -> HttpResponse:
    """Where she is signed in; a form ends one of them, or all but this one."""
    if request.method == "POST":
        return end(request)
    hers = UserSession.objects.purge_and_list(request.user)
    listed = sorted(hers, key=lambda each: (not each.is_current(), each.created_at))
    return render(request, "usersessions/usersession_list.html", {"sessions": listed})


def end(request: HttpRequest) -> HttpResponse:
    chosen = request.POST.get("session", "")
    hers = UserSession.objects.filter(user=request.user).exclude(session_key=request.session.session_key)
    if chosen:
        hers = hers.filter(pk=int(chosen)) if chosen.isdecimal() and len(chosen) < 19 else hers.none()
        if not hers:
            raise Http404
    ended = list(hers)
    for session in ended:
        session.end()
    unlock.forget(request.user)
    record("sessions_ended", subject_type="accounts_user", subject_id=request.user.pk, detail={"ended": len(ended)})
    told = ngettext("%(count)d session is ended.", "%(count)d sessions are ended.", len(ended))
    messages.success(request, told % {"count": len(ended)} if ended else _("You are signed in nowhere else."))
    return redirect("usersessions_list")


@require_GET
def session_left(request: HttpRequest) -> JsonResponse:
    """For the page's warning, which asks before it is shown: another window may have been used meanwhile."""
    return JsonResponse({"seconds": whole_seconds(request)})


@require_POST
def session_stay(request: HttpRequest) -> JsonResponse:
    """That she asks is her act, which the middleware has noted."""
    return JsonResponse({"seconds": whole_seconds(request)})


def whole_seconds(request: HttpRequest) -> int:
    return max(0, math.ceil(seconds_left(request))) if request.user.is_authenticated else 0
