"""What a signed visit says on paper."""

from dataclasses import replace
from uuid import uuid4

import pytest
from django.urls import reverse

from conftest import Cast, Chart, Person, make_screening
from patients.models import Visit
from screening.models import Screening
from screening.presentation import shown_score
from screening.report import as_pdf, report_of
from screening.services.reviews import Opinion, shown_reading_id
from screening.services.signing import amend_review
from screening.tests.conftest import BENIGN, finish, fresh, give, read_by_model, rows, sign, the_only
from screening.tests.test_blind import TOLD, set_blind
from skinclinic.accounts.services import decide_reviewing
from skinclinic.audit.models import AuditEvent
from skinclinic.audit.record import record

MELANOMA = replace(BENIGN, suspicious=True, diagnosis="melanoma", recommendation="excise", words="Blue-white veil")


def fetch(person: Person, name: str, chart: Chart, **asked: str):
    return person.client.get(reverse(name, args=[chart.visit.pk]), asked)


def page(person: Person, chart: Chart, name: str = "visit_report", **asked: str) -> str:
    response = fetch(person, name, chart, **asked)
    assert response.status_code == 200, response.get("Location")
    return response.content.decode()


@pytest.fixture
def signed(cast: Cast, chart: Chart, screening) -> Chart:
    read_by_model(cast, screening, refer=True)
    give(cast, screening, MELANOMA)
    sign(cast, chart.visit)
    return chart


def test_it_works(cast, signed, screening):
    html = page(cast.alice, signed)
    conclusion = "<strong>Melanoma</strong>, suspicious. Excise, by "
    told = [conclusion, "Blue-white veil", "Signed by Rita Rowan", "Photograph of lesion", "Reading by the model: High"]
    places = [html.index(sentence) for sentence in told]
    assert places == sorted(places), "the doctor's conclusion first"
    for sentence in ("Winterbottom, Erna", "30 Apr 1961", "Weights", "Not a medical device", "data:image/svg+xml"):
        assert sentence in html
    event = the_only(cast, AuditEvent, action="report_seen")
    assert (event.actor, event.changes) == (str(cast.alice.user.pk), {"screenings": [str(screening.pk)]})


def test_the_pdf_tells_the_same(cast, signed):
    response = fetch(cast.alice, "visit_report_pdf", signed)
    pdf = b"".join(response)
    assert response["Content-Type"] == "application/pdf"
    assert pdf.startswith(b"%PDF-")
    assert pdf.count(b"/Subtype /Image") >= 2 or pdf.count(b"/Subtype/Image") >= 2, "photograph and overlay"
    assert "Winterbottom" not in response["Content-Disposition"]
    assert len(rows(cast, AuditEvent, action="report_seen")) == 1


@pytest.mark.parametrize(
    "hostile", ['#panic("x")', "*Erna*", "$1/0$", "\\", '"] #sys', "<b>Erna</b>", "Żółć Иван Ελένη"]
)
def test_what_people_typed_is_data_and_not_markup(cast, signed, hostile):
    with cast.in_north():
        visit = Visit.objects.get(pk=signed.visit.pk)
        cast.north.address = hostile
        report = report_of(visit=visit, screenings=[], overviews={}, clinic=cast.north, printed_by=hostile, numbers=[])
    assert report.letterhead == [hostile]
    for template in ("report.typ", "letter.typ"):
        assert as_pdf(replace(report, patient=hostile, question=hostile), template).startswith(b"%PDF-")


def test_what_is_not_signed_is_not_in_it(cast, chart, signed, photograph_bytes):
    late = make_screening(cast.alice, chart, photograph_bytes)
    give(cast, late)
    html = page(cast.alice, chart)
    assert "1 photograph of this visit is not signed yet" in html
    assert html.count('class="paper-lesion"') == 1
    assert fetch(cast.alice, "visit_report_pdf", chart).status_code == 200


def test_nothing_signed_gives_no_report(cast, chart, screening):
    give(cast, screening)
    for name in ("visit_report", "visit_report_pdf", "visit_letter", "visit_letter_pdf"):
        assert fetch(cast.alice, name, chart).url == reverse("visit", args=[chart.visit.pk])
    assert not rows(cast, AuditEvent, action="report_seen")


