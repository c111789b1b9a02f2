"""Another system, as real as a test can have one: an HTTP server that verifies what it gets."""

import json
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_network
from threading import Thread
from typing import Any

from standardwebhooks import Webhook

LOOPBACK = [ip_network("127.0.0.0/8"), ip_network("::1/128")]


@dataclass
class Receiver:
    """Answers with `status`, or with what `answers` still holds; keeps what it was sent."""

    port: int = 0
    status: int = 204
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    answers: list[int] = field(default_factory=list)
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    before_answer: Callable[[], None] = lambda: None
    scheme: str = "http"
    host: str = "127.0.0.1"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}/hook?of=clinic"

    def ids(self) -> list[str]:
        return [headers["webhook-id"] for headers, _body in self.got]

    def types(self) -> list[str]:
        return [json.loads(body)["type"] for _headers, body in self.got]

    def verified(self, secret: str) -> list[dict[str, Any]]:
        return [Webhook(secret).verify(body, headers) for headers, body in self.got]


@contextmanager
def receiving(port: int = 0, *, tls: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    """tls: it speaks https, under the name localhost."""
    receiver = Receiver() if tls is None else Receiver(scheme="https", host="localhost")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
            receiver.before_answer()
            self.send_response(receiver.answers.pop(0) if receiver.answers else receiver.status)
            for name, value in receiver.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(receiver.body)))
            self.end_headers()
            self.wfile.write(receiver.body)

        def log_message(self, *args: object) -> None:
            return

    class Server(ThreadingHTTPServer):
        def get_request(self) -> tuple[socket.socket, Any]:
            caller, address = super().get_request()
            try:
                return (tls.wrap_socket(caller, server_side=True) if tls else caller), address
            except OSError:
                caller.close()
                raise

        def handle_error(self, *args: object) -> None:
            return  # a sender that gave up waiting

    server = Server(("127.0.0.1", port), Handler)
    receiver.port = server.server_port
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
