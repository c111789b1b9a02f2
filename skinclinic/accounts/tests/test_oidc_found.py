"""Whoever does not know her clinic's door is told by a mail, and nobody else is told anything."""

import re

import pytest
from django.test import Client
from django.urls import reverse

from skinclinic.accounts.models import IdentityProvider, Membership
from skinclinic.accounts.tests.hospital import set_up
from skinclinic.accounts.tests.test_mailing import mailed


def ask(email: str) -> str:
    browser = Client()
    page = browser.post(reverse("find_hospital"), {"email": email})
    assert page.status_code == 200
    return re.sub(r'name="csrfmiddlewaretoken" value="\w+"', "", page.content.decode())


def test_it_works(north):
    assert reverse("find_hospital") in Client().get("/accounts/login/").content.decode()
    ask("Alice@Example.org")
    (sent,) = mailed()
    assert sent.to == [north.alice.user.email]
    assert f"North: http://localhost:8000/accounts/clinic/{north.north.pk}/" in sent.body


@pytest.mark.parametrize("email", ["bob@example.org", "nobody@example.org"])
def test_who_has_no_such_clinic_reads_the_same_and_gets_no_mail(north, email):
    assert ask(email) == ask("alice@example.org")
    assert [each.to for each in mailed()] == [["alice@example.org"]]


def test_only_what_is_open_to_her_is_told(north, hospital):
    set_up(hospital, north.south)
    ask("bob@example.org")
    assert "South" in mailed()[-1].body
    assert "North" not in mailed()[-1].body
    with north.in_north():
        Membership.objects.filter(user=north.alice.user).update(is_active=False)
    ask("alice@example.org")
    with north.in_north():
        IdentityProvider.objects.update(is_enabled=False)
    ask("rita@example.org")
    assert len(mailed()) == 1


def test_nobody_is_sent_one_after_the_other(north):
    for _each in range(9):
        ask("alice@example.org")
    assert len(mailed()) == 5
