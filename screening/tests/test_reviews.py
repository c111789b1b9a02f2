"""Opinions, signatures, amendments, withdrawals: what may follow what, and who wins."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from uuid import uuid4

import pytest
from django.db import IntegrityError, connection, transaction
from django.urls import reverse
from django.utils import timezone

from conftest import make_chart, make_screening, with_another_lesion
from patients.models import Visit
from screening.models import FollowUp, Review, Screening, Signature
from screening.services import reviews, signing
from screening.services.errors import (
    LesionContradicted,
    NotYours,
    OpinionContradictsItself,
    OpinionMissing,
    ReadingUnseen,
    ReasonMissing,
    StaleTransition,
)
from screening.services.photographs import move_screening, withdraw_screening
from screening.services.reviews import Opinion
from screening.tests.conftest import BENIGN, fresh, give, read_by_model, sign
from skinclinic.audit.models import AuditEvent
from skinclinic.errors import ClinicError


def test_it_works(cast, chart, screening):
    review = give(cast, screening)
    assert fresh(screening).review_status == "read"
    signature = sign(cast, chart.visit)
    signed = fresh(screening)
    assert (signed.review_status, signed.signed_review_id, signed.signature_id) == ("signed", review.pk, signature.pk)
    with cast.alice.acting() as alice:
        signing.acknowledge(actor=alice, signature=signature)
        assert Signature.objects.get(pk=signature.pk).acknowledged_by_id == cast.alice.user.pk


@pytest.mark.parametrize("suspicious", [True, False])
def test_difference_from_the_reading_needs_a_reason(cast, chart, screening, suspicious):
    read_by_model(cast, screening, refer=not suspicious)
    differing = replace(BENIGN, suspicious=suspicious)
    with pytest.raises(ReasonMissing):
        give(cast, screening, differing)
    review = give(cast, screening, replace(differing, difference_reason="history"))
    assert review.reading_shown_id == fresh(screening).prediction_id
    assert review.differs


def test_before_a_reading_is_there_nothing_was_shown(cast, chart, screening):
    assert give(cast, screening, replace(BENIGN, suspicious=True)).reading_shown is None


def test_reading_that_arrived_after_the_opinion_must_be_seen_before_signing(cast, chart, screening):
    give(cast, screening)
    read_by_model(cast, screening, refer=True)
    with pytest.raises(ReadingUnseen):
        sign(cast, chart.visit)
    give(cast, screening, replace(BENIGN, difference_reason="history"))
    sign(cast, chart.visit)


def test_opinion_written_beside_no_reading_is_not_saved_once_there_is_one(cast, chart, screening):
    """The form was drawn while the photograph waited; the reading came before it was sent."""
    client, address = cast.rita.client, f"/screenings/{screening.pk}/opinion/"
    form = {
        "submission": str(uuid4()), "suspicious": "no", "diagnosis": "nevus", "recommendation": "reassure",
        "clinic": str(cast.north.pk),
    }  # fmt: skip
    read_by_model(cast, screening, refer=False)
    page = client.post(address, form).content.decode()
    assert "A reading has arrived while you wrote" in page
    with cast.in_north():
        assert not Review.objects.exists()
    shown = str(fresh(screening).prediction_id)
    assert f'value="{shown}"' in page, "what is sent again says what was seen"
    assert client.post(address, form | {"reading_shown": shown}).status_code == 302


def test_opinion_never_becomes_an_amendment_unawares(cast, chart, screening):
    """Rolf's form was drawn before Rita signed."""
    give(cast, screening)
    sign(cast, chart.visit)
    with pytest.raises(StaleTransition):
        give(cast, screening, by=cast.rolf)
    with pytest.raises(StaleTransition), cast.rolf.acting() as rolf:
        signing.amend_review(
            actor=rolf, screening=screening, submission=uuid4(), reading_shown=None, opinion=BENIGN, amends=uuid4()
        )
    with cast.in_north():
        assert Review.objects.count() == 1


def test_form_sent_twice_is_one_review(cast, chart, screening):
    submission = uuid4()
    assert give(cast, screening, submission=submission) == give(cast, screening, submission=submission)
    with cast.in_north():
        assert Review.objects.filter(screening=screening).count() == 1


def test_visit_is_signed_as_a_whole(cast, chart, screening, random_photograph):
    second = make_screening(cast.alice, chart, random_photograph())
    give(cast, screening)
    with pytest.raises(OpinionMissing, match="1 of 2"):
        sign(cast, chart.visit)
    give(cast, second)
    sign(cast, chart.visit)
    assert {fresh(each).review_status for each in (screening, second)} == {"signed"}


