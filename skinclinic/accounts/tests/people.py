"""How the tests come through the door."""

import time

from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, generate_totp_secret, hotp_value
from django.test import Client

from conftest import PASSWORD, Person


def enter(person: Person, *, code: str = "") -> Client:
    """A browser in which she gave her password on the page, and her code where she is asked for one."""
    if not person.user.check_password(PASSWORD):  # written anew, it would end her other sessions
        person.user.set_password(PASSWORD)
        person.user.save(update_fields=["password"])
    client = Client()
    answer = client.post("/accounts/login/", {"login": person.user.email, "password": PASSWORD})
    assert answer.status_code == 302, answer.content.decode()
    if code:
        assert answer["Location"] == "/accounts/2fa/authenticate/"
        assert client.post(answer["Location"], {"code": code}).status_code == 302
    return client


def give_totp(person: Person) -> str:
    """She has an authenticator app; the key in it."""
    secret = generate_totp_secret()
    with person.acting():
        TOTP.activate(person.user, secret)
    return secret


def code_of(secret: str, *, ahead: int = 0) -> str:
    return format_hotp_value(hotp_value(secret, int(time.time()) // 30 + ahead))
