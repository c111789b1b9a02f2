"""One message on the wire. Knows nothing of the database: it runs in threads beside the one that does."""

import http.client
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import TypeVar

import certifi
from cryptography.fernet import InvalidToken

from skinclinic.api.webhooks.guard import PORTS, AddressRefused, NameNotFound, Target, resolve, target_of
from skinclinic.api.webhooks.models import Trouble
from skinclinic.api.webhooks.signing import decrypt, signature
from skinclinic.errors import ClinicError
from skinclinic.text import one_line

TIME_OUT = 15.0  # seconds for everything from the connection to the answer
LONGEST_PAUSE = 24 * 3600
LONGEST_LINE = 120


Read = TypeVar("Read")


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
class Call:
    """One HTTP request."""

    target: Target
    headers: dict[str, str] = field(repr=False)
    body: bytes | None = field(default=None, repr=False)
    method: str = "POST"


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


def deadline() -> float:
    return time.monotonic() + TIME_OUT


def exchange(call: Call, read: Callable[[http.client.HTTPResponse], Read], ends: float | None = None) -> Read:
    """Connects to the address that was looked at, goes through no proxy and follows no redirect.

    read: what is wanted of the response. ends: the deadline, where this is not the first that was asked.
    """
    ends = ends or deadline()
    sock = connect(resolve(call.target), call.target.port)
    with ending(sock, ends) as ran_out:
        try:
            return speak(sock, call, read)
        except (OSError, http.client.HTTPException) as error:
            if ran_out.is_set():
                raise TimeoutError from error
            raise


def connect(found: list[str], port: int) -> socket.socket:
    """To the first that takes the connection, of at most two."""
    first, *others = found
    try:
        return socket.create_connection((first, port), timeout=TIME_OUT / 3)
    except OSError:
        if not others:
            raise
        return socket.create_connection((others[0], port), timeout=TIME_OUT / 3)


@contextmanager
def ending(sock: socket.socket, ends: float) -> Iterator[threading.Event]:
    """A socket's own time-out begins anew with each byte, so a receiver that drips them would hold us for ever."""
    ran_out, handle = threading.Event(), sock.dup()  # TLS takes `sock` over; the connection behind both is one

    def end() -> None:
        ran_out.set()
        with suppress(OSError):
            handle.shutdown(socket.SHUT_RDWR)

    sock.settimeout(TIME_OUT)
    timer = threading.Timer(max(0.0, ends - time.monotonic()), end)
    timer.start()
    try:
        yield ran_out
    finally:
        timer.cancel()
        handle.close()


def speak(sock: socket.socket, call: Call, read: Callable[[http.client.HTTPResponse], Read]) -> Read:
    connection = http.client.HTTPConnection(call.target.host, call.target.port)
    connection.sock = sock
    with closing(connection):
        if call.target.scheme == "https":
            connection.default_port = PORTS["https"]  # so that Host leaves it out
            connection.sock = trust().wrap_socket(sock, server_hostname=call.target.host)
        with suppress(BrokenPipeError, ConnectionResetError):  # who refuses a large body may not wait for its end
            connection.request(call.method, call.target.path, body=call.body, headers=call.headers)
        return read(connection.getresponse())


@lru_cache(maxsize=1)
def trust() -> ssl.SSLContext:
    """The machine's own authorities, and those of the web for machines that have none."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context


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
    except (TypeError, ValueError):
        return None
    seconds = (until if until.tzinfo else until.replace(tzinfo=UTC)).timestamp() - time.time()
    return min(max(seconds, 0.0), float(LONGEST_PAUSE))
