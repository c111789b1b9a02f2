"""Mails that are asked for at the sign-in tell nobody who has an account, nor does the time that they take."""

import logging
import socket
import time
from collections.abc import Iterator

import pytest
from django.core import mail
from django.test import Client
from django.urls import reverse

from skinclinic.accounts.mailing import postman

PAGES = ["account_reset_password", "find_hospital"]


def mailed() -> list[mail.EmailMessage]:
    """All that was sent, once whatever waits has been."""
    postman.submit(lambda: None).result(timeout=10)
    return mail.outbox


@pytest.fixture
def silent_server(settings) -> Iterator[None]:
    """It takes the connection and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = listener.getsockname()
        settings.EMAIL_TIMEOUT = 1
        settings.EMAIL_USE_TLS = settings.EMAIL_USE_SSL = False
        yield


@pytest.mark.parametrize("page", PAGES)
def test_server_that_says_nothing_keeps_nobody_waiting(north, silent_server, page, caplog):
    began = time.monotonic()
    answer = Client().post(reverse(page), {"email": "alice@example.org"})
    assert time.monotonic() - began < 0.9
    assert answer.status_code in (200, 302)
    with caplog.at_level(logging.ERROR):
        assert mailed() == []
    assert "could not be sent" in caplog.text


def test_who_has_no_account_gets_no_mail(cast):
    for email in ("nobody@example.org", "alice@example.org"):
        answer = Client().post(reverse("account_reset_password"), {"email": email})
        assert answer["Location"] == reverse("account_reset_password_done")
    assert [each.to for each in mailed()] == [["alice@example.org"]]
