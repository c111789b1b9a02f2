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
    """Answers with `status`, or with what `answers` still holds; keeps what it was sent.

    One that answers by what it is asked has an `answer`: of method, path, headers and body the status and the body.
    """

    port: int = 0
    status: int = 204
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    answers: list[int] = field(default_factory=list)
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    answer: Callable[[str, str, dict[str, str], bytes], tuple[int, bytes]] | None = None
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
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            receiver.got.append((headers, body))
            receiver.asked.append(f"{self.command} {self.path}")
            receiver.before_answer()
            status, said = (receiver.answers.pop(0) if receiver.answers else receiver.status), receiver.body
            if receiver.answer and status < 300:
                status, said = receiver.answer(self.command, self.path, headers, body)
            self.send_response(status)
            for name, value in receiver.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        do_GET = do_PUT = do_POST  # noqa: N815

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
