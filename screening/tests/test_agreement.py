"""Agreement: the figures are those of the rows, reckoned again in plain Python, and are kept with their age."""

import json
import random
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import numpy as np
import pytest
from django.urls import reverse
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from conftest import Cast, make_chart, make_screening, with_another_lesion
from screening.codes import Panel
from screening.dashboard.agreement import CUTS, agreement
from screening.dashboard.agreement_page import rows_of
from screening.dashboard.intervals import Patients, kappa, positive_agreement, share_of, wilson
from screening.dashboard.opinions import CLASS_OF, Given, SaidOf, age_band, said_of_readings
from screening.models import CountedPanel, Review, Screening
from screening.services.figures import count_panel, is_due, sweep_figures
from screening.services.reviews import Opinion
from screening.tests.conftest import BENIGN, finish, give, rows, sign, the_only
from skinclinic.accounts.services import decide_reviewing

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
MELANOMA = Opinion(suspicious=True, diagnosis="melanoma", recommendation="excise")
SAID = SaidOf(
    screening=UUID(int=1),
    patient=0,
    reviewer=UUID(int=1),
    given=Given.BLIND,
    at=NOW,
    version="1",
    reading_refers=True,
    reading_class="mel",
    cautioned=False,
    suspicious=True,
    doctors_class="mel",
    differs=False,
    difference_reason="",
    switched=False,
    given_before=None,
    site="back",
    sex="female",
    skin_type=2,
    age=50,
)
tables = st.lists(st.lists(st.integers(0, 4), min_size=4, max_size=4), min_size=1, max_size=30)


def history(seed: int) -> list[SaidOf]:
    draw = random.Random(seed)
    said = []
    for number in range(draw.randrange(60, 160)):
        refers, agrees = draw.random() < 0.3, draw.random() < 0.8
        shown = draw.random() < 0.6
        suspicious = refers if agrees else not refers
        said.append(
            replace(
                SAID,
                screening=UUID(int=number),
                patient=draw.randrange(40),
                reviewer=UUID(int=draw.randrange(1, 4)),
                given=Given.SHOWN if shown else Given.BLIND,
                at=NOW - timedelta(days=draw.randrange(500)),
                reading_refers=refers,
                reading_class=draw.choice(["mel", "nv", "bkl"]),
                suspicious=suspicious,
                doctors_class=draw.choice(["mel", "nv", None]),
                differs=shown and not agrees,
                difference_reason=draw.choice(["history", "artefact"]) if shown and not agrees else "",
                switched=shown and draw.random() < 0.2,
                given_before=draw.choice([True, False]) if shown and draw.random() < 0.5 else None,
                site=draw.choice(["back", "face"]),
                skin_type=draw.choice([1, 2, None]),
                age=draw.randrange(90),
            )
        )
    return said


def plainly(said: list[SaidOf]) -> dict[str, object]:
    """The figures of a two-by-two table, as a textbook has them."""
    cells = Counter((each.reading_refers, each.suspicious) for each in said)
    a, b, c, d = (cells[key] for key in ((True, True), (True, False), (False, True), (False, False)))
    n = a + b + c + d
    by_chance = ((a + b) * (a + c) + (c + d) * (b + d)) / n**2
    return {
        "cells": [a, b, c, d],
        "positive": 2 * a / (2 * a + b + c) if a + b + c else None,
        "negative": 2 * d / (2 * d + b + c) if b + c + d else None,
        "kappa": ((a + d) / n - by_chance) / (1 - by_chance) if by_chance != 1 else None,
        "patients": len({each.patient for each in said}),
    }


