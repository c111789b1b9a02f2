"""What people see in German: letters, figures, days, and what they wrote themselves."""

import re
from html import unescape

import pytest
from django.core import mail
from django.test import Client
from django.urls import reverse
from django.utils import translation

from conftest import make_screening
from ml.cautions import HAM10000_RULES
from patients.models import Visit
from patients.querysets import as_date
from screening.models import HeldSignature
from screening.presentation import shown_score
from screening.services.holding import sweep_signatures
from screening.services.notices import sweep_notices
from screening.tests.conftest import finish, give, read_by_model, sign
from screening.tests.test_languages import LATER, MELANOMA, OPEN, bracketed, busy, german, unmarked
from skinclinic.accounts.models import ASSUMED, Clinic, User

__all__ = ["bracketed", "busy"]  # fixtures


def settings_form(client: Client) -> dict[str, str]:
    """As her browser would send the clinic's settings back, with the line ends of one."""
    page = client.get(reverse("clinic_settings")).content.decode()
    advice = dict(re.findall(r'<textarea name="(letter_advice_\w+)"[^>]*>\s*(.*?)</textarea>', page, re.DOTALL))
    hours = dict(re.findall(r'name="(due_hours_\w+|second_reading_percent)" value="(\d+)"', page))
    advice = {name: unescape(text).replace("\n", "\r\n") for name, text in advice.items()}
    return hours | {"unreviewed_readings": "not_low"} | advice


def test_text_that_nobody_wrote_stays_nobodys_when_the_settings_are_saved(cast):
    ada = german(cast, "ada")
    form = settings_form(ada) | {"clinic": str(cast.north.pk)}
    assert form["letter_advice_de"].startswith("Sehen Sie sich Ihre Haut einmal im Monat an.")
    assert form["letter_advice_en"].startswith("Look at your skin once a month.")
    assert ada.post(reverse("clinic_settings"), form).status_code == 302
    assert Clinic.objects.get(pk=cast.north.pk).letter_advice == {}
    ada.post(reverse("clinic_settings"), form | {"letter_advice_de": "Rufen Sie an.\r\nJederzeit."})
    assert Clinic.objects.get(pk=cast.north.pk).letter_advice == {"de": "Rufen Sie an.\nJederzeit."}


def test_source_that_nobody_wrote_is_told_in_the_readers_language(cast):
    assert ": bei der Eröffnung der Klinik angenommen, " in german(cast, "ada").get("/models/").content.decode()
    assert f": {ASSUMED}, " in cast.otto.client.get("/models/").content.decode()
    form = {"per_thousand": "25", "source": "bei der Eröffnung der Klinik angenommen", "on": "2026-01-31"}
    german(cast, "ada").post(reverse("expected_share"), form | {"clinic": str(cast.north.pk)})
    assert Clinic.objects.get(pk=cast.north.pk).expected_malignant_source == ASSUMED


def test_ledger_is_called_so_in_german_and_the_course_of_a_lesion_is_its_own(cast, chart):
    page = german(cast, "otto").get(reverse("patient_history", args=[chart.patient.pk])).content.decode()
    assert "<h1>Protokoll</h1>" in page
    assert "Verlauf" not in page


@pytest.mark.parametrize("form", ["report", "letter"])
def test_pdf_is_made_in_german(cast, chart, screening, form):
    read_by_model(cast, screening, refer=False)
    give(cast, screening, LATER)
    sign(cast, chart.visit)
    made = german(cast, "alice").get(reverse(f"visit_{form}_pdf", args=[chart.visit.pk]))
    assert (made.status_code, made["Content-Language"]) == (200, "de")
    assert b"(de" in made.content, "the language that a screen reader takes"


def test_result_is_told_in_german(cast, chart, screening):
    finish(cast, screening, refer=True, band="high", malignancy=0.8125)
    assert re.search(r"</svg>High <", cast.ada.client.get(reverse("worklist")).content.decode())
    assert re.search(r"</svg>Hoch <", german(cast, "rita").get(reverse("worklist")).content.decode())
    page = german(cast, "rita").get(reverse("screening", args=[screening.pk])).content.decode()
    for said in (
        '<html lang="de"',
        "Hoher Score",
        "Aktinische Keratose oder intraepitheliales Karzinom",
        "geboren am 30. April 1961",
        "für sich allein nie eine Diagnose",
        "1: Rücken, links",
        "Ihre Einschätzung",
        '<span class="figure">0,81</span>',
    ):
        assert said in page, said
    assert re.search(r'<meter min="0" max="100" value="\d+\.\d" ', page), "figures for programs keep their point"
    assert re.search(r'<span class="bar-figure">\d+,\d %</span>', page)


