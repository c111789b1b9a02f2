"""Who can agree to a switch or to readings going on is told that she is asked: by the bell and by mail."""

from pathlib import Path

import pytest
from django.core import mail
from django.urls import reverse

from conftest import Cast, Person, make_person
from ml.fake import load as load_fake
from screening.models import ModelVersion, Notice, Suspension
from screening.reader import register_version
from screening.services import versions
from screening.services.notices import sweep_notices
from screening.tests.conftest import rows
from screening.tests.test_notices import bell_of, mails_at_once, told
from skinclinic.accounts.approval import name_approver

__all__ = ["mails_at_once"]  # a fixture


@pytest.fixture
def second(cast: Cast) -> Person:
    return make_person("Mona Moss", cast.north, "manager")


@pytest.fixture
def newer(cast: Cast) -> ModelVersion:
    old, new = (register_version(load_fake(Path(version)).manifest) for version in ("2026.1.1", "2026.10.1"))
    with cast.ada.acting() as ada:
        versions.begin_policy(actor=ada, version=old)
    return new


@pytest.fixture
def stop(cast: Cast) -> Suspension:
    with cast.ada.acting() as ada:
        return versions.suspend_readings(actor=ada, version=None, reason="Two melanomas read low")


def ask_to_resume(person: Person, stop: Suspension) -> None:
    with person.acting() as actor:
        versions.ask_to_resume(actor=actor, suspension=stop)
    sweep_notices()


def test_the_other_managers_are_told_of_a_switch_that_is_asked_for(cast, second, newer):
    with cast.ada.acting() as ada:
        asked = versions.ask_to_switch(actor=ada, version=newer, reason="Better here")
    sweep_notices()
    sweep_notices()
    assert told(cast) == {("Mona", "switch_asked")}
    assert ">1<" in bell_of(second)
    (sent,) = mail.outbox
    assert sent.to == ["mona@example.org"]
    assert "Your agreement is asked for" in sent.body
    assert newer.pk not in sent.body
    page = second.client.get(reverse("notices")).content.decode()
    assert "Your agreement is asked for: another model" in page
    assert "by Ada Ash" in page
    assert f"Model {newer.pk} is to read" in page
    opened = second.client.get(reverse("notice_open", args=[rows(cast, Notice)[0].pk]))
    assert opened["Location"] == reverse("models")
    assert ">1<" not in bell_of(second)
    with cast.rita.acting() as rita:
        versions.agree_to_switch(actor=rita, request=asked)
    assert "another model</a>" not in second.client.get(reverse("notices")).content.decode(), "nobody asks any more"


def test_looking_at_the_models_makes_it_seen(cast, second, stop):
    ask_to_resume(cast.ada, stop)
    assert ">1<" in bell_of(second)
    second.client.get(reverse("models"))
    assert ">1<" not in bell_of(second)


def test_the_other_managers_are_told_that_readings_are_to_go_on(cast, second, stop):
    ask_to_resume(cast.ada, stop)
    assert told(cast) == {("Mona", "resume_asked")}
    page = second.client.get(reverse("notices")).content.decode()
    assert "Your agreement is asked for: resume readings" in page
    assert "All readings" in page
    with second.acting() as mona:
        versions.take_back_request(actor=mona, suspension=stop)
    assert ">1<" not in bell_of(second)
    second.client.get(reverse("models"))
    ask_to_resume(cast.ada, stop)
    assert ">1<" in bell_of(second), "asked for once more, it is new once more"
    with second.acting() as mona:
        versions.agree_to_resume(actor=mona, suspension=Suspension.objects.get())
    assert ">1<" not in bell_of(second)


def test_nobody_is_told_of_what_she_asks_for_herself(cast, second, stop):
    ask_to_resume(cast.ada, stop)
    with second.acting() as mona:
        versions.take_back_request(actor=mona, suspension=stop)
    ask_to_resume(second, stop)
    assert ">1<" not in bell_of(second)
    assert ">1<" in bell_of(cast.ada)


def test_where_there_is_no_other_manager_the_reviewers_are_told(cast, stop):
    ask_to_resume(cast.ada, stop)
    assert told(cast) == {("Rita", "resume_asked"), ("Rolf", "resume_asked")}
    assert "Your agreement is asked for" in cast.rita.client.get(reverse("notices")).content.decode()


def test_nobody_of_another_clinic_is_told(cast, second, stop):
    ask_to_resume(cast.ada, stop)
    assert "bob@example.org" not in {to for sent in mail.outbox for to in sent.to}
    with cast.bob.acting() as bob:
        assert not Notice.objects.visible_to(bob).exists()


def test_approver_of_a_clinic_with_one_manager_is_told(cast, stop):
    """A clinician: without being named she is asked for nothing."""
    with cast.ada.acting() as ada:
        name_approver(actor=ada, person=cast.alice.user.pk)
    ask_to_resume(cast.ada, stop)
    assert ("Alice", "resume_asked") in told(cast)
    assert cast.alice.client.get(reverse("models")).status_code == 200
