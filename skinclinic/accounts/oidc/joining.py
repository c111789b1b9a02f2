"""Who has an account here joins it to the hospital's by her own sign-in, so that no provider makes itself anybody."""

import time

from allauth.socialaccount.models import SocialAccount
from django.contrib import messages
from django.db.models import Q
from django.http import HttpRequest
from django.utils.translation import gettext as _

from skinclinic.accounts.models import IdentityProvider, User
from skinclinic.accounts.oidc.errors import JoinFirst
from skinclinic.accounts.oidc.provider import provider_of
from skinclinic.audit.acting import acting
from skinclinic.audit.record import record

JOINING = "joins_hospital"  # in the session of a browser in which she came back from the hospital
SECONDS_TO_JOIN = 15 * 60


def offer_to_join(request: HttpRequest, asked: JoinFirst) -> None:
    """For a while, in this browser, and to nobody but her."""
    request.session[JOINING] = {
        "clinic": str(asked.provider.clinic_id),
        "person": str(asked.person.pk),
        "subject": asked.subject,
        "until": time.time() + SECONDS_TO_JOIN,
    }


def tell_to_join(request: HttpRequest, asked: JoinFirst) -> None:
    messages.info(
        request,
        _(
            "You have an account here already. Sign in with its password this once, so that it is known to be you; "
            "from then on you come in by %(name)s. If you have no password, ask for one by “Forgot your password?”."
        )
        % {"name": asked.provider.name},
    )


def joins(request: HttpRequest, user: User) -> bool:
    """Whether it is she who came back from the hospital a while ago."""
    offered = request.session.get(JOINING)
    return bool(offered) and offered["person"] == str(user.pk) and time.time() < offered["until"]


def join_hospital(request: HttpRequest, user: User) -> None:
    """After she has signed in by herself, her second factor included."""
    is_hers, offered = joins(request, user), request.session.pop(JOINING, None)
    if not is_hers:
        return
    with acting(user.actor().in_clinic(offered["clinic"], ())):
        provider = provider_of(offered["clinic"])
        if provider is None or is_taken(provider, user, offered["subject"]):
            return
        link(provider, user, offered["subject"])
    messages.success(request, _("From now on you can come in by %(name)s.") % {"name": provider.name})


def is_taken(provider: IdentityProvider, user: User, subject: str) -> bool:
    """Meanwhile, in another browser: by somebody else, or by her as somebody else."""
    links = SocialAccount.objects.filter(provider=str(provider.clinic_id))
    return links.filter(Q(user=user) | Q(uid=subject)).exists()


def link(provider: IdentityProvider, user: User, subject: str) -> SocialAccount:
    made, _is_new = SocialAccount.objects.get_or_create(
        provider=str(provider.clinic_id), uid=subject, defaults={"user": user}
    )
    record("provider_linked", subject_type="accounts_user", subject_id=user.pk)
    return made
