"""What an identity provider says of itself, and the keys that it signs with."""

from typing import Any
from uuid import UUID

import requests
from django.core.cache import cache
from django.utils.translation import gettext as _

from skinclinic.accounts.models import digest
from skinclinic.accounts.oidc.errors import ProviderUnfit
from skinclinic.accounts.oidc.http import guarded_session
from skinclinic.errors import ClinicError
from skinclinic.outgoing.guard import target_of

WELL_KNOWN = "/.well-known/openid-configuration"
NEEDED = ("authorization_endpoint", "token_endpoint", "jwks_uri")
KEYS_KEPT = 600  # seconds
ASKED_AGAIN = 30  # seconds between two questions for a key that was not among them
AWAY = 10  # seconds in which one that gave no keys is not asked: anybody may send a token that wants them


def read_discovery(issuer: str) -> dict[str, Any]:
    """Its discovery document, if a sign-in can begin there. Raises ProviderUnfit."""
    said = read_json(issuer.rstrip("/") + WELL_KNOWN, _("The discovery document"))
    if said.get("issuer") != issuer:
        raise ProviderUnfit(
            _("The document calls the provider “%(said)s”. Enter exactly that as the issuer.")
            % {"said": str(said.get("issuer", ""))[:200]}
        )
    for name in NEEDED:
        refuse_unfit_address(name, said.get(name))
    if "code" not in said.get("response_types_supported", ["code"]):
        raise ProviderUnfit(_("It does not offer the authorization code flow (response type “code”)."))
    if "S256" not in said.get("code_challenge_methods_supported", ["S256"]):
        raise ProviderUnfit(_("It does not take PKCE with S256."))
    return said


def refuse_unfit_address(name: str, address: object) -> None:
    if not isinstance(address, str):
        raise ProviderUnfit(_("The document names no %(what)s.") % {"what": name})
    try:
        target_of(address)
    except ClinicError as refusal:
        raise ProviderUnfit(f"{name}: {refusal}") from refusal


def read_json(address: str, what: str) -> dict[str, Any]:
    """Raises ProviderUnfit, with a sentence for each thing that is wrong."""
    try:
        with guarded_session() as session:
            answer = session.get(address)
    except requests.TooManyRedirects as error:
        raise ProviderUnfit(
            _("%(what)s is somewhere else (the provider redirects). Enter the address it leads to.") % {"what": what}
        ) from error
    except requests.RequestException as error:
        raise ProviderUnfit(_("%(what)s cannot be read. %(why)s") % {"what": what, "why": error}) from error
    if answer.status_code != 200:
        told = {"what": what, "status": answer.status_code}
        raise ProviderUnfit(_("%(what)s is not there: the provider answers %(status)s. Look at the issuer.") % told)
    try:
        said = answer.json()
    except ValueError as error:
        raise ProviderUnfit(_("%(what)s is no JSON: what answers is no OpenID provider.") % {"what": what}) from error
    if not isinstance(said, dict):
        raise ProviderUnfit(_("%(what)s is no JSON: what answers is no OpenID provider.") % {"what": what})
    return said


def keys_of(clinic_id: UUID, issuer: str, *, wanted: str | None) -> dict[str, Any]:
    """Its JWKS, kept for minutes; asked for anew, now and then, where `wanted` is not among them.

    Raises ProviderUnfit.
    """
    place = f"jwks:{clinic_id}:{digest(issuer)}"
    kept = cache.get(place)
    if kept is None or (wanted not in kids(kept) and cache.add(f"{place}:again", True, ASKED_AGAIN)):
        kept = read_keys(issuer, place)
        cache.set(place, kept, KEYS_KEPT)
    return kept


def read_keys(issuer: str, place: str) -> dict[str, Any]:
    if why := cache.get(f"{place}:away"):
        raise ProviderUnfit(why)
    try:
        return read_json(read_discovery(issuer)["jwks_uri"], _("The list of keys"))
    except ProviderUnfit as refusal:
        cache.set(f"{place}:away", str(refusal), AWAY)
        raise


def kids(keys: dict[str, Any]) -> list[object]:
    listed = keys.get("keys")
    return [each.get("kid") for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