def test_nobody_signs_for_another(cast, chart, screening):
    give(cast, screening, by=cast.rita)
    with pytest.raises(NotYours):
        sign(cast, chart.visit, by=cast.rolf)


def test_signed_review_is_amended_and_the_first_stays(cast, chart, screening):
    first = give(cast, screening, replace(BENIGN, recommendation="follow_up", follow_up_months=3))
    signature = sign(cast, chart.visit)
    with cast.rita.acting() as rita:
        second = signing.amend_review(
            actor=rita,
            screening=screening,
            submission=uuid4(),
            reading_shown=None,
            amends=first.pk,
            opinion=Opinion(suspicious=True, diagnosis="melanoma", recommendation="excise"),
        )
        kept = Review.objects.get(pk=first.pk)
        follow_ups = dict(FollowUp.objects.values_list("what", "status"))
        amended_by = Signature.objects.get(amends=signature)
    amended = fresh(screening)
    assert (amended.review_status, amended.signed_review_id) == ("amended", second.pk)
    assert amended.signature_id == amended_by.pk
    assert (kept.diagnosis, second.supersedes_id) == ("nevus", first.pk)
    assert follow_ups == {"follow_up": "superseded", "excise": "open"}


def test_recommendation_makes_a_follow_up_for_the_clinician(cast, chart, screening):
    give(cast, screening, replace(BENIGN, recommendation="excise"))
    sign(cast, chart.visit)
    with cast.in_north():
        (follow_up,) = FollowUp.objects.all()
    assert (follow_up.what, follow_up.owner_id, follow_up.status) == ("excise", cast.alice.user.pk, "open")


def test_database_refuses_a_follow_up_status_that_cannot_be(cast, chart, screening):
    give(cast, screening, replace(BENIGN, recommendation="excise"))
    sign(cast, chart.visit)
    with pytest.raises(IntegrityError, match="follow_up_status_known"), transaction.atomic(), cast.in_north():
        FollowUp.objects.update(status="imagined", closed_at=timezone.now())
    with cast.bob.acting() as bob:
        assert not FollowUp.objects.visible_to(bob).exists(), "a stranger sees none"


def test_two_reviewers_sign_at_the_same_moment(real_cast, photograph_bytes):
    """Rita's is the last opinion; she signs in two windows while Rolf tries. One wins, the others are told."""
    chart = make_chart(real_cast.alice)
    screening = make_screening(real_cast.alice, chart, photograph_bytes)
    give(real_cast, screening, by=real_cast.rita)
    signers = [real_cast.rita, real_cast.rita, real_cast.rolf]
    outcomes = at_once([partial(sign, real_cast, chart.visit, by=signer) for signer in signers])
    assert [type(outcome) for outcome in outcomes].count(Signature) == 1
    assert isinstance(outcomes[2], StaleTransition | NotYours)
    with real_cast.in_north():
        assert Signature.objects.count() == 1
        assert AuditEvent.objects.filter(subject_type="screening_signature").count() == 1


def test_form_sent_twice_at_the_same_moment_is_one_review(real_cast, photograph_bytes):
    chart = make_chart(real_cast.alice)
    screening = make_screening(real_cast.alice, chart, photograph_bytes)
    reviews_given = at_once([partial(give, real_cast, screening, submission=uuid4())] * 6)
    assert len({review.pk for review in reviews_given}) == 1


def test_two_amendments_in_one_visit_amend_one_signature_after_the_other(real_cast, random_photograph):
    chart = make_chart(real_cast.alice)
    both = [make_screening(real_cast.alice, chart, random_photograph()) for _ in range(2)]
    signed = [give(real_cast, screening) for screening in both]
    first = sign(real_cast, chart.visit)

    def amend(screening: Screening, review: Review) -> Review:
        with real_cast.rita.acting() as rita:
            return signing.amend_review(
                actor=rita,
                screening=screening,
                submission=uuid4(),
                reading_shown=None,
                opinion=BENIGN,
                amends=review.pk,
            )

    amended = at_once([partial(amend, *pair) for pair in zip(both, signed, strict=True)])
    assert [type(outcome) for outcome in amended] == [Review, Review]
    with real_cast.in_north():
        second = Signature.objects.get(amends=first)
        assert Signature.objects.get(amends=second)


def at_once(acts: list[Callable[[], object]]) -> list[object]:
    """What each act returned or raised, when all began at the same moment, each on its own connection."""
    start = threading.Barrier(len(acts))

    def one(act: Callable[[], object]) -> object:
        start.wait()
        try:
            return act()
        except ClinicError as refusal:
            return refusal
        finally:
            connection.close()

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(one, acts))


