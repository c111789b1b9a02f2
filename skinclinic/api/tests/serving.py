"""The application on the wire, in this process, for programs that are no test client."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

from django.db import connection

from skinclinic.wsgi import application


def ended(environ: Any, start: Any) -> Iterator[bytes]:
    """Each answer is ended as a server ends it, which closes the files that were sent."""
    answer = application(environ, start)
    try:
        yield from answer
    finally:
        answer.close()


def disconnected(environ: Any, start: Any) -> Iterable[bytes]:
    """No connection of the server's thread outlives the request, or the test's database could not be dropped."""
    try:
        yield from ended(environ, start)
    finally:
        connection.close()


class Quiet(WSGIRequestHandler):
    def log_message(self, *args: Any) -> None:
        pass


@contextmanager
def serving(answers: Any = disconnected) -> Iterator[str]:
    """Its address."""
    server = make_server("127.0.0.1", 0, answers, handler_class=Quiet)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
