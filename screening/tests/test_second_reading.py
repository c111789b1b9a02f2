"""Where the clinic asks for it, two read, and a third decides what they differ on."""

from dataclasses import replace
from uuid import UUID, uuid4

import pytest
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st

from conftest import Cast, Person, make_chart, make_person, make_screening, with_another_lesion
from patients.models import Visit
from screening.models import FollowUp, Review, Screening
from screening.querysets import ALARMING, INTERMEDIATE, visits_to_review
from screening.services.errors import NotYours, OpinionMissing, SecondReaderNeeded
from screening.services.second import drawn_percent
from screening.tests.conftest import BENIGN, fresh, give, read_by_model, sign
from screening.tests.test_blind import TOLD
from skinclinic.accounts.models import Clinic
from skinclinic.accounts.services import decide_reviewing
from skinclinic.events.models import Event

WATCHED = {"recommendation": "follow_up", "follow_up_months": 3}
SUSPICIOUS = replace(BENIGN, suspicious=True, diagnosis="melanoma", recommendation="excise")
REASONED = replace(BENIGN, difference_reason="history")


def decide(cast: Cast, **decided: bool | int) -> None:
    with cast.ada.acting() as ada:
        decide_reviewing(actor=ada, **decided)


@pytest.fixture
def third(cast: Cast) -> Person:
    return make_person("Thea Thorn", cast.north, "reviewer")


@pytest.fixture
def everything_twice(cast: Cast) -> Cast:
    decide(cast, second_reading_percent=100)
    return cast


def page(person: Person, name: str, key: UUID) -> str:
    return person.client.get(reverse(name, args=[key])).content.decode()


def test_it_works(everything_twice, chart, screening):
    cast = everything_twice
    give(cast, screening, by=cast.rita)
    with pytest.raises(SecondReaderNeeded):
        sign(cast, chart.visit, by=cast.rita)
    release(cast.rita, chart)
    second = give(cast, screening, by=cast.rolf)
    signature = sign(cast, chart.visit, by=cast.rolf)
    signed = fresh(screening)
    assert (signed.review_status, signed.signed_review_id, signed.signature_id) == ("signed", second.pk, signature.pk)


def release(person: Person, chart) -> None:
    client = person.client
    client.post(reverse("visit_release", args=[chart.visit.pk]), {"clinic": str(person.actor.clinic_id)})


def differ(cast: Cast, chart, *screenings: Screening) -> None:
    """Rita calls them benign, Rolf does not, and finds out when he signs."""
    for screening in screenings:
        give(cast, screening, by=cast.rita)
    release(cast.rita, chart)
    for screening in screenings:
        give(cast, screening, SUSPICIOUS, by=cast.rolf)
    assert sign(cast, chart.visit, by=cast.rolf) is None


def test_two_who_differ_are_decided_between_by_a_third(everything_twice, chart, screening, third):
    cast = everything_twice
    differ(cast, chart, screening)
    assert fresh(screening).review_status == "disputed"
    with cast.in_north():
        assert Event.objects.filter(type="screening.disputed").count() == 1
        assert not FollowUp.objects.exists()
    for reader in (cast.rita, cast.rolf):
        with pytest.raises(NotYours):
            give(cast, screening, by=reader)
        with pytest.raises(OpinionMissing):
            sign(cast, chart.visit, by=reader)
        assert "A third reviewer decides" in page(reader, "screening", screening.pk)
        assert "Sign for" not in page(reader, "visit", chart.visit.pk)
    shown = page(third, "screening", screening.pk)
    assert "Rita Rowan" in shown
    assert "Rolf Rush" in shown
    assert shown.index("Rolf Rush") < shown.index("Two readers differ: decide"), "what they said comes first"
    decided = give(cast, screening, SUSPICIOUS, by=third)
    assert decided.kind == "adjudication"
    sign(cast, chart.visit, by=third)
    signed = fresh(screening)
    assert (signed.review_status, signed.signed_review_id) == ("signed", decided.pk)
    with cast.in_north():
        assert Review.objects.filter(screening=screening).count() == 3
        assert FollowUp.objects.get().what == "excise"


