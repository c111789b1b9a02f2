"""Who has an account here joins it to the hospital's herself, so that no provider makes itself anybody."""

import time
from typing import Any

from allauth.account.decorators import reauthentication_required
from allauth.socialaccount.models import SocialAccount
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from skinclinic.accounts.models import IdentityProvider, User
from skinclinic.accounts.oidc.confirming import bound_clinic
from skinclinic.accounts.oidc.errors import JoinFirst, NotLetIn
from skinclinic.accounts.oidc.finding import keep_door
from skinclinic.accounts.oidc.matching import link, refuse_unfit
from skinclinic.accounts.oidc.provider import provider_of
from skinclinic.audit.acting import acting, system
from skinclinic.audit.record import record

OFFER = "hospital_to_join"  # in the session of a browser in which somebody came back from the hospital
SECONDS_TO_JOIN = 15 * 60


def keep_offer(request: HttpRequest, asked: JoinFirst, *, back: str) -> None:
    """That the provider means this person is on the ledger, whatever becomes of it."""
    with acting(system(clinic_id=asked.provider.clinic_id), request_id=getattr(request, "request_id", "")):
        record("provider_join_offered", subject_type="accounts_user", subject_id=asked.person.pk)
    request.session[OFFER] = of_now(asked.provider) | {
        "person": str(asked.person.pk),
        "subject": asked.subject,
        "back": back,
        "until": time.time() + SECONDS_TO_JOIN,
    }
    if not request.user.is_authenticated:
        messages.info(
            request,
            _(
                "You have an account here already. Sign in with its password this once, so that it is known to be you. "
                "If you have no password, ask for one by “Forgot your password?”."
            ),
        )


def of_now(provider: IdentityProvider) -> dict[str, Any]:
    """What must be as it was when she says yes: a manager may enter another provider meanwhile."""
    return {
        "clinic": str(provider.clinic_id),
        "name": provider.name,
        "issuer": provider.issuer,
        "client_id": provider.client_id,
    }


def offer_in(request: HttpRequest) -> dict[str, Any] | None:
    offer = request.session.get(OFFER)
    return offer if offer and time.time() < offer["until"] else None


def is_offered_to(request: HttpRequest, user: User) -> bool:
    offer = offer_in(request)
    return offer is not None and offer["person"] == str(user.pk)


def is_hers(request: HttpRequest) -> bool:
    """It is she who is signed in, and by herself."""
    return is_offered_to(request, request.user) and bound_clinic(request) is None


@require_http_methods(["GET", "POST"])
@never_cache
@login_required
@reauthentication_required(enabled=is_hers)
def join_hospital(request: HttpRequest) -> HttpResponse:
    """She says yes, by her own sign-in and lately: a link is a way in that outlives a keyboard that was left."""
    offer = offer_in(request)
    if offer is None:
        messages.info(request, _("That was too long ago, or it is done. Sign in with your hospital again."))
        return redirect("home")
    may_say_yes = is_hers(request)
    if request.method == "GET":
        return render(request, "accounts/join_hospital.html", {"offer": offer, "may_say_yes": may_say_yes})
    del request.session[OFFER]
    response = redirect(offer["back"])
    if may_say_yes and "yes" in request.POST:
        try:
            join(request, offer)
        except NotLetIn as refusal:
            messages.error(request, str(refusal))
        else:
            messages.success(request, _("From now on you come in by %(name)s, too.") % {"name": offer["name"]})
            keep_door(response, offer["clinic"])
    return response


def join(request: HttpRequest, offer: dict[str, Any]) -> None:
    """Raises NotLetIn for what has become otherwise since it was offered."""
    with acting(request.user.actor().in_clinic(offer["clinic"], ())):
        provider = provider_of(offer["clinic"])
        if provider is None or not of_now(provider).items() <= offer.items():
            raise NotLetIn(_("The sign-in of your hospital was changed meanwhile. Begin again."))
        refuse_unfit(provider, request.user)
        links = SocialAccount.objects.filter(provider=offer["clinic"])
        if links.filter(Q(user=request.user) | Q(uid=offer["subject"])).exists():
            raise NotLetIn(_("Another link was made meanwhile. A manager of the clinic can undo that."))
        link(provider, request.user, offer["subject"])
