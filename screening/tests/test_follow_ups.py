"""What signed reviews ask for: open once for each lesion and recommendation, until it is done, replaced or reported."""

from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import IntegrityError, transaction
from django.urls import reverse
from django.utils import timezone

from conftest import Cast, Person, make_chart, make_screening, with_another_lesion
from screening.models import FollowUp, Outcome
from screening.services.errors import StaleTransition
from screening.services.follow_ups import close_follow_up
from screening.services.outcomes import Finding, enter_outcome
from screening.services.photographs import withdraw_screening
from screening.services.signing import amend_review
from screening.tests.conftest import BENIGN, fresh, give, rows, sign, the_only
from screening.tests.test_lesion import TODAY, page, post, report
from screening.tests.test_truth import enter
from skinclinic.audit.models import AuditEvent

EXCISE = replace(BENIGN, suspicious=True, diagnosis="melanoma", recommendation="excise")
BIOPSY = replace(EXCISE, recommendation="biopsy")


def watch(months: int):
    return replace(BENIGN, recommendation="follow_up", follow_up_months=months)


def asked(cast: Cast) -> list[tuple[str, str]]:
    return [(each.what, each.status) for each in rows(cast, FollowUp)]


def open_one(cast: Cast) -> FollowUp:
    with cast.in_north():
        return FollowUp.objects.open().select_related("review").get()


def signed_with(cast: Cast, chart, photograph: bytes, opinion):
    screening = make_screening(cast.alice, chart, photograph)
    give(cast, screening, opinion)
    sign(cast, chart.visit)
    return screening


def withdraw(cast: Cast, screening) -> None:
    with cast.alice.acting() as alice:
        withdraw_screening(actor=alice, screening=screening, reason="wrong_lesion")


def amend(cast: Cast, screening, opinion) -> None:
    with cast.rita.acting() as rita:
        amended = fresh(screening).signed_review_id
        given = {"submission": amended, "reading_shown": None, "opinion": opinion, "amends": amended}
        amend_review(actor=rita, screening=screening, **given | {"submission": screening.pk})


def test_photographs_of_one_lesion_ask_for_one_thing_once(cast, chart, screening, random_photograph):
    second = make_screening(cast.alice, chart, random_photograph())
    other = make_screening(cast.alice, with_another_lesion(cast.alice, chart), random_photograph())
    for each in (screening, second, other):
        give(cast, each, EXCISE)
    sign(cast, chart.visit)
    with cast.in_north():
        opened = FollowUp.objects.open()
        assert sorted(opened.values_list("lesion", flat=True)) == sorted({chart.lesion.pk, other.image.lesion_id})
        replaced = FollowUp.objects.get(status="superseded")
        assert replaced.replaced_by == opened.get(lesion=chart.lesion), "it is kept, and says by which"
    shown = cast.alice.client.get(reverse("today")).content.decode()
    assert shown.count("Excise, ") == 2
    chart_page = cast.alice.client.get(reverse("patient_chart", args=[chart.patient.pk])).content.decode()
    assert chart_page.count('name="status"') == 2, "what is closed is folded below"
    assert "1 that is closed" in chart_page
    assert "sex: female" in chart_page


def test_of_one_visit_that_which_is_due_first_stays_open(cast, chart, screening, random_photograph):
    second = make_screening(cast.alice, chart, random_photograph())
    give(cast, screening, watch(3))
    give(cast, second, watch(12))
    sign(cast, chart.visit)
    assert open_one(cast).review.follow_up_months == 3
    letter = cast.alice.client.get(reverse("visit_letter", args=[chart.visit.pk])).content.decode()
    assert "We would like to look at this spot again" in letter
    due = timezone.localdate() + timedelta(days=91)
    assert f"{due.day} {due:%b %Y}" in letter


def test_a_later_review_replaces_what_is_open_and_another_recommendation_stands_beside(cast, chart, random_photograph):
    signed_with(cast, chart, random_photograph(), watch(12))
    signed_with(cast, chart, random_photograph(), watch(6))
    signed_with(cast, chart, random_photograph(), EXCISE)
    assert asked(cast) == [("follow_up", "superseded"), ("follow_up", "open"), ("excise", "open")]


def test_what_was_done_is_asked_for_again_by_a_later_review(cast, chart, random_photograph):
    signed_with(cast, chart, random_photograph(), EXCISE)
    with cast.in_north():
        close_follow_up(follow_up=open_one(cast), status="done")
    signed_with(cast, chart, random_photograph(), EXCISE)
    assert asked(cast) == [("excise", "done"), ("excise", "open")]


