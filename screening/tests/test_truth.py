"""Readings against what lesions turned out to be: counted as plain Python counts, and silent where little is known."""

import random
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from uuid import UUID, uuid4

import numpy as np
import pytest
from django.urls import reverse
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from conftest import Cast, make_chart, make_person, make_screening
from screening.codes import Band, Panel
from screening.dashboard.intervals import Patients
from screening.dashboard.truth import (
    BANDS,
    FOLLOWED,
    PATHOLOGY,
    TWO_BLIND,
    Known,
    Read,
    attained,
    lesions,
    references,
    worth,
)
from screening.dashboard.truth_page import lacking
from screening.models import Review, Screening, Signature
from screening.services.figures import count_panel
from screening.services.outcomes import Finding, enter_outcome
from screening.services.reviews import Opinion
from screening.services.second import drawn_percent
from screening.tests.conftest import BENIGN, finish, give, sign
from skinclinic.accounts.services import decide_reviewing

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
DAY = timedelta(days=1)
MELANOMA = Opinion(suspicious=True, diagnosis="melanoma", recommendation="excise")


def history(seed: int) -> tuple[list[Read], dict[UUID, Known]]:
    draw = random.Random(seed)
    readings, known = [], {}
    for number in range(400):
        lesion = UUID(int=number + 1)
        malignant = draw.random() < 0.3
        for _ in range(draw.randrange(1, 4)):
            band = draw.choices(BANDS, [5, 8, 2, 40, 45] if malignant else [5, 50, 10, 25, 10])[0]
            readings.append(Read(lesion, UUID(int=1000 + number // 2), NOW - draw.randrange(400) * DAY, "1", band))
        if draw.random() < 0.5:
            how = PATHOLOGY if malignant else draw.choice([PATHOLOGY, FOLLOWED, TWO_BLIND])
            known[lesion] = Known(malignant, how, NOW - draw.randrange(200) * DAY)
    return readings, known


@pytest.mark.parametrize("seed", range(4))
def test_figures_are_those_of_plain_python(seed):
    readings, known = history(seed)
    found = worth(lesions(readings, known))
    shown, lots = [], []  # band and reference or None; whether it was drawn and is known
    for lesion in {read.lesion for read in readings}:
        mine = [read for read in readings if read.lesion == lesion]
        reference = known.get(lesion)
        before = [read for read in mine if reference is not None and read.taken_at <= reference.until]
        rank = ["unscorable", "low", "drawn", "intermediate", "high"]
        band = sorted((read.band for read in (before or mine)), key=rank.index)[-1]
        shown.append(({"drawn": "low"}.get(band, band), reference if before else None))
        lots.append(band == "drawn" and bool(before))
    for band, figures in found["bands"].items():
        inside = [reference for its, reference in shown if its == band]
        tissue = [reference for reference in inside if reference and reference.how == PATHOLOGY]
        malignant = [reference for reference in tissue if reference.malignant]
        assert (figures["lesions"], figures["verified"], figures["malignant"]) == (
            len(inside), len(tissue), len(malignant),
        )  # fmt: skip
        assert figures["verified_share"]["value"] == pytest.approx(len(tissue) / len(inside))
        assert figures["malignant_share"]["value"] == pytest.approx(len(malignant) / len(tissue))
    weighed = {}
    for band in ("low", "intermediate", "high"):
        inside = [reference for its, reference in shown if its == band]
        references_of = [reference for reference in inside if reference]
        share = sum(reference.malignant for reference in references_of) / len(references_of)
        weighed[band] = (len(inside) * share, len(inside) * (1 - share), share)
    assert sum(lots) < 30, "all that is known of the low ones counts"
    sick = sum(each[0] for each in weighed.values())
    well = sum(each[1] for each in weighed.values())
    assert found["attained"]["figures"]["sensitivity"]["value"] == pytest.approx(1 - weighed["low"][0] / sick)
    assert found["attained"]["figures"]["specificity"]["value"] == pytest.approx(weighed["low"][1] / well)
    assert found["attained"]["figures"]["negative_value"]["value"] == pytest.approx(1 - weighed["low"][2])


def table(**bands: tuple[int, int, int, int]) -> Patients:
    """One lesion of each patient; by band: malignant, benign by pathology, benign otherwise, unknown."""
    cells = np.concatenate([np.array(bands.get(str(band), (0, 0, 0, 0))) for band in BANDS])
    return Patients(np.repeat(np.eye(len(cells), dtype=int), cells, axis=0))


@pytest.mark.parametrize(
    ("bands", "why"),
    [
        ({"low": (1, 40, 0, 900), "high": (28, 40, 0, 30)}, "29 malignant"),
        ({"low": (0, 9, 0, 900), "high": (60, 20, 0, 30)}, "29 benign"),
        ({"low": (0, 0, 0, 900), "high": (60, 60, 0, 30)}, "nothing known of the low ones"),
        ({"low": (30, 60, 0, 900), "high": (0, 0, 0, 30)}, "nothing known of those that refer"),
    ],
)
def test_nothing_is_told_where_too_little_is_known(bands, why):
    assert attained(table(**bands))["figures"] is None, why


def test_begg_and_greenes_undo_who_was_chosen():
    """Every high lesion was cut out, one low one in ten; the low band's share of malignant ones is what those tell."""
    found = attained(table(low=(2, 48, 50, 900), intermediate=(20, 80, 0, 0), high=(80, 20, 0, 0)))["figures"]
    assert found["sensitivity"]["value"] == pytest.approx(100 / (100 + 0.02 * 1000))
    assert found["specificity"]["value"] == pytest.approx(980 / (980 + 100))
    assert found["negative_value"]["value"] == pytest.approx(0.98)
    naive = 100 / 102
    assert found["sensitivity"]["value"] < naive


def test_little_known_of_the_low_ones_leaves_it_open():
    """None malignant of twelve low ones that are known, of a thousand: sensitivity may be far below one."""
    found = attained(table(low=(0, 12, 0, 988), high=(60, 40, 0, 0)))["figures"]["sensitivity"]
    assert found["value"] == 1
    assert found["low"] < 0.6


def test_low_ones_that_were_drawn_stand_for_all():
    """Doctors cut out the malignant ones of 2,000 low lesions; of 200 that were drawn at random 2 are malignant."""
    chosen = {"low": (40, 40, 0, 1720), "high": (100, 100, 0, 0)}
    by_choice = attained(table(**chosen, drawn=(0, 0, 0, 200)))
    by_lot = attained(table(**chosen, drawn=(2, 0, 198, 0)))
    assert (by_choice["by_lot"], by_lot["by_lot"]) == (False, True)
    assert by_lot["figures"]["negative_value"]["value"] == pytest.approx(0.99)
    assert by_choice["figures"]["negative_value"]["value"] == pytest.approx(0.5)
    assert by_lot["figures"]["sensitivity"]["value"] == pytest.approx(100 / (100 + 0.01 * 2000))


def test_lesions_of_one_patient_widen_the_interval():
    cells = {"low": (4, 96, 0, 0), "high": (60, 40, 0, 0)}
    apart, together = table(**cells), table(**cells)
    together.number = 40
    wide, narrow = (attained(each)["figures"]["sensitivity"] for each in (together, apart))
    assert wide["high"] - wide["low"] > 1.5 * (narrow["high"] - narrow["low"])


def test_what_could_not_be_read_does_not_count_as_known():
    found = attained(table(unscorable=(9, 9, 0, 0), low=(1, 40, 0, 9), high=(26, 9, 0, 0)))
    assert (found["malignant"], found["benign"], found["figures"]) == (27, 49, None)
    assert "so far these are 27 and 49" in lacking(27, 49)


def test_intervals_cover_what_they_should():
    """Of 200 clinics, drawn with known shares and biopsied by band, about 95 of 100 intervals hold the truth."""
    rng, held, widths = np.random.default_rng(5), 0, []
    bands, sick, chosen = np.array([700, 200, 100]), np.array([0.01, 0.2, 0.7]), np.array([0.15, 0.6, 0.9])
    true = (bands * sick)[1:].sum() / (bands * sick).sum()
    for _ in range(200):
        counts = rng.multinomial(bands.sum(), bands / bands.sum())
        malignant = rng.binomial(counts, sick)
        cells = {}
        for name, ill, all_ in zip(("low", "intermediate", "high"), malignant, counts, strict=True):
            share = chosen[("low", "intermediate", "high").index(name)]
            known_ill, known_well = rng.binomial(ill, share), rng.binomial(all_ - ill, share)
            cells[name] = (known_ill, known_well, 0, all_ - known_ill - known_well)
        found = attained(table(**cells))["figures"]["sensitivity"]
        held += found["low"] <= true <= found["high"]
        widths.append(found["high"] - found["low"])
    assert held / 200 >= 0.93
    assert np.mean(widths) < 0.25, "or it says nothing"


@given(st.lists(st.lists(st.integers(0, 60), min_size=4, max_size=4), min_size=5, max_size=5))
def test_an_interval_holds_its_figure_and_stays_a_share(rows):
    found = attained(table(**{str(band): tuple(row) for band, row in zip(BANDS, rows, strict=True)}))
    for figure in (found["figures"] or {}).values():
        assert 0 <= figure["low"] <= figure["value"] <= figure["high"] <= 1
    if found["figures"]:
        assert found["malignant"] >= 30
        assert found["benign"] >= 30


def test_a_report_counts_against_photographs_from_before_it():
    lesion, patient = UUID(int=1), UUID(int=2)
    early = Read(lesion, patient, NOW - 9 * DAY, "1", Band.LOW)
    late = replace(early, taken_at=NOW, band=Band.HIGH)
    known = {lesion: Known(malignant=False, how=PATHOLOGY, until=NOW - DAY)}
    (only,) = lesions([early, late], known)
    assert (only.band, only.how) == (Band.LOW, PATHOLOGY)
    (only,) = lesions([late], known)
    assert (only.band, only.how) == (Band.HIGH, "")
    (only,) = lesions([early, late], {})
    assert only.band == Band.HIGH


def known_of(cast: Cast) -> dict[UUID, Known]:
    with cast.in_north() as actor:
        return references(actor)


def enter(cast: Cast, chart, diagnosis: str, day: date, supersedes=None):
    with cast.alice.acting() as alice:
        return enter_outcome(
            actor=alice, lesion=chart.lesion, submission=uuid4(), supersedes=supersedes,
            finding=Finding(diagnosis=diagnosis, reported_on=day, words="x"),
        )  # fmt: skip


def test_pathology_in_force_is_the_reference(cast, chart, screening):
    assert known_of(cast) == {}
    first = enter(cast, chart, "nevus", date(2026, 11, 20))
    assert (known_of(cast)[chart.lesion.pk].malignant, known_of(cast)[chart.lesion.pk].how) == (False, PATHOLOGY)
    enter(cast, chart, "melanoma", date(2026, 11, 21), supersedes=first)
    assert known_of(cast)[chart.lesion.pk].malignant
    enter(cast, chart, "nevus", date(2026, 11, 22))  # another piece of the same lesion
    assert known_of(cast)[chart.lesion.pk].malignant
    assert known_of(cast)[chart.lesion.pk].until.date() == date(2026, 11, 22)


def signed(cast: Cast, chart, screening: Screening, at: datetime, *, suspicious: bool = False) -> None:
    """As it would stand, had it been signed then: when a signature was given is not the application's to change."""
    mine = {"clinic": cast.north, "patient": chart.patient}
    with cast.in_north():
        signature = Signature.objects.create(visit=chart.visit, reviewer=cast.rita.user, created_at=at, **mine)
        review = Review.objects.create(
            screening=screening, reviewer=cast.rita.user, suspicious=suspicious, submission=uuid4(),
            diagnosis="melanoma" if suspicious else "nevus", recommendation="excise" if suspicious else "reassure",
            **mine,
        )  # fmt: skip
        Screening.objects.filter(pk=screening.pk).update(
            review_status="signed", signature=signature, signed_review=review
        )


@pytest.mark.parametrize("case", [(184, False, True), (182, False, False), (184, True, False)])
def test_a_lesion_that_was_followed_for_half_a_year_is_a_reference(cast, chart, screening, random_photograph, case):
    days, first_suspicious, is_known = case
    later, now = make_screening(cast.alice, chart, random_photograph()), timezone.now()
    signed(cast, chart, screening, now - days * DAY, suspicious=first_suspicious)
    assert known_of(cast) == {}
    signed(cast, chart, later, now)
    wanted = {chart.lesion.pk: Known(malignant=False, how=FOLLOWED, until=now - 183 * DAY)} if is_known else {}
    assert known_of(cast) == wanted
    enter(cast, chart, "melanoma", timezone.localdate())
    assert known_of(cast)[chart.lesion.pk].malignant


def test_the_same_file_sent_again_is_no_second_look(cast, chart, screening, photograph_bytes):
    again, now = make_screening(cast.alice, chart, photograph_bytes), timezone.now()
    signed(cast, chart, screening, now - 184 * DAY)
    signed(cast, chart, again, now)
    assert known_of(cast) == {}


def test_two_blind_readers_of_a_drawn_low_photograph_are_a_reference(cast, chart, random_photograph):
    with cast.ada.acting() as ada:
        decide_reviewing(actor=ada, blind_first_reading=True, second_reading_percent=50)
    charts = [make_chart(cast.alice, given_name=f"P{number}") for number in range(8)]
    photographs = [make_screening(cast.alice, each, random_photograph()) for each in charts]
    for number, screening in enumerate(photographs):
        finish(cast, screening, refer=False, band="low")
        for person in (cast.rita, cast.rolf):
            with cast.in_north():
                type(screening.visit).objects.update(taken_by=None, taken_until=None)
            give(cast, screening, MELANOMA if number == 0 and person is cast.rolf else BENIGN, by=person)
    wanted = {
        screening.image.lesion_id
        for number, screening in enumerate(photographs)
        if number and drawn_percent(screening.pk) < 50
    }
    found = known_of(cast)
    assert set(found) == wanted
    assert {(known.malignant, known.how) for known in found.values()} <= {(False, TWO_BLIND)}
    with cast.ada.acting() as ada:
        decide_reviewing(actor=ada, second_reading_percent=0)
    assert set(known_of(cast)) == wanted, "what was drawn then stays drawn"


def test_nothing_was_drawn_before_the_clinic_asked_for_it(cast, chart, screening):
    with cast.ada.acting() as ada:
        decide_reviewing(actor=ada, blind_first_reading=True)
    finish(cast, screening, refer=False, band="low")
    for person in (cast.rita, cast.rolf):
        with cast.in_north():
            type(screening.visit).objects.update(taken_by=None, taken_until=None)
        give(cast, screening, by=person)
    with cast.ada.acting() as ada:
        decide_reviewing(actor=ada, second_reading_percent=100)
    assert known_of(cast) == {}


def test_a_suspicion_on_another_photograph_is_no_reference(cast, chart, screening, random_photograph):
    with cast.ada.acting() as ada:
        decide_reviewing(actor=ada, blind_first_reading=True, second_reading_percent=100)
    later = make_screening(cast.alice, chart, random_photograph())
    for each in (screening, later):
        finish(cast, each, refer=False, band="low")
    third = make_person("Ruth Rose", cast.north, "reviewer")
    for person, photograph, opinion in (
        (cast.rita, screening, BENIGN),
        (third, screening, BENIGN),
        (cast.rolf, later, MELANOMA),
    ):
        assert set(known_of(cast)) == ({chart.lesion.pk} if person is cast.rolf else set())
        with cast.in_north():
            type(screening.visit).objects.update(taken_by=None, taken_until=None)
        give(cast, photograph, opinion, by=person)
    assert known_of(cast) == {}


def test_the_page_tells_what_is_lacking_and_hides_what_is_rare(cast, chart, screening):
    assert "Not counted yet" in cast.ada.client.get(reverse("truth")).content.decode()
    finish(cast, screening, refer=True, band="high")
    enter(cast, chart, "melanoma", timezone.localdate())
    with cast.in_north() as actor:
        count_panel(actor, Panel.TRUTH)
    assert "No signed review yet" in cast.ada.client.get(reverse("truth")).content.decode()
    give(cast, screening, MELANOMA)
    sign(cast, chart.visit)
    with cast.in_north() as actor:
        count_panel(actor, Panel.TRUTH)
    page = cast.ada.client.get(reverse("truth")).content.decode()
    assert "so far these are 1 and 0" in page
    assert "&lt;5" in page
    assert "Winterbottom" not in page
    assert cast.ada.client.get(reverse("truth") + "?version=nonsense").status_code == 200
    assert cast.rita.client.get(reverse("truth")).status_code == 403


def test_the_page_tells_sensitivity_with_its_assumption(cast, chart, screening):
    finish(cast, screening, refer=True, band="high")
    give(cast, screening, MELANOMA)
    sign(cast, chart.visit)
    with cast.in_north() as actor:
        panel = count_panel(actor, Panel.TRUTH)
        known = table(low=(2, 48, 50, 900), intermediate=(20, 80, 0, 0), high=(80, 20, 0, 0))
        panel.figures["all"]["attained"] = attained(known)
        panel.save()
    page = cast.ada.client.get(reverse("truth")).content.decode()
    assert "83 %" in page
    assert "Begg and Greenes" in page
