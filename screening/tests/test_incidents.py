"""Incidents: opened by whoever notices, owned by one, closed by a manager in words, and seen by no one else."""

import csv
import io
from uuid import uuid4

import pytest
from django.db import IntegrityError, transaction
from django.db.utils import ProgrammingError
from django.urls import reverse

from conftest import Cast, Person
from screening.codes import AlarmCode
from screening.dashboard.alarms import asking
from screening.dashboard.now import look
from screening.incidents import Incident, IncidentNote
from screening.tests.conftest import finish, rows, the_only
from screening.tests.test_blind import set_blind
from skinclinic.accounts.models import Membership
from skinclinic.audit.models import AuditEvent
from skinclinic.workers import RollCall

HAPPENED = "The letter of another patient was enclosed."


def post(person: Person, name: str, *ids: object, ask: str = "", **fields: object):
    fields.setdefault("clinic", str(person.actor.clinic_id))
    return person.client.post(reverse(name, args=ids) + ask, fields, follow=True)


def open_one(cast: Cast, person: Person, ask: str = "", **fields: object) -> Incident:
    wanted = {"submission": uuid4(), "kind": "wrong_patient", "words": HAPPENED} | fields
    assert post(person, "incident_new", ask=ask, **wanted).status_code == 200
    return the_only(cast, Incident)


@pytest.fixture
def opened(cast: Cast) -> Incident:
    return open_one(cast, cast.alice)


def test_it_works(cast, screening):
    finish(cast, screening, refer=True, band="high")
    incident = open_one(cast, cast.rita, ask=f"?screening={screening.pk}", kind="missed_cancer")
    assert (incident.screening_id, incident.patient_id) == (screening.pk, screening.patient_id)
    assert incident.prediction_id is not None
    assert "Incidents" in cast.ada.client.get(reverse("dashboard")).content.decode()
    post(cast.ada, "incident_give", incident.pk, owner=cast.alice.user.pk)
    post(cast.alice, "incident_note", incident.pk, words="The patient was called.")
    page = post(cast.ada, "incident_close", incident.pk, finding="Seen again on Monday; two names are compared now.")
    assert "two names are compared" in page.content.decode()
    closed = the_only(cast, Incident)
    assert (closed.owner, closed.closed_by, closed.is_open) == (cast.alice.user, cast.ada.user, False)
    (note,) = rows(cast, IncidentNote)
    assert (note.author, note.words) == (cast.alice.user, "The patient was called.")


def test_form_sent_twice_is_one_incident(cast):
    submission = uuid4()
    for _ in range(2):
        open_one(cast, cast.alice, submission=submission)


def test_form_without_words_or_kind_is_refused(cast):
    page = post(cast.alice, "incident_new", submission=uuid4(), words=" ").content.decode()
    assert "There is something to correct" in page
    assert not rows(cast, Incident)


@pytest.mark.parametrize(
    ("name", "sees"), [("alice", True), ("ada", True), ("otto", True), ("rita", False), ("rolf", False), ("bob", False)]
)
def test_who_opened_it_managers_and_auditors_see_it(cast, opened, name, sees):
    client = getattr(cast, name).client
    assert client.get(reverse("incident", args=[opened.pk])).status_code == (200 if sees else 404)
    listed = str(opened.pk) in client.get(reverse("incidents")).content.decode()
    assert listed is sees
    assert post(getattr(cast, name), "incident_note", opened.pk, words="x").status_code == (
        404 if not sees else 403 if name == "otto" else 200
    )


def test_owner_sees_it_and_another_clinic_owns_none(cast, opened):
    for nobody in (cast.bob, cast.otto):
        page = post(cast.ada, "incident_give", opened.pk, owner=nobody.user.pk).content.decode()
        assert "Choose an active member of this clinic" in page
        assert nobody.user.full_name not in page, "nor does it tell who that is, or offer her"
    post(cast.ada, "incident_give", opened.pk, owner=cast.rita.user.pk)
    assert cast.rita.client.get(reverse("incident", args=[opened.pk])).status_code == 200
    with cast.in_north():
        Membership.objects.filter(user=cast.rolf.user).update(is_active=False)
    assert "Choose an active" in post(cast.ada, "incident_give", opened.pk, owner=cast.rolf.user.pk).content.decode()


