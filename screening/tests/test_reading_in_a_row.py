"""One visit after the other: agree with one key, go on to the next, and lose nothing of what was typed."""

from dataclasses import replace
from uuid import uuid4

import pytest
from django.urls import reverse

from conftest import Cast, Chart, Person, make_chart, make_screening
from patients.models import Visit
from screening.agreement import quick_opinion
from screening.models import Draft, Review, SavedFilter, Screening
from screening.presentation import present
from screening.services.reviews import take_visit
from screening.services.versions import suspend_readings
from screening.tests.conftest import BENIGN, finish, fresh, give, read_by_model, rows, sign, the_only
from screening.tests.test_blind import set_blind
from skinclinic.audit.models import AuditEvent

SUSPICIOUS = replace(BENIGN, suspicious=True, diagnosis="melanoma", recommendation="excise")
NEVUS = {"akiec": 0.01, "bcc": 0.01, "bkl": 0.05, "df": 0.01, "mel": 0.03, "nv": 0.88, "vasc": 0.01}
MELANOMA = NEVUS | {"mel": 0.88, "nv": 0.03}


def page(person: Person, screening: Screening):
    return person.client.get(reverse("screening", args=[screening.pk]))


def post(person: Person, name: str, /, *args: object, **data: object):
    data["clinic"] = str(person.actor.clinic_id)
    return person.client.post(reverse(name, args=args), data, follow=True)


class TestAgreeing:
    @pytest.mark.parametrize(
        ("refer", "probabilities", "saved"),
        [
            (False, NEVUS, (False, "nevus", "reassure")),
            (True, MELANOMA, (True, "melanoma", "refer")),
        ],
    )
    def test_saves_what_the_button_says(self, cast, screening, refer, probabilities, saved):
        finish(cast, screening, refer=refer, band="high" if refer else "low", probabilities=probabilities)
        shown = page(cast.rita, screening)
        quick = shown.context["quick"]
        words = {"nevus": "melanocytic nevus", "melanoma": "melanoma"}[saved[1]]
        suspicion = "suspicious" if saved[0] else "not suspicious"
        assert f"Agree: {suspicion}, {words}, {saved[2]}" in shown.content.decode()
        post(
            cast.rita, "opinion_save", screening.pk,
            submission=uuid4(), reading_shown=shown.context["reading_shown"], diagnosis=quick.diagnosis,
            suspicious="yes" if quick.suspicious else "no", recommendation=quick.recommendation,
        )  # fmt: skip
        review = the_only(cast, Review)
        assert (review.suspicious, review.diagnosis, review.recommendation) == saved
        with cast.in_north():
            assert not review.differs

    def test_the_buttons_form_saves_it(self, cast, screening):
        """As the browser sends it: every hidden field of the form, and nothing else."""
        import re

        finish(cast, screening, refer=False, band="low", probabilities=NEVUS)
        html = page(cast.rita, screening).content.decode()
        form = re.search(r'<form method="post" class="quick".*?</form>', html, re.S)[0]
        fields = dict(re.findall(r'name="(\w+)" value="([^"]*)"', form))
        post(cast.rita, "opinion_save", screening.pk, **fields)
        assert the_only(cast, Review).diagnosis == "nevus"

    def test_is_not_offered_where_one_key_is_too_few(self, cast, chart, screening, photograph_bytes):
        def offered(shot: Screening) -> bool:
            return 'data-key="a"' in page(cast.rita, shot).content.decode()

        assert not offered(screening), "not read yet"
        finish(cast, screening, refer=False, band="low", probabilities=MELANOMA)
        assert not offered(screening), "its diagnosis contradicts its decision"
        assert "the likeliest diagnosis is malignant: Melanoma." in page(cast.rita, screening).content.decode()
        benign = make_screening(cast.alice, make_chart(cast.alice), photograph_bytes)
        finish(cast, benign, refer=True, band="high", probabilities=NEVUS | {"bkl": 0.9})
        assert not offered(benign), "a suspicion of something benign is hers to say"
        told = page(cast.rita, benign).content.decode()
        assert "the likeliest diagnosis is benign: Seborrheic keratosis. So there is nothing to agree to" in told
        assert "nothing to agree to" not in page(cast.alice, benign).content.decode()
        cautioned = make_screening(cast.alice, make_chart(cast.alice), photograph_bytes, findings=("ulcerated",))
        finish(cast, cautioned, refer=False, band="low", probabilities=NEVUS, cautions=("ulcerated",))
        assert not offered(cautioned), "a low score is withheld there"
        plain = make_screening(cast.alice, make_chart(cast.alice), photograph_bytes)
        finish(cast, plain, refer=False, band="low", probabilities=NEVUS)
        assert offered(plain)
        post(cast.rita, "draft_keep", plain.pk, words="Regular net")
        assert not offered(plain), "she has begun another opinion"
        post(cast.rita, "draft_drop", plain.pk)
        give(cast, plain)
        assert not offered(plain), "she has judged it"
        with cast.ada.acting() as ada:
            suspend_readings(actor=ada, version=None, reason="Two melanomas read low")
        assert 'data-key="a"' not in page(cast.rolf, plain).content.decode(), "suspended"

    def test_after_a_blind_opinion_it_keeps_what_she_said(self, cast, screening):
        set_blind(cast, True)
        finish(cast, screening, refer=False, band="low", probabilities=MELANOMA)
        hidden = page(cast.rita, screening).content.decode()
        assert 'data-key="a"' not in hidden
        assert "nothing to agree to" not in hidden
        give(cast, screening, replace(BENIGN, diagnosis="lentigo", recommendation="follow_up", follow_up_months=3))
        assert "Keep: not suspicious, lentigo, follow up in 3 months" in page(cast.rita, screening).content.decode()

    def test_after_a_blind_opinion_that_differs_a_reason_is_needed(self, cast, screening):
        set_blind(cast, True)
        finish(cast, screening, refer=True, band="high", probabilities=MELANOMA)
        give(cast, screening)
        assert 'data-key="a"' not in page(cast.rita, screening).content.decode()

    def test_a_signed_one_is_not_agreed_with(self, cast, chart, screening):
        finish(cast, screening, refer=False, band="low", probabilities=NEVUS)
        give(cast, screening)
        sign(cast, chart.visit)
        with cast.rolf.acting() as rolf:
            shown = Screening.objects.with_everything().shown_to(rolf).get(pk=screening.pk)
            assert quick_opinion(shown, present(shown, cast.north), None) is None


