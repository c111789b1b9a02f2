"""To a clinic's provider and back."""

from typing import Any
from uuid import UUID

from allauth.account.utils import get_next_redirect_url
from allauth.account.views import ReauthenticateView
from allauth.socialaccount.helpers import complete_social_login
from allauth.socialaccount.internal import statekit
from allauth.socialaccount.models import SocialLogin
from allauth.socialaccount.providers.base.constants import AuthProcess
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render, resolve_url
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from requests import RequestException

from skinclinic.accounts.oidc.confirming import bound_clinic, confirms_at
from skinclinic.accounts.oidc.errors import JoinFirst, NotLetIn, ProviderUnfit
from skinclinic.accounts.oidc.finding import keep_door
from skinclinic.accounts.oidc.joining import keep_offer
from skinclinic.accounts.oidc.provider import ClinicProvider, clinic_provider, provider_of, refuse_other_nonce
from skinclinic.audit.acting import acting, system
from skinclinic.audit.record import record
from skinclinic.errors import ClinicError


@require_GET
@never_cache
def door(request: HttpRequest, clinic_id: UUID) -> HttpResponse:
    """A clinic's own address, for its intranet; of one without a provider nothing is there."""
    provider = provider_of(clinic_id)
    if provider is None:
        raise Http404
    if request.user.is_authenticated:
        return redirect("home")
    return render(request, "accounts/door.html", {"provider": provider, "next": get_next_redirect_url(request) or ""})


@require_POST
def begin(request: HttpRequest, clinic_id: UUID) -> HttpResponse:
    try:
        return provider_for(request, clinic_id).lead_to(request, next_url=get_next_redirect_url(request))
    except (ProviderUnfit, RequestException):
        messages.error(request, _("The sign-in of your hospital cannot be reached now. Try again in a minute."))
        return redirect("clinic_door", clinic_id)


@require_POST
def confirm_again(request: HttpRequest) -> HttpResponse:
    """From a page that wants her to confirm that it is her; she comes back to it."""
    clinic_id, back = bound_clinic(request), get_next_redirect_url(request) or resolve_url("home")
    if clinic_id is None:
        raise Http404
    try:
        return provider_for(request, clinic_id).lead_to(request, next_url=back, again=True)
    except (ProviderUnfit, RequestException):
        messages.error(request, _("The sign-in of your hospital cannot be reached now. Try again in a minute."))
        return redirect(back)


@require_http_methods(["GET", "POST"])
def reauthenticate(request: HttpRequest) -> HttpResponse:
    """allauth's page, unless she came in by her hospital."""
    hospital = confirms_at(request)
    if hospital is None:
        return ReauthenticateView.as_view()(request)
    back = get_next_redirect_url(request) or resolve_url("mfa_index")
    return render(request, "accounts/reauthenticate_there.html", {"hospital": hospital, "back": back})


def provider_for(request: HttpRequest, clinic_id: UUID) -> ClinicProvider:
    try:
        return clinic_provider(request, clinic_id)
    except NotLetIn as error:
        raise Http404 from error


@require_GET
@never_cache
def callback(request: HttpRequest, clinic_id: UUID) -> HttpResponse:
    """The provider is asked before any transaction opens; who it is and what becomes of it is one."""
    provider = provider_for(request, clinic_id)
    state = statekit.unstash_state(request, provider_id=provider.sub_id, state_id=request.GET.get("state", "")) or {}
    try:
        login = ask_provider(request, provider, state)
        with acting(system(clinic_id=clinic_id), request_id=getattr(request, "request_id", "")):
            response = complete_social_login(request, login)
    except JoinFirst as asked:
        keep_offer(request, asked, back=state.get("next") or resolve_url("home"))
        return redirect("join_hospital")
    except ClinicError as refusal:
        return tell_refused(request, clinic_id, state, refusal)
    keep_door(response, clinic_id)
    return response


def ask_provider(request: HttpRequest, provider: ClinicProvider, state: dict[str, Any]) -> SocialLogin:
    """Whom it means. Raises NotLetIn, TokenRefused, ProviderUnfit."""
    if not state:
        raise NotLetIn(_("This sign-in was begun in another browser, or too long ago. Begin again."))
    if "code" not in request.GET:
        raise NotLetIn(_("%(name)s did not let you in. Begin again.") % {"name": provider.name})
    adapter = provider.get_oauth2_adapter(request)
    try:
        client = adapter.get_client(request, provider.app)
        answer = adapter.get_access_token_data(
            request, provider.app, client, pkce_code_verifier=state.get("pkce_code_verifier")
        )
        token = adapter.parse_token(answer)
        login = adapter.complete_login(request, provider.app, token, response=answer)
    except (OAuth2Error, RequestException, ValueError, KeyError) as error:
        raise ProviderUnfit(
            _("%(name)s did not say who you are. Begin again; if it goes on, tell a manager of your clinic.")
            % {"name": provider.name}
        ) from error
    login.token, login.state = token, state
    refuse_other_nonce(login)
    return login


def tell_refused(request: HttpRequest, clinic_id: UUID, state: dict[str, Any], refusal: ClinicError) -> HttpResponse:
    with acting(system(clinic_id=clinic_id), request_id=getattr(request, "request_id", "")):
        record("provider_refused", detail={"because": type(refusal).__name__})
    messages.error(request, str(refusal))
    if state.get("process") == AuthProcess.REDIRECT:
        return redirect(state.get("next") or "home")
    return redirect("clinic_door", clinic_id)


for view in (begin, callback, confirm_again):
    view.own_transaction = True  # the provider is asked meanwhile
