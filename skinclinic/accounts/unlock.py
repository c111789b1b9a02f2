"""Back in with a passkey after a pause, where she signed in today with all that is asked.

A session that ends because nothing was done leaves a signed cookie behind. With it and a passkey that verifies her (a
PIN, a finger) she goes on in the same clinic, until the day's limit; without either she signs in anew.
"""

import json
import time
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

from allauth.core import ratelimit
from allauth.mfa.models import Authenticator
from allauth.mfa.webauthn.internal import auth
from django.conf import settings
from django.contrib.auth import login
from django.core.exceptions import ValidationError
from django.core.signing import BadSignature, dumps, loads
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from fido2.webauthn import UserVerificationRequirement

from skinclinic.accounts.confirm import CONFIRMED_AT
from skinclinic.accounts.entry import ACTIVE_CLINIC, BOUND_TO, SIGNED_IN_AT
from skinclinic.accounts.models import User
from skinclinic.audit.acting import ANONYMOUS, acting, narrow_to
from skinclinic.audit.record import record
from skinclinic.errors import ClinicError

COOKIE, SALT = "locked", "skinclinic.accounts.unlock"
PASSKEY = Authenticator.Type.WEBAUTHN


class NotUnlocked(ClinicError):
    """It was no passkey of hers, or the day is over; she signs in anew."""


@dataclass(frozen=True)
class Locked:
    """Whose session ended when. `credentials`: of her password as it was, so that a new one ends this, too."""

    person: str
    clinic: str
    signed_in_at: float
    locked_at: float
    credentials: str


def lock(request: HttpRequest) -> Locked | None:
    """Asked before her session is ended. None where there is no passkey to unlock it with, or the hospital decides."""
    user = request.user
    signed_in_at = float(request.session.get(SIGNED_IN_AT, 0))
    if BOUND_TO in request.session or is_over(signed_in_at):
        return None
    with acting(user.actor()):
        if not Authenticator.objects.filter(user=user, type=PASSKEY).exists():
            return None
    clinic = str(request.session.get(ACTIVE_CLINIC, ""))
    return Locked(str(user.pk), clinic, signed_in_at, time.time(), user.get_session_auth_hash())


def keep(response: HttpResponse, locked: Locked | None) -> HttpResponse:
    if locked:
        left = int(settings.SIGN_OUT_AFTER - (time.time() - locked.signed_in_at))
        response.set_cookie(
            COOKIE, dumps(asdict(locked), salt=SALT), max_age=left, httponly=True, samesite="Strict",
            secure=settings.HTTPS,
        )  # fmt: skip
    return response


def locked_at(request: HttpRequest) -> tuple[User, Locked] | None:
    """What the browser may unlock still: not once her sessions were ended, her password changed, or the day is over."""
    try:
        locked = Locked(**loads(request.COOKIES.get(COOKIE, ""), salt=SALT, max_age=settings.SIGN_OUT_AFTER))
    except (BadSignature, TypeError):
        return None
    user = User.objects.filter(pk=locked.person, is_active=True).first()
    if user is None or is_over(locked.signed_in_at) or locked.credentials != user.get_session_auth_hash():
        return None
    if user.sessions_ended_at and locked.locked_at <= user.sessions_ended_at.timestamp():
        return None
    return user, locked


def forget(user: User) -> None:
    """What was locked until now is unlocked no more, at whatever browser."""
    User.objects.filter(pk=user.pk).update(sessions_ended_at=timezone.now())


def is_over(signed_in_at: float) -> bool:
    return time.time() - signed_in_at >= settings.SIGN_OUT_AFTER


def ask_for_passkey(user: User) -> dict[str, Any]:
    """What the browser asks her authenticator; the challenge is kept in the session."""
    with acting(user.actor()):
        credentials = auth.get_credentials(user)
    options, state = auth.get_server().authenticate_begin(credentials, UserVerificationRequirement.REQUIRED)
    auth.set_state(state)
    return dict(options)


def unlock(request: HttpRequest, answer: str) -> None:
    """Sign her in again, for what is left of her day. answer: the authenticator's, in JSON. Raises NotUnlocked."""
    found = locked_at(request)
    if found is None:
        raise NotUnlocked(_("This can be unlocked no more. Sign in with your password."))
    user, locked = found
    if not ratelimit.consume(request, action="reauthenticate", user=user):
        raise NotUnlocked(_("That was too often. Wait a minute, or sign in with your password."))
    try:
        with acting(user.actor()):
            prove(user, answer)
    except (ValidationError, ValueError, TypeError, KeyError, AttributeError) as error:
        auth.clear_state()
        with acting(ANONYMOUS):
            record("unlock_failed", subject_type="accounts_user", subject_id=user.pk)
        raise NotUnlocked(_("That was no passkey of yours. Try again, or sign in with your password.")) from error
    narrow_to(user.actor())
    go_on(request, user, locked)


def prove(user: User, answer: str) -> None:
    """By an answer to what was asked here: the question of a password's second step wants no PIN."""
    if (auth.get_state() or {}).get("user_verification") != UserVerificationRequirement.REQUIRED:
        raise ValueError("She was not asked to prove who she is.")
    auth.complete_authentication(user, json.loads(answer)).record_usage()


def go_on(request: HttpRequest, user: User, locked: Locked) -> None:
    login(request, user, backend=settings.AUTHENTICATION_BACKENDS[0])
    request.session[SIGNED_IN_AT] = locked.signed_in_at
    # A signature asks for the password all the same (decision 025).
    request.session.pop(CONFIRMED_AT, None)
    if locked.clinic:
        request.session[ACTIVE_CLINIC] = str(UUID(locked.clinic))
    record("unlocked", subject_type="accounts_user", subject_id=user.pk)
