"""The operator's side: all of it read-only, none of it a patient's."""

import re

import pytest
from django.contrib import admin
from django.contrib.auth import SESSION_KEY
from django.test import Client
from django.urls import reverse

from conftest import PASSWORD, Cast
from screening.models import ModelVersion
from screening.operator import SHOWN, OperatorSite
from skinclinic.accounts.models import User
from skinclinic.accounts.tests.people import give_totp
from skinclinic.workers import say_watching


@pytest.fixture
def olga(db) -> Client:
    operator = User.objects.create_superuser("olga@example.org", full_name="Olga Operator")
    browser = Client()
    browser.force_login(operator, backend="django.contrib.auth.backends.ModelBackend")
    return browser


@pytest.fixture
def code_is_asked_of(cast) -> str:
    """The address of an operator with an authenticator app."""
    give_totp(cast.bob)
    cast.bob.user.is_staff = cast.bob.user.is_superuser = True
    cast.bob.user.set_password(PASSWORD)
    cast.bob.user.save(update_fields=["is_staff", "is_superuser", "password"])
    return cast.bob.user.email


def test_it_works(broker, cast, chart, screening, olga):
    page = olga.get("/admin/").content.decode()
    row = re.search(r"<tr><th scope=\"row\">North</th>(.*?)</tr>", page, re.DOTALL)
    assert row
    assert re.findall(r"<td>(\d+)", row[1]) == ["5", "1", "0", "0", "1"]
    assert "South" in page
    assert "does not run" in page
    assert "lines in" in page


def test_it_tells_that_the_watch_runs(broker, olga):
    say_watching(20)
    page = olga.get("/admin/").content.decode()
    assert "runs" in re.findall(r"<td>([^<]*)</td>", page)
    assert "does not run" not in page


def test_nothing_of_a_patient_is_on_it(cast, chart, screening, olga):
    pages = ["/admin/", *(reverse(f"admin:{label.lower().replace('.', '_')}_changelist") for label in SHOWN)]
    ModelVersion.objects.create(version="1", weights_sha256="0" * 64, preprocessing="1", manifest={})
    for page in [*pages, reverse("admin:accounts_clinic_change", args=[cast.north.pk])]:
        response = olga.get(page)
        assert response.status_code == 200, page
        text = response.content.decode()
        for private in ("Winterbottom", "Erna", str(chart.patient.pk), str(screening.pk)):
            assert private not in text, page


def test_nothing_can_be_changed_in_it(cast: Cast, olga):
    for model in admin.site._registry:
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        assert olga.get(reverse(f"{name}_add")).status_code == 403
    for row in (cast.north, cast.alice.user):
        name = f"admin:accounts_{row._meta.model_name}"
        for act in ("change", "delete"):
            assert olga.post(reverse(f"{name}_{act}", args=[row.pk]), {"name": "x", "post": "yes"}).status_code == 403
    asked = {"action": "delete_selected", "_selected_action": [str(cast.alice.user.pk)], "post": "yes"}
    olga.post(reverse("admin:accounts_user_changelist"), asked)
    assert User.objects.filter(pk=cast.alice.user.pk).exists()


def test_other_packages_show_nothing_there():
    assert isinstance(admin.site, OperatorSite) or admin.site._wrapped
    assert {model._meta.label for model in admin.site._registry} == SHOWN


@pytest.mark.parametrize("name", ["alice", "ada", "otto"])
def test_people_of_a_clinic_do_not_come_in(cast, name):
    assert getattr(cast, name).client.get("/admin/", follow=True).status_code == 403


def test_operator_signs_in_where_everybody_does(cast, code_is_asked_of):
    password = {"password": PASSWORD}
    browser = Client()
    answer = browser.post("/admin/login/?next=/admin/accounts/user/", {"username": code_is_asked_of, **password})
    assert answer["Location"] == "/accounts/login/?next=/admin/accounts/user/"
    assert SESSION_KEY not in browser.session, "Django's own door would have let her in without her code"
    answer = browser.post(answer["Location"], {"login": code_is_asked_of, **password})
    assert answer["Location"].startswith(reverse("mfa_authenticate"))


def test_operator_who_is_in_is_not_asked_again(olga):
    assert olga.get("/admin/login/")["Location"] == "/admin/"


def test_operator_changes_her_password_where_everybody_does(olga):
    assert olga.post("/admin/password_change/", {"old_password": "x"})["Location"] == reverse("account_change_password")
