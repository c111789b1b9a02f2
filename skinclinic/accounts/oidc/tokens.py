"""Tokens that a provider signed, verified by PyJWT against its keys."""

import time
from typing import Any
from uuid import UUID

import jwt
from django.core.cache import cache
from django.utils.translation import gettext as _

from skinclinic.accounts.models import IdentityProvider, digest
from skinclinic.accounts.oidc.discovery import keys_of
from skinclinic.accounts.oidc.errors import TokenRefused

# Signed with a key of the provider's own; not with a secret that we share, and not unsigned.
ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
LEEWAY = 60  # seconds that two clocks may differ
LOGOUT = "http://schemas.openid.net/event/backchannel-logout"
LOGOUT_GOOD_FOR = 600  # seconds


def read_id_token(provider: IdentityProvider, token: object) -> dict[str, Any]:
    """Its claims. Raises TokenRefused, ProviderUnfit."""
    claims = verify(provider, token, require=["iss", "sub", "aud", "exp", "iat"])
    audience = claims["aud"]
    if isinstance(audience, list) and len(audience) > 1 and claims.get("azp") != provider.client_id:
        raise refused()
    if not 0 < len(claims["sub"]) <= 191:
        raise refused()
    return claims


def read_logout_token(provider: IdentityProvider, token: object) -> dict[str, Any]:
    """Its claims. Raises TokenRefused, ProviderUnfit."""
    claims = verify(provider, token, require=["iss", "aud", "iat", "jti", "events"])
    is_logout = isinstance(claims["events"], dict) and LOGOUT in claims["events"]
    is_old = claims["iat"] < time.time() - LOGOUT_GOOD_FOR
    names_somebody = any(isinstance(claims.get(name), str) and claims[name] for name in ("sub", "sid"))
    if not is_logout or is_old or "nonce" in claims or not names_somebody:
        raise refused()
    return claims


def refuse_replayed(clinic_id: UUID, jti: str) -> None:
    """In the transaction of what it ends: where that fails, the provider may send it again. Raises TokenRefused."""
    if not cache.add(f"logout:{clinic_id}:{digest(jti)}", True, 2 * LOGOUT_GOOD_FOR):
        raise refused()


def verify(provider: IdentityProvider, token: object, *, require: list[str]) -> dict[str, Any]:
    try:
        kid = jwt.get_unverified_header(str(token)).get("kid")
        keys = keys_of(provider.clinic_id, provider.issuer, wanted=kid)
        claims: dict[str, Any] = jwt.decode(
            str(token),
            key_among(keys, kid),
            algorithms=ALGORITHMS,
            issuer=provider.issuer,
            audience=provider.client_id,
            leeway=LEEWAY,
            options={"require": require},
        )
    except (jwt.PyJWTError, ValueError, TypeError, KeyError) as error:
        raise refused() from error
    return claims


def key_among(keys: dict[str, Any], kid: str | None) -> jwt.PyJWK:
    """The one of this name; a token without a name is of the only key for signing."""
    found = [key for key in jwt.PyJWKSet.from_dict(keys).keys if key.public_key_use in (None, "sig")]
    named = [key for key in found if key.key_id == kid] if kid else found
    if len(named) != 1:
        raise refused()
    return named[0]


def refused() -> TokenRefused:
    return TokenRefused(_("What the provider said could not be verified. Try again; if it goes on, tell a manager."))