@pytest.mark.parametrize("act", ["incident_give", "incident_close", "incident_reopen"])
@pytest.mark.parametrize("name", ["alice", "rita", "otto"])
def test_managers_alone_decide(cast, opened, act, name):
    assert post(getattr(cast, name), act, opened.pk, finding="x", words="x").status_code == 403
    assert the_only(cast, Incident).is_open


def test_closing_asks_for_words_and_happens_once(cast, opened):
    assert "Say what was found" in post(cast.ada, "incident_close", opened.pk, finding=" ").content.decode()
    post(cast.ada, "incident_close", opened.pk, finding="Nothing.")
    assert "closed it meanwhile" in post(cast.ada, "incident_close", opened.pk, finding="Again.").content.decode()
    assert the_only(cast, Incident).finding == "Nothing."


def test_opened_again_it_keeps_what_was_found(cast, opened):
    assert "It is open already" in post(cast.ada, "incident_reopen", opened.pk, words="x").content.decode()
    post(cast.ada, "incident_close", opened.pk, finding="Nothing.")
    post(cast.ada, "incident_reopen", opened.pk, words="A second letter.")
    assert the_only(cast, Incident).is_open
    assert [note.words for note in rows(cast, IncidentNote)] == [
        "Closed before: Nothing.",
        "Opened again: A second letter.",
    ]


def test_reading_that_is_hidden_is_not_kept_with_it(cast, screening):
    set_blind(cast, True)
    finish(cast, screening, refer=True, band="high")
    incident = open_one(cast, cast.rita, ask=f"?screening={screening.pk}")
    assert (incident.screening_id, incident.prediction_id) == (screening.pk, None)


def exported(person: Person) -> list[dict[str, str]]:
    response = person.client.get(reverse("incidents"), {"csv": "1"})
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(response.content.decode())))


def test_the_list_leaves_as_a_table(cast, screening):
    finish(cast, screening, refer=True, band="high", malignancy=0.6)
    incident = open_one(cast, cast.alice, ask=f"?screening={screening.pk}", words="=1+1")
    (line,) = exported(cast.otto)
    assert (line["number"], line["score"], line["what happened"]) == (str(incident.pk), "0.6000", "'=1+1")
    set_blind(cast, True)
    with cast.in_north():
        Membership.objects.filter(user=cast.ada.user).update(roles=["manager", "reviewer"])
    assert exported(cast.ada)[0]["score"] == "", "she is to judge it first"
    with cast.in_north():
        assert AuditEvent.objects.filter(action="incidents_exported").count() == 2


def test_one_without_an_owner_is_an_alarm(cast, opened):
    with cast.ada.acting() as actor:
        (asked,) = asking(look(actor, RollCall({"w": "1"}, {})))
    assert (asked.code, asked.sentence) == (AlarmCode.INCIDENTS, "1 incident is open and has no owner.")
    post(cast.ada, "incident_give", opened.pk, owner=cast.ada.user.pk)
    with cast.ada.acting() as actor:
        assert not list(asking(look(actor, RollCall({"w": "1"}, {}))))


def test_what_happened_is_not_on_the_ledger(cast, opened):
    post(cast.ada, "incident_close", opened.pk, finding="Winterbottom was called.")
    with cast.in_north():
        told = AuditEvent.objects.filter(subject_type="screening_incident")
        assert [event.changes.get("words") for event in told.filter(action="insert")] == ["private"]
        assert "Winterbottom" not in str(list(told.values_list("changes", flat=True)))


def test_the_database_holds_the_rules(cast, opened):
    with pytest.raises(IntegrityError, match="incident_closed_with_words"), transaction.atomic(), cast.in_north():
        Incident.objects.filter(pk=opened.pk).update(closed_at="2026-11-28T00:00Z", closed_by=cast.ada.user)
    with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic(), cast.in_north():
        Incident.objects.filter(pk=opened.pk).update(words="Something else.")
    with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic(), cast.in_north():
        IncidentNote.objects.all().delete()
