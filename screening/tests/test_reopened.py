"""A photograph added to a signed visit: what is asked for is the new one, and nothing that was signed."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import NamedTuple

import pytest
from django.urls import reverse
from django.utils import timezone

from conftest import Cast, Chart, Person, make_screening, with_another_lesion
from patients.models import Visit
from screening.models import Screening
from screening.querysets import LOW, visits_to_review
from screening.tests.conftest import BENIGN, finish, fresh, give, read_by_model, rows, sign
from screening.tests.test_blind import set_blind

DIFFERS = replace(BENIGN, difference_reason="clinical_picture")


class Reopened(NamedTuple):
    chart: Chart
    signed: Screening
    new: Screening


@pytest.fixture
def reopened(cast: Cast, chart: Chart, screening: Screening, random_photograph: Callable[[], bytes]) -> Reopened:
    """A high reading, signed and long overdue, and a low one that was added since, on another lesion."""
    read_by_model(cast, screening, refer=True)
    give(cast, screening, DIFFERS)
    with cast.in_north():
        Visit.objects.update(due_at=timezone.now() - timedelta(days=9))
    sign(cast, chart.visit)
    new = make_screening(cast.alice, with_another_lesion(cast.alice, chart), random_photograph())
    finish(cast, new, refer=False, band="low", cautions=())
    return Reopened(chart, screening, new)


def listed(person: Person) -> Visit:
    (visit,) = person.client.get(reverse("worklist")).context["visits"]
    return visit


def page(person: Person, name: str, *args: object) -> str:
    return person.client.get(reverse(name, args=args)).content.decode()


def test_the_list_shows_the_new_one_first_and_marks_the_signed(cast, reopened):
    visit = listed(cast.rita)
    assert [each.pk for each in visit.shown] == [reopened.new.pk, reopened.signed.pk]
    row = re.search(r"<tbody>.*</tbody>", page(cast.rita, "worklist"), re.DOTALL)[0]
    new, signed = re.findall(r"<div>(?:<span class=\"(?:chip|review).*?)</div>", row, re.DOTALL)
    assert ("New" in new, "Signed" in new) == (True, False)
    assert ("New" in signed, "Signed" in signed) == (False, True)
    assert "High" not in row, "what the model said of a signed one asks for nothing"
    assert re.findall(r'alt="([^"]*)"', row) == ["Face", "Back, signed"]


def test_the_row_stands_where_the_new_one_belongs(cast, reopened):
    with cast.rita.acting() as rita:
        ranked = visits_to_review(Visit.objects.visible_to(rita), rita).get()
    assert ranked.rank == LOW, "neither the high one nor its lateness counts any more"
    assert ranked.waiting_since == fresh(reopened.new).created_at


def test_what_is_added_is_due_as_if_the_visit_were_opened_now(cast, reopened, random_photograph):
    week = timedelta(hours=cast.north.due_hours_routine)
    visit = listed(cast.rita)
    assert abs(visit.due_at - timezone.now() - week) < timedelta(minutes=1)
    make_screening(cast.alice, reopened.chart, random_photograph())
    assert listed(cast.rita).due_at == visit.due_at, "one more gives no more time"


def test_an_open_visit_gets_no_more_time(cast, chart, screening, random_photograph):
    due = rows(cast, Visit)[0].due_at
    make_screening(cast.alice, chart, random_photograph())
    assert rows(cast, Visit)[0].due_at == due


def test_the_visits_page_shows_the_new_one_first_and_asks_for_it_alone(cast, reopened):
    shown = page(cast.rita, "visit", reopened.chart.visit.pk)
    first, second = re.findall(r'<a class="shot ([\w-]+)" data-step href="/screenings/([^/]+)/', shown)
    assert first == ("is-new", str(reopened.new.pk))
    assert second == ("is-signed", str(reopened.signed.pk))
    give(cast, reopened.new)
    shown = page(cast.rita, "visit", reopened.chart.visit.pk)
    assert "You have given an opinion on the open photograph." in shown
    assert shown.count('name="opinion"') == 1
    sign(cast, reopened.chart.visit)
    assert "is-new" not in page(cast.rita, "visit", reopened.chart.visit.pk)


def test_the_next_visit_opens_the_new_one(cast, reopened):
    answer = cast.rita.client.post(reverse("visit_next"), {"clinic": str(cast.north.pk)})
    assert answer["Location"] == reverse("screening", args=[reopened.new.pk])


def test_a_signed_photographs_page_leads_to_the_new_one(cast, reopened):
    told = "New in this visit, and still to be judged:"
    shown = page(cast.rita, "screening", reopened.signed.pk)
    assert told in shown
    link = f'<a href="{reverse("screening", args=[reopened.new.pk])}">2: Face, left</a>'
    assert link in shown.split(told)[1].split("</div>")[0]
    thumbs = shown.split("Photographs of this visit")[1].split("</div>")[0]
    assert re.findall(r"<span class=\"small\">(\w+)", thumbs) == ["new", "signed"]
    assert told not in page(cast.rita, "screening", reopened.new.pk)


def test_a_blind_reviewer_is_told_what_is_signed_and_nothing_of_readings(cast, chart, screening, random_photograph):
    """The same lesion again: its older reading is hidden until her opinion, that it is signed is not."""
    read_by_model(cast, screening, refer=True)
    give(cast, screening, DIFFERS)
    sign(cast, chart.visit)
    set_blind(cast, True)
    finish(cast, make_screening(cast.alice, chart, random_photograph()), refer=True, band="high")
    for shown in (page(cast.rolf, "visit", chart.visit.pk), page(cast.rolf, "worklist")):
        assert "review-signed" in shown
        assert "chip-high" not in shown


def test_a_visit_with_nothing_signed_is_marked_nowhere(cast, chart, screening, random_photograph):
    make_screening(cast.alice, chart, random_photograph())
    shown = page(cast.rita, "worklist") + page(cast.rita, "visit", chart.visit.pk)
    assert "chip-new" not in shown
    assert "is-signed" not in shown


def test_the_list_takes_few_queries(cast, reopened, django_assert_max_num_queries):
    """Fourteen, and three of the test's own transaction."""
    client = cast.rita.client
    client.get(reverse("worklist"))
    with django_assert_max_num_queries(14 + 3):
        client.get(reverse("worklist"))


def test_an_imported_visit_has_no_due_time_whatever_is_added_to_it(cast, chart, screening, random_photograph):
    with cast.in_north():
        Visit.objects.filter(pk=chart.visit.pk).update(photographed_on=timezone.localdate(), due_at=None)
        chart.visit.refresh_from_db()
    read_by_model(cast, screening, refer=False)
    give(cast, screening)
    sign(cast, chart.visit)
    make_screening(cast.alice, chart, random_photograph())
    with cast.in_north():
        assert Visit.objects.get(pk=chart.visit.pk).due_at is None


def test_a_letter_reassures_nobody_whose_spot_looks_conspicuous_on_another_photograph(
    cast, chart, screening, random_photograph
):
    read_by_model(cast, screening, refer=False)
    give(cast, screening)
    sign(cast, chart.visit)
    later = make_screening(cast.alice, chart, random_photograph())
    read_by_model(cast, later, refer=True)
    give(cast, later, replace(BENIGN, suspicious=True, diagnosis="melanoma", recommendation="excise"))
    sign(cast, chart.visit)
    letter = page(cast.alice, "visit_letter", chart.visit.pk)
    assert "finds this spot conspicuous" in letter
    assert "nothing suspicious" not in letter
    assert "Nothing needs to be done" not in letter
