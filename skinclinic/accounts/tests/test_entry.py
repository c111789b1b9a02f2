"""Signing in, the first run, and what a request leaves on the ledger when it goes wrong."""

import re

import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.db import OperationalError
from django.test import Client
from django.urls import reverse

from conftest import PASSWORD, make_chart
from patients.models import Consent
from skinclinic.accounts.models import Clinic, Membership
from skinclinic.audit.acting import acting, system
from skinclinic.audit.models import AuditEvent

FIRST = {
    "clinic_name": "First", "time_zone": "Europe/Vienna", "full_name": "Fay First", "email": "fay@example.org",
    "password": "seven-quiet-herons-wade",
}  # fmt: skip


def sign_in(email: str, password: str) -> tuple[Client, int]:
    client = Client()
    return client, client.post("/accounts/login/", {"login": email, "password": password}).status_code


def test_it_works(cast):
    cast.alice.user.set_password(PASSWORD)
    cast.alice.user.save(update_fields=["password"])
    client, status = sign_in("Alice@Example.org", PASSWORD)
    assert status == 302
    assert client.get("/", follow=True).status_code == 200


@pytest.mark.parametrize(("email", "password"), [("alice@example.org", "wrong"), ("nobody@example.org", PASSWORD)])
def test_failed_sign_in_does_not_tell_which_accounts_exist(cast, email, password):
    cast.alice.user.set_password(PASSWORD)
    cast.alice.user.save(update_fields=["password"])
    client = Client()
    page = client.post("/accounts/login/", {"login": email, "password": password}).content.decode()
    assert "not correct" in page


def test_nobody_signs_up(cast):
    assert "By invitation" in Client().get("/accounts/signup/").content.decode()
    Client().post("/accounts/signup/", {"email": "x@example.org", "password1": PASSWORD, "password2": PASSWORD})
    assert not get_user_model().objects.filter(email="x@example.org").exists()


def test_first_run_opens_the_clinic_once(db):
    client = Client()
    assert client.get("/welcome/").status_code == 200
    assert client.post("/welcome/", FIRST).status_code == 302
    assert client.get("/", follow=True).status_code == 200
    clinic = Clinic.objects.get()
    with acting(system(clinic_id=clinic.pk)):
        assert set(Membership.objects.get().roles) == {"manager", "clinician", "reviewer"}
    assert Client().get("/welcome/").status_code == 404
    assert Client().post("/welcome/", FIRST | {"email": "second@example.org"}).status_code == 404
    assert Clinic.objects.count() == 1


def test_empty_installation_leads_to_the_first_run_page(db):
    assert Client().get("/", follow=True).redirect_chain[-1][0] == "/welcome/"


@pytest.mark.parametrize("password", ["short", "password1234", "Fay First 1"])
def test_first_run_refuses_weak_passwords(db, password):
    assert Client().post("/welcome/", FIRST | {"password": password}).status_code == 200
    assert not Clinic.objects.exists()


def test_person_is_let_in_and_can_sign_in(cast, capsys):
    call_command("let_in", "North", "nora@example.org", "Nora Nut", "reviewer")
    password = re.search(r"Password: (\S+)", capsys.readouterr().out)[1]
    client, status = sign_in("nora@example.org", password)
    assert status == 302
    assert client.get("/", follow=True).redirect_chain[-1][0] == "/worklist/"
    with pytest.raises(CommandError, match="belongs to North already"):
        call_command("let_in", "North", "nora@example.org", "Nora Nut", "reviewer")


def test_page_of_a_person_is_kept_in_no_cache(cast):
    assert cast.alice.client.get("/patients/")["Cache-Control"] == "no-store, private"


def test_answer_of_400_or_more_undoes_what_the_view_did(cast, chart, monkeypatch):
    """The consent is written, then the view fails: nothing of it is kept, and the ledger has no line of it."""
    from patients import views

    def fail_after_writing(*args, **kwargs):
        note_consent(*args, **kwargs)
        raise RuntimeError("after the writing")

    note_consent = views.note_consent
    monkeypatch.setattr(views, "note_consent", fail_after_writing)
    client = cast.alice.client
    client.raise_request_exception = False
    form = {"kind": "teaching", "decision": "given", "decided_on": "2026-11-22", "clinic": str(cast.north.pk)}
    assert client.post(reverse("consent_note", args=[chart.patient.pk]), form).status_code == 500
    with cast.in_north():
        assert not Consent.objects.filter(kind="teaching").exists()
        assert not AuditEvent.objects.filter(subject_type="patients_consent", changes__kind="teaching").exists()


def test_database_that_is_away_is_503_with_a_page_and_no_trace(cast, monkeypatch):
    from skinclinic.accounts import middleware

    def away(*args, **kwargs):
        raise OperationalError("connection refused at 10.0.0.1")

    client = cast.alice.client
    client.raise_request_exception = False
    monkeypatch.setattr(middleware, "acting", away)
    response = client.get("/patients/")
    assert (response.status_code, response["Retry-After"]) == (503, "10")
    assert "10.0.0.1" not in response.content.decode()
    assert "Traceback" not in response.content.decode()


def test_request_id_is_in_the_answer_and_on_the_ledger(cast):
    response = cast.alice.client.get("/patients/", headers={"X-Request-Id": "from-the-proxy-1"})
    assert response["X-Request-Id"] == "from-the-proxy-1"
    with cast.in_north():
        assert AuditEvent.objects.get(action="patients_listed").request_id == "from-the-proxy-1"


@pytest.mark.parametrize("given", ["short", "with space and more", "x" * 65, "a\u2028bcdefgh"])
def test_odd_request_id_is_replaced(cast, given):
    assert Client().get("/healthz", headers={"X-Request-Id": given})["X-Request-Id"] != given


def test_change_is_recorded_under_the_person_of_the_session(cast):
    chart = make_chart(cast.alice)
    form = {"kind": "research", "decision": "refused", "decided_on": "2026-11-22", "clinic": str(cast.north.pk)}
    cast.rita.client.post(reverse("consent_note", args=[chart.patient.pk]), form)
    with cast.in_north():
        event = AuditEvent.objects.get(subject_type="patients_consent", changes__kind="research")
    assert (event.actor, event.actor_name) == (str(cast.rita.user.pk), "Rita Rowan")


def test_another_clinic_is_opened_and_its_manager_let_in(cast, capsys):
    call_command("open_clinic", "West", "--time-zone", "Europe/Vienna")
    call_command("let_in", "West", "wilma@example.org", "Wilma Wolf", "manager")
    assert "wilma@example.org is let in as manager." in capsys.readouterr().out
    assert Clinic.objects.get(name="West").time_zone == "Europe/Vienna"
    for words, said in ((["west"], "already"), (["East", "--time-zone", "Nowhere"], "no time zone")):
        with pytest.raises(CommandError, match=said):
            call_command("open_clinic", *words)
    assert not Clinic.objects.filter(name="East").exists()
