"""Sessions: hers to see and to end, and ended by themselves."""

import time

import pytest
from allauth.usersessions.models import UserSession
from django.conf import settings as configured
from django.test import Client
from django.urls import reverse

from conftest import PASSWORD
from skinclinic.accounts.sessions import ACTIVE_AT, SIGNED_IN_AT
from skinclinic.accounts.tests.people import enter
from skinclinic.audit.models import AuditEvent


def rewind(client: Client, **seconds: float) -> None:
    session = client.session
    for key, ago in seconds.items():
        session[key] = time.time() - ago
    session.save()


def is_in(client: Client) -> bool:
    return client.get(reverse("patients")).status_code == 200


def test_she_sees_where_she_is_signed_in_and_ends_one(cast):
    here, there = enter(cast.alice), enter(cast.alice)
    page = here.get(reverse("usersessions_list"))
    assert page.content.decode().count("<tr><td>") == 2
    with cast.alice.acting():
        other = UserSession.objects.get(session_key=there.session.session_key)
    here.post(reverse("usersessions_list"), {"session": other.pk})
    assert (is_in(here), is_in(there)) == (True, False)


def test_she_ends_all_others(cast):
    here, *others = (enter(cast.alice) for _ in range(3))
    stranger = enter(cast.rita)
    here.post(reverse("usersessions_list"))
    assert is_in(here)
    assert not any(map(is_in, others))
    assert is_in(stranger)
    with cast.in_north():
        assert AuditEvent.objects.get(action="sessions_ended").changes == {"ended": 2}


@pytest.mark.parametrize("given", ["theirs", "0", "nonsense", "9" * 30])
def test_another_persons_session_is_not_there(cast, given):
    here, theirs = enter(cast.alice), enter(cast.rita)
    with cast.rita.acting():
        session = UserSession.objects.get(user=cast.rita.user)
    chosen = session.pk if given == "theirs" else given
    assert here.post(reverse("usersessions_list"), {"session": chosen}).status_code == 404
    assert is_in(theirs)


@pytest.mark.parametrize(
    ("ago", "stays"),
    [
        ({ACTIVE_AT: 14 * 60}, True),
        ({ACTIVE_AT: 16 * 60}, False),
        ({SIGNED_IN_AT: 12 * 3600 - 60}, True),
        ({SIGNED_IN_AT: 12 * 3600 + 1}, False),
    ],
)
def test_session_ends_when_idle_and_after_a_day_of_work(cast, ago, stays):
    client = enter(cast.alice)
    rewind(client, **ago)
    assert is_in(client) is stays
    if not stays:
        assert is_in(client) is False
        assert client.get(reverse("patients"))["Location"].startswith("/accounts/login/?next=/patients/")


def test_polling_is_no_activity(cast):
    client = enter(cast.alice)
    rewind(client, **{ACTIVE_AT: 5 * 60})
    before = client.session[ACTIVE_AT]
    assert client.get(reverse("bell"), headers={"X-Polled": "1"}).status_code == 200
    assert client.session[ACTIVE_AT] == before
    assert 595 <= client.get(reverse("session_left"), headers={"X-Polled": "1"}).json()["seconds"] <= 600
    assert client.post(reverse("session_stay")).json()["seconds"] > 890
    assert client.session[ACTIVE_AT] > before


def test_a_poll_of_an_ended_session_loads_the_page_anew(cast):
    client = enter(cast.alice)
    rewind(client, **{ACTIVE_AT: 31 * 60})
    polled = client.get(
        reverse("bell"), headers={"X-Polled": "1", "HX-Request": "true", "HX-Current-URL": "http://testserver/today/"}
    )
    assert polled["HX-Refresh"] == "true"


def test_who_is_signed_out_has_no_seconds_left(cast):
    assert Client().get(reverse("session_left")).json() == {"seconds": 0}


def test_what_was_signed_out_is_worth_nothing(cast):
    """7.4.1: to whoever copied its key before."""
    client, thief = cast.alice.client, Client()
    thief.cookies[configured.SESSION_COOKIE_NAME] = client.cookies[configured.SESSION_COOKIE_NAME].value
    assert thief.get(reverse("patients")).status_code == 200
    client.post(reverse("account_logout"))
    assert thief.get(reverse("patients"))["Location"].startswith("/accounts/login/")


def test_a_sign_in_is_a_new_session(cast):
    """7.2.4: what a browser brought along before is of no use to who planted it there."""
    client = Client()
    client.get("/accounts/login/")
    session = client.session
    session["planted"] = True
    session.save()
    planted = session.session_key
    cast.alice.user.set_password("seven-quiet-herons-wade")
    cast.alice.user.save(update_fields=["password"])
    client.post("/accounts/login/", {"login": cast.alice.user.email, "password": "seven-quiet-herons-wade"})
    assert client.session.session_key != planted
    assert client.cookies[configured.SESSION_COOKIE_NAME].value != planted


def test_new_password_ends_her_other_sessions(cast):
    here, there = enter(cast.alice), enter(cast.alice)
    form = {"oldpassword": PASSWORD, "password1": "seven-quiet-herons-wade", "password2": "seven-quiet-herons-wade"}
    assert here.post(reverse("account_change_password"), form).status_code == 302
    assert (is_in(here), is_in(there)) == (True, False)
    assert here.get(reverse("usersessions_list")).content.decode().count("<tr><td>") == 1
