"""A signature is held for a few seconds, and can be undone until it is given."""

import time
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import IntegrityError, transaction
from django.db.utils import ProgrammingError
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from conftest import PASSWORD, Cast, Chart, Person, make_chart, make_screening
from screening.desk import HeldSignatureQuerySet
from screening.models import HeldSignature, Review, Screening, Signature
from screening.services.errors import NotYours, OpinionMissing, StaleTransition
from screening.services.holding import give_signature, sweep_signatures, undo_signature
from screening.services.reviews import release_visit
from screening.tests.conftest import BENIGN, fresh, give, hold, read_by_model, rows, the_only, wait_until
from skinclinic.accounts.models import Membership
from skinclinic.accounts.services import decide_reviewing
from skinclinic.audit.models import AuditEvent


@pytest.fixture(autouse=True)
def held_for_ten_seconds(settings) -> None:
    settings.SIGNATURE_HOLD = 10


@pytest.fixture
def held(cast: Cast, chart: Chart, screening: Screening) -> HeldSignature:
    give(cast, screening)
    return hold(cast, chart.visit)


def status_of(cast: Cast, held: HeldSignature) -> str:
    with cast.in_north():
        return HeldSignature.objects.get(pk=held.pk).status


def listed(person: Person) -> list[object]:
    return [visit.pk for visit in person.client.get(reverse("worklist")).context["visits"]]


def press(person: Person, name: str, held: HeldSignature, **headers: str):
    address = reverse(name, args=[held.pk])
    return person.client.post(address, {"clinic": str(person.actor.clinic_id)}, headers=headers, follow=True)


def test_it_works(cast, chart, screening):
    give(cast, screening)
    opinion = the_only(cast, Review)
    rita = cast.rita.client
    data = {"clinic": str(cast.north.pk), "opinion": str(opinion.pk)}
    page = rita.post(reverse("visit_sign", args=[chart.visit.pk]), data, follow=True).content.decode()
    assert "Signed for Winterbottom, Erna" in page
    assert "data-held=" in page
    held = the_only(cast, HeldSignature)
    assert (held.status, held.opinions) == ("held", [opinion.pk])
    assert timedelta(seconds=8) < held.due_at - timezone.now() < timedelta(seconds=10)
    assert fresh(screening).review_status == "read"
    assert not rows(cast, Signature)
    told = press(cast.rita, "signature_give", held, HX_Request="true").content.decode()
    assert "The visit is signed. The clinician sees it now." in told
    assert fresh(screening).review_status == "signed"
    assert the_only(cast, Signature).reviewer_id == cast.rita.user.pk
    assert status_of(cast, held) == "given"


def test_a_held_visit_is_on_nobodys_list_and_comes_back_when_it_is_undone(cast, chart, held, screening):
    assert listed(cast.rita) == listed(cast.rolf) == []
    page = press(cast.rita, "signature_undo", held).content.decode()
    assert "Undone: the visit is not signed." in page
    assert fresh(screening).review_status == "read"
    assert listed(cast.rita) == [chart.visit.pk]
    assert status_of(cast, held) == "undone"
    assert hold(cast, chart.visit).pk != held.pk, "it can be signed again"


def test_what_is_undone_is_not_given_and_what_is_given_is_not_undone(cast, chart, held):
    with cast.rita.acting() as rita:
        undo_signature(actor=rita, held=held)
        assert give_signature(actor=rita, held=held) is None
        assert not rows(cast, Signature)
    again = hold(cast, chart.visit)
    with cast.rita.acting() as rita:
        assert give_signature(actor=rita, held=again)
        with pytest.raises(StaleTransition, match="too late to undo"):
            undo_signature(actor=rita, held=again)
    assert the_only(cast, Signature)


def test_another_window_tells_what_became_of_it(cast, chart, held):
    press(cast.rita, "signature_undo", held)
    told = press(cast.rita, "signature_give", held, HX_Request="true").content.decode()
    assert "Undone: the visit is not signed." in told
    again = hold(cast, chart.visit)
    for _ in range(2):
        assert "The visit is signed." in press(cast.rita, "signature_give", again, HX_Request="true").content.decode()
    assert the_only(cast, Signature)


