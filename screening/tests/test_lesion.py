"""A lesion's page: pathology beside reading and review, and what is made of a change of score."""

import re
from dataclasses import replace
from datetime import date, datetime, timedelta
from uuid import uuid4

import pytest
from django.db import IntegrityError, transaction
from django.urls import reverse
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from conftest import Cast, Chart, Person, make_chart, make_screening
from ml.manifest import REPEAT_RANGE
from patients.models import Lesion
from screening import course
from screening.models import LesionImage, ModelVersion, Outcome, Prediction, Review, Screening
from screening.services.errors import ReasonMissing, StaleTransition
from screening.services.outcomes import Finding, enter_outcome
from screening.tests.conftest import BENIGN, give, read_by_model, sign
from skinclinic.audit.models import AuditEvent

TODAY = timezone.localdate
DEVIATION = 0.7


def report(person: Person, lesion: Lesion, diagnosis: str = "melanoma", **changes) -> Outcome:
    finding = Finding(diagnosis, changes.pop("reported_on", TODAY()), changes.pop("words", ""))
    with person.acting() as actor:
        return enter_outcome(actor=actor, lesion=lesion, finding=finding, **{"submission": uuid4()} | changes)


def page(person: Person, lesion: Lesion) -> str:
    return person.client.get(reverse("lesion", args=[lesion.pk])).content.decode()


def post(person: Person, name: str, key, **form: str):
    keys = {"clinic": str(person.actor.clinic_id), "submission": str(uuid4())}
    return person.client.post(reverse(name, args=[key]), keys | form, follow=True)


def in_force(cast: Cast) -> list[Outcome]:
    with cast.in_north():
        return list(Outcome.objects.in_force())


def test_it_works(cast, chart, screening):
    read_by_model(cast, screening, refer=True)
    give(cast, screening, replace(BENIGN, difference_reason="history"))
    sign(cast, chart.visit)
    shown = post(
        cast.alice,
        "outcome_enter",
        chart.lesion.pk,
        diagnosis="melanoma",
        reported_on=str(TODAY()),
        words="Breslow 0.4",
    ).content.decode()
    assert "The report is entered." in shown
    assert "Breslow 0.4" in shown
    assert "entered by Alice Alder" in shown
    reading, review = shown[shown.index('class="beside') :].split("<td>")[2:4]
    assert reading.startswith("as pathology")
    assert "other than pathology" in review
    (entered,) = in_force(cast)
    assert (entered.diagnosis, entered.lesion_id, entered.entered_by_id) == (
        "melanoma",
        chart.lesion.pk,
        cast.alice.user.pk,
    )
    assert (
        "Lesion opened" in cast.alice.client.get(reverse("patient_history", args=[chart.patient.pk])).content.decode()
    )


def test_the_ledger_tells_that_it_was_entered_not_its_words(cast, chart):
    report(cast.alice, chart.lesion, words="Breslow 0.4")
    with cast.in_north():
        event = AuditEvent.objects.get(subject_type="screening_outcome")
    assert event.actor_name == "Alice Alder"
    assert "Breslow" not in str(vars(event))


def test_a_correction_takes_the_place_of_the_report(cast, chart):
    first = report(cast.alice, chart.lesion)
    again = {"diagnosis": "nevus", "reported_on": str(TODAY()), "supersedes": str(first.pk)}
    assert "The report is corrected." in post(cast.rita, "outcome_enter", chart.lesion.pk, **again).content.decode()
    assert [outcome.diagnosis for outcome in in_force(cast)] == ["nevus"]
    with pytest.raises(StaleTransition):
        report(cast.alice, chart.lesion, "bcc", supersedes=first)
    refused = post(cast.alice, "outcome_enter", chart.lesion.pk, **again)
    assert "corrected by somebody else" in refused.content.decode()
    assert [outcome.diagnosis for outcome in in_force(cast)] == ["nevus"]


def test_a_report_that_is_taken_back_counts_no_more_and_says_why(cast, chart):
    entered = report(cast.alice, chart.lesion)
    assert "Say why" in post(cast.rita, "outcome_take_back", entered.pk, words=" ").content.decode()
    assert in_force(cast) == [entered]
    shown = post(cast.rita, "outcome_take_back", entered.pk, words="Another patient's report").content.decode()
    assert "No report is entered." in shown
    assert in_force(cast) == []
    with cast.in_north():
        kept = Outcome.objects.get(supersedes=entered)
    assert (kept.diagnosis, kept.words, kept.entered_by_id) == ("", "Another patient's report", cast.rita.user.pk)
    with pytest.raises(ReasonMissing):
        report(cast.alice, chart.lesion, "")


def test_a_form_sent_twice_is_one_report(cast, chart):
    submission = uuid4()
    assert report(cast.alice, chart.lesion, submission=submission) == report(
        cast.alice, chart.lesion, "bcc", submission=submission
    )
    assert len(in_force(cast)) == 1


