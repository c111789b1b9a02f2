"""Whether the person at the keyboard is still the one who signed in: asked before a signature."""

import time
from datetime import timedelta

from allauth.core import ratelimit
from django.http import HttpRequest
from django.utils.translation import gettext as _

from skinclinic.accounts.entry import BOUND_TO
from skinclinic.audit.record import record
from skinclinic.errors import ClinicError

CONFIRMED_FOR = timedelta(minutes=15)
CONFIRMED_AT = "confirmed_at"


class NotConfirmed(ClinicError):
    """The password was asked for, and was not hers."""


def is_confirmed(request: HttpRequest) -> bool:
    """She signed in, gave her password or signed something within the last 15 minutes, in this session."""
    at = request.session.get(CONFIRMED_AT)
    return isinstance(at, (int, float)) and 0 <= time.time() - at < CONFIRMED_FOR.total_seconds()


def keep_confirmed(request: HttpRequest) -> None:
    request.session[CONFIRMED_AT] = time.time()


def confirm(request: HttpRequest, password: str) -> None:
    """Raises NotConfirmed unless she was confirmed lately, or this is her password; too many guesses have to wait."""
    if is_confirmed(request):
        return
    if BOUND_TO in request.session:
        raise NotConfirmed(_("It is a while since you signed in. Confirm at your hospital that it is you, then sign."))
    if not password:
        raise NotConfirmed(_("It is a while since you signed in or signed. Enter your password, then sign."))
    if not ratelimit.consume(request, action="reauthenticate", user=request.user):
        raise NotConfirmed(_("That was too often. Wait a minute, then enter your password again."))
    if not request.user.check_password(password):
        record("confirmation_failed", subject_type="accounts_user", subject_id=request.user.pk)
        raise NotConfirmed(_("That is not your password. Nothing is signed; enter it again."))
    keep_confirmed(request)
