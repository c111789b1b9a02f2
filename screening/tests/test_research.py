"""The research set: who is in it, and that nobody can be told from what stands beside a photograph."""

import csv
import io
import random
import zipfile
from collections import Counter, defaultdict
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
from django.urls import reverse
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from conftest import Cast, Chart, make_chart, make_person, make_screening
from patients.codes import BodySite
from patients.models import Lesion
from patients.services import merge_patients, note_consent, open_visit
from screening.models import Screening
from screening.research import (
    COLUMNS,
    FACE,
    FEWEST_ALIKE,
    INTIMATE,
    KEPT_BACK,
    LONGEST_SHIFT,
    REGION_OF,
    Candidate,
    deidentified,
    research_set,
    with_enough_alike,
)
from screening.tests.conftest import finish, give, sign, the_only
from screening.tests.test_blind import set_blind
from screening.tests.test_truth import enter
from skinclinic.audit.models import AuditEvent

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def photographed(
    cast: Cast, photograph: bytes, number: int, *, research: str = "given", site: str = "back"
) -> Screening:
    chart = make_chart(cast.alice, given_name=f"P{number}")
    with cast.alice.acting() as alice:
        note_consent(actor=alice, patient=chart.patient, kind="research", decision=research, decided_on="2026-11-22")
        Lesion.objects.filter(pk=chart.lesion.pk).update(site=site)
    screening = make_screening(cast.alice, chart, photograph)
    finish(cast, screening, refer=False, band="low", malignancy=0.02)
    give(cast, screening)
    sign(cast, chart.visit)
    return screening


def found(cast: Cast):
    with cast.ada.acting() as actor:
        return research_set(actor)


@pytest.fixture
def five(cast: Cast, random_photograph) -> list[Screening]:
    return [photographed(cast, random_photograph(), number) for number in range(5)]


def test_it_works(cast, five):
    enter(cast, make_chart_of(five[0]), "melanoma", date(2026, 11, 25))
    assert cast.ada.client.get(reverse("exports")).context["research"] is None, "counted when it is asked for"
    page = cast.ada.client.get(reverse("exports"), {"count": ""})
    assert len(page.context["research"].cases) == 5
    asked = {"clinic": str(cast.north.pk), "research-reason": "Study 12"}
    response = cast.ada.client.post(reverse("research_export"), asked)
    with zipfile.ZipFile(io.BytesIO(b"".join(response.streaming_content))) as pack:
        (folder,) = {name.split("/")[0] for name in pack.namelist()}
        lines = list(csv.DictReader(io.StringIO(pack.read(f"{folder}/cases.csv").decode())))
        about = pack.read(f"{folder}/README.txt").decode()
        for line in lines:
            with Image.open(io.BytesIO(pack.read(f"{folder}/photographs/{line['image']}"))) as photograph:
                assert photograph.format == "JPEG"
                assert not photograph.getexif()
    assert "5 dermoscopic photographs of 5 patients" in about
    assert Counter((line["diagnosis"], line["diagnosis_by"], line["malignant"]) for line in lines) == {
        ("melanoma", "pathology", "True"): 1,
        ("nevus", "review", "False"): 4,
    }
    assert {(line["age"], line["sex"], line["skin_type"], line["region"]) for line in lines} == {
        ("60 to 69", "female", "I or II", "trunk")
    }
    event = the_only(cast, AuditEvent, action="research_exported")
    assert (event.reason, event.changes) == ("Study 12", {"photographs": 5, "patients": 5})


def make_chart_of(screening: Screening):
    class Chart:
        lesion = screening.image.lesion

    return Chart


def test_nothing_of_the_record_is_in_it(cast, five):
    told = str([case for case, _image in found(cast).cases])
    for screening in five:
        keys = (screening.pk, screening.image_id, screening.patient_id, screening.image.lesion_id)
        assert not [key for key in keys if str(key) in told]
    assert "Winterbottom" not in told
    assert "1961" not in told


