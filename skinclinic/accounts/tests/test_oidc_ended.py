"""What ended at the hospital has ended here."""

import time

import jwt
import pytest
from allauth.usersessions.models import UserSession
from django.conf import settings as configured
from django.core.cache import cache
from django.db import OperationalError
from django.test import Client
from django.urls import reverse

from skinclinic.accounts.models import Membership, ProviderSession
from skinclinic.accounts.oidc import ending
from skinclinic.accounts.oidc.ending import check_providers
from skinclinic.accounts.tasks import check_providers_task
from skinclinic.accounts.tests.hospital import SECRET, Hospital, come_in, has_joined, set_up
from skinclinic.accounts.tests.people import enter
from skinclinic.audit.models import AuditEvent


def is_in(browser: Client) -> bool:
    return browser.get(reverse("patients")).status_code == 200


def send(clinic, token: object) -> int:
    """As a provider sends it: from nowhere, without a cookie or a token of ours."""
    sender = Client(enforce_csrf_checks=True)
    return sender.post(f"/accounts/oidc/{clinic.pk}/logout", {"logout_token": token}).status_code


def test_it_works(north, hospital):
    by_password = enter(north.alice)
    here, _answer = come_in(north.north)
    there, _answer = come_in(north.north)
    has_joined(hospital, north.rita, north.north)
    rita, _answer = come_in(north.north)
    hospital.is_me(north.alice)
    assert send(north.north, hospital.sign(hospital.logout_token(sid=None), typ="logout+jwt")) == 200
    assert [is_in(each) for each in (here, there, rita, by_password)] == [False, False, True, True]
    with north.in_north():
        ended = AuditEvent.objects.get(action="sessions_ended")
        assert (ended.subject_id, ended.changes) == (str(north.alice.user.pk), {"ended": 2, "by": "provider"})
        assert ProviderSession.objects.count() == 1
        assert not UserSession.objects.filter(session_key__in=[here.session.session_key]).exists()


def test_a_sid_ends_that_session_alone(north, hospital):
    here, _answer = come_in(north.north)
    hospital.user["sid"] = "another"
    there, _answer = come_in(north.north)
    assert send(north.north, hospital.sign(hospital.logout_token(sub=None))) == 200
    assert (is_in(here), is_in(there)) == (True, False)
    assert send(north.north, hospital.sign(hospital.logout_token(sid="unknown"))) == 200
    assert is_in(here)


def test_who_was_disabled_here_meanwhile_is_ended_too(north, hospital):
    browser, _answer = come_in(north.north)
    with north.in_north():
        Membership.objects.filter(user=north.alice.user).update(is_active=False)
    assert send(north.north, hospital.sign(hospital.logout_token())) == 200
    assert browser.get(reverse("patients"))["Location"].startswith("/accounts/login/")


def test_a_token_ends_sessions_once(north, hospital):
    token = hospital.sign(hospital.logout_token())
    assert send(north.north, token) == 200
    browser, _answer = come_in(north.north)
    assert send(north.north, token) == 400
    assert is_in(browser)


def test_a_token_whose_ending_failed_may_be_sent_again(north, hospital, monkeypatch):
    browser, _answer = come_in(north.north)
    token = hospital.sign(hospital.logout_token())

    def fail(sessions: list[ProviderSession]) -> int:
        raise OperationalError

    with monkeypatch.context() as away:
        away.setattr(ending, "end_began_there", fail)
        with pytest.raises(OperationalError):
            send(north.north, token)
    assert is_in(browser)
    assert send(north.north, token) == 200
    assert not is_in(browser)


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "https://evil.example"}, {"aud": "another"}, {"events": {}}, {"events": None}, {"events": "x"},
        {"iat": int(time.time()) - 3600}, {"iat": None}, {"exp": 1}, {"jti": None}, {"nonce": "n"},
        {"sub": None, "sid": None}, {"sub": 7, "sid": None},
    ],
)  # fmt: skip
def test_what_is_no_logout_token_is_refused(north, hospital, changed):
    browser, _answer = come_in(north.north)
    assert send(north.north, hospital.sign(hospital.logout_token(**changed))) == 400
    assert is_in(browser)


