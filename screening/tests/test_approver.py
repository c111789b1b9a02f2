"""The second person of a clinic with one manager: she agrees, and asks for nothing."""

import re

import pytest
from django.core import mail
from django.db import IntegrityError
from django.test import Client
from django.urls import reverse

from conftest import Cast, Person, make_person
from screening.models import ModelVersion, ReadingPolicy, Suspension, SwitchRequest
from screening.services import versions
from skinclinic.accounts.approval import name_approver
from skinclinic.accounts.forms import FirstRunForm, KeepingForm
from skinclinic.accounts.models import Clinic, Membership
from skinclinic.accounts.tests.test_entry import FIRST
from skinclinic.audit.acting import acting, system
from skinclinic.audit.models import AuditEvent
from skinclinic.errors import NotAllowed

KEPT = {"time_zone": "Europe/Vienna", "retention_years": "10", "approver": ""}


def post(person: Person, name: str, *keys: object, **form: object):
    sent = {"clinic": str(person.actor.clinic_id), "reason": "asked for"} | form
    return person.client.post(reverse(name, args=keys), sent, follow=True)


def name(cast: Cast, person: Person) -> None:
    page = post(cast.ada, "clinic_keeping", **KEPT | {"approver": str(person.user.pk)}).content.decode()
    assert "Saved. It holds from now on." in page


@pytest.fixture
def asked(cast: Cast) -> SwitchRequest:
    """Ada asks for another model."""
    rows = [
        ModelVersion.objects.create(version=version, weights_sha256="0" * 64, preprocessing="1", manifest={})
        for version in ("2026.1.1", "2026.10.1")
    ]
    with cast.ada.acting() as ada:
        versions.begin_policy(actor=ada, version=rows[0])
        return versions.ask_to_switch(actor=ada, version=rows[1], reason="better")


def test_it_works(cast, asked):
    name(cast, cast.alice)
    page = cast.alice.client.get(reverse("models")).content.decode()
    assert "Alice Alder can do so too" in page
    assert "Why you agree" in page
    assert "Make it active" not in page, "she asks for nothing"
    assert "two people agreed" in post(cast.alice, "switch_agree", asked.pk).content.decode()
    with cast.in_north():
        assert ReadingPolicy.objects.get().active_id == "2026.10.1"
        assert SwitchRequest.objects.get().agreed_by == cast.alice.user


def test_approver_resumes_what_the_manager_asked_for(cast, asked):
    name(cast, cast.alice)
    with cast.ada.acting() as ada:
        stop = versions.suspend_readings(actor=ada, version=None, reason="odd")
        versions.ask_to_resume(actor=ada, suspension=stop)
    assert "ended by two people" in post(cast.alice, "resume_agree", stop.pk).content.decode()
    with cast.in_north():
        assert Suspension.objects.get().resumed_by == cast.alice.user


@pytest.mark.parametrize("address", ["version_switch", "version_suspend", "shadow_begin"])
def test_approver_asks_for_nothing(cast, asked, address):
    name(cast, cast.alice)
    assert post(cast.alice, address, "2026.1.1").status_code == 403


def test_clinician_who_is_not_named_agrees_to_nothing(cast, asked):
    assert post(cast.alice, "switch_agree", asked.pk).status_code == 403
    assert cast.alice.client.get(reverse("models")).status_code == 403
    with cast.alice.acting() as actor, pytest.raises(NotAllowed):
        versions.agree_to_switch(actor=actor, request=asked)


def test_approver_has_no_say_while_there_are_two_managers(cast, asked):
    name(cast, cast.alice)
    make_person("Bea Birch", cast.north, "manager")
    assert post(cast.alice, "switch_agree", asked.pk).status_code == 403


@pytest.mark.parametrize("who", ["ada", "bob"])
def test_manager_and_stranger_cannot_be_named(cast, who):
    page = post(cast.ada, "clinic_keeping", **KEPT | {"approver": str(getattr(cast, who).user.pk)})
    assert "There is something to correct" in page.content.decode()
    assert Clinic.objects.get(pk=cast.north.pk).approver is None


def test_database_names_no_stranger(real_cast):
    with pytest.raises(IntegrityError, match="clinic_approver_is_a_member"):
        with real_cast.ada.acting():
            Clinic.objects.filter(pk=real_cast.north.pk).update(approver=real_cast.bob.user)


def test_who_is_disabled_is_approver_no_more(cast):
    name(cast, cast.alice)
    with cast.in_north():
        membership = Membership.objects.get(user=cast.alice.user)
    post(cast.ada, "member_disable", membership.pk)
    assert Clinic.objects.get(pk=cast.north.pk).approver is None


def test_settings_are_told_in_words(cast):
    name(cast, cast.alice)
    page = cast.otto.client.get(reverse("clinic_history")).content.decode()
    for told in (
        "years that records are kept: 30 → 10",
        "Europe/Vienna",
        "approver beside the only manager",
        "Alice Alder",
    ):
        assert told in page, told


@pytest.mark.parametrize(
    "form", [{"time_zone": "Vienna"}, {"retention_years": "0"}, {"retention_years": "101"}, {"retention_years": "x"}]
)
def test_odd_settings_are_refused_where_they_were_typed(cast, form):
    page = post(cast.ada, "clinic_keeping", **KEPT | form).content.decode()
    assert "There is something to correct" in page
    clinic = Clinic.objects.get(pk=cast.north.pk)
    assert (clinic.time_zone, clinic.retention_years) == ("UTC", 30)


@pytest.mark.parametrize(("who", "status"), [("alice", 403), ("otto", 403)])
def test_settings_are_the_managers(cast, who, status):
    assert post(getattr(cast, who), "clinic_keeping", **KEPT).status_code == status


def test_second_person_is_named_when_the_clinic_is_opened(db):
    browser = Client()
    browser.post("/welcome/", FIRST | {"approver_email": "sue@example.org"})
    assert mail.outbox[0].to == ["sue@example.org"]
    (link,) = re.findall(r"http://\S+?(/join/\S+)", mail.outbox[0].body)
    second = Client()
    second.get(link)
    second.post("/join/", {"full_name": "Sue Second", "password": "nine-brown-otters-dive"})
    clinic = Clinic.objects.get()
    assert clinic.approver.full_name == "Sue Second"
    with acting(system(clinic_id=clinic.pk)):
        told = AuditEvent.objects.get(subject_type="accounts_clinic", changes__has_key="approver_id")
    assert told.actor_name == "Sue Second"


def test_first_person_is_not_the_second(db):
    page = Client().post("/welcome/", FIRST | {"approver_email": FIRST["email"].upper()})
    assert "your own address" in page.content.decode()
    assert not Clinic.objects.exists()


def test_name_approver_takes_her_back(cast):
    name(cast, cast.alice)
    with cast.ada.acting() as ada:
        name_approver(actor=ada, person=None)
    assert Clinic.objects.get(pk=cast.north.pk).approver is None


@pytest.mark.parametrize(("form", "field"), [(FirstRunForm, "approver_email"), (KeepingForm, "approver")])
def test_who_names_one_is_told_to_what_this_person_agrees(form, field):
    for act in ("model", "erase", "legal hold"):
        assert act in form.base_fields[field].help_text
