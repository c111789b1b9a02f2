"""How long a person stays signed in, and her sessions on other machines."""

import time
from collections import Counter
from collections.abc import Callable, Collection
from importlib import import_module
from uuid import UUID

from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.views import redirect_to_login
from django.contrib.sessions.models import Session
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import resolve_url
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from skinclinic.accounts import unlock
from skinclinic.accounts.entry import ACTIVE_AT, ACTIVE_CLINIC, SIGNED_IN_AT
from skinclinic.accounts.models import User

WARNED_BEFORE = 120  # seconds
# The session is written no more often than that for being used.
NOTED_EVERY = 20
POLL = "X-Polled"
# As browsers call themselves, the more telling first: each also claims to be some that came before it.
BROWSERS = (("Edg", "Edge"), ("OPR/", "Opera"), ("Firefox", "Firefox"), ("Chrom", "Chrome"), ("Safari", "Safari"))
SYSTEMS = (
    ("iPhone", "iPhone"), ("iPad", "iPad"), ("Android", "Android"), ("Windows", "Windows"), ("Mac OS", "macOS"),
    ("Linux", "Linux"),
)  # fmt: skip


class SessionLimits:
    """Signs out who did nothing for too long, or has been signed in for too long."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.user.is_authenticated:
            if seconds_left(request) <= 0:
                return self.end(request)
            if not is_polling(request):
                note_activity(request)
        return self.get_response(request)

    def end(self, request: HttpRequest) -> HttpResponse:
        """A form that somebody sent is not thrown away, nor the question of a page before it sends one."""
        if asks_only(request):
            return JsonResponse({"seconds": 0})
        locked = unlock.lock(request)
        if request.method == "POST" or request.path_info == reverse("session"):
            logout(request)
            return unlock.keep(self.get_response(request), locked)
        return unlock.keep(sign_out(request), locked)


def begin_session(request: HttpRequest) -> None:
    request.session[SIGNED_IN_AT] = request.session[ACTIVE_AT] = time.time()


def note_activity(request: HttpRequest) -> None:
    now = time.time()
    request.session.setdefault(SIGNED_IN_AT, now)
    if now - float(request.session.get(ACTIVE_AT, 0)) >= min(NOTED_EVERY, settings.SIGN_OUT_IDLE_AFTER / 4):
        request.session[ACTIVE_AT] = now


def seconds_left(request: HttpRequest) -> float:
    """Until she is signed out; one that began before there were limits begins now."""
    now = time.time()
    idle = settings.SIGN_OUT_IDLE_AFTER - (now - float(request.session.get(ACTIVE_AT, now)))
    whole = settings.SIGN_OUT_AFTER - (now - float(request.session.get(SIGNED_IN_AT, now)))
    return min(idle, whole)


def is_polling(request: HttpRequest) -> bool:
    """The page asks by itself: htmx's timers name no event of hers, and our scripts say so."""
    return POLL in request.headers


def asks_only(request: HttpRequest) -> bool:
    """How long is left; the page goes on to the sign-in page by itself."""
    return is_polling(request) and request.path_info == reverse("session_left")


def sign_out(request: HttpRequest) -> HttpResponse:
    back = request.headers.get("HX-Current-URL", "") if request.headers.get("HX-Request") else ""
    logout(request)
    messages.info(request, _("You were signed out, as nothing was done for a while. Sign in to go on where you were."))
    if back:
        return HttpResponse(headers={"HX-Refresh": "true"})
    return redirect_to_login(request.get_full_path() if request.method == "GET" else resolve_url("home"))


def open_sessions(people: Collection[UUID]) -> Counter[UUID]:
    """How many sessions each of them has open, as far as the actor may know."""
    kept = dict(UserSession.objects.filter(user__in=people).values_list("session_key", "user"))
    open_now = Session.objects.filter(session_key__in=kept, expire_date__gt=timezone.now())
    return Counter(kept[key] for key in open_now.values_list("session_key", flat=True))


def end_sessions(user: User, *, clinic_id: UUID | None = None) -> int:
    """End them at once: all, or those that are in this clinic. Returns how many there were."""
    ended = 0
    for session in UserSession.objects.filter(user=user):
        if clinic_id is None or clinic_of(session) in (None, str(clinic_id)):
            session.end()
            ended += 1
    unlock.forget(user)
    return ended


def clinic_of(session: UserSession) -> str | None:
    store = import_module(settings.SESSION_ENGINE).SessionStore(session.session_key)
    chosen = store.get(ACTIVE_CLINIC)
    return str(chosen) if chosen else None


def browser_name(user_agent: str) -> str:
    """Such as “Firefox, Windows”: by which she knows it again."""
    browser = next((name for mark, name in BROWSERS if mark in user_agent), "")
    system = next((name for mark, name in SYSTEMS if mark in user_agent), "")
    return ", ".join(filter(None, (browser, system))) or _("unknown")


def remember_session(request: HttpRequest) -> None:
    """List a session that began without allauth's page: at the first run, and where an invitation is taken."""
    if request.META.get("REMOTE_ADDR"):
        UserSession.objects.create_from_request(request)
