"""Tables that leave the clinic: whole, for a reason, and with nothing of what is still to be judged blind."""

import csv
import io
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from conftest import Cast, Person, make_chart
from screening.exports import EXPORTS
from screening.models import Alarm
from screening.services.retakes import assign_retake
from screening.tests.conftest import finish, give, sign, the_only
from screening.tests.test_blind import set_blind
from skinclinic.accounts.models import Membership
from skinclinic.audit.models import AuditEvent


def taken(person: Person, table: str, **fields: str) -> list[dict[str, str]]:
    asked = {"clinic": str(person.actor.clinic_id), "table": table, "reason": "Yearly report"} | fields
    response = person.client.post(reverse("table_export"), asked)
    assert response.status_code == 200
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(b"".join(response.streaming_content).decode())))


@pytest.fixture
def lived(cast: Cast, chart, screening):
    finish(cast, screening, refer=False, band="low", malignancy=0.02)
    give(cast, screening)
    sign(cast, chart.visit)
    return screening


def test_it_works(cast, lived, chart):
    (line,) = taken(cast.otto, "readings")
    assert (line["screening"], line["malignancy"], line["band"]) == (str(lived.pk), "0.02", "low")
    (patient,) = taken(cast.ada, "patients")
    assert (patient["family_name"], patient["id"]) == ("Winterbottom", str(chart.patient.pk))
    event = the_only(cast, AuditEvent, action="table_exported", actor=str(cast.otto.user.pk))
    assert event.reason == "Yearly report"
    assert event.changes == {"table": "readings", "lines": 1, "since": None, "until": None}


@pytest.mark.parametrize("table", EXPORTS)
def test_every_table_has_its_columns_and_only_this_clinics_rows(cast, lived, table):
    make_chart(cast.bob)
    mine, theirs = taken(cast.ada, table), taken(cast.bob, table)
    for line in mine:
        assert None not in line, "as many cells as columns"
    keys = {line.get("patient", line.get("id", "")) for line in mine}
    assert not keys & {line.get("patient", line.get("id", "")) for line in theirs} - {""}
    if table in ("patients", "consents", "visits", "lesions", "screenings", "readings", "reviews"):
        assert mine


def test_period_is_of_whole_days_in_the_clinics_zone(cast, lived):
    today = timezone.localdate()
    assert taken(cast.ada, "screenings", since=str(today), until=str(today))
    assert not taken(cast.ada, "screenings", since=str(today + timedelta(days=1)))
    assert not taken(cast.ada, "screenings", until=str(today - timedelta(days=1)))


def test_without_a_reason_nothing_leaves(cast, lived):
    response = cast.ada.client.post(
        reverse("table_export"), {"clinic": str(cast.north.pk), "table": "patients", "reason": " "}
    )
    assert "There is something to correct" in response.content.decode()
    with cast.in_north():
        assert not AuditEvent.objects.filter(action="table_exported").exists()


@pytest.mark.parametrize(("name", "status"), [("alice", 403), ("rita", 403), ("ada", 200), ("otto", 200)])
def test_managers_and_auditors_take_tables(cast, name, status):
    person = getattr(cast, name)
    asked = {"clinic": str(cast.north.pk), "table": "visits", "reason": "x"}
    response = person.client.post(reverse("table_export"), asked)
    assert response.status_code == status
    if response.streaming:
        assert b"".join(response.streaming_content), "read to its end, which closes the file"
    assert person.client.get(reverse("exports")).status_code == status


def test_what_is_to_be_judged_blind_is_left_out(cast, chart, screening):
    finish(cast, screening, refer=False, band="low")
    give(cast, screening)
    set_blind(cast, True)
    with cast.in_north():
        Membership.objects.filter(user=cast.ada.user).update(roles=["manager", "reviewer"])
    for table in ("screenings", "readings", "reviews", "follow_ups", "problems"):
        assert not taken(cast.ada, table), table
    assert taken(cast.otto, "readings")


def test_what_tells_of_hidden_readings_is_left_out_too(cast, chart, screening):
    """That a photograph is to be taken again, and that a high one waits."""
    finish(cast, screening, band=None, unscorable_reasons=("blurred",))
    with cast.ada.acting() as ada:
        assign_retake(actor=ada, screening=screening, assignee=cast.alice.user)
    with cast.in_north():
        now = timezone.now()
        Alarm.objects.create(clinic=cast.north, code="high_unsigned", facts={"count": 1}, seen_at=now, raised_at=now)
    tables = ("retakes", "alarms")
    assert [len(taken(cast.ada, table)) for table in tables] == [1, 1]
    set_blind(cast, True)
    with cast.in_north():
        Membership.objects.filter(user=cast.ada.user).update(roles=["manager", "reviewer"])
    assert [len(taken(cast.ada, table)) for table in tables] == [0, 0]
    assert [len(taken(cast.otto, table)) for table in tables] == [1, 1]


def test_a_formula_is_made_harmless(cast):
    make_chart(cast.alice, family_name="=cmd()")
    (line,) = taken(cast.ada, "patients")
    assert line["family_name"] == "'=cmd()"
