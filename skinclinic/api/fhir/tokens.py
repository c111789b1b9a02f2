"""Tokens for other people's FHIR servers: the one that a manager gave, or those of OAuth2's client credentials.

They are kept in the memory of the process that sends, until they expire at most.
"""

import base64
import http.client
import json
import time
from typing import Any
from urllib.parse import quote_plus, urlencode, urlsplit

from skinclinic.api.webhooks.documents import is_fit
from skinclinic.api.webhooks.models import Trouble, WebhookEndpoint
from skinclinic.api.webhooks.post import EXPECTED, LONGEST_LINE, Answer, pause_of, trouble_of
from skinclinic.api.webhooks.signing import decrypt
from skinclinic.errors import ClinicError
from skinclinic.outgoing.guard import target_of
from skinclinic.outgoing.wire import Call, exchange

# Of RFC 6749, so that no other words of a stranger's are kept.
REFUSALS = frozenset({
    "invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type",
    "invalid_scope",
})  # fmt: skip
LONGEST_ANSWER = 64 * 1024
EARLIER = 30.0  # seconds before its end in which a token is not begun to be used
LONGEST_KEPT = 3600.0

# By address, client, scope and secret as it is kept, so that whatever is changed asks for another one.
Key = tuple[str, str, str, str]
_kept: dict[Key, tuple[str, float]] = {}


class NoToken(ClinicError):
    """`answer`: what the log tells of it."""

    def __init__(self, answer: Answer):
        super().__init__(answer.trouble)
        self.answer = answer


def key_of(endpoint: WebhookEndpoint) -> Key:
    return endpoint.token_url, endpoint.client_id, endpoint.token_scope, endpoint.secret


def token_for(key: Key, ends: float) -> str:
    """Raises NoToken, and InvalidToken where SECRET_KEY is another one by now."""
    token_url, client_id, scope, secret = key
    if not token_url:
        return decrypt(secret)
    token, until = _kept.get(key, ("", 0.0))
    if until > time.monotonic():
        return token
    return keep(key, ask(token_url, client_id, scope, decrypt(secret), ends))


def forget(key: Key) -> None:
    """It was not taken: the next one is asked for."""
    _kept.pop(key, None)


def keep(key: Key, told: dict[str, Any]) -> str:
    now, lasts = time.monotonic(), told.get("expires_in")
    for other, (_token, until) in list(_kept.items()):  # other threads keep theirs meanwhile
        if until <= now:
            forget(other)
    if isinstance(lasts, int | float) and lasts > EARLIER:
        _kept[key] = told["access_token"], now + min(lasts - EARLIER, LONGEST_KEPT)
    return str(told["access_token"])


def ask(token_url: str, client_id: str, scope: str, secret: str, ends: float) -> dict[str, Any]:
    """The answer, with a token in it. Raises NoToken."""
    host = urlsplit(token_url).hostname or ""
    basic = base64.b64encode(f"{quote_plus(client_id)}:{quote_plus(secret)}".encode()).decode()
    headers = {
        "Authorization": f"Basic {basic}",
        "Content-Type": "application/x-www-form-urlencoded",
        "Accept": "application/json",
    }
    form = urlencode({"grant_type": "client_credentials"} | ({"scope": scope} if scope else {})).encode()
    try:
        return exchange(Call(target_of(token_url), headers, form), read_token, ends)
    except NoToken:
        raise
    except EXPECTED as error:  # said with the host, since it is not the receiver's
        raise NoToken(Answer(trouble=trouble_of(error), words=host[:LONGEST_LINE])) from error


def read_token(response: http.client.HTTPResponse) -> dict[str, Any]:
    with response:
        told = as_object(response.read(LONGEST_ANSWER))
        token = told.get("access_token")
        is_bearer = str(told.get("token_type", "")).lower() == "bearer"
        if response.status == 200 and is_bearer and isinstance(token, str) and is_fit(token):
            return told
        words = f"HTTP {response.status} {told['error'] if str(told.get('error')) in REFUSALS else ''}".strip()
        pause = pause_of(response.headers.get("Retry-After", ""))
        raise NoToken(Answer(trouble=Trouble.NO_TOKEN, words=words, pause=pause))


def as_object(content: bytes) -> dict[str, Any]:
    """Empty where it is no JSON object."""
    try:
        told = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}