def test_without_a_reading_it_says_so(cast, chart, screening):
    give(cast, screening)
    sign(cast, chart.visit)
    html = page(cast.alice, chart)
    assert "Reading by the model: Waiting to be read" in html
    assert "Map of the score" not in html
    assert fetch(cast.alice, "visit_report_pdf", chart).status_code == 200


def test_a_reader_who_is_kept_from_the_reading_gets_no_report(cast, chart, signed, photograph_bytes):
    set_blind(cast, True)
    make_screening(cast.alice, chart, photograph_bytes)  # the same lesion is to be read again
    assert fetch(cast.rolf, "visit_report", chart).status_code == 302
    assert fetch(cast.rolf, "visit_report_pdf", chart).status_code == 302
    assert fetch(cast.alice, "visit_report", chart).status_code == 200


def test_another_clinic_sees_none(cast, signed):
    for name in ("visit_report", "visit_report_pdf", "visit_letter", "visit_letter_pdf"):
        assert fetch(cast.bob, name, signed).status_code == 404


def test_the_letter_is_in_plain_words_and_ends_with_the_clinics_own(cast, signed):
    advise(cast, "Call 555 at any time.\nWear a hat.")
    give_again(cast, signed)
    html = page(cast.alice, signed, "visit_letter")
    for sentence in (
        "finds this spot conspicuous.",
        "This spot should be removed",
        "<p>Call 555 at any time.</p>",
        "Wear a hat.",
    ):
        assert sentence in html
    assert "Melanoma" not in html, "what is only suspected is not named"
    assert "score" not in html.split('class="paper"')[1].split("</article>")[0]
    assert fetch(cast.alice, "visit_letter_pdf", signed).status_code == 200


def advise(cast: Cast, advice: str) -> None:
    with cast.ada.acting() as ada:
        decide_reviewing(actor=ada, letter_advice={"en": advice})


def give_again(cast: Cast, chart: Chart, **changes: object) -> None:
    """Amend the visit's one signed review."""
    with cast.rita.acting() as rita:
        screening = Screening.objects.shown_to(rita).get(visit=chart.visit)
        amend_review(
            actor=rita,
            screening=screening,
            submission=uuid4(),
            reading_shown=shown_reading_id(screening),
            opinion=replace(MELANOMA, **changes),
            amends=screening.signed_review_id,
        )


def test_letter_ends_as_letters_did_when_it_was_signed(cast, signed):
    advise(cast, "Call 555 at any time.")
    advise(cast, "Call 777 in the mornings.")
    html = page(cast.alice, signed, "visit_letter")
    assert "Look at your skin once a month." in html
    assert "Call " not in html
    give_again(cast, signed)
    advise(cast, "Write to us.")
    html = page(cast.alice, signed, "visit_letter")
    assert "Call 777 in the mornings." in html, "signed anew, by the amendment"
    assert "Write to us." not in html


def test_letter_ends_as_the_clinic_wrote_it_in_its_language(cast, signed):
    client, address = cast.ada.client, reverse("clinic_settings")
    form = {"clinic": str(cast.north.pk), "second_reading_percent": "0", "address": "Ring 1\r\n1010 Vienna"} | TOLD
    form |= {"letter_advice_en": "Call us.", "letter_advice_de": "Rufen Sie an.\r\nJederzeit.", "phone": "+43 1 555"}
    assert client.post(address, form).status_code == 302
    give_again(cast, signed)
    pages = {code: page(cast.alice, signed, "visit_letter", language=code) for code in ("en", "de")}
    assert "<p>Call us.</p>" in pages["en"]
    assert "<p>Rufen Sie an.</p><p>Jederzeit.</p>" in pages["de"]
    assert "North<br>Ring 1<br>1010 Vienna<br>Telephone +43 1 555" in pages["en"]
    assert "North, Ring 1, 1010 Vienna, Telephone +43 1 555" in page(cast.alice, signed)
    for name in ("visit_letter_pdf", "visit_report_pdf"):
        assert fetch(cast.alice, name, signed).status_code == 200
    client.post(address, form | {"letter_advice_de": ""})
    give_again(cast, signed, words="Again")
    assert "Rufen Sie an." not in page(cast.alice, signed, "visit_letter", language="de")
    assert "Look at your skin once a month." not in page(cast.alice, signed, "visit_letter", language="de")
    assert "<p>Call us.</p>" in page(cast.alice, signed, "visit_letter", language="en")
    history = client.get(reverse("clinic_history")).content.decode()
    assert "en: Call us." in history


