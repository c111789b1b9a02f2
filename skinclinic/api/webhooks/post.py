"""One message on the wire. Knows nothing of the database: it runs in threads beside the one that does."""

import http.client
import json
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from cryptography.fernet import InvalidToken

from skinclinic.api.webhooks.models import Trouble
from skinclinic.api.webhooks.signing import decrypt, signature
from skinclinic.errors import ClinicError
from skinclinic.outgoing.guard import AddressRefused, NameNotFound, target_of
from skinclinic.outgoing.wire import Call, exchange
from skinclinic.text import one_line

LONGEST_PAUSE = 24 * 3600
LONGEST_LINE = 120


@dataclass(frozen=True)
class Answer:
    """What became of it. pause: the seconds that the receiver asked for."""

    status: int | None = None
    trouble: str = ""
    words: str = ""
    pause: float | None = None

    @property
    def is_success(self) -> bool:
        return self.status is not None and 200 <= self.status < 300 and not self.trouble


@dataclass(frozen=True)
class Message:
    """As the Standard Webhooks have it; `secrets` as they are kept, the current one first."""

    url: str
    message_id: str
    body: bytes
    secrets: tuple[str, ...] = field(repr=False)

    def send(self) -> Answer:
        return answer_or_trouble(lambda: exchange(Call(target_of(self.url), headers_of(self), self.body), answer_of))


def body_of(event_type: str, at: datetime, ids: dict[str, str]) -> bytes:
    """Thin: who gets it asks for the rest, with the rights that it has."""
    told = {"type": event_type, "timestamp": at.astimezone(UTC).isoformat().replace("+00:00", "Z"), "data": ids}
    return json.dumps(told, separators=(",", ":"), sort_keys=True).encode()


TROUBLES = (
    (InvalidToken, Trouble.NO_SECRET),
    (AddressRefused, Trouble.ADDRESS_REFUSED),
    (NameNotFound, Trouble.NO_ADDRESS),
    (ssl.SSLCertVerificationError, Trouble.NO_TRUST),
    (TimeoutError, Trouble.TOO_SLOW),
    ((OSError, ValueError), Trouble.NO_CONNECTION),
    (http.client.HTTPException, Trouble.NOT_HTTP),
)
EXPECTED = (InvalidToken, ClinicError, OSError, ValueError, http.client.HTTPException)


def answer_or_trouble(ask: Callable[[], Answer]) -> Answer:
    """Never raises for what the receiver or the network does."""
    try:
        return ask()
    except EXPECTED as error:
        return Answer(trouble=trouble_of(error))


def trouble_of(error: Exception) -> Trouble:
    return next(trouble for kinds, trouble in TROUBLES if isinstance(error, kinds))


def headers_of(message: Message) -> dict[str, str]:
    now = int(time.time())
    signed = [
        signature(decrypt(secret), message_id=message.message_id, timestamp=now, body=message.body)
        for secret in message.secrets
    ]
    return {
        "Content-Type": "application/json",
        "User-Agent": "skinclinic-webhooks/1",
        "webhook-id": message.message_id,
        "webhook-timestamp": str(now),
        "webhook-signature": " ".join(signed),
    }


def answer_of(response: http.client.HTTPResponse) -> Answer:
    """Of a refusal its first line is kept; of anything else, nothing."""
    with response:
        words = "" if 200 <= response.status < 300 else first_line(response)
        return Answer(response.status, words=words, pause=pause_of(response.headers.get("Retry-After", "")))


def first_line(response: http.client.HTTPResponse) -> str:
    try:
        content = response.read(4 * LONGEST_LINE)
    except (OSError, http.client.HTTPException):
        return ""
    return one_line(content.decode("utf-8", errors="replace").strip().partition("\n")[0], LONGEST_LINE)


def pause_of(said: str) -> float | None:
    """Retry-After, in seconds or as a date; None where it says nothing that can be meant."""
    if said.strip().isascii() and said.strip().isdecimal():
        return float(min(int(said.strip()[:9]), LONGEST_PAUSE))
    try:
        until = parsedate_to_datetime(said)
    except (TypeError, ValueError, OverflowError):
        return None
    seconds = (until if until.tzinfo else until.replace(tzinfo=UTC)).timestamp() - time.time()
    return min(max(seconds, 0.0), float(LONGEST_PAUSE))
