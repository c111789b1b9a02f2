"""A refused form says so on top, where the focus goes, and leads to each field that is to be corrected."""

import re
from io import BytesIO
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse

from conftest import Cast, Person
from screening.images import clean_photograph
from screening.models import Overview, Screening
from screening.services.photographs import add_overview
from screening.tests.conftest import read_by_model, rows

NAMES = ("due_hours_urgent", "due_hours_soon", "due_hours_routine")


def refused(person: Person, address: str, **data: object) -> str:
    answer = person.client.post(address, {"clinic": str(person.actor.clinic_id)} | data)
    assert answer.status_code == 200
    return answer.content.decode()


def summary(page: str) -> str:
    """The one on the page; each of its links leads to something that is there once."""
    begins = '<div class="alert alert-danger refused" role="alert" tabindex="-1" autofocus>'
    (found,) = re.findall(f"{begins}.*?</ul>", page, re.DOTALL)
    for target in re.findall(r'href="#([^"]*)"', found):
        assert page.count(f' id="{target}"') == 1, target
    assert len(re.findall(r"<li>", found)) >= 1
    assert page.index(found) < page.index('class="field', page.index(found)), "on top of the form"
    return found


@pytest.mark.parametrize(
    ("by", "name", "told"),
    [
        ("alice", "patient_new", "Family name"),
        ("alice", "patient_correct", "Family name"),
        ("alice", "visit_new", "Urgency"),
        ("alice", "lesion_new", "Choose the place on the body map."),
        ("alice", "screening_withdraw", "Reason"),
        ("alice", "screening_move", "Lesion"),
        ("alice", "outcome_enter", "Reported on"),
        ("rita", "opinion_save", "Malignant or pre-malignant?"),
        ("ada", "clinic_settings", "Urgent visits, hours"),
        ("ada", "expected_share", "Where this comes from"),
    ],
)
def test_every_form_has_it(cast, screening, *, by, name, told):
    keys = {
        "patient_correct": [screening.patient_id],
        "visit_new": [screening.patient_id],
        "lesion_new": [screening.patient_id],
        "screening_withdraw": [screening.pk],
        "screening_move": [screening.pk, screening.patient_id],
        "outcome_enter": [screening.image.lesion_id],
        "opinion_save": [screening.pk],
    }
    page = refused(getattr(cast, by), reverse(name, args=keys.get(name, [])), suspicious="", diameter_mm="x")
    assert told in summary(page)


def test_an_overview_s_form_has_it(cast, chart, photograph_bytes):
    with cast.alice.acting() as alice:
        clean = clean_photograph(BytesIO(photograph_bytes))
        add_overview(actor=alice, visit=chart.visit, lesion=chart.lesion, clean=clean)
    (overview,) = rows(cast, Overview)
    assert "Reason" in summary(refused(cast.alice, reverse("overview_withdraw", args=[overview.pk])))


def test_signing_in_has_it(cast):
    page = Client().post(reverse("account_login"), {"login": "alice@north.example", "password": "wrong"})
    assert "not correct" in summary(page.content.decode())


def test_the_first_page_of_all_has_it(db):
    assert "Name of the clinic" in summary(Client().post(reverse("first_run"), {"clinic_name": ""}).content.decode())


def test_a_refusal_of_the_services_stands_in_it(cast, screening):
    read_by_model(cast, screening, refer=True)
    page = cast.rita.client.get(reverse("screening", args=[screening.pk]))
    told = refused(
        cast.rita, reverse("opinion_save", args=[screening.pk]),
        submission=uuid4(), reading_shown=page.context["reading_shown"],
        suspicious="no", diagnosis="nevus", recommendation="reassure",
    )  # fmt: skip
    assert "Your suspicion differs from the reading." in summary(told)


def test_what_is_told_on_the_next_page_gets_the_focus_too(cast, chart):
    address = reverse("consent_note", args=[chart.patient.pk])
    page = cast.alice.client.post(address, {"clinic": str(cast.north.pk)}, follow=True).content.decode()
    assert re.search(r'<div class="alert alert-danger" role="alert" tabindex="-1" autofocus>', page)


def test_a_page_that_was_not_refused_has_none(cast, chart, screening):
    for name, key in (("screening", screening.pk), ("patient_correct", chart.patient.pk), ("lesion", chart.lesion.pk)):
        assert "refused" not in cast.rita.client.get(reverse(name, args=[key])).content.decode()


def test_a_likely_duplicate_gets_the_focus(cast, chart):
    identity = {"family_name": "Winterbottom", "given_name": "Erna", "birth_date": "1961-04-30", "sex": "female"}
    page = refused(cast.alice, reverse("patient_new"), **identity)
    assert re.search(r'<div class="alert alert-warning" role="alert" tabindex="-1" autofocus>', page)
    assert page.count('name="confirmed"') == 1


@pytest.mark.parametrize(
    ("hours", "wrong"),
    [
        ((10, 2, 48), {"due_hours_urgent"}),
        ((2, 48, 10), {"due_hours_soon"}),
        ((60, 50, 40), set(NAMES[:2])),
    ],
)
def test_the_hours_that_are_out_of_order_are_named_where_they_stand(cast, hours, wrong):
    page = refused(cast.ada, reverse("clinic_settings"), **dict(zip(NAMES, hours, strict=True)))
    assert {name for name in NAMES if f'id="id_{name}_error"' in page} == wrong


class TestWhatIsNeededAtTimes:
    def labels(self, cast: Cast, screening: Screening) -> dict[str, str]:
        page = cast.rita.client.get(reverse("screening", args=[screening.pk])).content.decode()
        return dict(re.findall(r'<label for="id_(\w+)">[^<]* <span class="optional">([^<]*)</span>', page))

    def test_the_label_says_when(self, cast, screening):
        assert self.labels(cast, screening) == {
            "follow_up_months": "required for a follow-up",
            "difference_reason": "required if you differ",
            "words": "optional; required for “other”",
        }

    @pytest.mark.parametrize(
        ("said", "field", "told"),
        [
            ({"recommendation": "follow_up"}, "follow_up_months", "Say in how many months."),
            ({"diagnosis": "other"}, "words", "Say in words what “other” is."),
        ],
    )
    def test_the_clinic_asks_for_it_itself(self, cast, screening, said, field, told):
        opinion = {"suspicious": "no", "diagnosis": "nevus", "recommendation": "reassure", "submission": uuid4()}
        page = refused(cast.rita, reverse("opinion_save", args=[screening.pk]), **opinion | said)
        assert f'<a href="#id_{field}">' in summary(page)
        assert told in page.split(f'id="id_{field}_error"')[1].split("</div>")[0]