@pytest.mark.parametrize(
    ("form", "sentence"),
    [
        ({"diagnosis": ""}, "This field is required"),
        ({"diagnosis": "plague"}, "Select a valid choice"),
        ({"reported_on": "2126-01-01"}, "This day has not come yet"),
        ({"reported_on": "1726-01-01"}, "Check the year"),
        ({"reported_on": "yesterday"}, "Enter a valid date"),
        ({"diagnosis": "other"}, "Say in words"),
        ({"supersedes": "one"}, "UUID"),
    ],
)
def test_what_is_no_report_is_refused_and_stays_in_the_form(cast, chart, form, sentence):
    kept = {"diagnosis": "bcc", "reported_on": str(TODAY()), "words": ""}
    shown = post(cast.alice, "outcome_enter", chart.lesion.pk, **kept | form).content.decode()
    assert sentence in shown
    assert in_force(cast) == []


def test_only_those_who_treat_enter_and_take_back(cast, chart):
    entered = report(cast.alice, chart.lesion)
    form = {"diagnosis": "bcc", "reported_on": str(TODAY()), "words": "for no reason"}
    for who, status in (("ada", 403), ("otto", 403), ("bob", 404)):
        person = getattr(cast, who)
        assert post(person, "outcome_enter", chart.lesion.pk, **form).status_code == status
        assert post(person, "outcome_take_back", entered.pk, **form).status_code == status
        assert "outcome-form" not in page(person, chart.lesion)
    assert in_force(cast) == [entered]


def test_a_correction_of_another_lesions_report_is_refused(cast, chart):
    other = report(cast.alice, make_chart(cast.alice, family_name="Autumnbottom").lesion)
    form = {"diagnosis": "bcc", "reported_on": str(TODAY()), "supersedes": str(other.pk)}
    assert post(cast.alice, "outcome_enter", chart.lesion.pk, **form).status_code == 404
    with pytest.raises(StaleTransition):
        report(cast.alice, chart.lesion, supersedes=other)
    values = {"clinic": cast.north, "patient": chart.patient, "reported_on": TODAY(), "diagnosis": "bcc"}
    with cast.in_north(), pytest.raises(IntegrityError, match="one_of_its_lesion"), transaction.atomic():
        Outcome.objects.create(lesion=chart.lesion, supersedes=other, **values)


@pytest.mark.parametrize(
    ("values", "rule"),
    [
        ({"diagnosis": "", "words": "why"}, "taken_back_says_why"),
        ({"diagnosis": "other"}, "other_has_words"),
    ],
)
def test_the_database_refuses_what_is_no_report(cast, chart, values, rule):
    row = {"clinic": cast.north, "patient": chart.patient, "lesion": chart.lesion, "reported_on": TODAY()}
    with cast.in_north(), pytest.raises(IntegrityError, match=rule), transaction.atomic():
        Outcome.objects.create(**row | values)


def test_a_photograph_from_after_the_report_is_not_set_beside_it(cast, chart, screening):
    report(cast.alice, chart.lesion, reported_on=TODAY() - timedelta(days=3))
    assert "No photograph from before the report." in page(cast.alice, chart.lesion)


def was_read(score: float, at: datetime, version: ModelVersion) -> Screening:
    """A photograph as far as the course looks at it."""
    prediction = Prediction(malignancy=score, model_version=version, refer=score > 0.3)
    screening = Screening(image=LesionImage(captured_at=at), prediction=prediction, reading_status="predicted")
    screening.is_hidden = screening.is_suspended = False
    return screening


MODEL = ModelVersion(version="2026.1.1", manifest={"repeat_deviation": {"value": DEVIATION}})
NOON = datetime(2026, 11, 2, 12, tzinfo=timezone.get_default_timezone())
scores = st.floats(0.001, 0.999)


@given(scores, scores, st.integers(1, 4000))
def test_a_change_is_told_from_none_by_the_repeat_range_alone(before, after, days):
    reads = [was_read(before, NOON, MODEL), was_read(after, NOON + timedelta(days=days), MODEL)]
    beyond = abs(course.logit(after) - course.logit(before)) > REPEAT_RANGE * DEVIATION
    sentence = course.change_sentence(reads)
    assert ("No change can be told" in sentence) is not beyond
    assert ("side by side" in sentence) is beyond
    assert sentence == course.change_sentence(reads[::-1]), "the order that they come in says nothing"
    assert sentence.startswith("From ")