@pytest.mark.parametrize("end", [withdraw, lambda cast, screening: amend(cast, screening, BENIGN)])
def test_what_an_earlier_photograph_asks_for_is_open_again_when_the_later_one_asks_no_more(
    cast, chart, random_photograph, end
):
    first, second, third = [signed_with(cast, chart, random_photograph(), EXCISE) for _ in range(3)]
    end(cast, second)
    assert open_one(cast).review.screening_id == third.pk
    end(cast, third)
    assert open_one(cast).review.screening_id == first.pk
    end(cast, first)
    with cast.in_north():
        assert not FollowUp.objects.open().exists()


def test_an_amended_review_that_asks_for_the_same_replaces_its_own(cast, chart, screening):
    give(cast, screening, watch(12))
    sign(cast, chart.visit)
    amend(cast, screening, watch(3))
    assert asked(cast) == [("follow_up", "superseded"), ("follow_up", "open")]
    assert open_one(cast).review.follow_up_months == 3


def test_a_report_closes_what_it_answers_and_is_the_reason(cast, chart, random_photograph):
    signed_with(cast, chart, random_photograph(), BIOPSY)
    signed_with(cast, chart, random_photograph(), EXCISE)
    signed_with(cast, chart, random_photograph(), watch(6))
    assert "A new report closes what was asked for by its day:" in page(cast.alice, chart.lesion)
    form = {"diagnosis": "melanoma", "reported_on": str(TODAY())}
    told = post(cast.alice, "outcome_enter", chart.lesion.pk, **form).content.decode()
    assert "It answers what was asked for, which is closed: Biopsy, Excise." in told
    assert asked(cast) == [("biopsy", "done"), ("excise", "done"), ("follow_up", "open")]
    assert told.count("done, pathology of") == 2
    with cast.in_north():
        events = AuditEvent.objects.filter(subject_type="screening_followup", reason="pathology reported")
        assert {event.actor_name for event in events} == {"Alice Alder"}
        assert [event.changes["reported_by_id"] for event in events] == [[None, str(Outcome.objects.get().pk)]] * 2


def test_the_clinician_may_say_that_tissue_is_still_to_be_taken(cast, chart, random_photograph):
    signed_with(cast, chart, random_photograph(), EXCISE)
    form = {"diagnosis": "melanoma", "reported_on": str(TODAY()), "keeps_open": "on"}
    assert "The report is entered.<" in post(cast.rita, "outcome_enter", chart.lesion.pk, **form).content.decode()
    assert asked(cast) == [("excise", "open")]


def test_an_older_report_is_about_other_tissue(cast, chart, random_photograph):
    signed_with(cast, chart, random_photograph(), EXCISE)
    report(cast.alice, chart.lesion, reported_on=TODAY() - timedelta(days=30))
    assert asked(cast) == [("excise", "open")]
    report(cast.alice, with_another_lesion(cast.alice, chart).lesion)
    assert asked(cast) == [("excise", "open")], "and so is that of another lesion"


def test_a_report_that_is_corrected_or_taken_back_opens_it_again(cast, chart, random_photograph):
    signed_with(cast, chart, random_photograph(), EXCISE)
    first = report(cast.alice, chart.lesion)
    form = {"diagnosis": "nevus", "reported_on": str(TODAY()), "supersedes": str(first.pk)}
    told = post(cast.rita, "outcome_enter", chart.lesion.pk, **form).content.decode()
    assert "What it had closed is open again: Excise." in told
    assert asked(cast) == [("excise", "open")]
    with cast.in_north():
        event = AuditEvent.objects.filter(subject_type="screening_followup").latest("pk")
    assert event.reason == "pathology report corrected or taken back"
    second = report(cast.alice, chart.lesion)
    assert asked(cast) == [("excise", "done")]
    told = post(cast.rita, "outcome_take_back", second.pk, words="Another lesion's").content.decode()
    assert "What it had closed is open again: Excise." in told
    assert asked(cast) == [("excise", "open")]


def test_nothing_is_opened_again_that_nobody_asks_for_or_that_is_asked_for_anew(cast, chart, random_photograph):
    first = signed_with(cast, chart, random_photograph(), EXCISE)
    entered = report(cast.alice, chart.lesion)
    signed_with(cast, chart, random_photograph(), EXCISE)
    report(cast.alice, chart.lesion, "", supersedes=entered, words="Another lesion's")
    assert asked(cast) == [("excise", "superseded"), ("excise", "open")]
    again = report(cast.alice, chart.lesion)
    withdraw(cast, first)
    amend(cast, rows(cast, type(first))[1], BENIGN)
    report(cast.alice, chart.lesion, "", supersedes=again, words="Another lesion's")
    assert asked(cast) == [("excise", "superseded")] * 2