@pytest.fixture
def three(cast: Cast, photograph_bytes: bytes) -> list[Chart]:
    """Three visits of one photograph each, the first one waiting for the longest."""
    charts = [make_chart(cast.alice, family_name=f"Patient{number}") for number in range(3)]
    for chart in charts:
        make_screening(cast.alice, chart, photograph_bytes)
    return charts


class TestNext:
    def opened(self, response) -> object:
        return response.context["screening"].visit_id if "screening" in response.context else None

    def test_it_works(self, cast, three):
        response = post(cast.rita, "visit_next")
        assert self.opened(response) == three[0].visit.pk
        assert the_only(cast, Visit, pk=three[0].visit.pk).taken_by_id == cast.rita.user.pk

    def test_goes_down_the_list_and_gives_back_what_was_skipped(self, cast, three):
        keys = [chart.visit.pk for chart in three]
        assert self.opened(post(cast.rita, "visit_next", after=keys[0])) == keys[1]
        assert self.opened(post(cast.rita, "visit_next", after=keys[1])) == keys[2]
        assert self.opened(post(cast.rita, "visit_next", after=keys[2])) == keys[0]
        assert the_only(cast, Visit, pk=three[2].visit.pk).taken_by_id is None

    def test_a_visit_that_she_has_begun_stays_hers(self, cast, three):
        give(cast, the_only(cast, Screening, visit=three[0].visit))
        post(cast.rita, "visit_next", after=three[0].visit.pk)
        assert the_only(cast, Visit, pk=three[0].visit.pk).taken_by_id == cast.rita.user.pk

    def test_passes_over_what_another_holds_and_what_she_has_judged(self, cast, three):
        with cast.rolf.acting() as rolf:
            take_visit(actor=rolf, visit=three[0].visit)
        give(cast, the_only(cast, Screening, visit=three[1].visit))
        assert self.opened(post(cast.rita, "visit_next")) == three[2].visit.pk

    def test_keeps_to_the_list_as_she_narrowed_it(self, cast, three):
        read_by_model(cast, the_only(cast, Screening, visit=three[2].visit), refer=True)
        client = cast.rita.client
        client.get(reverse("worklist"), {"reading": "high"})
        response = client.post(reverse("visit_next"), {"clinic": str(cast.north.pk)}, follow=True)
        assert self.opened(response) == three[2].visit.pk
        response = client.post(
            reverse("visit_next"), {"clinic": str(cast.north.pk), "after": three[2].visit.pk}, follow=True
        )
        assert "Nothing else on your list waits" in response.content.decode()

    def test_nothing_is_fetched_ahead_that_another_holds(self, cast, three):
        with cast.rolf.acting() as rolf:
            take_visit(actor=rolf, visit=three[1].visit)
        html = cast.rita.client.get(reverse("worklist_ahead"), {"after": str(three[0].visit.pk)}).content.decode()
        assert str(the_only(cast, Screening, visit=three[2].visit).image_id) in html

    def test_the_photographs_of_the_one_after_are_fetched_ahead_and_are_on_the_ledger(self, cast, three):
        client = cast.rita.client
        html = client.get(reverse("worklist_ahead"), {"after": str(three[0].visit.pk)}).content.decode()
        image = the_only(cast, Screening, visit=three[1].visit).image_id
        address = reverse("photograph", args=[image])
        assert html.count("<link") == 1
        assert address in html
        ahead = client.get(address, headers={"Sec-Purpose": "prefetch"})
        assert ahead["Cache-Control"] == "private, max-age=300"
        assert "no-store" in client.get(address)["Cache-Control"]
        details = [event.changes for event in rows(cast, AuditEvent, action="photograph_seen")]
        assert details == [{"ahead": True}, {}]