def test_drawings_keep_their_points_in_german(cast, chart, screening, random_photograph):
    second = make_screening(cast.alice, chart, random_photograph())
    for shot in (screening, second):
        read_by_model(cast, shot, refer=True)
    rita = german(cast, "rita")
    drawn = rita.get(reverse("lesion", args=[chart.lesion.pk])).content.decode()
    chart_of_scores = drawn[drawn.index('<svg class="score-chart"') : drawn.index("</svg>", drawn.index("score-chart"))]
    figures = re.findall(r' (?:[xy][12]?|c[xy]|r)="([^"]*)"', chart_of_scores)
    assert len(figures) > 20
    assert all(re.fullmatch(r"\d+(\.\d+)?", figure) for figure in figures), figures
    assert re.search(r'points="(\d+(\.\d+)?,\d+(\.\d+)? )+"', chart_of_scores)
    assert ">0,25<" in chart_of_scores
    body = rita.get(reverse("patient_chart", args=[chart.patient.pk])).content.decode()
    assert re.search(r'transform="translate\(\d+\.\d \d+\.\d\)"', body)


def test_history_writes_times_in_the_clinics_zone(cast, chart):
    Clinic.objects.filter(pk=cast.north.pk).update(time_zone="Asia/Tokyo")
    with cast.in_north():
        Visit.objects.filter(pk=chart.visit.pk).update(due_at="2026-12-01T20:30:00Z")
    address = reverse("patient_history", args=[chart.patient.pk])
    assert "2 Dec 2026, 05:30" in cast.otto.client.get(address).content.decode()
    told = german(cast, "otto").get(address).content.decode()
    for said in ("2. Dez. 2026, 05:30", "entschieden am: 22. Nov. 2026"):
        assert said in told, said


def test_history_is_told_in_german_and_kept_in_english(cast, chart, screening):
    read_by_model(cast, screening, refer=True)
    give(cast, screening, MELANOMA)
    withdrawn = {"clinic": str(cast.north.pk), "reason": "wrong_patient"}
    cast.alice.client.post(reverse("screening_withdraw", args=[screening.pk]), withdrawn)
    address = reverse("screening_history", args=[screening.pk])
    told = german(cast, "otto").get(address).content.decode()
    for said in ("Auswertung: abgeschlossen", "Beurteilung hinzugefügt", "Empfehlung: Exzision", "(Falsche Person)"):
        assert said in told, said
    kept = cast.ada.client.get(address).content.decode()
    for said in ("Reading: read", "Review added", "recommendation: excise", "(wrong_patient)"):
        assert said in kept, said


def test_score_and_day_are_written_as_each_language_does(cast, chart):
    visit = reverse("visit", args=[chart.visit.pk])
    assert re.search(r"visit of|Visit", cast.alice.client.get(visit).content.decode())
    with translation.override("de"):
        assert [shown_score(score) for score in (0.001, 0.31, 0.999)] == ["unter 0,01", "0,31", "über 0,99"]
        assert [as_date(text) for text in ("30. April 1961", "30. Apr 1961", "30.4.1961", "31. Feb. 1961")][:3] == [
            as_date("1961-04-30")
        ] * 3
        assert as_date("31. Feb. 1961") is None
        assert as_date("4. März 1961") == as_date("1961-03-04")


@pytest.mark.parametrize("words", ["30. April 1961", "30 Apr 1961", "30.4.1961"])
def test_search_finds_a_birth_date_as_german_pages_show_it(cast, chart, words):
    found = german(cast, "alice").post(reverse("patients"), {"words": words, "clinic": str(cast.north.pk)})
    assert str(chart.patient.pk) in found.content.decode()


def test_caution_of_a_later_model_is_shown_as_it_says_it(cast, chart, screening):
    """Only what is known letter for letter is translated."""
    from dataclasses import replace

    from screening.words import caution_sentence

    with translation.override("de"):
        assert caution_sentence(HAM10000_RULES[0]).startswith("Die Person ist unter 18")
        assert caution_sentence(replace(HAM10000_RULES[0], sentence="Never seen.")) == "Never seen."


def test_refusal_that_the_sweep_keeps_is_in_the_reviewers_words(cast, chart, screening):
    give(cast, screening)
    User.objects.filter(pk=cast.rita.user.pk).update(language="de", is_active=False)
    with cast.in_north():
        held = HeldSignature.objects.create(
            clinic=cast.north, patient=chart.patient, visit=chart.visit, reviewer=cast.rita.user, opinions=[],
            due_at="2020-01-01T00:00Z",
        )  # fmt: skip
    sweep_signatures()
    with cast.in_north():
        held.refresh_from_db()
    assert held.refusal == "Die beurteilende Person ist hier nicht mehr tätig."


def test_mail_about_notices_is_in_the_language_of_whom_it_is_for(cast, chart, screening, settings, bracketed):
    settings.NOTICE_MAIL_AFTER = 0
    User.objects.filter(pk=cast.rita.user.pk).update(language="de")
    read_by_model(cast, screening, refer=True)
    sweep_notices()
    german_one, *others = sorted(mail.outbox, key=lambda each: OPEN not in each.subject)
    assert german_one.to == [cast.rita.user.email]
    assert "Guten Tag Rita" in german_one.body
    assert list(unmarked(f"{german_one.subject} {german_one.body}")) == []
    assert {each.subject for each in others} == {"skinclinic: something waits for you"}
