"""A session that began at a clinic's provider: it acts in that clinic alone, and changes nothing of her account."""

import time
from collections.abc import Callable
from typing import Any, NoReturn

from allauth.socialaccount.models import SocialLogin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from skinclinic.accounts.confirm import CONFIRMED_AT
from skinclinic.accounts.entry import ACTIVE_CLINIC, BOUND_TO
from skinclinic.accounts.models import Membership, ProviderSession, User
from skinclinic.accounts.second_factor import HAS_ONE
from skinclinic.audit.acting import acting

OF_THE_ACCOUNT = ("/accounts/", "/admin/")
OPEN = (
    "/accounts/login/", "/accounts/logout/", "/accounts/session/", "/accounts/oidc/", "/accounts/clinic/",
    "/accounts/hospital/", "/accounts/2fa/authenticate/", "/accounts/reauthenticate/", "/accounts/inactive/",
)  # fmt: skip
# Hers to see to here, unless they are also what another clinic relies on.
OF_ONE_CLINIC = ("/accounts/2fa/", "/accounts/sessions/")


def provider_login(hook: dict[str, Any]) -> SocialLogin | None:
    """Of what allauth tells its hooks: the sign-in at a provider, if this is one."""
    return (hook.get("signal_kwargs") or {}).get("sociallogin")


def bind_session(request: HttpRequest, user: User, login: SocialLogin) -> None:
    """Right after the sign-in, in its transaction: without this there is none."""
    began = login.state["began"]
    session = request.session
    session[BOUND_TO] = session[ACTIVE_CLINIC] = began["clinic"]
    note_when_she_signed_in(request, began["auth_time"])
    if began["second_factor"]:
        session[HAS_ONE] = True
    with acting(user.actor().in_clinic(began["clinic"], ())):
        ProviderSession.objects.create(
            clinic_id=began["clinic"],
            user=user,
            session_key=session.session_key,
            subject=began["subject"],
            sid=began["sid"],
            refresh_token=began["refresh_token"],
        )


def note_when_she_signed_in(request: HttpRequest, auth_time: object) -> None:
    """A sign-in there that was hours ago, of which the provider made this one, confirms no signature."""
    if isinstance(auth_time, (int, float)) and auth_time <= time.time():
        request.session[CONFIRMED_AT] = auth_time
    else:
        request.session.pop(CONFIRMED_AT, None)


class BoundSessions:
    """What concerns her whole account wants her own sign-in: the provider is one clinic's, she may be of others too."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> None:
        path = request.path_info
        if not path.startswith(OF_THE_ACCOUNT) or path.startswith(OPEN) or BOUND_TO not in request.session:
            return
        if path.startswith(OF_ONE_CLINIC) and not works_elsewhere(request):
            return
        refuse_bound()


def refuse_bound() -> NoReturn:
    raise PermissionDenied(
        _("You came in by your hospital, for this clinic alone. For this, sign out and sign in with your password.")
    )


def works_elsewhere(request: HttpRequest) -> bool:
    """Or did: whoever is disabled there may be enabled again."""
    others = Membership.objects.filter(user=request.user.pk).exclude(clinic=request.session[BOUND_TO])
    return bool(request.user.is_staff) or others.exists()