def test_a_second_reader_who_differs_is_told_so(cast, chart, screening):
    with cast.ada.acting() as ada:
        decide_reviewing(actor=ada, second_reading_percent=100)
    give(cast, screening)
    suspicious = replace(BENIGN, suspicious=True, diagnosis="melanoma", recommendation="excise")
    with cast.rita.acting() as rita:
        release_visit(actor=rita, visit=chart.visit)
    give(cast, screening, suspicious, by=cast.rolf)
    held = hold(cast, chart.visit, by=cast.rolf)
    waits = cast.rolf.client.get(reverse("worklist")).content.decode()
    assert "Winterbottom, Erna: you differ from the first reader." in waits
    assert "Goes to a third reader in <span data-count>" in waits
    assert "Signed for" not in waits
    visit = cast.rolf.client.get(reverse("visit", args=[chart.visit.pk])).content.decode()
    assert "About to go to a third reader" in visit
    assert "Rolf Rush has signed" not in visit
    told = press(cast.rolf, "signature_give", held, HX_Request="true").content.decode()
    assert "You differ from the first reader." in told
    assert fresh(screening).review_status == "disputed"


def test_only_she_who_signed_sends_or_undoes_it(cast, held):
    with cast.rolf.acting() as rolf:
        for act in (undo_signature, give_signature):
            with pytest.raises(NotYours):
                act(actor=rolf, held=held)
    assert press(cast.bob, "signature_undo", held).status_code == 404
    assert status_of(cast, held) == "held"


def test_nothing_is_held_that_could_not_be_signed(cast, chart, screening):
    with pytest.raises(OpinionMissing):
        hold(cast, chart.visit)
    assert not rows(cast, HeldSignature)


def test_a_visit_is_held_once(cast, chart, held):
    with pytest.raises(StaleTransition, match="goes out within seconds"):
        hold(cast, chart.visit)
    with pytest.raises(IntegrityError, match="signature_held_once"), transaction.atomic(), cast.in_north():
        HeldSignature.objects.create(
            clinic=cast.north, patient=chart.patient, visit=chart.visit, reviewer=cast.rolf.user, opinions=[],
            due_at=timezone.now(),
        )  # fmt: skip


def test_another_opinion_meanwhile_refuses_it_and_the_page_says_why(cast, chart, screening, held):
    give(cast, screening, BENIGN)
    told = press(cast.rita, "signature_give", held, HX_Request="true").content.decode()
    assert "Not signed for Winterbottom, Erna: An opinion was given since" in told
    assert fresh(screening).review_status == "read"
    assert status_of(cast, held) == "refused"
    page = cast.rita.client.get(reverse("visit", args=[chart.visit.pk])).content.decode()
    assert "was not given: An opinion was given since this page was opened" in page
    assert listed(cast.rita) == [chart.visit.pk]


def test_a_reading_that_arrives_meanwhile_refuses_it(cast, chart, screening, held):
    read_by_model(cast, screening, refer=True)
    assert "a reading that you had not seen" in press(cast.rita, "signature_give", held).content.decode()
    assert not rows(cast, Signature)


def test_the_ledger_tells_who_held_undid_and_gave(cast, chart, held):
    press(cast.rita, "signature_undo", held)
    events = rows(cast, AuditEvent, subject_type="screening_heldsignature")
    assert [(event.action, event.actor) for event in events] == [
        ("insert", str(cast.rita.user.pk)),
        ("update", str(cast.rita.user.pk)),
    ]


def test_the_application_cannot_rewrite_what_was_held(cast, held):
    with cast.in_north(), pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
        HeldSignature.objects.filter(pk=held.pk).update(opinions=[uuid4()])


@pytest.fixture
def due(real_cast, photograph_bytes, settings) -> HeldSignature:
    """Signed, and its page gone."""
    settings.SIGNATURE_HOLD = 0
    return held_anew(real_cast, photograph_bytes)


def held_anew(cast: Cast, photograph: bytes) -> HeldSignature:
    chart = make_chart(cast.alice)
    screening = make_screening(cast.alice, chart, photograph)
    read_by_model(cast, screening, refer=False)  # or a worker reads it first, and the signature is refused
    give(cast, screening)
    return hold(cast, chart.visit)


