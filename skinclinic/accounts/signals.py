"""Sign-in, sign-out and failed sign-in, on the ledger."""

from typing import Any

from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.dispatch import receiver
from django.http import HttpRequest

from skinclinic.accounts import unlock
from skinclinic.accounts.confirm import keep_confirmed
from skinclinic.accounts.models import User
from skinclinic.accounts.sessions import begin_session, remember_session
from skinclinic.audit.acting import ANONYMOUS, acting
from skinclinic.audit.record import record


@receiver(user_logged_in)
def record_sign_in(sender: Any, request: HttpRequest, user: User, **kwargs: Any) -> None:
    keep_confirmed(request)
    begin_session(request)
    with acting(user.actor()):
        remember_session(request)
        record("signed_in", subject_type="accounts_user", subject_id=user.pk)


@receiver(user_logged_out)
def record_sign_out(sender: Any, request: HttpRequest, user: User | None, **kwargs: Any) -> None:
    if user is not None:
        with acting(user.actor()):
            record("signed_out", subject_type="accounts_user", subject_id=user.pk)
            if request.resolver_match and request.resolver_match.view_name == "account_logout":
                unlock.forget(user)


@receiver(user_login_failed)
def record_failed_sign_in(
    sender: Any, credentials: dict[str, Any], request: HttpRequest | None = None, **kwargs: Any
) -> None:
    """What was typed is not kept, as it may be a password: only whose account it was, if there is one."""
    typed = credentials.get("email") or credentials.get("username") or ""
    user = User.objects.filter(email__iexact=typed).first()
    with acting(ANONYMOUS):
        record("sign_in_failed", subject_type="accounts_user", subject_id=user.pk if user else "")