@pytest.mark.parametrize("seed", range(5))
def test_figures_are_those_of_plain_python(seed):
    said = history(seed)
    found = agreement(said, NOW)
    for period, since in (("year", NOW - timedelta(days=365)), ("all", datetime.min.replace(tzinfo=UTC))):
        for way in Given:
            part = [each for each in said if each.given == way and each.at >= since]
            figures = found[period][way]
            assert_same(figures["all"], plainly(part))
            for name, key in CUTS.items():
                for value, row in figures["cuts"][name].items():
                    assert_same(row, plainly([each for each in part if key(each) == value]))
                assert sum(row["opinions"] for row in figures["cuts"][name].values()) == len(part)
            same = sum(each.reading_class == each.doctors_class for each in part)
            assert figures["diagnoses"]["same"]["value"] == pytest.approx(same / len(part))
            reasons = Counter(each.difference_reason for each in part if each.differs)
            assert figures["overrides"]["reasons"] == dict(reasons)
            before = [each for each in part if each.given_before is not None]
            assert figures["switches"]["of"] == len(before)
            assert figures["switches"]["switched"] == sum(each.switched for each in before)
            turned = [each for each in before if each.given_before != each.suspicious]
            toward = [each for each in turned if each.suspicious == each.reading_refers]
            assert figures["switches"]["decision_toward"] == len(toward)
            assert figures["switches"]["decision_away"] == len(turned) - len(toward)


def assert_same(figures: dict, wanted: dict) -> None:
    assert figures["cells"] == wanted["cells"]
    assert figures["patients"] == wanted["patients"]
    for name in ("positive", "negative", "kappa"):
        value = figures[name]["value"]
        assert value == (pytest.approx(wanted[name]) if wanted[name] is not None else None), name


@given(tables)
def test_an_interval_holds_its_figure(counts):
    patients = Patients(np.array(counts))
    for estimate in (
        patients.share(positive_agreement, 0, 1, 2),
        patients.share(share_of(0, 1)),
        patients.estimate(kappa),
    ):
        if np.isfinite(estimate.low):
            assert -1 - 1e-9 <= estimate.low <= estimate.high <= 1 + 1e-9
    share = patients.share(share_of(0, 1))
    if np.isfinite(share.value):
        assert 0 <= share.low <= share.value <= share.high <= 1


@given(tables)
def test_the_order_of_patients_does_not_matter(counts):
    one, other = Patients(np.array(counts)), Patients(np.array(counts[::-1]))
    assert one.estimate(kappa) == pytest.approx(other.estimate(kappa), nan_ok=True) or np.isnan(
        one.estimate(kappa).value
    )


def test_patients_who_are_alike_widen_the_interval():
    """Forty opinions of four patients say less than forty of forty."""
    few = Patients(np.array([[10, 0, 0, 0], [0, 0, 10, 0], [0, 0, 0, 10], [10, 0, 0, 0]]))
    many = Patients(np.array([[1, 0, 0, 0]] * 20 + [[0, 0, 1, 0]] * 10 + [[0, 0, 0, 1]] * 10))
    width = {
        name: one.high - one.low for name, one in (("few", few.share(share_of(0))), ("many", many.share(share_of(0))))
    }
    assert width["few"] > 1.5 * width["many"]


def test_an_interval_covers_what_it_should():
    """Of 300 clinics of 80 patients with photographs that are alike, 95 of 100 intervals hold the share."""
    rng, truth, held = np.random.default_rng(3), 0.3, 0
    for _ in range(300):
        own = rng.beta(3, 7, size=80)
        sizes = rng.integers(1, 5, size=80)
        hits = rng.binomial(sizes, own)
        estimate = Patients(np.stack([hits, sizes - hits], axis=1)).share(share_of(0))
        held += estimate.low <= truth <= estimate.high
    assert 0.92 <= held / 300 <= 0.99


def test_where_nobody_differs_the_interval_still_says_how_few_they_are():
    never = Patients(np.array([[0, 1]] * 10)).share(share_of(0))
    assert (never.value, never.low) == (0, 0)
    assert never.high == pytest.approx(wilson(0, 10)[1])
    assert np.isnan(Patients(np.zeros((0, 4), dtype=int)).share(share_of(0)).value)
    assert np.isnan(Patients(np.array([[0, 0, 0, 9]])).estimate(kappa).value)


def test_wilson_is_the_textbooks():
    assert wilson(0.5, 10) == pytest.approx((0.2366, 0.7634), abs=1e-4)
    assert wilson(0, 10) == pytest.approx((0, 0.2775), abs=1e-4)


def test_each_diagnosis_of_doctors_has_its_class_or_none():
    from screening.codes import MALIGNANT_DIAGNOSES, Diagnosis

    assert set(CLASS_OF) == set(Diagnosis)
    for diagnosis, name in CLASS_OF.items():
        if name is not None:
            assert (name in {"mel", "bcc", "akiec"}) == (diagnosis in MALIGNANT_DIAGNOSES), diagnosis


