"""Two models on the same lesions: statistics against plain Python, and nothing told before a review is signed."""

import math
import random
from datetime import UTC, datetime, timedelta
from itertools import product
from uuid import UUID

import numpy as np
import pytest
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st

from conftest import Cast, Chart, make_screening
from screening.codes import Panel
from screening.dashboard.beside import Pair, Said, pairs_of, side_by_side
from screening.dashboard.beside_page import beside_pages
from screening.dashboard.paired import compare_areas, mcnemar
from screening.dashboard.truth import PATHOLOGY, Known
from screening.models import ModelVersion, Prediction, ReadingPolicy, Screening
from screening.services.figures import count_panel
from screening.tests.conftest import finish, give, sign

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
DAY = timedelta(days=1)
BAND_OF = ((0.1, "low"), (0.5, "intermediate"), (1.1, "high"))


@given(st.integers(0, 30), st.integers(0, 30))
def test_single_lesions_have_the_p_of_a_fair_coin(first, second):
    found = mcnemar([1] * first + [0] * second, [0] * first + [1] * second)
    number, fewer = first + second, min(first, second)
    tail = sum(math.comb(number, k) for k in range(fewer + 1)) / 2**number
    assert found == pytest.approx(min(1.0, 2 * tail))


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=9))
def test_lesions_of_a_patient_change_sides_together(patients):
    first, second = zip(*patients, strict=True)
    differences = [b - a for a, b in patients]
    sums = [
        abs(sum(s * d for s, d in zip(signs, differences, strict=True)))
        for signs in product((1, -1), repeat=len(patients))
    ]
    expected = sum(each >= abs(sum(differences)) for each in sums) / len(sums)
    assert mcnemar(first, second) == pytest.approx(expected)


def test_nothing_differs_by_chance_alone():
    assert mcnemar([], []) == 1
    assert mcnemar([0, 0], [0, 0]) == 1
    assert mcnemar([0] * 12, [1] * 12) == pytest.approx(2 / 2**12)


def scores(seed: int, number: int, shift: float) -> np.ndarray:
    rng = np.random.default_rng(seed)
    shared = rng.normal(shift, 1, number)
    return np.round(np.stack([shared + rng.normal(0, 0.7, number) for _ in range(2)], axis=1), 1)  # with ties


@pytest.mark.parametrize("seed", range(5))
def test_areas_and_their_difference_are_delongs(seed):
    """Reckoned as DeLong, DeLong and Clarke-Pearson write it, pair by pair."""
    ill, well = scores(seed, 23, 1.0), scores(seed + 50, 31, 0.0)
    found = compare_areas(ill, well, np.arange(23), np.arange(100, 131))

    def kernel(x, y):
        return 1.0 if x > y else 0.5 if x == y else 0.0

    of_ill = [[sum(kernel(x, y) for y in well[:, r]) / 31 for x in ill[:, r]] for r in (0, 1)]
    of_well = [[sum(kernel(x, y) for x in ill[:, r]) / 23 for y in well[:, r]] for r in (0, 1)]
    first, second = (sum(values) / 23 for values in of_ill)
    s_ill, s_well = np.cov(of_ill), np.cov(of_well)
    both = s_ill / 23 + s_well / 31
    variance = both[0, 0] + both[1, 1] - 2 * both[0, 1]
    assert (found.first, found.second) == (pytest.approx(first), pytest.approx(second))
    assert found.difference.value == pytest.approx(second - first)
    assert found.difference.high - found.difference.value == pytest.approx(1.959964 * math.sqrt(variance))
    assert found.p == pytest.approx(math.erfc(abs(second - first) / math.sqrt(variance) / math.sqrt(2)))


def test_the_same_lesion_counted_thrice_tells_no_more():
    ill, well = scores(1, 40, 1.0), scores(2, 60, 0.0)
    once = compare_areas(ill, well, np.arange(40), np.arange(100, 160))
    thrice = compare_areas(
        np.repeat(ill, 3, axis=0),
        np.repeat(well, 3, axis=0),
        np.repeat(np.arange(40), 3),
        np.repeat(np.arange(100, 160), 3),
    )
    assert thrice.difference.low == pytest.approx(once.difference.low)
    assert thrice.difference.high == pytest.approx(once.difference.high)


def test_equal_models_differ_by_nothing():
    ill, well = scores(1, 40, 1.0), scores(2, 60, 0.0)
    ill[:, 1], well[:, 1] = ill[:, 0], well[:, 0]
    found = compare_areas(ill, well, np.arange(40), np.arange(100, 160))
    assert (found.difference.value, found.difference.low, found.difference.high, found.p) == (0, 0, 0, 1)


