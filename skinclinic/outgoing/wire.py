"""One HTTP request on the wire. Knows nothing of the database: it may run in threads beside the one that does."""

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeVar

import certifi

from skinclinic.outgoing.guard import PORTS, Target, resolve

TIME_OUT = 15.0  # seconds for everything from the connection to the answer

Read = TypeVar("Read")


@dataclass(frozen=True)
class Call:
    """One HTTP request."""

    target: Target
    headers: dict[str, str] = field(repr=False)
    body: bytes | None = field(default=None, repr=False)
    method: str = "POST"


def deadline() -> float:
    return time.monotonic() + TIME_OUT


def exchange(call: Call, read: Callable[[http.client.HTTPResponse], Read], ends: float | None = None) -> Read:
    """Connects to the address that was looked at, goes through no proxy and follows no redirect.

    read: what is wanted of the response. ends: the deadline, where this is not the first that was asked.
    """
    ends = ends or deadline()
    sock = connect(resolve(call.target), call.target.port, ends)
    with ending(sock, ends) as ran_out:
        try:
            return speak(sock, call, read)
        except (OSError, http.client.HTTPException) as error:
            if ran_out.is_set():
                raise TimeoutError from error
            raise


def connect(found: list[str], port: int, ends: float) -> socket.socket:
    """To the first that takes the connection, of at most two."""
    *first, last = found[:2]
    for address in first:
        with suppress(OSError):
            return connect_to(address, port, ends)
    return connect_to(last, port, ends)


def connect_to(address: str, port: int, ends: float) -> socket.socket:
    """Raises OSError; TimeoutError where nothing is left until the deadline."""
    left = min(TIME_OUT / 3, ends - time.monotonic())
    if left <= 0:
        raise TimeoutError
    return socket.create_connection((address, port), timeout=left)


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