def test_four_alike_are_too_few(cast, random_photograph):
    for number in range(4):
        photographed(cast, random_photograph(), number)
    assert (len(found(cast).cases), found(cast).too_few_alike) == (0, 4)
    assert "nothing to take yet" in cast.ada.client.get(reverse("exports"), {"count": ""}).content.decode()


def test_who_refuses_or_was_not_asked_is_not_in_it(cast, five, random_photograph):
    photographed(cast, random_photograph(), 5, research="refused")
    unasked = make_chart(cast.alice, given_name="P6")
    finish(cast, make_screening(cast.alice, unasked, random_photograph()), refer=False, band="low")
    sixth = photographed(cast, random_photograph(), 7)
    assert len(found(cast).cases) == 6
    with cast.alice.acting() as alice:
        note_consent(actor=alice, patient=sixth.patient, kind="research", decision="refused", decided_on="2026-11-23")
    assert len(found(cast).cases) == 5


def test_a_refusal_in_a_merged_record_counts(cast, five, random_photograph):
    sixth, refusing = (
        photographed(cast, random_photograph(), 6),
        photographed(cast, random_photograph(), 7, research="refused"),
    )
    assert len(found(cast).cases) == 6
    with cast.ada.acting():
        merge_patients(duplicate=refusing.patient, into=sixth.patient)
    assert len(found(cast).cases) == 5


@pytest.mark.parametrize("site", sorted(FACE | INTIMATE))
def test_faces_and_intimate_sites_stay(cast, five, random_photograph, site):
    photographed(cast, random_photograph(), 5, site=site)
    assert (len(found(cast).cases), found(cast).kept_back_sites) == (5, 1)


def test_what_is_not_dermoscopic_not_signed_or_withdrawn_stays(cast, five, random_photograph):
    chart = make_chart_of_new(cast)
    finish(cast, make_screening(cast.alice, chart, random_photograph()), refer=False, band="low")
    assert len(found(cast).cases) == 5, "not signed"
    with cast.in_north():
        Screening.objects.filter(pk=five[0].pk).update(
            withdrawn_at=NOW, withdrawn_by=cast.alice.user, withdrawn_reason="wrong_patient"
        )
    assert len(found(cast).cases) == 0, "withdrawn: four are left"


def make_chart_of_new(cast: Cast):
    chart = make_chart(cast.alice, given_name="New")
    with cast.alice.acting() as alice:
        note_consent(actor=alice, patient=chart.patient, kind="research", decision="given", decided_on="2026-11-22")
    return chart


def test_another_clinic_has_none_of_it(cast, five):
    with cast.bob.acting() as bob:
        assert not research_set(bob).cases


@pytest.mark.parametrize(("name", "status"), [("alice", 403), ("rita", 403), ("otto", 403), ("ada", 200)])
def test_managers_alone_take_it(cast, name, status):
    asked = {"clinic": str(cast.north.pk), "research-reason": "x"}
    assert getattr(cast, name).client.post(reverse("research_export"), asked).status_code == status


def test_every_site_has_a_region_or_stays():
    assert set(BodySite) == set(REGION_OF) | KEPT_BACK
    assert not set(REGION_OF) & KEPT_BACK


def candidate(draw: random.Random, number: int) -> Candidate:
    patient = draw.randrange(1, 1 + number)
    return Candidate(
        image=UUID(int=draw.getrandbits(64)),
        lesion=UUID(int=draw.getrandbits(64)),
        patient=UUID(int=patient),
        born=date(1930 + patient % 80, 1, 1 + patient % 28),
        sex=("female", "male", "unknown", "other")[patient % 4],
        skin_type=(None, 1, 2, 3, 4, 5, 6)[patient % 7],
        site=draw.choice(sorted(REGION_OF)),
        taken_at=NOW - draw.randrange(2000) * DAY,
        reviewed="nevus",
        version="1",
        malignancy=0.1,
        band="low",
        unscorable=(),
    )