def test_intervals_of_the_difference_cover_what_they_should():
    """Lesions in patients of three who share their scores in part; the two models are equally good."""
    held = 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        of_patient = np.repeat(rng.normal(0, 1, (60, 1, 2)), 3, axis=1).reshape(180, 2)
        is_ill = rng.random(180) < 0.4
        drawn = of_patient + rng.normal(0, 1, (180, 2)) + is_ill[:, None]
        patients = np.repeat(np.arange(60), 3)
        found = compare_areas(drawn[is_ill], drawn[~is_ill], patients[is_ill], patients[~is_ill])
        held += found.difference.low <= 0 <= found.difference.high
    assert 0.915 <= held / 300 <= 0.98


def history(seed: int) -> tuple[list[Pair], dict[UUID, Known]]:
    draw = random.Random(seed)
    pairs, known = [], {}
    for number in range(500):
        lesion, patient = UUID(int=number + 1), UUID(int=5000 + number // 2)
        malignant = draw.random() < 0.4
        for _ in range(draw.randrange(1, 4)):
            score, other = (min(1.0, max(0.0, draw.gauss(0.6 if malignant else 0.3, 0.25))) for _ in range(2))
            pairs.append(
                Pair(
                    lesion, patient, NOW - draw.randrange(400) * DAY, ("1", draw.choice(["2", "3"])),
                    said(draw, score), said(draw, other), signed=draw.random() < 0.8,
                )
            )  # fmt: skip
        if draw.random() < 0.7:
            known[lesion] = Known(malignant, PATHOLOGY, NOW - draw.randrange(200) * DAY)
    return pairs, known


def said(draw: random.Random, score: float) -> Said:
    band = next(name for below, name in BAND_OF if score < below)
    return Said("unscorable" if draw.random() < 0.05 else band, score >= 0.1, score)


@pytest.mark.parametrize("seed", range(4))
def test_figures_are_those_of_plain_python(seed):
    pairs, known = history(seed)
    found = side_by_side((pairs, known))["pairs"]
    assert [(pair["active"], pair["beside"]) for pair in found] == [("1", "2"), ("1", "3")]
    for figures in found:
        mine = [pair for pair in pairs if pair.versions[1] == figures["beside"]]
        signed = [pair for pair in mine if pair.signed]
        assert (figures["photographs"], figures["waiting"]) == (len(signed), len(mine) - len(signed))
        names = ["unscorable", "low", "intermediate", "high"]
        for row, column in product(range(4), range(4)):
            wanted = [p for p in signed if (p.active.band, p.beside.band) == (names[row], names[column])]
            assert figures["bands"][row][column] == len(wanted)
        flipped = sum(pair.active.band != pair.beside.band for pair in signed)
        assert figures["flipped_share"]["value"] == pytest.approx(flipped / len(signed))
        fit = [p for p in signed if "unscorable" not in (p.active.band, p.beside.band)]
        differ = sum(pair.active.refer != pair.beside.refer for pair in fit)
        assert figures["differing_share"]["value"] == pytest.approx(differ / len(fit))
        last = {}
        for pair in sorted(fit, key=lambda pair: pair.taken_at):
            if pair.lesion in known and pair.taken_at <= known[pair.lesion].until:
                last[pair.lesion] = pair
        for nature, is_malignant in (("malignant", True), ("benign", False)):
            of_nature = [pair for pair in last.values() if known[pair.lesion].malignant == is_malignant]
            counts = [
                sum((p.active.refer, p.beside.refer) == each for p in of_nature)
                for each in ((1, 1), (1, 0), (0, 1), (0, 0))
            ]
            assert (figures["known"][nature]["lesions"], figures["known"][nature]["cells"]) == (len(of_nature), counts)
        area = [
            np.mean([
                (a > b) + (a == b) / 2
                for a in [score(p)[r] for p in last.values() if known[p.lesion].malignant]
                for b in [score(p)[r] for p in last.values() if not known[p.lesion].malignant]
            ])
            for r in (0, 1)
        ]  # fmt: skip
        areas = figures["known"]["areas"]
        assert (areas["first"], areas["second"]) == (pytest.approx(area[0]), pytest.approx(area[1]))


def score(pair: Pair) -> tuple[float, float]:
    return pair.active.malignancy, pair.beside.malignancy


def test_no_area_is_told_of_twenty_nine():
    pairs = [
        Pair(UUID(int=n), UUID(int=n), NOW, ("1", "2"), Said("low", False, 0.1), Said("high", True, 0.9), signed=True)
        for n in range(70)
    ]
    known = {pair.lesion: Known(pair.lesion.int < 29, PATHOLOGY, NOW) for pair in pairs}
    assert side_by_side((pairs, known))["pairs"][0]["known"]["areas"] is None
    known[UUID(int=29)] = Known(malignant=True, how=PATHOLOGY, until=NOW)
    assert side_by_side((pairs, known))["pairs"][0]["known"]["areas"]


def test_many_lesions_of_one_patient_are_not_many():
    """From one patient no spread can be reckoned: the interval would be a point, and chance ruled out."""
    pairs = [
        Pair(
            UUID(int=n), UUID(int=max(n, 40)), NOW, ("1", "2"), Said("low", False, 0.1 + n / 100),
            Said("high", True, 0.9 - n / 100), signed=True,
        )
        for n in range(80)
    ]  # fmt: skip
    known = {pair.lesion: Known(pair.lesion.int < 40, PATHOLOGY, NOW) for pair in pairs}
    (found,) = side_by_side((pairs, known))["pairs"]
    assert (found["known"]["malignant"]["lesions"], found["known"]["malignant"]["patients"]) == (40, 1)
    assert found["known"]["areas"] is None
    (page,) = beside_pages({"pairs": [found]})
    assert "so far these are 1 and 40" in page.lacking


@pytest.fixture
def other(db) -> ModelVersion:
    return ModelVersion.objects.create(version="shadow", weights_sha256="0" * 64, preprocessing="1", manifest={})


def read_beside(cast: Cast, screening: Screening, version: ModelVersion, *, band: str, score: float) -> None:
    with cast.in_north():
        Prediction.objects.create(
            clinic=cast.north, patient_id=screening.patient_id, screening=screening, model_version=version, attempt=1,
            malignancy=score, band=band, refer=band != "low", probabilities={}, activation_map=b"", milliseconds=1,
            weights_sha256="0" * 64, preprocessing="1",
        )  # fmt: skip


@pytest.fixture
def read_by_both(cast: Cast, chart: Chart, screening: Screening, other: ModelVersion) -> Screening:
    finish(cast, screening, refer=False, band="low", malignancy=0.02)
    read_beside(cast, screening, other, band="high", score=0.9)
    return screening


def test_it_works(cast, chart, read_by_both):
    give(cast, read_by_both)
    sign(cast, chart.visit)
    with cast.in_north() as actor:
        (pair,) = pairs_of(actor)
        count_panel(actor, Panel.BESIDE)
    assert (pair.lesion, pair.patient, pair.signed) == (chart.lesion.pk, chart.patient.pk, True)
    assert (pair.active, pair.beside) == (Said("low", False, 0.02), Said("high", True, 0.9))
    (page,) = cast.ada.client.get(reverse("beside")).context["pages"]
    assert (page.beside, page.photographs, page.waiting) == ("shadow", 1, 0)
    assert page.referred[2] == ("Only shadow refers", 1)


def test_nothing_is_told_before_the_review_is_signed(cast, chart, read_by_both):
    give(cast, read_by_both)
    with cast.in_north() as actor:
        count_panel(actor, Panel.BESIDE)
    response = cast.ada.client.get(reverse("beside"))
    (page,) = response.context["pages"]
    assert (page.photographs, page.waiting) == (0, 1)
    assert sum(count for _name, row in page.bands for count, _same in row) == 0
    assert "Bands" not in response.content.decode()
    table = cast.ada.client.get(reverse("models")).content.decode()
    assert "refer or do not refer" not in table


def test_what_was_withdrawn_does_not_count(cast, chart, read_by_both, random_photograph):
    with cast.in_north() as actor:
        assert len(list(pairs_of(actor))) == 1
        Screening.objects.filter(pk=read_by_both.pk).update(
            withdrawn_at=NOW, withdrawn_by=cast.alice.user, withdrawn_reason="other", withdrawn_words="x"
        )
        assert not list(pairs_of(actor))
    unread = make_screening(cast.alice, chart, random_photograph())
    assert unread
    with cast.bob.acting() as bob:
        assert not list(pairs_of(bob))


@pytest.mark.parametrize(("name", "status"), [("alice", 403), ("rita", 403), ("ada", 200), ("otto", 200)])
def test_managers_and_auditors_see_it(cast, name, status):
    assert getattr(cast, name).client.get(reverse("beside")).status_code == status


def test_what_read_and_reads_no_more_is_retired(cast, read_by_both, other):
    unused = ModelVersion.objects.create(version="unused", weights_sha256="0" * 64, preprocessing="1", manifest={})
    with cast.in_north():
        deciding = read_by_both.predictions.exclude(model_version=other).get()
        ReadingPolicy.objects.create(clinic=cast.north, active=deciding.model_version)
    rows = {row.version.pk: row.is_retired for row in cast.ada.client.get(reverse("models")).context["rows"]}
    assert (rows[other.pk], rows[unused.pk]) == (True, False)
    assert sum(rows.values()) == 1


def test_a_file_that_was_sent_twice_is_one_photograph(cast, chart, read_by_both, photograph_bytes, other):
    again = make_screening(cast.alice, chart, photograph_bytes)
    finish(cast, again, refer=False, band="low", malignancy=0.02)
    read_beside(cast, again, other, band="high", score=0.9)
    with cast.in_north() as actor:
        (pair,) = pairs_of(actor)
    assert pair.lesion == chart.lesion.pk
