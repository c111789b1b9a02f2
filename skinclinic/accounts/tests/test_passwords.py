"""What no password may be, on every page where one is set; and how many tries there are."""

import re

import pytest
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import reverse

from conftest import PASSWORD
from skinclinic.accounts.models import Clinic
from skinclinic.accounts.tests.people import enter
from skinclinic.accounts.tests.test_entry import FIRST
from skinclinic.accounts.tests.test_mailing import mailed

GUESSED = [
    "123456789012", "password1234", "qwertyuiop123", "letmeinletmein", "iloveyou1234", "aaaaaaaaaaaaaaaa",
    "1q2w3e4r5t6y", "abcabcabcabc", "839201847561", "short",
]  # fmt: skip
HERS = ["alice-alder-wades", "North-north-north-9", "alice@example.org", "quiet-alder-herons"]


@pytest.mark.parametrize("password", GUESSED)
def test_known_and_guessable_ones_are_refused(cast, password):
    with pytest.raises(ValidationError):
        validate_password(password, cast.alice.user)


@pytest.mark.parametrize("password", HERS)
def test_what_others_know_of_her_is_refused(cast, password):
    with cast.alice.acting(), pytest.raises(ValidationError):
        validate_password(password, cast.alice.user)


@pytest.mark.parametrize(
    "password", [PASSWORD, "seven-quiet-herons-wade", "Ein Reiher watet um sieben", "x7" * 3 + "kQ9!vu2m" * 15]
)
def test_a_few_words_and_long_ones_are_taken(cast, password):
    assert validate_password(password[:128], cast.alice.user) is None


def test_one_of_129_is_refused(cast):
    with pytest.raises(ValidationError, match="128"):
        validate_password(PASSWORD * 5, cast.alice.user)


@pytest.mark.parametrize("password", ["123456789012", "Riverside-waters-9-heron"])
def test_first_run_refuses_them(db, password):
    page = Client().post("/welcome/", FIRST | {"password": password, "clinic_name": "Riverside"})
    assert "There is something to correct" in page.content.decode()
    assert not Clinic.objects.exists()


def test_change_and_reset_refuse_them(cast):
    client = enter(cast.alice)
    change = {"oldpassword": PASSWORD, "password1": GUESSED[0], "password2": GUESSED[0]}
    assert "guessed" in client.post(reverse("account_change_password"), change).content.decode()
    Client().post(reverse("account_reset_password"), {"email": cast.alice.user.email})
    (link,) = re.findall(r"http://\S+(/accounts/password/reset/key/\S+)", mailed()[0].body)
    browser = Client()
    page = browser.get(link, follow=True)
    form = {"password1": "letmeinletmein", "password2": "letmeinletmein"}
    refused = browser.post(page.redirect_chain[-1][0], form)
    assert "lists of those who guess" in refused.content.decode()
    cast.alice.user.refresh_from_db()
    assert cast.alice.user.check_password(PASSWORD)


def test_account_is_locked_after_five_tries_and_says_so(cast):
    enter(cast.alice)
    tried = [
        Client(REMOTE_ADDR=f"10.0.0.{n}").post(
            "/accounts/login/", {"login": cast.alice.user.email, "password": "wrong"}
        )
        for n in range(7)
    ]
    said = [page.content.decode() for page in tried]
    assert "not correct" in said[4]
    assert "Wait five minutes" in said[5]
    right = {"login": cast.alice.user.email, "password": PASSWORD}
    assert Client(REMOTE_ADDR="10.0.0.9").post("/accounts/login/", right).status_code == 200, "it is locked"
    other = {"login": cast.rita.user.email, "password": "wrong"}
    page = Client(REMOTE_ADDR="10.0.0.9").post("/accounts/login/", other).content.decode()
    assert "not correct" in page, "hers alone"


def test_account_that_is_not_there_is_locked_the_same(cast):
    tries = {"login": "nobody@example.org", "password": "wrong"}
    said = [Client(REMOTE_ADDR=f"10.0.0.{n}").post("/accounts/login/", tries).content.decode() for n in range(6)]
    assert "Wait five minutes" in said[-1]


def test_address_is_locked_after_ten_tries(cast):
    said = [
        Client().post("/accounts/login/", {"login": f"p{n}@example.org", "password": "wrong"}).content.decode()
        for n in range(11)
    ]
    assert "not correct" in said[9]
    assert "Wait five minutes" in said[10]


def test_too_many_requests_are_told_with_a_page(cast):
    tried = [Client().post("/accounts/login/", {"login": "", "password": ""}) for _ in range(31)]
    assert tried[-1].status_code == 429
    assert "too many tries" in tried[-1].content.decode()