def test_letter_that_was_signed_while_there_was_one_text_for_all_languages_keeps_it(cast, signed):
    with cast.in_north():
        kept = {"letter_advice": ["Call 555.", {"en": "Call 777."}]}
        record("update", subject_type="accounts_clinic", subject_id=cast.north.pk, detail=kept)
    advise(cast, "Call 777.")
    for code in ("en", "de"):
        assert "<p>Call 555.</p>" in page(cast.alice, signed, "visit_letter", language=code)


def test_letter_is_in_the_language_that_was_chosen_for_the_patient(cast, signed):
    address = reverse("visit_letter", args=[signed.visit.pk])
    html = cast.alice.client.get(address, {"language": "de"}).content.decode()
    paper = html[html.index('class="paper"') : html.index("</article>")]
    for said in ('lang="de"', "1: Rücken, links", "Sehen Sie sich Ihre Haut einmal", "geboren am 30. April 1961"):
        assert said in paper, said
    assert "Look at your skin" not in html
    assert '<html lang="en"' in html, "the portal stays in hers"
    pdf = f"{reverse('visit_letter', args=[signed.visit.pk])[:-1]}.pdf?language=de"
    assert pdf in html
    assert b"(de" in cast.alice.client.get(pdf).content
    for unknown in ("", "xx"):
        assert "Look at your skin once" in cast.alice.client.get(address, {"language": unknown}).content.decode()
    report = reverse("visit_report", args=[signed.visit.pk])
    assert "Skin lesion report" in cast.alice.client.get(report, {"language": "de"}).content.decode()


def test_letter_in_a_language_that_the_clinic_did_not_write_ends_with_the_portals_words(cast, chart, screening):
    advise(cast, "Call 555.")
    give(cast, screening)
    sign(cast, chart.visit)
    html = cast.alice.client.get(reverse("visit_letter", args=[chart.visit.pk]), {"language": "de"}).content.decode()
    assert "Call 555." not in html, "it is no German"
    assert "<p>Sehen Sie sich Ihre Haut einmal im Monat an." in html
    assert "ergibt nichts Verdächtiges: Melanozytärer Nävus" in html


REASSURED = "The doctor finds nothing suspicious"
RETAKE = replace(BENIGN, recommendation="retake")


def letter_of_two(cast: Cast, chart: Chart, first: Screening, second: Screening, *opinions: Opinion) -> str:
    """A letter about one lesion with two photographs; the second was not fit to be read."""
    read_by_model(cast, first, refer=False)
    finish(cast, second, unscorable_reasons=("blurred",), band=None)
    for screening, opinion in zip((first, second), opinions, strict=False):
        give(cast, screening, opinion)
    sign(cast, chart.visit)
    return page(cast.alice, chart, "visit_letter")


def test_photograph_that_shows_too_little_reassures_nobody(cast, chart, screening, photograph_bytes):
    other = make_screening(cast.alice, chart, photograph_bytes)
    html = letter_of_two(cast, chart, screening, other, BENIGN, RETAKE)
    assert REASSURED not in html
    assert "On one photograph of this spot the doctor finds nothing suspicious: melanocytic nevus." in html
    assert "Another one did not show enough to be judged." in html
    assert "Nothing needs to be done" not in html


def test_photograph_that_no_doctor_has_judged_reassures_nobody(cast, chart, screening, photograph_bytes):
    read_by_model(cast, screening, refer=False)
    give(cast, screening)
    sign(cast, chart.visit)
    late = make_screening(cast.alice, chart, photograph_bytes)
    finish(cast, late, unscorable_reasons=("blurred",), band=None)
    html = page(cast.alice, chart, "visit_letter")
    assert REASSURED not in html
    assert "Another one has not been judged by a doctor yet." in html
    assert "1 photograph of that day has not been judged by a doctor yet." in html
    assert "What happens next depends on the other photograph." in html
    assert "Nothing needs to be done" not in html
    assert fetch(cast.alice, "visit_letter_pdf", chart).status_code == 200


