"""What is spoken to whom: her own choice, else her browser's; to programs English."""

import re
from datetime import date

import pytest
from django.core.exceptions import ValidationError
from django.db import OperationalError
from django.forms import DateField
from django.test import Client
from django.urls import reverse
from django.utils import translation

from skinclinic.accounts.models import User
from skinclinic.accounts.tests.test_mailing import mailed

GERMAN = {"HTTP_ACCEPT_LANGUAGE": "de-AT,de;q=0.9,en;q=0.5"}
LANG = re.compile(r'<html lang="([^"]*)"')


def spoken(response) -> str:
    (found,) = LANG.findall(response.content.decode())
    assert response["Content-Language"] == found
    assert {"Accept-Language", "Cookie"} <= set(response["Vary"].split(", "))
    return found


@pytest.mark.parametrize(
    ("asks", "answered"),
    [("de-CH", "de"), ("fr, de;q=0.5", "de"), ("en-US, de;q=0.5", "en"), ("fr", "en"), ("", "en"), ("*;q=x", "en")],
)
def test_sign_in_page_speaks_as_the_browser_asks(cast, asks, answered):
    assert spoken(Client().get("/accounts/login/", HTTP_ACCEPT_LANGUAGE=asks)) == answered


def test_choice_before_signing_in_stays_with_the_browser(cast):
    client = Client()
    chosen = client.post(reverse("choose_language"), {"language": "de", "next": "/accounts/login/"})
    assert chosen["Location"] == "/accounts/login/"
    assert client.cookies["language"]["httponly"]
    assert spoken(client.get("/accounts/login/")) == "de"
    assert spoken(Client().get("/accounts/login/")) == "en"


def test_choice_is_kept_and_stands_over_the_browsers(cast):
    alice = cast.alice.client
    page = reverse("patients")
    assert spoken(alice.get(page, **GERMAN)) == "de", "as long as she has chosen none"
    alice.post(reverse("choose_language"), {"language": "en"}, **GERMAN)
    assert spoken(alice.get(page, **GERMAN)) == "en"
    alice.post(reverse("choose_language"), {"language": "de"})
    assert spoken(cast.alice.client.get(page)) == "de", "in another browser, too"


def test_choice_does_not_leak_to_the_next_request(cast):
    User.objects.filter(pk=cast.alice.user.pk).update(language="de")
    before = translation.get_language()
    cast.alice.client.get(reverse("patients"))
    assert translation.get_language() == before
    assert spoken(cast.rita.client.get(reverse("patients"))) == "en"
    assert spoken(Client().get("/accounts/login/")) == "en"


def test_choice_of_a_language_that_is_gone_is_left(cast):
    User.objects.filter(pk=cast.alice.user.pk).update(language="xx")
    assert spoken(cast.alice.client.get(reverse("patients"), **GERMAN)) == "de"


@pytest.mark.parametrize(
    "form",
    [
        {"language": "xx"},
        {"language": ""},
        {},
        {"language": "de", "next": "https://elsewhere.example/"},
        {"language": "de", "next": "/patients/\0"},
    ],
)
def test_odd_choices_lead_home(cast, form):
    answer = cast.alice.client.post(reverse("choose_language"), form)
    assert (answer.status_code, answer["Location"]) == (302, "/")
    cast.alice.user.refresh_from_db()
    assert cast.alice.user.language in ("", "de")


def test_choice_is_made_by_post_alone(cast):
    assert cast.alice.client.get(reverse("choose_language"), {"language": "de"}).status_code == 405


@pytest.mark.parametrize("person", ["alice", None])
def test_every_page_offers_each_language_by_its_own_name(cast, person):
    client = getattr(cast, person).client if person else Client()
    content = client.get(reverse("patients") if person else "/accounts/login/").content.decode()
    for code, name in (("en", "English"), ("de", "Deutsch")):
        assert re.search(rf'<button [^>]*value="{code}" lang="{code}"[^>]*>{name}</button>', content)
    assert '<input type="hidden" name="next" value="/' in content


def test_page_that_a_form_made_is_not_asked_for_again(cast):
    made = cast.alice.client.post(reverse("patients"), {"words": "x", "clinic": str(cast.north.pk)})
    assert 'name="next"' not in made.content.decode()


def test_error_pages_speak_to_the_person(cast, monkeypatch):
    User.objects.filter(pk=cast.alice.user.pk).update(language="de")
    alice = cast.alice.client
    alice.raise_request_exception = False
    assert spoken(alice.get("/nowhere/")) == "de"
    assert spoken(alice.get(reverse("worklist"))) == "de"
    monkeypatch.setattr("patients.views.SearchForm", None)
    failed = alice.get(reverse("patients"))
    assert (failed.status_code, spoken(failed)) == (500, "de")


def test_page_about_an_absent_database_speaks_as_the_browser_asks(cast, monkeypatch):
    def away(request):
        raise OperationalError

    monkeypatch.setattr("skinclinic.accounts.middleware.speak_to", away)
    client = Client(raise_request_exception=False)
    answer = client.get(reverse("patients"), **GERMAN)
    assert (answer.status_code, spoken(answer)) == (503, "de")


def test_upload_speaks_to_the_person(cast, chart):
    """Its view opens transactions of its own."""
    User.objects.filter(pk=cast.alice.user.pk).update(language="de")
    sent = {"lesion": str(chart.lesion.pk), "clinic": str(cast.north.pk)}
    answer = cast.alice.client.post(
        reverse("photograph_upload", args=[chart.visit.pk]), sent, HTTP_ACCEPT="application/json"
    )
    assert answer["Content-Language"] == "de"


def test_programs_are_answered_in_english(cast):
    User.objects.filter(pk=cast.alice.user.pk).update(language="de")
    for path in ("/api/v1/lesions/", "/api/v1/nowhere/", "/api/docs/", "/healthz"):
        answer = cast.alice.client.get(path, **GERMAN)
        assert answer["Content-Language"] == "en", path
        assert "Accept-Language" not in answer.get("Vary", ""), path
    assert cast.alice.client.get("/api/v1/nowhere/", **GERMAN).json()["title"] == "There is nothing here"


def test_mail_is_written_in_the_language_of_whom_it_is_for(cast):
    User.objects.filter(pk=cast.alice.user.pk).update(language="de")
    for person, browser in ((cast.alice, "en"), (cast.rita, "de")):
        reset = {"email": person.user.email}
        Client().post(reverse("account_reset_password"), reset, HTTP_ACCEPT_LANGUAGE=browser)
    assert [("Passwort" in each.subject) for each in mailed()] == [True, True]
    User.objects.filter(pk=cast.alice.user.pk).update(language="en")
    Client().post(reverse("account_reset_password"), {"email": cast.alice.user.email}, **GERMAN)
    assert "password" in mailed()[-1].subject


@pytest.mark.parametrize(
    ("language", "written"),
    [("en", "5/4/1961"), ("en", "5 Apr 1961"), ("en", "1961-04-05"), ("de", "5.4.1961"), ("de", "1961-04-05")],
)
def test_day_that_is_typed_is_read_day_first(language, written):
    with translation.override(language):
        assert DateField().clean(written) == date(1961, 4, 5)
        with pytest.raises(ValidationError):
            DateField().clean("4/30/1961")