def test_what_two_agree_on_is_signed_with_the_second_opinion(
    everything_twice, chart, screening, third, random_photograph
):
    cast = everything_twice
    agreed = make_screening(cast.alice, with_another_lesion(cast.alice, chart), random_photograph())
    for each in (screening, agreed):
        give(cast, each, by=cast.rita)
    release(cast.rita, chart)
    give(cast, screening, SUSPICIOUS, by=cast.rolf)
    second = give(cast, agreed, by=cast.rolf)
    assert sign(cast, chart.visit, by=cast.rolf) is None
    assert {fresh(each).review_status for each in (screening, agreed)} == {"disputed", "read"}
    decided = give(cast, screening, by=third)
    assert "Sign for" in page(third, "visit", chart.visit.pk)
    sign(cast, chart.visit, by=third)
    assert (fresh(screening).signed_review_id, fresh(agreed).signed_review_id) == (decided.pk, second.pk)


def test_the_worklist_shows_what_readers_disagree_on(everything_twice, chart, screening, third, photograph_bytes):
    cast = everything_twice
    other = make_chart(cast.alice, given_name="Undisputed")
    make_screening(cast.alice, other, photograph_bytes)
    client, address = third.client, reverse("worklist")
    assert "No readers disagree" in client.get(address, {"show": "disputed"}).content.decode()
    differ(cast, chart, screening)
    everything, disputed = client.get(address), client.get(address, {"show": "disputed"})
    assert [visit.pk for visit in disputed.context["visits"]] == [chart.visit.pk]
    assert {visit.pk for visit in everything.context["visits"]} == {chart.visit.pk, other.visit.pk}
    assert "Readers disagree" in everything.content.decode()
    with third.acting() as actor:
        ranks = dict(visits_to_review(Visit.objects.visible_to(actor), actor).values_list("pk", "rank"))
    assert ranks == {chart.visit.pk: ALARMING, other.visit.pk: INTERMEDIATE}


@pytest.mark.parametrize(
    ("two", "differ"),
    [
        ((BENIGN, BENIGN), False),
        ((BENIGN, replace(BENIGN, diagnosis="lentigo", **WATCHED)), False),
        ((BENIGN, SUSPICIOUS), True),
        ((BENIGN, replace(SUSPICIOUS, diagnosis="atypical_nevus", **WATCHED)), True),
        ((BENIGN, replace(BENIGN, recommendation="biopsy")), True),
        ((SUSPICIOUS, replace(SUSPICIOUS, recommendation="refer")), False),
        ((replace(SUSPICIOUS, diagnosis="atypical_nevus", **WATCHED), SUSPICIOUS), True),
    ],
)
def test_readers_differ_in_suspicion_or_in_whether_to_act(everything_twice, chart, screening, two, differ):
    cast = everything_twice
    give(cast, screening, two[0], by=cast.rita)
    release(cast.rita, chart)
    give(cast, screening, two[1], by=cast.rolf)
    assert (sign(cast, chart.visit, by=cast.rolf) is None) is differ


@pytest.mark.parametrize(
    ("asked", "due"),
    [
        (("second_reading_of_high", True, SUSPICIOUS), True),
        (("second_reading_of_high", False, BENIGN), False),
        (("second_reading_of_differing", True, REASONED), True),
        (("second_reading_of_differing", True, SUSPICIOUS), False),
        (("second_reading_of_differing", False, replace(SUSPICIOUS, difference_reason="history")), True),
    ],
)
def test_a_second_reader_is_asked_for_where_the_clinic_wants_one(cast, chart, screening, asked, due):
    setting, refer, opinion = asked
    decide(cast, **{setting: True})
    read_by_model(cast, screening, refer=refer)
    give(cast, screening, opinion)
    told = "asks for a second reader here" in page(cast.rita, "visit", chart.visit.pk)
    assert told is due
    if due:
        with pytest.raises(SecondReaderNeeded):
            sign(cast, chart.visit)
        decide(cast, **{setting: False})
    assert sign(cast, chart.visit) is not None, "what a manager turns off holds nobody up"


def test_a_reading_that_came_after_the_first_reader_makes_hers_no_reading(everything_twice, chart, screening):
    cast = everything_twice
    give(cast, screening, by=cast.rita)
    release(cast.rita, chart)
    read_by_model(cast, screening, refer=False)
    give(cast, screening, by=cast.rolf)
    with pytest.raises(SecondReaderNeeded):
        sign(cast, chart.visit, by=cast.rolf)


