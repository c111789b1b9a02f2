"""A visit that came by an import bears the day of its photographs, and is never overdue."""

import re
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from django.db import IntegrityError
from django.utils import timezone
from django.utils.formats import date_format

from conftest import make_chart
from patients.models import Patient, Visit
from screening.importing import ImportBatch
from screening.models import Screening
from screening.querysets import LOW, OVERDUE, visits_to_review
from screening.tests.conftest import finish, give, rows, sign, the_only
from screening.tests.importing import (
    ERNA,
    JOSEF,
    begin,
    import_rows,
    post,
    refusal_of,
    run,
    said,
    send_all,
)
from screening.tests.test_import import statuses
from skinclinic.accounts.models import User


def test_words_that_are_kept_are_in_the_language_of_who_confirmed(cast, random_photograph):
    User.objects.filter(pk=cast.alice.user.pk).update(language="de")
    batch = begin(cast, ERNA)
    send_all(cast, batch, random_photograph)
    post(cast, batch, "confirm")
    make_chart(cast.alice)
    run(batch)
    assert said(cast, batch)[0].startswith("Eine ähnliche Person wurde aufgenommen")


def test_imported_visit_bears_the_day_of_its_photographs_on_every_page(cast, random_photograph):
    """And says on which day it was imported."""
    import_rows(cast, random_photograph, ERNA | {"consent_reading": "", "consent_date": ""})
    visit = the_only(cast, Visit)
    today = date_format(timezone.localdate(), "DATE_FORMAT")
    chart = cast.alice.client.get(f"/patients/{visit.patient_id}/").content.decode()
    assert re.search(rf">1 Mar 2024</a><span class=\"second\">imported {today}<", chart)
    assert "Photograph of 1 Mar 2024" in chart
    page = cast.rita.client.get(f"/visits/{visit.pk}/").content.decode()
    assert f"visit of 1 Mar 2024, imported {today}" in page
    assert "without a due time" in page
    (shot,) = rows(cast, Screening)
    give(cast, shot)
    sign(cast, visit)
    report = cast.alice.client.get(f"/visits/{visit.pk}/report/").content.decode()
    assert re.search(r"<dt>Visit</dt><dd>1 Mar 2024</dd>", report)
    assert "On 1 Mar 2024, a spot" in cast.alice.client.get(f"/visits/{visit.pk}/letter/").content.decode()
    assert str(shot.pk) not in cast.alice.client.get("/today/").content.decode(), "it is none of the last days'"


def test_imported_visit_is_never_overdue_and_has_its_place_by_its_reading(cast, chart, screening, random_photograph):
    import_rows(cast, random_photograph, JOSEF | {"consent_reading": "given", "consent_date": "2024-03-01"})
    imported = the_only(cast, Screening, visit__photographed_on__isnull=False)
    for shot in (imported, screening):
        finish(cast, shot, refer=False, band="low", cautions=())
    later = timezone.now() + timedelta(days=400)
    with cast.rita.acting() as rita:
        ranked = dict(visits_to_review(Visit.objects.visible_to(rita), rita, later).values_list("pk", "rank"))
    assert ranked == {chart.visit.pk: OVERDUE, imported.visit_id: LOW}
    listed = cast.rita.client.get("/worklist/").content.decode()
    assert "imported, photographed 1 Mar 2024" in listed
    assert "no due time" in listed
    assert "chip-overdue" not in listed


def test_imported_visit_has_its_place_in_the_chart_by_its_day(cast, random_photograph):
    import_rows(cast, random_photograph, ERNA | {"date": "2025-01-02"})
    import_rows(cast, random_photograph, ERNA | {"file": "older.jpg", "date": "2020-01-02"})
    patient = the_only(cast, Patient)
    chart = cast.alice.client.get(f"/patients/{patient.pk}/").content.decode()
    assert chart.index(">2 Jan 2025<") < chart.index(">2 Jan 2020<")


def test_database_refuses_a_visit_of_today_that_is_never_due(cast, chart):
    with pytest.raises(IntegrityError, match="visit_due_unless_imported"), cast.in_north():
        Visit.objects.filter(pk=chart.visit.pk).update(due_at=None)


def test_days_are_days_of_the_clinic(cast, random_photograph):
    """A photograph of today is none of tomorrow, though it is still yesterday where the worker runs."""
    with cast.in_north():
        cast.north.time_zone = "Pacific/Kiritimati"
        cast.north.save(update_fields=["time_zone"])
    today = timezone.localdate(timezone=ZoneInfo("Pacific/Kiritimati"))
    import_rows(cast, random_photograph, ERNA | {"date": f"{today}"})
    assert statuses(cast, the_only(cast, ImportBatch)) == ["imported"]


@pytest.mark.parametrize("day", ["30 Apr 1961", "30. April 1961"])
def test_days_in_words_are_refused_since_words_have_a_language(cast, day):
    assert "is no date such as" in refusal_of(cast, birth_date=day)