def test_the_database_holds_to_the_rules(cast, chart, random_photograph):
    signed_with(cast, chart, random_photograph(), EXCISE)
    signed_with(cast, chart, random_photograph(), EXCISE)
    elsewhere = report(cast.alice, make_chart(cast.alice, family_name="Autumnbottom").lesion)
    now = timezone.now()
    for changes, rule in (
        ({"status": "open", "closed_at": None, "replaced_by": None}, "follow_up_open_once"),
        ({"status": "declined", "closed_at": now, "reported_by": elsewhere}, "follow_up_closed_by_what_it_says"),
        ({"status": "done", "closed_at": now, "replaced_by": None, "reported_by": elsewhere}, "one_of_its_lesion"),
    ):
        with cast.in_north(), pytest.raises(IntegrityError, match=rule):
            change_all(changes)


def change_all(changes: dict[str, object]) -> None:
    with transaction.atomic():
        FollowUp.objects.update(**changes)
        transaction.get_connection().check_constraints()


def test_what_is_closed_is_not_closed_twice(cast, chart, random_photograph):
    signed_with(cast, chart, random_photograph(), EXCISE)
    follow_up = open_one(cast)
    report(cast.alice, chart.lesion)
    with cast.in_north(), pytest.raises(StaleTransition):
        close_follow_up(follow_up=follow_up, status="declined")


def test_of_other_clinics_nothing_is_closed(cast, chart, random_photograph):
    signed_with(cast, chart, random_photograph(), EXCISE)
    bob: Person = cast.bob
    form = {"diagnosis": "melanoma", "reported_on": str(TODAY())}
    assert post(bob, "outcome_enter", chart.lesion.pk, **form).status_code == 404
    assert asked(cast) == [("excise", "open")]


def test_tissue_ticked_off_by_hand_is_answered_by_its_report(cast, chart, photograph_bytes):
    """Whichever comes first; a correction answers it too, and one that is taken back leaves it without an answer."""
    signed_with(cast, chart, photograph_bytes, EXCISE)
    follow_up = open_one(cast)
    with cast.alice.acting():
        close_follow_up(follow_up=follow_up, status="done")
    assert waiting(cast) == {follow_up.pk}
    first = enter(cast, chart, "nevus", timezone.localdate())
    assert waiting(cast) == set()
    second = enter(cast, chart, "melanoma", timezone.localdate(), supersedes=first)
    assert (waiting(cast), the_only(cast, FollowUp).reported_by_id) == (set(), second.pk)
    assert the_only(cast, FollowUp).status == "done"
    enter(cast, chart, "", timezone.localdate(), supersedes=second)
    assert (waiting(cast), the_only(cast, FollowUp).status) == ({follow_up.pk}, "done")


def test_report_that_came_before_the_tick_answers_it(cast, chart, photograph_bytes):
    signed_with(cast, chart, photograph_bytes, EXCISE)
    follow_up = open_one(cast)
    with cast.alice.acting() as alice:
        enter_outcome(
            actor=alice, lesion=chart.lesion, submission=uuid4(), keeps_open=True,
            finding=Finding(diagnosis="nevus", reported_on=timezone.localdate()),
        )  # fmt: skip
        close_follow_up(follow_up=follow_up, status="done")
    assert waiting(cast) == set()


def waiting(cast) -> set:
    with cast.in_north():
        return set(FollowUp.objects.unanswered().values_list("pk", flat=True))


def test_who_withdraws_waits_for_who_signs_for_the_lesion(cast, chart, photograph_bytes, django_assert_max_num_queries):
    """Else what the photograph had replaced would be open again beside what is signed at that moment."""
    screening = signed_with(cast, chart, photograph_bytes, EXCISE)
    with django_assert_max_num_queries(30) as asked_of_database:
        withdraw(cast, screening)
    sent = [query["sql"] for query in asked_of_database.captured_queries]
    held = next(n for n, sql in enumerate(sent) if "patients_lesion" in sql and "FOR NO KEY UPDATE" in sql)
    assert held < next(n for n, sql in enumerate(sent) if "screening_followup" in sql)