@given(st.integers(0, 129))
def test_every_age_has_its_band(age):
    low, _, high = age_band(age).partition("-")
    assert int(low.rstrip("+")) <= age
    assert not high or age <= int(high)


def said(cast: Cast) -> list[SaidOf]:
    with cast.in_north() as actor:
        return said_of_readings(actor)


def judge_blind(cast: Cast, on: bool = True) -> None:
    with cast.ada.acting() as ada:
        decide_reviewing(actor=ada, blind_first_reading=on)


def test_blind_and_shown_opinions_are_told_apart(cast, chart, screening):
    judge_blind(cast)
    finish(cast, screening, refer=True, band="high")
    give(cast, screening)  # blind: not suspicious
    give(cast, screening, replace(MELANOMA))  # after the reveal
    blind, shown = sorted(said(cast), key=lambda each: each.given)
    assert (blind.given, blind.suspicious, blind.reading_refers, blind.switched) == (Given.BLIND, False, True, False)
    assert (shown.given, shown.suspicious, shown.given_before, shown.switched) == (Given.SHOWN, True, False, True)
    assert (shown.reading_refers, shown.differs, shown.doctors_class, shown.site) == (True, False, "mel", "back")
    assert (shown.age, shown.sex, shown.skin_type) == (65, "female", 2)


def test_the_last_word_with_the_reading_counts_and_a_difference_with_its_reason(cast, chart, screening):
    finish(cast, screening, refer=True, band="high")
    give(cast, screening, MELANOMA)
    give(cast, screening, replace(BENIGN, difference_reason="known_lesion"))
    (only,) = said(cast)
    assert (only.suspicious, only.differs, only.difference_reason, only.given_before) == (
        False, True, "known_lesion", None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("reading", "reason"),
    [
        ({"band": None, "unscorable_reasons": ("blurred",)}, "unfit"),
        (None, "never read"),
    ],
)
def test_what_is_beside_no_reading_does_not_count(cast, chart, screening, reading, reason):
    if reading:
        finish(cast, screening, **reading)
    give(cast, screening)
    if reading is None:
        finish(cast, screening, refer=True, band="high")
    assert said(cast) == [], reason


def test_withdrawn_photographs_and_amendments_do_not_count(cast, chart, screening, random_photograph):
    other = make_screening(cast.alice, chart, random_photograph())
    for each in (screening, other):
        finish(cast, each, refer=False, band="low")
        give(cast, each)
    with cast.in_north():
        Screening.objects.filter(pk=other.pk).update(withdrawn_at=timezone.now(), withdrawn_reason="other")
    sign(cast, chart.visit)
    (signed,) = rows(cast, Review, screening=screening)
    with cast.in_north():
        Review.objects.create(
            clinic=cast.north, patient=chart.patient, screening=screening, reviewer=cast.rolf.user, kind="amendment",
            suspicious=True, diagnosis="melanoma", recommendation="excise", supersedes=signed, submission=uuid4(),
            reading_shown=signed.reading_shown,
        )  # fmt: skip
    (only,) = said(cast)
    assert (only.screening, only.suspicious) == (screening.pk, False)


def test_the_same_file_sent_again_for_a_lesion_counts_once(cast, chart, screening, photograph_bytes):
    again = make_screening(cast.alice, chart, photograph_bytes)
    elsewhere = make_screening(cast.alice, with_another_lesion(cast.alice, chart), photograph_bytes)
    for each in (screening, again):
        finish(cast, each, refer=False, band="low", cautions=())
    give(cast, screening)
    give(cast, again, replace(MELANOMA, difference_reason="history"))
    (only,) = said(cast)
    assert (only.given, only.suspicious) == (Given.SHOWN, True), "her last word on the picture"
    finish(cast, elsewhere, refer=False, band="low", cautions=())
    give(cast, elsewhere)
    assert len(said(cast)) == 2, "on another lesion it is another photograph"