class TestDrafts:
    TYPED = {"suspicious": "yes", "diagnosis": "melanoma", "words": "Blue-white veil"}

    def test_it_works(self, cast, screening):
        told = post(cast.rita, "draft_keep", screening.pk, **self.TYPED).content.decode()
        assert "Draft kept at" in told
        shown = page(cast.rita, screening)
        html = shown.content.decode()
        assert "Blue-white veil" in html
        assert shown.context["form"]["suspicious"].value() == "yes"
        assert shown.context["form"]["diagnosis"].value() == "melanoma"
        post(cast.rita, "draft_keep", screening.pk, words="Blue-white veil, asymmetric")
        assert the_only(cast, Draft).fields == {"words": "Blue-white veil, asymmetric"}

    def test_nobody_else_sees_it(self, cast, screening):
        post(cast.rita, "draft_keep", screening.pk, **self.TYPED)
        for person in (cast.rolf, cast.alice, cast.ada, cast.otto):
            assert "Blue-white" not in page(person, screening).content.decode()
        assert post(cast.bob, "draft_keep", screening.pk, **self.TYPED).status_code == 404
        assert not rows(cast, AuditEvent, subject_type="screening_draft")

    def test_goes_with_the_opinion_or_when_it_is_emptied_or_discarded(self, cast, screening):
        post(cast.rita, "draft_keep", screening.pk, **self.TYPED)
        post(cast.rita, "draft_keep", screening.pk, words="")
        assert not rows(cast, Draft)
        post(cast.rita, "draft_keep", screening.pk, **self.TYPED)
        post(cast.rita, "draft_drop", screening.pk)
        assert not rows(cast, Draft)
        post(cast.rita, "draft_keep", screening.pk, **self.TYPED)
        opinion = self.TYPED | {"recommendation": "excise", "submission": uuid4()}
        post(cast.rita, "opinion_save", screening.pk, **opinion)
        assert the_only(cast, Review)
        assert not rows(cast, Draft)

    def test_last_keystrokes_that_come_after_the_opinion_do_not_come_back(self, cast, screening):
        opinion = self.TYPED | {"recommendation": "excise", "submission": str(uuid4())}
        post(cast.rita, "opinion_save", screening.pk, **opinion)
        post(cast.rita, "draft_keep", screening.pk, **opinion)
        assert "not saved yet" not in page(cast.rita, screening).content.decode()

    @pytest.mark.parametrize("typed", [{"words": "x" * 5000}, {"submission": "no number", "words": "x"}])
    def test_what_no_form_sends_is_cut(self, cast, screening, typed):
        assert post(cast.rita, "draft_keep", screening.pk, **typed).status_code == 200
        assert len(the_only(cast, Draft).fields["words"]) <= 2000
        assert page(cast.rita, screening).status_code == 200


class TestKeptLists:
    def keep(self, client, cast, name: str) -> str:
        data = {"clinic": str(cast.north.pk), "name": name}
        return client.post(reverse("filter_keep"), data, follow=True).content.decode()

    def test_it_works(self, cast, screening):
        client = cast.rita.client
        client.get(reverse("worklist"), {"reading": "high", "site": "back"})
        assert "High on the back" in self.keep(client, cast, "High on the back")
        assert the_only(cast, SavedFilter).query == "reading=high&site=back"
        client.get(reverse("worklist"), {"reading": "low"})
        self.keep(client, cast, "high on the BACK")
        assert the_only(cast, SavedFilter).query == "reading=low"
        assert "BACK" not in cast.rolf.client.get(reverse("worklist")).content.decode()

    def test_the_whole_list_is_not_kept(self, cast, screening):
        client = cast.rita.client
        client.get(reverse("worklist"))
        assert "Narrow the list first" in self.keep(client, cast, "All")
        assert not rows(cast, SavedFilter)

    def test_only_its_owner_drops_it(self, cast, screening):
        client = cast.rita.client
        client.get(reverse("worklist"), {"reading": "high"})
        self.keep(client, cast, "High")
        kept = the_only(cast, SavedFilter)
        assert post(cast.rolf, "filter_drop", kept.pk).status_code == 404
        post(cast.rita, "filter_drop", kept.pk)
        assert not rows(cast, SavedFilter)


def test_quick_words_name_no_reading_that_is_not_there(cast, screening):
    assert fresh(screening).prediction is None
    assert page(cast.rita, screening).context["quick_words"] == ""