def test_opinion_takes_the_visit_and_waits_while_another_holds_it(cast, chart, screening):
    give(cast, screening, by=cast.rita)
    with pytest.raises(NotYours, match="Another reviewer"):
        give(cast, screening, by=cast.rolf)
    with cast.rita.acting() as rita:
        reviews.release_visit(actor=rita, visit=chart.visit)
    give(cast, screening, by=cast.rolf)


def test_taken_visit_is_not_taken_by_another_until_time_is_up(cast, chart):
    with cast.rita.acting() as rita:
        reviews.take_visit(actor=rita, visit=chart.visit)
        reviews.take_visit(actor=rita, visit=chart.visit)
    with cast.rolf.acting() as rolf:
        with pytest.raises(NotYours):
            reviews.take_visit(actor=rolf, visit=chart.visit)
        Visit.objects.filter(pk=chart.visit.pk).update(taken_until="2020-01-01T00:00Z")
        reviews.take_visit(actor=rolf, visit=chart.visit)
        assert Visit.objects.get(pk=chart.visit.pk).taken_by_id == cast.rolf.user.pk


def test_withdrawn_screening_cannot_be_reviewed_and_stays_on_record(cast, chart, screening):
    with cast.alice.acting() as alice:
        withdraw_screening(actor=alice, screening=screening, reason="wrong_patient")
        with pytest.raises(StaleTransition):
            withdraw_screening(actor=alice, screening=screening, reason="wrong_lesion")
    with pytest.raises(StaleTransition):
        give(cast, screening)
    with cast.in_north():
        assert Screening.objects.filter(pk=screening.pk).exists()
        assert not Screening.objects.in_use().filter(pk=screening.pk).exists()


def test_moved_photograph_is_a_new_screening_on_the_same_bytes(cast, chart, screening):
    right = make_chart(cast.alice, family_name="Rightful")
    with cast.alice.acting() as alice:
        moved = move_screening(
            actor=alice, screening=screening, visit=right.visit, lesion=right.lesion, reason="wrong_patient"
        )
        old = Screening.objects.select_related("image").get(pk=screening.pk)
        assert old.moved_to_id == moved.pk
        assert old.image.photograph.read() == moved.image.photograph.read()
        assert old.image.photograph.name != moved.image.photograph.name
    assert (moved.patient_id, moved.reading_status, moved.review_status) == (right.patient.pk, "queued", "open")


def test_what_is_signed_is_what_stood_beside_the_button(cast, chart, screening):
    shown = give(cast, screening)
    give(cast, screening, Opinion(suspicious=True, diagnosis="melanoma", recommendation="excise"))
    client, address = cast.rita.client, reverse("visit_sign", args=[chart.visit.pk])
    stale = client.post(address, {"clinic": str(cast.north.pk), "opinion": str(shown.pk)}, follow=True)
    assert "An opinion was given since this page was opened" in stale.content.decode()
    assert fresh(screening).review_status == "read"
    sign(cast, chart.visit)
    assert fresh(screening).review_status == "signed"


@pytest.mark.parametrize(
    "opinion",
    [
        Opinion(suspicious=False, diagnosis="melanoma", recommendation="excise"),
        Opinion(suspicious=True, diagnosis="bcc", recommendation="reassure"),
    ],
)
def test_malignant_diagnosis_that_is_left_alone_is_refused(cast, chart, screening, opinion):
    with pytest.raises(OpinionContradictsItself, match="malignant"):
        give(cast, screening, opinion)


def test_reason_to_differ_is_not_kept_where_nothing_differs(cast, chart, screening):
    read_by_model(cast, screening, refer=False)
    assert give(cast, screening, replace(BENIGN, difference_reason="history")).difference_reason == ""


def judge_two(cast, chart, screening, photograph: bytes, **other: object) -> None:
    """Two photographs of one lesion; `other` is what is said otherwise of the second."""
    second = make_screening(cast.alice, chart, photograph)
    give(cast, screening, replace(BENIGN, suspicious=True, diagnosis="melanoma", recommendation="excise"))
    give(cast, second, replace(BENIGN, **other))


def test_opposite_opinions_on_one_lesion_are_not_signed(cast, chart, screening, random_photograph):
    judge_two(cast, chart, screening, random_photograph())
    with pytest.raises(LesionContradicted, match="lesion 1: Back, left contradict"):
        sign(cast, chart.visit)


def test_a_photograph_to_be_taken_again_contradicts_nothing(cast, chart, screening, random_photograph):
    judge_two(cast, chart, screening, random_photograph(), recommendation="retake")
    sign(cast, chart.visit)
    assert fresh(screening).is_signed


def test_opposite_opinions_on_two_lesions_are_signed(cast, chart, screening, random_photograph):
    judge_two(cast, with_another_lesion(cast.alice, chart), screening, random_photograph())
    sign(cast, chart.visit)
    assert fresh(screening).is_signed
