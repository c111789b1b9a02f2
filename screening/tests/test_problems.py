"""Somebody finds a reading wrong and says so; a manager answers."""

from uuid import uuid4

import pytest
from django.db import IntegrityError, transaction
from django.urls import reverse
from django.utils import timezone

from conftest import Cast, Person, make_person
from screening.models import ReadingProblem, Screening
from screening.services.errors import StaleTransition
from screening.services.problems import answer_problem
from screening.tests.conftest import read_by_model
from screening.tests.test_blind import set_blind
from skinclinic.accounts.services import decide_reviewing
from skinclinic.audit.models import AuditEvent
from skinclinic.events.models import Event


def post(person: Person, name: str, key, **form: str):
    keys = {"clinic": str(person.actor.clinic_id), "submission": str(uuid4())}
    return person.client.post(reverse(name, args=[key]), keys | form, follow=True)


def reported(cast: Cast) -> list[ReadingProblem]:
    with cast.in_north():
        return list(ReadingProblem.objects.all())


@pytest.fixture
def problem(cast, chart, screening) -> ReadingProblem:
    with cast.ada.acting() as ada:
        decide_reviewing(actor=ada, unreviewed_readings="always")
    read_by_model(cast, screening, refer=False)
    answer = post(cast.alice, "problem_report", screening.pk, kind="score", words="An obvious melanoma reads low.")
    assert "The managers see your report" in answer.content.decode()
    (told,) = reported(cast)
    return told


def test_it_works(cast, chart, screening, problem):
    with cast.in_north():
        read = Screening.objects.get(pk=screening.pk)
        assert Event.objects.filter(type="reading.problem").count() == 1
    assert (problem.prediction_id, problem.reported_by_id) == (read.prediction_id, cast.alice.user.pk)
    assert "1 to answer" in cast.ada.client.get(reverse("models")).content.decode()
    assert "An obvious melanoma" in cast.ada.client.get(reverse("problems")).content.decode()
    shown = post(cast.ada, "problem_answer", problem.pk, answer="Known of version 3; suspended.").content.decode()
    assert "No report waits for an answer" in shown
    assert "Known of version 3" in shown
    beside = cast.rita.client.get(reverse("screening", args=[screening.pk])).content.decode()
    assert "An obvious melanoma" in beside
    assert "Known of version 3" in beside


def test_the_ledger_knows_of_it_without_its_words(cast, problem):
    post(cast.ada, "problem_answer", problem.pk, answer="Suspended.")
    with cast.in_north():
        events = AuditEvent.objects.filter(subject_type="screening_readingproblem", action__in=["insert", "update"])
        assert [event.actor_name for event in events.order_by("pk")] == ["Alice Alder", "Ada Ash"]
        assert not any("melanoma" in str(vars(event)) or "Suspended." in str(vars(event)) for event in events)


def test_another_clinics_manager_does_not_see_it(cast, problem):
    shown = cast.bob.client.get(reverse("problems"))
    assert shown.status_code == 200
    assert "An obvious melanoma" not in shown.content.decode()


def test_only_a_manager_answers_and_only_once(cast, problem):
    for who, status in (("alice", 403), ("rita", 403), ("otto", 403), ("bob", 404)):
        assert post(getattr(cast, who), "problem_answer", problem.pk, answer="Mine").status_code == status
    assert "Say what you found" in post(cast.ada, "problem_answer", problem.pk, answer=" ").content.decode()
    post(cast.ada, "problem_answer", problem.pk, answer="First")
    with cast.ada.acting() as ada, pytest.raises(StaleTransition):
        answer_problem(actor=ada, problem=problem, answer="Second")
    assert [each.answer for each in reported(cast)] == ["First"]


@pytest.mark.parametrize(("who", "status"), [("otto", 403), ("bob", 404)])
def test_who_does_not_treat_does_not_report(cast, chart, screening, who, status):
    read_by_model(cast, screening, refer=True)
    assert post(getattr(cast, who), "problem_report", screening.pk, kind="score").status_code == status
    assert reported(cast) == []


@pytest.mark.parametrize(
    ("form", "sentence"),
    [
        ({"kind": "other"}, "Say in words"),
        ({"kind": "ugly"}, "Select a valid choice"),
        ({}, "required"),
        ({"kind": "map", "words": "x" * 1001}, "at most 1000"),
    ],
)
def test_what_is_no_report_is_refused(cast, chart, screening, form, sentence):
    read_by_model(cast, screening, refer=True)
    assert sentence in post(cast.alice, "problem_report", screening.pk, **form).content.decode()
    assert reported(cast) == []


def test_a_form_sent_twice_is_one_report(cast, chart, screening):
    read_by_model(cast, screening, refer=True)
    for _ in range(2):
        post(cast.alice, "problem_report", screening.pk, kind="map", submission="7d6ac0a4-52a6-4b63-9c35-6c0d5f0a1a11")
    assert len(reported(cast)) == 1
    with cast.in_north():
        assert Event.objects.filter(type="reading.problem").count() == 1


def test_a_manager_who_reviews_blind_does_not_see_what_is_hidden_from_her(cast, problem):
    mona = make_person("Mona Maple", cast.north, "manager", "reviewer")
    assert "An obvious melanoma" in mona.client.get(reverse("problems")).content.decode()
    set_blind(cast, True)
    assert "An obvious melanoma" not in mona.client.get(reverse("problems")).content.decode()
    assert "An obvious melanoma" in cast.ada.client.get(reverse("problems")).content.decode()


def test_a_blind_reviewer_neither_reports_nor_sees_a_report(cast, chart, screening, problem):
    set_blind(cast, True)
    refused = post(cast.rita, "problem_report", screening.pk, kind="score").content.decode()
    assert "You have not seen the reading yet" in refused
    assert "An obvious melanoma" not in refused
    assert len(reported(cast)) == 1


@pytest.mark.parametrize(
    ("values", "rule"),
    [
        ({"kind": "other"}, "other_has_words"),
        ({"kind": "ugly"}, "kind_known"),
        ({"kind": "map", "answer": "but no name"}, "answered_by_someone"),
    ],
)
def test_the_database_refuses_what_is_no_report(cast, chart, screening, values, rule):
    row = {"clinic": cast.north, "patient": chart.patient, "screening": screening, "reported_by": cast.alice.user}
    with cast.in_north(), pytest.raises(IntegrityError, match=rule), transaction.atomic():
        ReadingProblem.objects.create(submission=uuid4(), created_at=timezone.now(), **row | values)