def test_the_second_reader_sees_the_first_opinion_after_her_own(everything_twice, chart, screening):
    cast = everything_twice
    give(cast, screening, replace(SUSPICIOUS, words="Blue veil at three o'clock"), by=cast.rita)
    release(cast.rita, chart)
    assert "Blue veil" not in page(cast.rolf, "screening", screening.pk)
    assert "Blue veil" in page(cast.alice, "screening", screening.pk)
    give(cast, screening, by=cast.rolf)
    assert "Blue veil" in page(cast.rolf, "screening", screening.pk)


def test_a_blind_third_reviewer_judges_first_and_decides_then(everything_twice, chart, screening, third):
    cast = everything_twice
    decide(cast, blind_first_reading=True)
    read_by_model(cast, screening, refer=True)
    for reader, opinion in ((cast.rita, REASONED), (cast.rolf, SUSPICIOUS)):
        give(cast, screening, BENIGN, by=reader)
        give(cast, screening, opinion, by=reader)
        if reader is cast.rita:
            release(reader, chart)
    assert sign(cast, chart.visit, by=cast.rolf) is None
    assert "Rita Rowan" not in page(third, "screening", screening.pk)
    first = give(cast, screening, by=third)
    with pytest.raises(OpinionMissing):
        sign(cast, chart.visit, by=third)
    assert "Rita Rowan" in page(third, "screening", screening.pk)
    decided = give(cast, screening, SUSPICIOUS, by=third)
    assert (first.kind, decided.kind, decided.blind_opinion) == ("blind", "adjudication", first)
    assert sign(cast, chart.visit, by=third) is not None


def test_without_a_setting_one_reader_is_enough(cast, chart, screening):
    read_by_model(cast, screening, refer=True)
    give(cast, screening, SUSPICIOUS)
    assert sign(cast, chart.visit) is not None


@given(st.uuids())
def test_the_draw_is_a_percent_and_stays(key: UUID):
    assert 0 <= drawn_percent(key) <= 99
    assert drawn_percent(key) == drawn_percent(UUID(str(key)))


def test_the_draw_is_even():
    drawn = [drawn_percent(uuid4()) < 20 for _ in range(4000)]
    assert 0.16 < sum(drawn) / len(drawn) < 0.24


def test_a_manager_decides_and_nonsense_is_refused(cast):
    client, address = cast.ada.client, reverse("clinic_settings")
    form = {"clinic": str(cast.north.pk), "second_reading_of_high": "on", "second_reading_percent": "10"} | TOLD
    assert client.post(address, form).status_code == 302
    clinic = Clinic.objects.get(pk=cast.north.pk)
    assert (clinic.second_reading_of_high, clinic.second_reading_percent) == (True, 10)
    refused = client.post(address, form | {"second_reading_percent": "101"})
    assert "less than or equal to 100" in refused.content.decode()
    assert Clinic.objects.get(pk=cast.north.pk).second_reading_percent == 10
    with pytest.raises(ValueError, match="is_demo"):
        decide(cast, is_demo=True)


def test_who_goes_on_gives_back_what_waits_for_another_reader(everything_twice, chart, screening):
    cast = everything_twice
    give(cast, screening, by=cast.rita)
    assert "Give it back to the list" in page(cast.rita, "visit", chart.visit.pk)
    next_one = {"clinic": str(cast.north.pk), "after": str(chart.visit.pk)}
    cast.rita.client.post(reverse("visit_next"), next_one)
    with cast.in_north():
        assert Visit.objects.get(pk=chart.visit.pk).taken_by is None
    assert give(cast, screening, by=cast.rolf)


def test_who_goes_on_keeps_what_she_has_not_read_to_its_end(everything_twice, chart, screening, random_photograph):
    cast = everything_twice
    make_screening(cast.alice, chart, random_photograph())
    give(cast, screening, by=cast.rita)
    next_one = {"clinic": str(cast.north.pk), "after": str(chart.visit.pk)}
    cast.rita.client.post(reverse("visit_next"), next_one)
    with cast.in_north():
        assert Visit.objects.get(pk=chart.visit.pk).taken_by == cast.rita.user