def test_merged_patients_are_one(cast, chart, screening, random_photograph):
    from patients.services import merge_patients

    another = make_chart(cast.alice, given_name="Ernestine")
    other = make_screening(cast.alice, another, random_photograph())
    for each in (screening, other):
        finish(cast, each, refer=False, band="low")
        give(cast, each)
    assert len({each.patient for each in said(cast)}) == 2
    with cast.ada.acting():
        merge_patients(duplicate=another.patient, into=chart.patient)
    assert len({each.patient for each in said(cast)}) == 1


def counted(cast: Cast) -> CountedPanel:
    with cast.in_north() as actor:
        return count_panel(actor, Panel.AGREEMENT)


def many(cast, chart, screening, random_photograph) -> None:
    finish(cast, screening, refer=True, band="high")
    give(cast, screening, MELANOMA)
    for _ in range(5):
        each = make_screening(cast.alice, chart, random_photograph())
        finish(cast, each, refer=False, band="low")
        give(cast, each)
    other = make_screening(cast.alice, make_chart(cast.alice, given_name="Another"), random_photograph())
    finish(cast, other, refer=True, band="high")
    give(cast, other, MELANOMA, by=cast.rolf)


def test_the_page_shows_counts_and_hides_what_is_rare(cast, chart, screening, random_photograph):
    many(cast, chart, screening, random_photograph)
    page = cast.ada.client.get(reverse("agreement")).content.decode()
    assert "Not counted yet" in page
    counted(cast)
    page = cast.ada.client.get(reverse("agreement")).content.decode()
    assert "7 opinions on photographs of 2 patients" in page
    assert "fewer than 5 opinions" in page  # Rolf's
    assert "Rita Rowan" in page
    assert "Winterbottom" not in page
    assert "&lt;5</td>" in page


def test_a_reviewer_sees_her_own_row(cast, chart, screening, random_photograph):
    many(cast, chart, screening, random_photograph)
    counted(cast)
    page = cast.rita.client.get(reverse("agreement")).content.decode()
    assert "Your opinions" in page
    assert "Rolf" not in page
    assert "opinions on photographs" not in page
    assert cast.alice.client.get(reverse("agreement")).status_code == 403
    assert "Not counted yet" in cast.bob.client.get(reverse("agreement")).content.decode()


def test_figures_are_counted_again_when_something_happened(cast, chart, screening, monkeypatch):
    sweep_figures()
    first = the_only(cast, CountedPanel, panel=Panel.AGREEMENT)
    with cast.in_north() as actor:
        assert not is_due(actor, Panel.AGREEMENT)
        finish(cast, screening, refer=True, band="high")
        assert not is_due(actor, Panel.AGREEMENT)
        CountedPanel.objects.update(counted_at=timezone.now() - timedelta(seconds=61))
        assert is_due(actor, Panel.AGREEMENT)
        CountedPanel.objects.update(seconds=10)
        assert not is_due(actor, Panel.AGREEMENT)
        CountedPanel.objects.update(seconds=0.1)
    sweep_figures()
    second = the_only(cast, CountedPanel, panel=Panel.AGREEMENT)
    assert (first.pk, first.counted_at < second.counted_at) == (second.pk, True)
    with cast.in_north() as actor:
        CountedPanel.objects.update(counted_at=timezone.now() - timedelta(seconds=61))
        assert not is_due(actor, Panel.AGREEMENT)  # nothing has happened
        CountedPanel.objects.update(counted_at=timezone.now() - timedelta(minutes=16))
        assert is_due(actor, Panel.AGREEMENT)


def test_parts_stand_in_their_order():
    said = [replace(SAID, age=age, skin_type=skin, screening=UUID(int=number)) for number, (age, skin) in enumerate(
        [(85, None)] * 6 + [(50, 3)] * 7 + [(20, 1)] * 8 + [(5, 2)] * 2
    )]  # fmt: skip
    figures = json.loads(json.dumps(agreement(said, NOW)["all"]["blind"], sort_keys=True))  # as the database orders it
    shown = {name: [row.name for row in rows_of(name, figures["cuts"][name], {})] for name in ("age", "skin_type")}
    assert shown["age"] == ["18-39", "40-59", "80+", "0-17"], "what is hidden comes last"
    assert [name[:3] for name in shown["skin_type"]] == ["I: ", "III", "Not", "II:"]