def test_scores_of_different_models_are_not_set_against_each_other():
    other = ModelVersion(version="2026.1.2", manifest=MODEL.manifest)
    reads = [was_read(0.1, NOON, MODEL), was_read(0.9, NOON + timedelta(days=90), other)]
    assert "Different model versions" in course.change_sentence(reads)
    silent = ModelVersion(version="2025.1.1", manifest={})
    reads = [was_read(0.1, NOON, silent), was_read(0.9, NOON + timedelta(days=90), silent)]
    assert "is not known for this model" in course.change_sentence(reads)
    assert course.points_of(reads)[0].low is None


@pytest.mark.parametrize("withheld", ["is_hidden", "is_suspended"])
def test_what_is_withheld_is_neither_drawn_nor_compared(withheld):
    reads = [was_read(0.1, NOON, MODEL), was_read(0.9, NOON + timedelta(days=90), MODEL)]
    setattr(reads[1], withheld, True)
    assert len(course.points_of(reads)) == 1
    assert course.change_sentence(reads) == ""
    outcome = Outcome(diagnosis="melanoma", reported_on=date(2027, 6, 1))
    reads[0].signed_review = reads[1].signed_review = Review(suspicious=True)
    beside = course.beside_pathology(outcome, reads)
    assert [each.reading_agrees for each in beside] == [False, None]
    assert [each.review_agrees for each in beside] == [True, None if withheld == "is_hidden" else True]


@given(st.lists(st.tuples(scores, st.integers(0, 5000)), min_size=1, max_size=12))
def test_the_chart_keeps_order_and_frame(drawn_from):
    reads = [was_read(score, NOON + timedelta(days=days), MODEL) for score, days in drawn_from]
    drawn = course.draw(course.points_of(reads))
    assert [each.x for each in drawn] == sorted(each.x for each in drawn)
    for each in drawn:
        assert course.LEFT <= each.x <= course.WIDTH - course.RIGHT
        assert course.TOP <= each.top <= each.y <= each.bottom <= course.HEIGHT - course.BOTTOM
        assert each.point.low < each.point.score < each.point.high


def test_photographs_of_one_sitting_stand_side_by_side():
    reads = [was_read(0.5, NOON + timedelta(minutes=minute), MODEL) for minute in (0, 1, 90)]
    first, second, third = (each.x for each in course.draw(course.points_of(reads)))
    assert second - first == pytest.approx(third - second, abs=0.2)
    assert second - first > 50


def test_two_photographs_of_one_patient_are_compared(cast, chart, screening, random_photograph):
    second = make_screening(cast.alice, chart, random_photograph())
    pair = {"first": screening.image_id, "second": second.image_id}
    shown = cast.alice.client.get(reverse("compare", args=[chart.patient.pk]), pair).content.decode()
    stages = re.findall(r'data-photograph="[^"]*photographs/([0-9a-f-]+)/', shown)
    assert stages == [str(screening.image_id), str(second.image_id)]


def test_a_photograph_of_somebody_else_is_not_found_beside(cast, chart, screening, photograph_bytes):
    other = make_screening(cast.alice, make_chart(cast.alice, family_name="Autumnbottom"), photograph_bytes)
    client, address = cast.alice.client, reverse("compare", args=[chart.patient.pk])
    for second in (other.image_id, uuid4(), "one"):
        assert client.get(address, {"first": screening.image_id, "second": second}).status_code == 404
    assert "Nothing to compare yet" in client.get(address).content.decode()


def test_the_page_draws_the_scores_and_says_what_to_make_of_them(cast, chart, screening, random_photograph):
    second = make_screening(cast.alice, chart, random_photograph())
    read_by_model(cast, screening, refer=False)
    assert "score-chart" not in page(cast.ada, chart.lesion)
    read_by_model(cast, second, refer=True)
    shown = page(cast.ada, chart.lesion)
    assert shown.count('class="dot"') == 2
    assert "is not known for this model" in shown


def test_the_same_file_sent_again_is_no_second_point(cast, chart, screening, photograph_bytes, random_photograph):
    read_by_model(cast, screening, refer=False)
    read_by_model(cast, make_screening(cast.alice, chart, photograph_bytes), refer=False)
    shown = page(cast.ada, chart.lesion)
    assert "score-chart" not in shown, "one picture has no course"
    assert shown.count("the same file again: counts once") == 1
    read_by_model(cast, make_screening(cast.alice, chart, random_photograph()), refer=True)
    assert page(cast.ada, chart.lesion).count('class="dot"') == 2


def test_a_page_of_many_photographs_takes_few_queries(
    cast, chart: Chart, random_photograph, django_assert_max_num_queries
):
    for _ in range(6):
        read_by_model(cast, make_screening(cast.alice, chart, random_photograph()), refer=True)
    report(cast.alice, chart.lesion)
    client, address = cast.rita.client, reverse("lesion", args=[chart.lesion.pk])
    client.get(address)
    with django_assert_max_num_queries(15 + 3):  # three are a test's own transaction
        assert client.get(address).content.decode().count('data-open="shot-') == 6
