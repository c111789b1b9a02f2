"""Who can agree to something is told that she is asked, by the bell and by mail: to another model, to readings going
on, to an erasure, to lifting a hold."""

from pathlib import Path

import pytest
from django.core import mail
from django.db import IntegrityError, connection, transaction
from django.urls import reverse

from conftest import Cast, Person, make_chart, make_person
from ml.fake import load as load_fake
from patients.models import LegalHold
from patients.restricted import restrict
from screening.models import ModelVersion, Notice, Suspension
from screening.reader import register_version
from screening.services import holds, versions
from screening.services.erasing import agree_to_erasure, take_back_erasure
from screening.services.notices import sweep_notices
from screening.tests.conftest import rows
from screening.tests.erasing import asked
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


@pytest.fixture
def held(cast: Cast, chart) -> LegalHold:
    with cast.ada.acting() as ada:
        return holds.put_hold(actor=ada, patient=chart.patient, words="Lawsuit 4711")


def ask_to_lift(person: Person, hold: LegalHold) -> None:
    with person.acting() as actor:
        holds.ask_to_lift(actor=actor, hold=hold)
    sweep_notices()


def test_others_are_told_of_an_erasure_that_is_asked_for(cast, second, chart):
    asked(cast, chart.patient)
    sweep_notices()
    sweep_notices()
    assert told(cast) == {("Mona", "erasure_asked")}
    (sent,) = mail.outbox
    assert "Your agreement is asked for" in sent.body
    assert "Winterbottom" not in sent.body
    page = second.client.get(reverse("notices")).content.decode()
    for text in (
        "Your agreement is asked for: erase a patient",
        "by Ada Ash",
        "Winterbottom",
        "The patient asks for it",
    ):
        assert text in page
    opened = second.client.get(reverse("notice_open", args=[rows(cast, Notice)[0].pk]))
    assert opened["Location"] == reverse("erasures")
    assert ">1<" not in bell_of(second)


@pytest.mark.parametrize("end", [agree_to_erasure, take_back_erasure])
def test_erasure_that_nobody_asks_for_any_more_asks_nobody(cast, second, chart, end):
    erasure = asked(cast, chart.patient)
    sweep_notices()
    assert ">1<" in bell_of(second)
    with cast.rita.acting() as rita:
        end(actor=rita, erasure=erasure)
    assert ">1<" not in bell_of(second)
    assert "erase a patient</a>" not in second.client.get(reverse("notices")).content.decode()


@pytest.mark.parametrize("page", ["erasure", "erasures"])
def test_looking_at_an_erasure_makes_it_seen(cast, second, chart, page):
    erasure = asked(cast, chart.patient)
    sweep_notices()
    second.client.get(reverse(page, args=[erasure.pk] if page == "erasure" else []))
    assert ">1<" not in bell_of(second)


def test_many_erasures_are_one_mail_and_one_look(cast, second):
    for _number in range(3):
        asked(cast, make_chart(cast.alice).patient)
    sweep_notices()
    assert ">3<" in bell_of(second)
    (sent,) = mail.outbox
    assert "3" in sent.body
    second.client.get(reverse("erasures"))
    assert ">3<" not in bell_of(second)


def test_others_are_told_of_a_hold_that_is_to_be_lifted(cast, second, held):
    ask_to_lift(cast.ada, held)
    assert told(cast) == {("Mona", "lift_asked")}
    page = second.client.get(reverse("notices")).content.decode()
    for text in ("Your agreement is asked for: lift a legal hold", "by Ada Ash", "Lawsuit 4711"):
        assert text in page
    opened = second.client.get(reverse("notice_open", args=[rows(cast, Notice)[0].pk]))
    assert opened["Location"] == reverse("patient_chart", args=[held.patient_id])
    assert ">1<" not in bell_of(second)
    with second.acting() as mona:
        holds.take_back_lifting(actor=mona, hold=held)
    ask_to_lift(cast.ada, held)
    assert ">1<" in bell_of(second), "asked for once more, it is new once more"
    second.client.get(reverse("patient_chart", args=[held.patient_id]))
    assert ">1<" not in bell_of(second)


def test_hold_that_was_lifted_asks_nobody(cast, second, held):
    ask_to_lift(cast.ada, held)
    with cast.rita.acting() as rita:
        holds.agree_to_lift(actor=rita, hold=held)
    assert ">1<" not in bell_of(second)


def test_notice_of_a_restricted_chart_says_nothing_of_its_content(cast, second, chart):
    asked(cast, chart.patient, words="wrote a letter")
    with cast.ada.acting() as ada:
        restrict(actor=ada, patient=chart.patient, restricted=True)
    sweep_notices()
    page = second.client.get(reverse("notices")).content.decode()
    assert "About a restricted chart" in page
    for text in ("The patient asks for it", "erase a patient</a>"):
        assert text not in page


def test_notice_of_another_clinics_hold_is_refused_by_the_database(cast, second, held):
    """Nor does anybody there see one of it: who is in North alone is told."""
    ask_to_lift(cast.ada, held)
    with cast.bob.acting() as bob:
        assert not Notice.objects.visible_to(bob).exists()
        theirs = make_chart(cast.bob).patient
    about = {"recipient_id": cast.bob.user.pk, "by_mail": False, "hold_id": held.pk}
    with cast.bob.acting(), pytest.raises(IntegrityError, match="same_clinic"):
        keep_at_once(Notice(clinic=cast.south, patient=theirs, kind="lift_asked", **about))
    with cast.ada.acting(), pytest.raises(IntegrityError, match="what_its_kind_says"):
        keep_at_once(Notice(clinic=cast.north, patient=held.patient, kind="erasure_asked", **about))


def keep_at_once(notice: Notice) -> None:
    """Without waiting for the end of the transaction to hold its keys against the rows that they name."""
    with transaction.atomic(), connection.cursor() as cursor:
        notice.save(force_insert=True)
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
