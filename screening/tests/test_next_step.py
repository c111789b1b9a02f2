"""A visit's page says on top what comes next, and leads there."""

from dataclasses import replace

import pytest
from django.urls import reverse

from conftest import Chart, Person, make_screening, with_another_lesion
from screening.services.reviews import release_visit, take_visit
from screening.services.signing import acknowledge
from screening.tests.conftest import BENIGN, finish, give, sign
from skinclinic.accounts.services import decide_reviewing


def step(person: Person, chart: Chart) -> tuple[str, str, str] | None:
    page = person.client.get(reverse("visit", args=[chart.visit.pk]))
    told = page.context["next_step"]
    assert ('class="next-step' in page.content.decode()) is (told is not None)
    if told and told.address.startswith("#"):
        assert f'id="{told.address[1:]}"' in page.content.decode()
    return told and (told.said, told.label, told.address)


@pytest.fixture
def two(cast, chart, screening, random_photograph):
    return screening, make_screening(cast.alice, with_another_lesion(cast.alice, chart), random_photograph())


def test_from_the_first_opinion_to_the_acknowledgement(cast, chart, two):
    first, second = two
    assert step(cast.rita, chart) == ("0 of 2 judged", "Judge the next one", reverse("screening", args=[first.pk]))
    assert step(cast.alice, chart) is None
    give(cast, first)
    assert step(cast.rita, chart) == ("1 of 2 judged", "Judge the next one", reverse("screening", args=[second.pk]))
    give(cast, second)
    assert step(cast.rita, chart) == ("2 of 2 judged", "Sign below", "#sign-title")
    signature = sign(cast, chart.visit)
    assert step(cast.rita, chart) is None
    assert step(cast.alice, chart) == ("Not acknowledged yet", "Acknowledge below", "#signed-title")
    assert step(cast.ada, chart) is None
    with cast.alice.acting() as alice:
        acknowledge(actor=alice, signature=signature)
    assert step(cast.alice, chart) is None


def test_what_another_has_taken_is_not_hers(cast, chart, screening):
    with cast.rolf.acting() as rolf:
        take_visit(actor=rolf, visit=chart.visit)
    assert step(cast.rita, chart) is None
    assert step(cast.rolf, chart) is not None


def test_a_reading_that_arrived_since_is_to_be_judged(cast, chart, screening):
    give(cast, screening)
    finish(cast, screening, refer=False, band="low")
    assert step(cast.rita, chart)[0] == "0 of 1 judged"


def test_who_has_to_wait_for_another_reader_is_led_nowhere(cast, chart, screening):
    with cast.ada.acting() as ada:
        decide_reviewing(actor=ada, second_reading_percent=100)
    give(cast, screening)
    assert step(cast.rita, chart) is None
    with cast.rita.acting() as rita:
        release_visit(actor=rita, visit=chart.visit)
    give(cast, screening, replace(BENIGN, suspicious=True, diagnosis="melanoma", recommendation="excise"), by=cast.rolf)
    assert sign(cast, chart.visit, by=cast.rolf) is None, "they differ"
    assert step(cast.rolf, chart) is None, "a third decides"