def test_the_sweep_gives_what_nobody_gave_in_her_name(real_cast, due, monkeypatch):
    assert sweep_signatures() == 0, "the page has a moment to do it itself"
    monkeypatch.setattr("screening.services.holding.SWEPT_AFTER", timedelta(0))
    assert sweep_signatures() == 1
    with real_cast.in_north():
        assert Signature.objects.get().reviewer_id == real_cast.rita.user.pk
        event = AuditEvent.objects.get(subject_type="screening_signature")
        assert (event.actor, event.reason) == (str(real_cast.rita.user.pk), "held signature is due")
    assert sweep_signatures() == 0


def test_one_signatures_trouble_is_no_others(cast, monkeypatch, photograph_bytes, settings):
    settings.SIGNATURE_HOLD = 0
    monkeypatch.setattr("screening.services.holding.SWEPT_AFTER", timedelta(0))
    monkeypatch.setattr(HeldSignatureQuerySet, "due", HeldSignatureQuerySet.held)
    first, second = (held_anew(cast, photograph_bytes) for _ in range(2))
    tried = []

    def fails(held):
        tried.append(held.pk)
        raise ValueError("of the first")

    monkeypatch.setattr("screening.services.holding.give_in_her_name", fails)
    assert sweep_signatures() == 0
    assert set(tried) == {first.pk, second.pk}


@pytest.mark.parametrize("change", [{"is_active": False}, {"roles": ["clinician"]}])
def test_the_sweep_does_not_sign_for_one_who_reviews_no_more(real_cast, due, monkeypatch, change):
    monkeypatch.setattr("screening.services.holding.SWEPT_AFTER", timedelta(0))
    with real_cast.in_north():
        Membership.objects.filter(user=real_cast.rita.user).update(**change)
    sweep_signatures()
    assert status_of(real_cast, due) == "refused"
    assert not rows(real_cast, Signature)


def test_workers_give_it_when_the_page_is_gone(real_cast, due, start_worker):
    start_worker(beat=True)
    wait_until(lambda: status_of(real_cast, due) == "given", seconds=30)
    with real_cast.in_north():
        assert Signature.objects.get().reviewer_id == real_cast.rita.user.pk


class TestPassword:
    """A signature asks for it, unless she gave it or signed within a quarter of an hour."""

    @pytest.fixture
    def rita(self, cast: Cast) -> Client:
        cast.rita.user.set_password(PASSWORD)
        cast.rita.user.save(update_fields=["password"])
        client = cast.rita.client
        self.last_confirmed(client, minutes_ago=16)
        return client

    def last_confirmed(self, client: Client, *, minutes_ago: float) -> None:
        session = client.session
        session["confirmed_at"] = time.time() - 60 * minutes_ago
        session.save()

    def sign(self, client: Client, cast: Cast, chart: Chart, password: str = "") -> str:
        page = client.get(reverse("visit", args=[chart.visit.pk]))
        assert ("Your password" in page.content.decode()) is page.context["asks_password"]
        opinions = [screening.opinion.pk for screening in page.context["waiting"]]
        data = {"clinic": str(cast.north.pk), "opinion": opinions, "password": password}
        return client.post(reverse("visit_sign", args=[chart.visit.pk]), data, follow=True).content.decode()

    def test_is_asked_for_after_a_pause(self, cast, chart, screening, rita):
        give(cast, screening)
        assert "Enter your password, then sign." in self.sign(rita, cast, chart)
        assert "That is not your password." in self.sign(rita, cast, chart, "another")
        assert not rows(cast, HeldSignature)
        assert the_only(cast, AuditEvent, action="confirmation_failed")
        assert "Signed for Winterbottom" in self.sign(rita, cast, chart, PASSWORD)

    def test_is_not_asked_for_within_a_quarter_of_an_hour(self, cast, chart, screening, rita):
        give(cast, screening)
        self.last_confirmed(rita, minutes_ago=14)
        assert "Signed for Winterbottom" in self.sign(rita, cast, chart)
        assert time.time() - rita.session["confirmed_at"] < 5, "a sequence of signatures goes on"

    def test_cannot_be_guessed_for_long(self, cast, chart, screening, rita):
        give(cast, screening)
        answers = [self.sign(rita, cast, chart, f"guess {number}") for number in range(11)]
        assert "That was too often." in answers[-1]
        assert "That was too often." in self.sign(rita, cast, chart, PASSWORD)
        assert not rows(cast, HeldSignature)
