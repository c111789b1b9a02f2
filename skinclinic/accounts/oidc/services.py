"""What a manager decides of her clinic's identity provider."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from allauth.socialaccount.models import SocialAccount
from django.utils import timezone
from django.utils.translation import gettext as _

from skinclinic.accounts.models import IdentityProvider, ProviderSession
from skinclinic.accounts.oidc.discovery import read_discovery, refuse_unfit_address
from skinclinic.accounts.oidc.ending import end_began_there
from skinclinic.accounts.oidc.errors import NotEverybodyOut, ProviderUnfit
from skinclinic.accounts.oidc.provider import PURPOSE
from skinclinic.audit.acting import Actor
from skinclinic.audit.record import record
from skinclinic.ciphers import seal
from skinclinic.errors import StaleForm

NOTHING_FOUND = {
    "end_session_endpoint": "", "offers_logout": False, "offers_refresh": False, "offers_offline": False,
    "looked_at": None,
}  # fmt: skip


@dataclass(frozen=True)
class Found:
    """What the provider offers, as columns of its row; and what is missing of it, in sentences."""

    offers: dict[str, Any]
    missing: list[str]


def keep_provider(
    *, actor: Actor, name: str, issuer: str, client_id: str, client_secret: str, asks_second_factor: bool
) -> IdentityProvider:
    """Another issuer or client is another provider: it is switched off, and nobody is linked with it yet.

    Raises ProviderUnfit where there is no secret yet, or the one that is kept would go to somebody else.
    """
    provider = provider_in(actor) or IdentityProvider(clinic_id=actor.own_clinic())
    is_another = (provider.issuer, provider.client_id) != (issuer, client_id)
    if is_another and not client_secret:
        raise ProviderUnfit(_("Give the secret as well: the one that is kept is not sent to another provider."))
    provider.name, provider.issuer, provider.client_id = name, issuer, client_id
    provider.asks_second_factor = asks_second_factor
    if client_secret:
        provider.client_secret = seal(PURPOSE, client_secret)
    if is_another:
        begin_anew(actor, provider)
    provider.save()
    return provider


def begin_anew(actor: Actor, provider: IdentityProvider) -> None:
    """Who somebody was at the provider before says nothing of who she is at this one."""
    provider.is_enabled = provider.is_required = False
    for column, value in NOTHING_FOUND.items():
        setattr(provider, column, value)
    SocialAccount.objects.filter(provider=str(provider.clinic_id)).delete()
    end_began_there(list(ProviderSession.objects.filter(clinic=provider.clinic_id).exclude(user=actor.user_id)))


def provider_in(actor: Actor) -> IdentityProvider | None:
    return IdentityProvider.objects.visible_to(actor).select_for_update().first()


def look(issuer: str) -> Found:
    """Asks the provider, so no transaction is open meanwhile. Raises ProviderUnfit."""
    said = read_discovery(issuer)
    scopes, grants = words(said, "scopes_supported"), words(said, "grant_types_supported")
    offers = {
        "end_session_endpoint": end_session_of(said),
        "offers_logout": said.get("backchannel_logout_supported") is True,
        "offers_refresh": "refresh_token" in grants or "offline_access" in scopes,
        "offers_offline": "offline_access" in scopes,
    }
    return Found(offers, list(missing_of(said)))


def words(said: dict[str, Any], name: str) -> list[Any]:
    listed = said.get(name)
    return listed if isinstance(listed, list) else []


def end_session_of(said: dict[str, Any]) -> str:
    """Empty where there is none to which a browser can be sent."""
    try:
        refuse_unfit_address("end_session_endpoint", said.get("end_session_endpoint"))
    except ProviderUnfit:
        return ""
    return str(said["end_session_endpoint"])[:400]


def missing_of(said: dict[str, Any]) -> Iterator[str]:
    if not {"email", "email_verified"} <= set(words(said, "claims_supported")):
        yield _(
            "It does not say by itself that it tells verified e-mail addresses: see to it that its tokens hold them."
        )
    if "auth_time" not in words(said, "claims_supported"):
        yield _("It does not say by itself that it tells when somebody signed in there, which signing here wants.")


def note_found(*, provider: IdentityProvider, issuer: str, found: Found) -> None:
    """Raises StaleForm where another provider was entered meanwhile."""
    looked = IdentityProvider.objects.filter(pk=provider.pk, issuer=issuer)
    if looked.update(**found.offers, looked_at=timezone.now()) != 1:
        raise StaleForm(_("This was changed meanwhile. Load the page again and look."))


def switch(*, actor: Actor, is_enabled: bool) -> None:
    """Raises ProviderUnfit where it was never reached. Switched off, nobody has to come in by it any more."""
    provider = needed_in(actor)
    if is_enabled and provider.looked_at is None:
        raise ProviderUnfit(_("Try it first: what it says of itself was not read yet."))
    provider.is_enabled = is_enabled
    provider.is_required = provider.is_required and is_enabled
    provider.save(update_fields=["is_enabled", "is_required"])


def require(*, actor: Actor, is_required: bool, came_by_it: bool) -> None:
    """came_by_it: the manager's own session began there, so that at least one can come in. Raises NotEverybodyOut."""
    provider = needed_in(actor)
    if is_required and not (came_by_it and provider.is_enabled):
        raise NotEverybodyOut(
            _("Come in by it yourself first. Then at least one manager can, and nobody is locked out by this.")
        )
    provider.is_required = is_required
    provider.save(update_fields=["is_required"])


def unlink(*, actor: Actor, person: UUID) -> None:
    """She can join anew. Her sessions that began there end."""
    links = SocialAccount.objects.filter(provider=str(actor.own_clinic()), user=person)
    if not links.exists():
        raise StaleForm(_("It is so already. Load the page again and look."))
    end_began_there(list(ProviderSession.objects.filter(clinic=actor.own_clinic(), user=person)))
    links.delete()
    record("provider_unlinked", subject_type="accounts_user", subject_id=person)


def needed_in(actor: Actor) -> IdentityProvider:
    provider = provider_in(actor)
    if provider is None:
        raise StaleForm(_("This clinic has no sign-in of a hospital."))
    return provider
