"""What ended at the hospital ends here: told by the provider, or found by asking it."""

import logging
import time
from collections.abc import Iterator
from datetime import timedelta
from importlib import import_module
from typing import Any
from uuid import UUID

import requests
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib.sessions.models import Session
from django.db.models import Q
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from skinclinic.accounts.models import Clinic, IdentityProvider, ProviderSession
from skinclinic.accounts.oidc.discovery import read_discovery
from skinclinic.accounts.oidc.errors import ProviderUnfit, TokenRefused
from skinclinic.accounts.oidc.http import guarded_session
from skinclinic.accounts.oidc.provider import PURPOSE
from skinclinic.accounts.oidc.tokens import read_logout_token, refuse_replayed
from skinclinic.audit.acting import acting, system
from skinclinic.audit.record import record
from skinclinic.ciphers import seal, unseal
from skinclinic.locks import next_in_spite_of_it

logger = logging.getLogger(__name__)
MOST_SECONDS = 40.0  # of one pass; what it did not come to is first in the next one


@csrf_exempt
@require_POST
@never_cache
def logout(request: HttpRequest, clinic_id: UUID) -> HttpResponse:
    """OpenID Connect Back-Channel Logout 1.0: the provider says that a person, or one of her sessions, has ended."""
    with acting(system(clinic_id=clinic_id)):
        provider = IdentityProvider.objects.filter(clinic=clinic_id).first()
    try:
        if provider is None:
            raise TokenRefused
        end_named(clinic_id, read_logout_token(provider, request.POST.get("logout_token")))
    except (TokenRefused, ProviderUnfit) as refusal:
        logger.warning("A logout token for clinic %s was refused: %s", clinic_id, type(refusal).__name__)
        return JsonResponse({"error": "invalid_request"}, status=400)
    return HttpResponse()


logout.own_transaction = True  # the provider's keys are asked for meanwhile


def end_named(clinic_id: UUID, claims: dict[str, Any]) -> int:
    """Of her `sub` all, of a `sid` that one; a session of which no sid is known is meant by her sub.

    Raises TokenRefused for what was done before.
    """
    meant = Q(subject=claims["sub"]) if claims.get("sub") else Q()
    if sid := claims.get("sid"):
        meant &= Q(sid=sid) | (Q(sid="") if claims.get("sub") else Q(sid=sid))
    with acting(system(clinic_id=clinic_id)):
        refuse_replayed(clinic_id, str(claims["jti"]))
        return end_began_there(list(ProviderSession.objects.filter(meant, clinic=clinic_id)))


def end_began_there(sessions: list[ProviderSession]) -> int:
    """While their clinic acts."""
    store = import_module(settings.SESSION_ENGINE).SessionStore()
    for session in sessions:
        store.delete(session.session_key)
        UserSession.objects.filter(session_key=session.session_key).delete()
        session.delete()
    for person in sorted({session.user_id for session in sessions}):
        told = {"ended": sum(session.user_id == person for session in sessions), "by": "provider"}
        record("sessions_ended", subject_type="accounts_user", subject_id=person, detail=told)
    return len(sessions)


def check_providers() -> None:
    """Of every clinic's sessions of which the provider can be asked, whether they still go on there."""
    ends = time.monotonic() + MOST_SECONDS
    with acting(system()):
        clinics = list(Clinic.objects.order_by("?"))
    for clinic in clinics:
        with next_in_spite_of_it("hospital's sign-in", clinic):
            check_clinic(clinic.pk, ends)


def check_clinic(clinic_id: UUID, ends: float) -> None:
    with acting(system(clinic_id=clinic_id)):
        forget_ended(clinic_id)
        provider = IdentityProvider.objects.filter(clinic=clinic_id).first()
        due = list(due_sessions(clinic_id))
    if provider is None or not due:
        return
    try:
        endpoint = read_discovery(provider.issuer)["token_endpoint"]
        for session in due:
            if time.monotonic() < ends:
                check(provider, endpoint, session)
    except (ProviderUnfit, requests.RequestException):
        logger.warning("The identity provider of clinic %s cannot be asked now; nothing ends by that.", clinic_id)


def forget_ended(clinic_id: UUID) -> None:
    """Signed out, or over: nothing is to be known of them any more."""
    kept = ProviderSession.objects.filter(clinic=clinic_id)
    open_now = Session.objects.filter(expire_date__gt=timezone.now(), session_key__in=kept.values("session_key"))
    kept.exclude(session_key__in=list(open_now.values_list("session_key", flat=True))).delete()


def due_sessions(clinic_id: UUID) -> Iterator[ProviderSession]:
    before = timezone.now() - timedelta(seconds=settings.PROVIDER_CHECK_EVERY) / 2
    known = ProviderSession.objects.filter(clinic=clinic_id, checked_at__lte=before).exclude(refresh_token="")
    # In no order: one of which it says nothing that means anything must not stand before all others every time.
    yield from known.order_by("?")


def check(provider: IdentityProvider, endpoint: str, session: ProviderSession) -> None:
    """Raises requests.RequestException where the provider gives no answer that means anything."""
    answer = refresh(provider, endpoint, unseal(PURPOSE, session.refresh_token))
    with acting(system(clinic_id=provider.clinic_id)):
        if answer.get("error") == "invalid_grant":
            end_began_there([session])
            return
        changed: dict[str, Any] = {"checked_at": timezone.now()}
        if given := answer.get("refresh_token"):
            changed["refresh_token"] = seal(PURPOSE, str(given))
        ProviderSession.objects.filter(pk=session.pk).update(**changed)


def refresh(provider: IdentityProvider, endpoint: str, token: str) -> dict[str, Any]:
    form = {
        "grant_type": "refresh_token",
        "refresh_token": token,
        "client_id": provider.client_id,
        "client_secret": unseal(PURPOSE, provider.client_secret),
    }
    with guarded_session() as http:
        answer = http.post(endpoint, data=form)
        told = answer.json() if answer.status_code in (200, 400) else {}
    if not isinstance(told, dict) or not (answer.status_code == 200 or told.get("error") == "invalid_grant"):
        raise requests.RequestException(f"HTTP {answer.status_code}")
    return told
