"""Lists name a patient whose chart is restricted; what stands in it they tell whom it is open to."""

import csv
import io
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from conftest import Cast, Person, make_chart, make_person, make_screening
from patients.models import Patient
from patients.services import merge_patients
from screening.exports import EXPORTS
from screening.models import FollowUp
from screening.services.notices import sweep_notices
from screening.services.reviews import Opinion
from screening.tests.conftest import finish, fresh, give, sign
from screening.tests.test_blind import set_blind
from screening.tests.test_exports import taken
from screening.tests.test_incidents import exported, open_one
from screening.tests.test_problems import post
from screening.tests.test_restricted import open_it
from screening.tests.test_unread import fail
from skinclinic.accounts.services import decide_reviewing

BIOPSY = Opinion(suspicious=True, diagnosis="melanoma", recommendation="biopsy")
NAME, LESION = "Winterbottom", "1: Back, left"
LISTS = [
    ("alice", "today"), ("alice", "notices"), ("ada", "overdue"), ("ada", "problems"), ("ada", "incidents"),
    ("ada", "look_back"),
]  # fmt: skip
TELLING = (LESION, "High<", ">High reading<", "Biopsy", "An obvious melanoma", "Missed cancer", "/thumbnail/")


def restrict(cast: Cast, patient: Patient) -> None:
    post(cast.ada, "chart_restrict", patient.pk, reason="a colleague")


@pytest.fixture
def told(cast: Cast, chart, screening) -> Patient:
    """A high reading, reported as wrong, signed, with a biopsy that is late and an incident."""
    with cast.ada.acting() as ada:
        decide_reviewing(actor=ada, unreviewed_readings="always")
    finish(cast, screening, refer=True, band="high", malignancy=0.7)
    post(cast.alice, "problem_report", screening.pk, kind="score", words="An obvious melanoma")
    open_one(cast, cast.alice, ask=f"?screening={screening.pk}", kind="missed_cancer")
    sweep_notices()
    give(cast, screening, BIOPSY)
    sign(cast, chart.visit)
    with cast.in_north():
        FollowUp.objects.update(due_on=timezone.localdate() - timedelta(days=9))
    sweep_notices()
    return chart.patient


def listed(cast: Cast, who: str, page: str, screening) -> str:
    keys = [fresh(screening).prediction.model_version_id] if page == "look_back" else []
    text = getattr(cast, who).client.get(reverse(page, args=keys)).content.decode()
    return text.split("<main", 1)[1].split("How you are told", 1)[0]


@pytest.mark.parametrize(("who", "page"), LISTS)
def test_it_works(cast, told, screening, who, page):
    before = listed(cast, who, page, screening)
    telling = [word for word in TELLING if word in before]
    assert telling
    restrict(cast, told)
    closed = listed(cast, who, page, screening)
    assert NAME in closed
    assert [word for word in telling if word in closed] == []
    open_it(getattr(cast, who), told)
    opened = listed(cast, who, page, screening)
    assert [word for word in telling if word in opened] == telling


def test_what_was_not_read_is_listed_without_what_it_is_of(cast, chart, screening):
    fail(cast, screening)
    restrict(cast, chart.patient)
    closed = listed(cast, "ada", "unread", screening)
    assert NAME in closed
    assert LESION not in closed
    open_it(cast.ada, chart.patient)
    assert LESION in listed(cast, "ada", "unread", screening)


def test_photograph_to_take_again_is_listed_without_what_is_wrong_with_it(cast, chart, screening):
    finish(cast, screening, band=None, unscorable_reasons=("blurred",))
    restrict(cast, chart.patient)
    for who, page in (("alice", "today"), ("ada", "unread")):
        closed = listed(cast, who, page, screening)
        assert NAME in closed
        assert LESION not in closed
        assert "lurred" not in closed
    assert "Assign" not in closed


def test_opening_of_a_merged_record_opens_it_in_lists(cast, told, screening):
    other = make_chart(cast.alice, family_name="Other")
    restrict(cast, told)
    open_it(cast.ada, told)
    with cast.ada.acting():
        merge_patients(duplicate=told, into=other.patient)
    assert LESION in listed(cast, "ada", "overdue", screening)
    open_it(cast.alice, other.patient)
    assert LESION in listed(cast, "alice", "today", screening)


def test_opening_is_hers_and_ends(cast, told, screening, monkeypatch):
    restrict(cast, told)
    open_it(cast.alice, told)
    assert LESION not in listed(cast, "ada", "overdue", screening)
    monkeypatch.setattr("patients.restricted.OPEN_FOR", timedelta(milliseconds=1))
    open_it(cast.ada, told)
    assert LESION not in listed(cast, "ada", "overdue", screening)


@pytest.mark.parametrize("table", [*EXPORTS])
def test_tables_leave_her_out_until_her_chart_is_open(cast, told, table):
    lines = taken(cast.ada, table)
    hers = [line for line in lines if str(told.pk) in line.values()]
    restrict(cast, told)
    assert [line for line in taken(cast.ada, table) if str(told.pk) in line.values()] == []
    open_it(cast.ada, told)
    assert len([line for line in taken(cast.ada, table) if str(told.pk) in line.values()]) == len(hers)


def looked_back(person: Person, version: str) -> dict[str, str]:
    response = person.client.get(reverse("look_back", args=[version]), {"csv": "1"})
    (line,) = csv.DictReader(io.StringIO(response.content.decode()))
    return line


def test_tables_of_incidents_and_of_a_recall_tell_nothing_of_it(cast, told, screening):
    version = fresh(screening).prediction.model_version_id
    restrict(cast, told)
    assert exported(cast.ada) == []
    line = looked_back(cast.ada, version)
    assert NAME in line["patient"]
    assert (line["reading"], line["lesion"], line["recommended"]) == ("", "", "")
    open_it(cast.ada, told)
    assert len(exported(cast.ada)) == 1
    assert looked_back(cast.ada, version)["recommended"] != ""


def test_recall_keeps_what_others_said_from_who_is_to_judge_first(cast, told, chart, screening, random_photograph):
    """What was recommended beside a reading tells as much as the reading."""
    version = fresh(screening).prediction.model_version_id
    both = make_person("Mara Maple", cast.north, "manager", "reviewer")
    assert looked_back(both, version)["recommended"] != ""
    set_blind(cast, True)
    make_screening(cast.alice, chart, random_photograph())
    line = looked_back(both, version)
    assert (line["reading"], line["shown to"], line["recommended"]) == ("", "", "")
    assert "Biopsy" not in both.client.get(reverse("look_back", args=[version])).content.decode()