@pytest.mark.parametrize("how", ["forged", "unsigned", "secret", "id token", "nothing", "nonsense"])
def test_a_forged_one_is_refused(north, hospital, how):
    browser, _answer = come_in(north.north)
    claims = hospital.logout_token()
    token = {
        "forged": hospital.sign(claims, by="another"),
        "unsigned": jwt.encode(claims, "", "none", headers={"kid": "first"}),
        "secret": jwt.encode(claims, SECRET * 2, "HS256", headers={"kid": "first"}),
        "id token": hospital.id_token("nonce"),
        "nothing": "",
        "nonsense": "a.b.c",
    }[how]
    assert send(north.north, token) == 400
    assert is_in(browser)


def test_a_clinics_provider_ends_no_session_of_another_clinic(north, hospital):
    """Both clinics are of one hospital, and have one client id there: the address says of which it is told."""
    set_up(hospital, north.south)
    has_joined(hospital, north.bob, north.south)
    browser, _answer = come_in(north.south)
    assert send(north.north, hospital.sign(hospital.logout_token())) == 200
    assert is_in(browser)
    assert send(north.south, hospital.sign(hospital.logout_token())) == 200
    assert not is_in(browser)


def test_who_sends_tokens_has_us_ask_the_hospital_now_and_then_only(north, hospital):
    hospital.down = True
    for _each in range(3):
        assert send(north.north, hospital.sign(hospital.logout_token())) == 400
    assert len(hospital.asked) == 1
    cache.clear()
    hospital.down, hospital.asked = False, []
    for number in range(4):
        assert send(north.north, hospital.sign(hospital.logout_token(), kid=f"made-up-{number}")) == 400
    assert hospital.asked.count("/keys") == 2


def test_a_clinic_without_a_provider_takes_none(north, hospital):
    assert send(north.south, hospital.sign(hospital.logout_token())) == 400


def check_now(cast, monkeypatch) -> None:
    with cast.in_north():
        ProviderSession.objects.update(checked_at="2020-01-01T00:00Z")
    check_providers()


def test_a_session_that_the_provider_refuses_to_go_on_with_ends(north, hospital, monkeypatch):
    browser, _answer = come_in(north.north)
    check_now(north, monkeypatch)
    assert is_in(browser)
    hospital.refresh = "another"
    check_now(north, monkeypatch)
    assert not is_in(browser)
    with north.in_north():
        assert AuditEvent.objects.get(action="sessions_ended").changes == {"ended": 1, "by": "provider"}


@pytest.mark.parametrize("away", ["down", "gone", "another client"])
def test_a_provider_that_is_away_ends_nothing(north, hospital: Hospital, monkeypatch, away):
    browser, _answer = come_in(north.north)
    match away:
        case "down":
            hospital.down = True
        case "gone":
            hospital.extra = {"token_endpoint": "http://127.0.0.1:1/token"}
        case "another client":
            monkeypatch.setattr("skinclinic.accounts.tests.hospital.SECRET", "changed meanwhile")
    check_now(north, monkeypatch)
    assert is_in(browser)


def test_tokens_that_are_given_anew_are_kept_sealed(north, hospital, monkeypatch):
    browser, _answer = come_in(north.north)
    real = hospital.token

    def rotating(form):
        status, told = real(form)
        return status, told | {"refresh_token": "the next one"}

    hospital.token = rotating
    check_now(north, monkeypatch)
    hospital.refresh = "the next one"
    check_now(north, monkeypatch)
    assert is_in(browser)
    with north.in_north():
        assert "the next" not in ProviderSession.objects.get().refresh_token


def test_each_is_asked_of_now_and_then_and_none_that_is_over(north, hospital, settings):
    browser, _answer = come_in(north.north)
    before = len(hospital.asked)
    check_providers_task()
    assert len(hospital.asked) == before
    browser.post(reverse("account_logout"))
    check_providers_task()
    with north.in_north():
        assert not ProviderSession.objects.exists()
    assert configured.CELERY_BEAT_SCHEDULE["check-providers"]["task"] == check_providers_task.name


def test_nothing_secret_of_it_stands_on_the_ledger(north, hospital):
    come_in(north.north)
    with north.in_north():
        told = "".join(str(changes) for changes in AuditEvent.objects.values_list("changes", flat=True))
    for word in ("hospital-Ali", "sid-Ali", "given", SECRET, "gAAAA"):
        assert word not in told