@settings(deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 60), st.integers(0, 400))
def test_whoever_is_in_it_has_at_least_four_like_her(seed, people, photographs):
    """As the table tells it: her rows are joined by her number."""
    draw = random.Random(seed)
    kept = with_enough_alike([candidate(draw, people) for _ in range(photographs)])
    told = defaultdict(set)
    for case, _image in deidentified(kept, {}):
        told[case.patient].add((case.age, case.sex, case.skin_type, case.region))
    alike = Counter(map(frozenset, told.values()))
    assert all(number >= FEWEST_ALIKE for number in alike.values())


def alike(number: int, **other: object) -> Candidate:
    """A woman of 39 in 2026, with a photograph of her back."""
    one = replace(candidate(random.Random(number), 1), patient=UUID(int=number), born=date(1987, 1, 1), sex="female")
    return replace(one, **{"skin_type": 1, "site": "back", "taken_at": NOW, **other})


def test_her_regions_together_do_not_tell_her_from_the_others():
    arms = [alike(10 + number, site="forearm") for number in range(4)]
    both = [alike(1), alike(1, site="forearm")]
    kept = with_enough_alike([*both, *(alike(number) for number in range(2, 7)), *arms])
    assert {each.patient.int for each in kept} == {1, 2, 3, 4, 5, 6}
    assert {each.site for each in kept} == {"back"}, "five have each region, and one has both"


def test_age_is_reckoned_from_what_is_left_of_her():
    """At 39 her palm, which alone had it, and at 40 her back: she is told as 40, when four others of 39 hid her."""
    later = NOW + 60 * DAY
    assert not with_enough_alike([alike(1, site="palm"), alike(1, taken_at=later), *map(alike, range(2, 6))])


def test_a_patients_days_are_shifted_together_and_never_told():
    draw = random.Random(1)
    many = [candidate(draw, 40) for _ in range(400)]
    cases = deidentified(many, {})
    by_image = {image: case for case, image in cases}
    shifts = {}
    for each in many:
        told = by_image[each.image]
        assert told.region == REGION_OF[BodySite(each.site)]
        shift = date.fromisoformat(told.taken) - each.taken_at.date()
        shifts.setdefault(each.patient, set()).add(shift.days)
        assert abs(shift.days) <= LONGEST_SHIFT
    assert {len(days) for days in shifts.values()} == {1}
    assert len({next(iter(days)) for days in shifts.values()}) > 20
    assert [image for _case, image in cases] != [each.image for each in many], "in another order"


def test_many_sets_tell_her_days_no_better_than_one():
    """The photographs are the same in each, so other shifts would have their mean at the true day."""
    draw = random.Random(1)
    many = [candidate(draw, 40) for _ in range(40)]
    first, second = ({image: case.taken for case, image in deidentified(many, {})} for _ in range(2))
    assert first == second


def test_what_is_to_be_judged_blind_again_is_not_in_it(cast, five, random_photograph):
    """A new photograph of the lesion waits, so that its older readings are kept from her."""
    both = make_person("Mara Maple", cast.north, "manager", "reviewer")
    set_blind(cast, True)
    with both.acting() as actor:
        assert len(research_set(actor).cases) == 5
    with cast.alice.acting() as alice:
        visit = open_visit(actor=alice, patient=five[0].patient, question="Again")
    make_screening(cast.alice, Chart(five[0].patient, visit, five[0].image.lesion), random_photograph())
    with both.acting() as actor:
        assert research_set(actor).too_few_alike == 4
    assert len(found(cast).cases) == 5


def test_two_sets_share_no_numbers():
    draw = random.Random(1)
    many = [candidate(draw, 40) for _ in range(200)]
    first, second = ({image: case for case, image in deidentified(many, {})} for _ in range(2))
    same = sum(first[image].image == second[image].image for image in first)
    assert same < 10, "by chance one or so"
    assert set(COLUMNS) == set(vars(next(iter(first.values()))))
    assert len({case.patient for case in first.values()}) == len({each.patient for each in many})
    moved = replace(many[0], skin_type=None)
    assert deidentified([moved], {})[0][0].skin_type == "not recorded"
