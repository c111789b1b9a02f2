"""The worklist, narrowed and searched."""

import re
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from conftest import Cast, Chart, Person, make_chart, make_screening
from patients.models import Visit
from patients.services import add_lesion
from screening.models import Screening
from screening.services.reviews import release_visit, take_visit
from screening.services.versions import suspend_readings
from screening.tests.conftest import finish, give, read_by_model
from screening.tests.test_blind import set_blind
from skinclinic.audit.models import AuditEvent


def shown(person: Person, **asked: object) -> list[object]:
    """The visits on the list, by key."""
    response = person.client.get(reverse("worklist"), asked)
    assert response.status_code == 200
    return [visit.pk for visit in response.context["visits"]]


def searched(person: Person, words: str):
    return person.client.post(reverse("worklist"), {"words": words, "clinic": str(person.actor.clinic_id)})


@pytest.fixture
def three(cast: Cast, photograph_bytes: bytes) -> dict[str, Chart]:
    """A high and a low reading on the back, and on the face a photograph that is not read yet."""
    charts = {}
    for name in ("High", "Low", "Unread"):
        charts[name] = make_chart(cast.alice, family_name=name)
    with cast.alice.acting():
        face = add_lesion(
            patient=charts["Unread"].patient, site="face", laterality="midline", view="front", x=0.5, y=0.1
        )
    charts["Unread"] = Chart(charts["Unread"].patient, charts["Unread"].visit, face)
    for name, chart in charts.items():
        screening = make_screening(cast.alice, chart, photograph_bytes)
        if name != "Unread":
            read_by_model(cast, screening, refer=name == "High")
    return charts


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ({}, {"High", "Low", "Unread"}),
        ({"reading": "high"}, {"High"}),
        ({"reading": "low"}, {"Low"}),
        ({"reading": "unscorable"}, set()),
        ({"site": "back"}, {"High", "Low"}),
        ({"site": "face"}, {"Unread"}),
        ({"site": "back", "reading": "high"}, {"High"}),
        ({"since": "2020-01-01"}, {"High", "Low", "Unread"}),
        ({"since": "2120-01-01"}, set()),
        ({"show": "mine"}, set()),
        ({"show": "disputed"}, set()),
    ],
)
def test_the_list_is_narrowed(cast, three, asked, names):
    assert set(shown(cast.rita, **asked)) == {three[name].visit.pk for name in names}


def test_a_low_score_under_a_caution_is_not_listed_as_low(cast, three, photograph_bytes):
    chart = make_chart(cast.alice, family_name="Cautioned")
    cautioned = make_screening(cast.alice, chart, photograph_bytes)
    finish(cast, cautioned, refer=False, band="low", cautions=("skin_type",))
    assert shown(cast.rita, reading="low") == [three["Low"].visit.pk]


def test_a_suspended_reading_is_not_listed_by_its_band(cast, three):
    with cast.ada.acting() as ada:
        suspend_readings(actor=ada, version=None, reason="Two melanomas read low")
    assert shown(cast.rita, reading="high") == []
    assert len(shown(cast.rita)) == 3


def test_by_clinician(cast, three):
    assert len(shown(cast.rita, clinician=cast.alice.user.pk)) == 3
    answer = cast.rita.client.get(reverse("worklist"), {"clinician": str(cast.bob.user.pk)})
    assert "Select a valid choice" in answer.content.decode(), "bob is another clinic's"


def test_what_she_has_begun(cast, three):
    taken, judged = three["High"].visit, three["Low"].visit
    with cast.rita.acting() as rita:
        take_visit(actor=rita, visit=taken)
    with cast.in_north():
        low = Screening.objects.get(visit=judged)
    give(cast, low, by=cast.rita)
    with cast.rita.acting() as rita:
        release_visit(actor=rita, visit=judged)
    assert set(shown(cast.rita, show="mine")) == {taken.pk, judged.pk}
    assert shown(cast.rolf, show="mine") == []


def test_an_unknown_filter_is_told_and_left_out(cast, three):
    answer = cast.rita.client.get(reverse("worklist"), {"reading": "terrible", "since": "yesterday", "site": "face"})
    content = answer.content.decode()
    assert "terrible is not one of the available choices" in content
    assert "Enter a valid date" in content
    assert [visit.pk for visit in answer.context["visits"]] == [three["Unread"].visit.pk]
    assert re.search(r'hx-get="[^"]*\?site=face"', content), "the live list asks for the same again"


def test_a_reviewer_who_is_blind_cannot_ask_by_reading(cast, three):
    set_blind(cast, True)
    for reading in ("high", "low", "waiting", "unscorable", "failed"):
        assert shown(cast.rita, reading=reading) == []
    assert len(shown(cast.ada, reading="high")) == 1


def test_the_search_finds_by_name_and_number_and_leaves_no_name_behind(cast, three):
    answer = searched(cast.rita, "low")
    assert [visit.pk for visit in answer.context["visits"]] == [three["Low"].visit.pk]
    assert "hx-get" not in answer.content.decode().split('id="worklist"')[1].split(">")[0], "it stays as it was found"
    assert "Nobody on the list is called so" in searched(cast.rita, "nobody").content.decode()
    with cast.in_north():
        seen = AuditEvent.objects.filter(action="worklist_seen")
        assert seen.exists()
        assert not any("low" in str(vars(event)).lower().replace("worklist", "") for event in seen)


@pytest.mark.parametrize("value", ["", "\x00", "'; --", "%00", "back&reading=low", "9" * 500, "2026-13-45"])
@pytest.mark.parametrize("name", ["show", "reading", "site", "clinician", "since", "page"])
def test_no_address_breaks_the_list(cast, name, value):
    assert shown(cast.rita, **{name: value}) == []


def test_what_is_overdue_and_what_waits_to_be_read(cast, three):
    with cast.in_north():
        Visit.objects.filter(pk=three["Low"].visit.pk).update(due_at="2020-01-01T00:00Z")
    assert shown(cast.rita, show="overdue") == [three["Low"].visit.pk]
    assert shown(cast.rita, reading="waiting") == [three["Unread"].visit.pk]


def test_of_equally_pressing_visits_the_one_that_is_due_first_comes_first(cast, photograph_bytes):
    """“Soon” has its say in the due time: it does not overtake what is more alarming."""
    charts = {name: make_chart(cast.alice, family_name=name) for name in ("Routine", "Imported", "Alarming", "Soon")}
    for name, chart in charts.items():
        screening = make_screening(cast.alice, chart, photograph_bytes)
        finish(cast, screening, refer=name == "Alarming", band="high" if name == "Alarming" else "low", cautions=())
    with cast.in_north():
        soon = timezone.now() + timedelta(hours=72)
        Visit.objects.filter(pk=charts["Soon"].visit.pk).update(urgency="soon", due_at=soon)
        imported = Visit.objects.filter(pk=charts["Imported"].visit.pk)
        imported.update(due_at=None, photographed_on=timezone.localdate())
    assert shown(cast.rita) == [charts[name].visit.pk for name in ("Alarming", "Soon", "Routine", "Imported")]
