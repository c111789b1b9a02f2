"""The second factor: who has which, who is sent to set one up, and what the ledger is told of it."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from typing import Any
from uuid import UUID

import segno
from allauth.mfa.models import Authenticator
from allauth.mfa.signals import (
    authentication_failed,
    authenticator_added,
    authenticator_removed,
    authenticator_reset,
)
from django.conf import settings
from django.db.models import TextChoices
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext_lazy as _

from skinclinic.accounts.models import User
from skinclinic.audit.acting import acting
from skinclinic.audit.record import record

PURPOSE = "second-factor"  # of the key that its secrets are kept with
HAS_ONE = "second_factor"
RECOVERY_CODES = Authenticator.Type.RECOVERY_CODES
# What she may do before she has one: set it up, leave, change her language, join another clinic.
OPEN_WITHOUT = ("/accounts/", "/language/", "/join/", "/session/", "/static/", "/api/", "/favicon.ico")
CHOICE_OF_CLINIC = "/clinic/"
OPERATORS = "/admin/"


class Factor(TextChoices):
    TOTP = Authenticator.Type.TOTP, _("Authenticator app")
    PASSKEY = Authenticator.Type.WEBAUTHN, _("Passkey")


def qr_code(url: str) -> str:
    """An SVG with attributes alone: a style would not pass the content security policy."""
    return str(segno.make(url, error="m").svg_inline(scale=5, border=4, dark="#000", light="#fff", omitsize=False))


def factors_of(people: Collection[UUID]) -> dict[UUID, list[str]]:
    """What each of them has, as far as the actor may know: of herself, and a manager of her clinic's members."""
    found: dict[UUID, list[str]] = defaultdict(list)
    theirs = Authenticator.objects.filter(user__in=people).exclude(type=RECOVERY_CODES)
    for person, kind in theirs.order_by("type").values_list("user", "type").distinct():
        found[person].append(str(Factor(kind).label))
    return found


def has_second_factor(user: User) -> bool:
    with acting(user.actor()):
        return Authenticator.objects.filter(user=user).exclude(type=RECOVERY_CODES).exists()


class SecondFactorGate:
    """Who has no second factor is led to where she sets one up, in every clinic that is no demo.

    Inside the acting transaction, which knows her clinic. That she has one is remembered in her session, which a
    manager who resets it ends.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., HttpResponse], args: Any, kwargs: Any
    ) -> HttpResponse | None:
        if not settings.SECOND_FACTOR_REQUIRED or not request.user.is_authenticated or is_open(request.path_info):
            return None
        if request.session.get(HAS_ONE) or not is_asked_of(request):
            return None
        if has_second_factor(request.user):
            request.session[HAS_ONE] = True
            return None
        return redirect("mfa_index")


def is_open(path: str) -> bool:
    return path == CHOICE_OF_CLINIC or path.startswith(OPEN_WITHOUT)


def is_asked_of(request: HttpRequest) -> bool:
    """Everybody in a clinic that is no demo, and the operator; a view with its own transaction knows no clinic yet."""
    from skinclinic.accounts.middleware import request_acting  # reads the session, which imports what is here

    if request.path_info.startswith(OPERATORS):
        return True
    if request.clinic is None:
        with request_acting(request):
            return request.clinic is not None and not request.clinic.is_demo
    return not request.clinic.is_demo


@receiver(authenticator_added)
@receiver(authenticator_reset)
def record_added(sender: Any, request: HttpRequest, user: User, authenticator: Authenticator, **kwargs: Any) -> None:
    """allauth sends these once the request's transaction is over."""
    with acting(request.actor):
        tell_ledger("second_factor_added", user, [authenticator.type])


@receiver(authenticator_removed)
def record_removed(sender: Any, request: HttpRequest, user: User, authenticator: Authenticator, **kwargs: Any) -> None:
    request.session.pop(HAS_ONE, None)
    tell_ledger("second_factor_removed", user, [authenticator.type])


@receiver(authentication_failed)
def record_failed(sender: Any, request: HttpRequest, user: User, **kwargs: Any) -> None:
    record("second_factor_failed", subject_type="accounts_user", subject_id=user.pk)


def tell_ledger(action: str, user: User, kinds: Iterable[str]) -> None:
    """Of which kind; never a key, a seed or a code."""
    record(action, subject_type="accounts_user", subject_id=user.pk, detail={"kinds": sorted(kinds)})
