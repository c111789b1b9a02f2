"""A history is narrowed, and taken away as a table by those who audit."""

import csv
import io
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from conftest import Cast, Chart, Person
from patients.models import Patient
from screening.tables import harmless
from screening.tests.conftest import give, read_by_model, rows
from screening.tests.test_blind import set_blind
from skinclinic.accounts.services import decide_reviewing
from skinclinic.audit.acting import Actor, acting
from skinclinic.audit.models import AuditEvent


def address(chart: Chart) -> str:
    return reverse("patient_history", args=[chart.patient.pk])


def lines(person: Person, chart: Chart, **asked: str) -> list[str]:
    return [line.what for line in person.client.get(address(chart), asked).context["lines"]]


def table(person: Person, chart: Chart, **asked: str) -> list[dict[str, str]]:
    response = person.client.get(address(chart), {"csv": "1"} | asked)
    assert response.status_code == 200, response.content
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(response.content.decode())))


@pytest.fixture
def lived(cast: Cast, chart: Chart, screening) -> Chart:
    give(cast, screening)
    cast.rita.client.get(reverse("screening", args=[screening.pk]))
    return chart


def test_it_works(cast, lived):
    assert {"Patient added", "Review added", "Result opened"} <= set(lines(cast.otto, lived))


def test_changes_apart_from_looks(cast, lived):
    changes, looks = lines(cast.otto, lived, kind="changes"), lines(cast.otto, lived, kind="looks")
    assert "Review added" in changes
    assert "Result opened" in looks
    assert not set(changes) & set(looks)
    assert not {"Result opened", "History opened"} & set(changes)


def test_one_person_alone(cast, lived):
    assert set(lines(cast.otto, lived, who=str(cast.rita.user.pk))) <= set(lines(cast.otto, lived))
    shown = cast.otto.client.get(address(lived), {"who": str(cast.rita.user.pk)}).context["lines"]
    assert {line.who for line in shown} == {"Rita Rowan"}
    choices = cast.otto.client.get(address(lived)).context["history_form"].fields["who"].choices
    assert "Bob Beech" not in {name for _, name in choices}


def test_some_days_alone(cast, lived):
    today, tomorrow = timezone.localdate(), timezone.localdate() + timedelta(days=1)
    assert "Review added" in lines(cast.otto, lived, since=str(today), until=str(today))
    assert lines(cast.otto, lived, since=str(tomorrow)) == []
    html = cast.otto.client.get(address(lived), {"since": str(tomorrow)}).content.decode()
    assert "Nothing that is so." in html


@pytest.mark.parametrize("asked", [{"kind": "x"}, {"who": "x"}, {"since": "x"}, {"before": "9" * 30}, {"kind": "'"}])
def test_nonsense_narrows_nothing(cast, lived, asked):
    assert "Review added" in lines(cast.otto, lived, **asked)


def test_the_table_says_what_the_page_says(cast, lived):
    shown = cast.otto.client.get(address(lived), {"kind": "changes"}).context["lines"]
    found = table(cast.otto, lived, kind="changes")
    assert [(row["who"], row["what"]) for row in found] == [(line.who, line.what) for line in shown]
    event = rows(cast, AuditEvent, action="history_exported")[-1]
    assert event.changes == {"lines": len(found), "asked": "csv=1&kind=changes"}


def test_only_auditors_and_managers_take_it_away(cast, lived):
    assert table(cast.ada, lived)
    for person in (cast.alice, cast.rita):
        assert person.client.get(address(lived), {"csv": "1"}).status_code == 403
        assert 'name="csv"' not in person.client.get(address(lived)).content.decode()
    assert cast.bob.client.get(address(lived), {"csv": "1"}).status_code == 404


def test_a_table_runs_nothing_in_a_spreadsheet(cast, lived):
    spoofed = Actor("x", "=1+1", clinic_id=cast.north.pk)
    with acting(spoofed, reason="@SUM(A1)"):
        Patient.objects.filter(pk=lived.patient.pk).update(sex="male")
    row = table(cast.otto, lived, kind="changes")[0]
    assert (row["who"], row["reason"]) == ("'=1+1", "'@SUM(A1)")
    assert harmless("Erna") == "Erna"


def test_a_blind_reader_learns_nothing_by_narrowing(cast, chart, screening):
    set_blind(cast, True)
    read_by_model(cast, screening, refer=True)
    for asked in ({}, {"kind": "changes"}, {"who": ""}):
        assert not {"Reading: read", "Reading added"} & set(lines(cast.rita, chart, **asked))
    assert "Reading added" in lines(cast.otto, chart, kind="changes")


class TestOfTheClinicsSettings:
    def shown(self, cast: Cast, who: str) -> str:
        return getattr(cast, who).client.get(reverse("clinic_history")).content.decode()

    def test_it_is_in_words(self, cast):
        with cast.ada.acting() as ada:
            decide_reviewing(actor=ada, due_hours_urgent=12, blind_first_reading=True, unreviewed_readings="never")
        page = self.shown(cast, "ada")
        assert "The clinic&#x27;s settings changed" in page
        assert "hours until an urgent visit is due: 24 → 12" in page
        assert "first opinion before the reading is shown: no → yes" in page
        assert "no low ones → Show none" in page
        assert "due_hours" not in page

    def test_the_settings_lead_to_it(self, cast):
        assert f'href="{reverse("clinic_history")}"' in cast.ada.client.get(reverse("clinic_settings")).content.decode()
        assert reverse("clinic_settings") in self.shown(cast, "ada")
        assert reverse("clinic_settings") not in self.shown(cast, "otto"), "who changes nothing there"

    def test_it_tells_of_nothing_else(self, cast, chart, screening):
        page = self.shown(cast, "ada")
        assert "Photograph" not in page
        assert "Winterbottom" not in page

    def test_managers_and_auditors_see_it_and_take_it_away(self, cast):
        for who, status in (("ada", 200), ("otto", 200), ("rita", 403), ("alice", 403)):
            assert getattr(cast, who).client.get(reverse("clinic_history")).status_code == status
        table = cast.otto.client.get(reverse("clinic_history"), {"csv": "1"}).content.decode()
        assert "The clinic's settings" in table

    def test_another_clinics_is_another_page(self, cast):
        with cast.ada.acting() as ada:
            decide_reviewing(actor=ada, due_hours_urgent=11)
        assert "24 → 11" not in self.shown(cast, "bob")
