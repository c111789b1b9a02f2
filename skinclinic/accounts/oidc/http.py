"""Requests to identity providers: through the guard, to the address that was looked at, with no redirect followed."""

import http.client
import ssl
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import requests
from django.utils.translation import gettext as _
from requests.adapters import BaseAdapter

from skinclinic.errors import ClinicError
from skinclinic.outgoing.guard import target_of
from skinclinic.outgoing.wire import Call, exchange

MOST_SECONDS = 6.0
MOST_BYTES = 512 * 1024


class Unreachable(requests.ConnectionError):
    """Its message is a sentence for whoever set the provider up."""


class Guarded(BaseAdapter):
    """What `requests` sends with, in place of its own connections."""

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        body = request.body.encode() if isinstance(request.body, str) else request.body
        headers = {name: str(value) for name, value in request.headers.items()}
        ends = time.monotonic() + MOST_SECONDS
        return in_words(
            lambda: exchange(
                Call(target_of(request.url or ""), headers, body, request.method or "GET"),
                partial(as_response, request),
                ends,
            )
        )

    def close(self) -> None:
        return


def in_words(ask: Callable[[], requests.Response]) -> requests.Response:
    """Raises Unreachable."""
    try:
        return ask()
    except ClinicError as error:
        raise Unreachable(str(error)) from error
    except ssl.SSLCertVerificationError as error:
        raise Unreachable(_("Its certificate is not valid.")) from error
    except TimeoutError as error:
        raise Unreachable(_("It does not answer in time.")) from error
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise Unreachable(_("There is no connection to it.")) from error


def as_response(request: requests.PreparedRequest, answer: http.client.HTTPResponse) -> requests.Response:
    response = requests.Response()
    with answer:
        content = answer.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise ValueError("too long an answer")
    response.status_code, response.reason, response.url = answer.status, answer.reason, request.url or ""
    response.headers.update(answer.headers.items())
    response.encoding, response._content = "utf-8", content
    response.request = request
    return response


def guarded_session() -> requests.Session:
    session = requests.Session()
    session.trust_env, session.max_redirects = False, 0
    session.headers.update({"Accept": "application/json", "Accept-Encoding": "identity"})
    for scheme in ("https://", "http://"):
        session.mount(scheme, Guarded())
    return session