def test_unfit_photograph_that_a_doctor_could_judge_is_judged(cast, chart, screening, photograph_bytes):
    other = make_screening(cast.alice, chart, photograph_bytes)
    html = letter_of_two(cast, chart, screening, other, BENIGN, BENIGN)
    assert html.count(REASSURED) == 1, "of one spot, once"


class TestUnreviewedReadings:
    """What a clinician sees of a reading before a reviewer has signed it."""

    def seen(self, person: Person, screening) -> str:
        return person.client.get(reverse("screening", args=[screening.pk])).content.decode()

    def decide(self, cast: Cast, policy: str) -> None:
        with cast.ada.acting() as ada:
            decide_reviewing(actor=ada, unreviewed_readings=policy)

    @pytest.mark.parametrize(
        ("policy", "refer", "is_shown"),
        [
            ("always", False, True),
            ("not_low", False, False),
            ("not_low", True, True),
            ("never", True, False),
            ("never", False, False),
        ],
    )
    def test_policy(self, cast, screening, policy, refer, is_shown):
        self.decide(cast, policy)
        read_by_model(cast, screening, refer=refer)
        html = self.seen(cast.alice, screening)
        assert ("Seven diagnoses" in html) is is_shown
        assert ("Not yet reviewed" in html) is is_shown
        assert ("Waits for a reviewer" in html) is not is_shown
        map_ = cast.alice.client.get(reverse("activation_map", args=[screening.pk]))
        assert map_.status_code == (200 if is_shown else 404)
        for other in (cast.rita, cast.ada, cast.otto):
            assert "Seven diagnoses" in self.seen(other, screening)

    def test_low_is_kept_back_unless_the_clinic_says_otherwise(self, cast, screening):
        read_by_model(cast, screening, refer=False)
        assert "Waits for a reviewer" in self.seen(cast.alice, screening)

    def test_once_signed_it_is_shown(self, cast, chart, screening):
        self.decide(cast, "never")
        read_by_model(cast, screening, refer=False)
        give(cast, screening)
        assert "Waits for a reviewer" in self.seen(cast.alice, screening)
        sign(cast, chart.visit)
        html = self.seen(cast.alice, screening)
        assert "Seven diagnoses" in html
        assert "Not yet reviewed" not in html

    def test_no_page_of_hers_tells_a_hidden_reading(self, cast, chart, screening):
        self.decide(cast, "never")
        read_by_model(cast, screening, refer=True)
        score = f">{shown_score(fresh(screening).prediction.malignancy)}<"
        assert score in self.seen(cast.ada, screening)
        alice = cast.alice.client
        pages = [
            reverse("today"),
            reverse("visit", args=[chart.visit.pk]),
            reverse("visit_live", args=[chart.visit.pk]),
            reverse("screening_live", args=[screening.pk]),
            reverse("patient_chart", args=[chart.patient.pk]),
            reverse("lesion", args=[chart.lesion.pk]),
            reverse("screening_history", args=[screening.pk]),
            reverse("patient_history", args=[chart.patient.pk]),
        ]
        for address in pages:
            html = alice.get(address).content.decode()
            assert "chip-high" not in html, address
            assert score not in html, address

    def test_a_photograph_that_cannot_be_read_is_told_at_once(self, cast, screening):
        self.decide(cast, "never")
        finish(cast, screening, unscorable_reasons=("blurred",), band=None)
        assert "Not fit to be read" in self.seen(cast.alice, screening)


def test_a_letter_speaks_of_each_spot_once(cast, chart, screening, random_photograph):
    """Two photographs of one lesion, the first of which shows too little; the report has both."""
    later = make_screening(cast.alice, chart, random_photograph())
    for each, opinion in ((screening, replace(BENIGN, recommendation="retake")), (later, BENIGN)):
        read_by_model(cast, each, refer=False)
        give(cast, each, opinion)
    sign(cast, chart.visit)
    letter = cast.alice.client.get(reverse("visit_letter", args=[chart.visit.pk])).content.decode()
    assert letter.count("<strong>1: Back, left</strong>") == 1
    assert "finds nothing suspicious" in letter
    assert "Another one did not show enough to be judged." in letter
    report = cast.alice.client.get(reverse("visit_report", args=[chart.visit.pk])).content.decode()
    assert report.count("Lesion 1: Back, left") == 2
    assert "Uploaded " in report, "no camera told when it was taken"
