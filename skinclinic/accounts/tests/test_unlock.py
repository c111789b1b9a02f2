"""What a session that ended by idleness leaves behind, and what makes it worth nothing. The passkey itself: `e2e`."""

import json
import time
from types import SimpleNamespace

import pytest
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.test import Client, RequestFactory
from django.urls import reverse

from conftest import PASSWORD, Cast
from skinclinic.accounts import unlock
from skinclinic.accounts.confirm import CONFIRMED_AT
from skinclinic.accounts.entry import ACTIVE_AT, SIGNED_IN_AT
from skinclinic.accounts.models import User
from skinclinic.accounts.sessions import end_sessions

HOUR = 3600


@pytest.fixture
def alice(cast: Cast) -> User:
    """With a passkey, of which only its being there is asked here."""
    user = cast.alice.user
    user.set_password(PASSWORD)
    user.save(update_fields=["password"])
    with cast.alice.acting():
        Authenticator.objects.create(user=user, type="webauthn", data={"name": "My laptop"})
    return user


def left_alone(user: User, *, idle: float = HOUR, signed_in: float = HOUR, by: str = "get") -> Client:
    """Her browser after the first request that came too late."""
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    session = client.session
    session[ACTIVE_AT], session[SIGNED_IN_AT] = time.time() - idle, time.time() - signed_in
    session.save()
    getattr(client, by)(reverse("patients"))
    return client


def can_be_unlocked(client: Client) -> bool:
    request = RequestFactory().get("/accounts/login/")
    if kept := client.cookies.get(unlock.COOKIE):
        request.COOKIES[unlock.COOKIE] = kept.value
    return unlock.locked_at(request) is not None


@pytest.mark.parametrize("by", ["get", "post"])
def test_it_works(alice, by):
    client = left_alone(alice, by=by)
    assert can_be_unlocked(client)
    kept = client.cookies[unlock.COOKIE]
    assert (kept["httponly"], kept["samesite"]) == (True, "Strict")
    assert 10 * HOUR < kept["max-age"] <= 11 * HOUR


def test_who_has_no_passkey_leaves_nothing(cast):
    assert unlock.COOKIE not in left_alone(cast.rita.user).cookies


def test_the_days_limit_stays(alice):
    assert unlock.COOKIE not in left_alone(alice, signed_in=13 * HOUR).cookies


def test_a_session_by_the_hospital_is_the_hospitals(alice, cast):
    client = Client()
    client.force_login(alice, backend="django.contrib.auth.backends.ModelBackend")
    session = client.session
    session["bound_clinic"], session[ACTIVE_AT] = str(cast.north.pk), time.time() - HOUR
    session.save()
    client.get(reverse("patients"))
    assert unlock.COOKIE not in client.cookies


@pytest.mark.parametrize("ended", ["password", "sessions", "disabled", "elsewhere", "expired"])
def test_it_is_worth_nothing_once_that_happened(alice, ended, settings):
    client = left_alone(alice)
    match ended:
        case "password":
            alice.set_password("another-horse-battery-staple")
            alice.save(update_fields=["password"])
        case "sessions":
            end_sessions(alice)
        case "disabled":
            User.objects.filter(pk=alice.pk).update(is_active=False)
        case "elsewhere":
            other = Client()
            other.force_login(alice, backend="django.contrib.auth.backends.ModelBackend")
            other.post(reverse("account_logout"))
        case "expired":
            settings.SIGN_OUT_AFTER = 60
    assert not can_be_unlocked(client)


def test_a_made_up_cookie_is_none(alice):
    client = left_alone(alice)
    forged = client.cookies[unlock.COOKIE].value
    client.cookies[unlock.COOKIE] = forged[:-1] + ("A" if forged[-1] != "A" else "B")
    assert not can_be_unlocked(client)


@pytest.mark.parametrize("answer", ["", "{}", "[]", "7", "null", '{"id": 1, "response": {}}', '{"rawId": ""}'])
def test_an_answer_that_is_none_lets_nobody_in(alice, answer):
    client = left_alone(alice)
    sent = client.post(reverse("unlock"), {"credential": answer, "next": "https://elsewhere.example/"})
    assert sent["Location"] == "/accounts/login/?next=/"
    assert client.get(reverse("patients"))["Location"].startswith("/accounts/login/")


@pytest.fixture
def any_passkey_will_do(monkeypatch) -> None:
    taken = SimpleNamespace(record_usage=lambda: None)
    monkeypatch.setattr(unlock.auth, "complete_authentication", lambda user, answer: taken)


@pytest.mark.usefixtures("any_passkey_will_do")
@pytest.mark.parametrize(("asked", "lets_in"), [("required", True), ("preferred", False), ("discouraged", False)])
def test_only_an_answer_to_what_was_asked_here_lets_in(alice, asked, lets_in):
    """As the second step of a sign-in by password asks it, a passkey that lies about would do."""
    client = left_alone(alice)
    session = client.session
    session[unlock.auth.STATE_SESSION_KEY] = {"challenge": "", "user_verification": asked}
    session.save()
    client.cookies[settings.SESSION_COOKIE_NAME] = session.session_key
    client.post(reverse("unlock"), {"credential": "{}"})
    assert (client.session.get("_auth_user_id") == str(alice.pk)) is lets_in
    if lets_in:
        assert time.time() - client.session[SIGNED_IN_AT] > HOUR - 60, "her day goes on"
        assert CONFIRMED_AT not in client.session, "a signature asks for her password"


def test_guessing_has_to_wait(alice, monkeypatch):
    client, looked_at = left_alone(alice), []
    monkeypatch.setattr(unlock, "prove", lambda user, answer: looked_at.append(answer) or json.loads(answer))
    for _ in range(12):
        client.post(reverse("unlock"), {"credential": "no passkey"})
    assert len(looked_at) == 10


def test_without_the_cookie_nobody_is_asked(alice):
    assert Client().post(reverse("unlock"), {"credential": "{}"})["Location"].startswith("/accounts/login/")
    assert "Unlock with your passkey" not in Client().get("/accounts/login/").content.decode()
