"""Who came in by her hospital has no password here: to sign after a while she confirms there."""

import time
from urllib.parse import urlsplit

import pytest
from django.urls import reverse

from conftest import make_person
from screening.models import Signature
from screening.tests.conftest import give, rows
from skinclinic.accounts.tests.conftest import hospital
from skinclinic.accounts.tests.hospital import come_in, has_joined, said, set_up, there
from skinclinic.audit.models import AuditEvent

__all__ = ["hospital"]  # a fixture


@pytest.fixture
def rita(cast, chart, screening, hospital, settings):
    """Her browser, in which she has judged the visit and then paused."""
    settings.SIGNATURE_HOLD = 0
    set_up(hospital, cast.north)
    has_joined(hospital, cast.rita, cast.north)
    give(cast, screening)
    browser, _answer = come_in(cast.north)
    pause(browser)
    return browser


def pause(browser) -> None:
    session = browser.session
    session["confirmed_at"] = time.time() - 16 * 60
    session.save()


def sign(cast, chart, browser):
    page = browser.get(reverse("visit", args=[chart.visit.pk]))
    opinions = [str(each.opinion.pk) for each in page.context["waiting"]]
    form = {"clinic": str(cast.north.pk), "opinion": opinions}
    return browser.post(reverse("visit_sign", args=[chart.visit.pk]), form)


def confirm(chart, browser):
    here = reverse("visit", args=[chart.visit.pk]) + "#sign-title"
    return browser.get(there(browser.post(reverse("oidc_confirm"), {"next": here})))


def test_it_works(cast, chart, rita, hospital):
    page = rita.get(reverse("visit", args=[chart.visit.pk])).content.decode()
    assert "Confirm at Hospital North" in page
    assert "Your password" not in page
    assert "Confirm at your hospital" in said(rita, sign(cast, chart, rita))
    assert not rows(cast, Signature)
    back = confirm(chart, rita)
    assert back["Location"] == reverse("visit", args=[chart.visit.pk]) + "#sign-title"
    asked = hospital.authorized[-1]
    assert (asked["prompt"], asked["max_age"]) == ("login", "0")
    assert "Confirm at" not in rita.get(urlsplit(back["Location"]).path).content.decode()
    sign(cast, chart, rita)
    assert len(rows(cast, Signature)) == 1
    assert len(rows(cast, AuditEvent, action="confirmed_there")) == 1


@pytest.mark.parametrize("at", [lambda: time.time() - 300, lambda: None])
def test_a_provider_that_did_not_ask_her_anew_confirms_nothing(cast, chart, rita, hospital, at):
    hospital.auth_time = at
    assert "did not ask you to sign in again" in said(rita, confirm(chart, rita))
    sign(cast, chart, rita)
    assert not rows(cast, Signature)


def test_another_person_who_comes_back_confirms_nothing(cast, chart, rita, hospital):
    has_joined(hospital, cast.rolf, cast.north)
    assert "as somebody else" in said(rita, confirm(chart, rita))
    come_in(cast.north)
    assert "as somebody else" in said(rita, confirm(chart, rita))
    assert rita.get("/patients/").context["user"] == cast.rita.user
    sign(cast, chart, rita)
    assert not rows(cast, Signature)
    assert len(rows(cast, AuditEvent, action="provider_refused")) == 2


def test_a_sign_in_there_of_this_morning_confirms_nothing_when_she_comes_in(cast, chart, rita, hospital):
    hospital.auth_time = lambda: time.time() - 3600
    browser, _answer = come_in(cast.north)
    assert "Confirm at your hospital" in said(browser, sign(cast, chart, browser))
    hospital.auth_time = time.time
    browser, _answer = come_in(cast.north)
    sign(cast, chart, browser)
    assert len(rows(cast, Signature)) == 1


def test_who_came_by_her_password_gives_that(cast, chart, rita):
    browser = cast.rita.client
    pause(browser)
    assert "Your password" in browser.get(reverse("visit", args=[chart.visit.pk])).content.decode()
    assert browser.post(reverse("oidc_confirm")).status_code == 404
    assert make_person("Nora Nut", cast.south, "reviewer").client.post(reverse("oidc_confirm")).status_code == 404


def test_her_second_factor_is_changed_after_confirming_there(cast, chart, rita):
    answer = rita.get(reverse("mfa_activate_totp"))
    assert answer["Location"].startswith(reverse("account_reauthenticate"))
    page = rita.get(answer["Location"])
    assert "Confirm at Hospital North" in page.content.decode()
    back = rita.get(there(rita.post(reverse("oidc_confirm"), {"next": page.context["back"]})))
    assert back["Location"] == reverse("mfa_activate_totp")
    assert rita.get(back["Location"]).status_code == 200
