"""Where the model was hardly tested: said above the score, and no low band."""

from datetime import date, timedelta

import pytest
from django.db import IntegrityError, transaction
from django.urls import reverse

from conftest import make_chart, make_screening
from ml.cautions import HAM10000_RULES
from patients.codes import BodySite, SkinType
from patients.models import Lesion, Patient, PatientIdentity, Visit
from patients.services import merge_patients
from screening.codes import Finding
from screening.models import LesionImage, Screening
from screening.querysets import INTERMEDIATE, LOW, visits_to_review
from screening.services import readings
from screening.services.photographs import move_screening
from screening.tests.conftest import Opinion, fresh, give, read_by_model

NO_BAND = "Score without a band"


def test_the_rules_speak_the_words_of_the_record():
    assert {site for rule in HAM10000_RULES for site in rule.sites} <= set(BodySite.values)
    assert {finding for rule in HAM10000_RULES for finding in rule.findings} == set(Finding.values)
    assert {skin for rule in HAM10000_RULES for skin in rule.skin_types} - {0} <= set(SkinType.values)


def claim(cast, screening):
    with cast.in_north():
        return readings.claim_reading(screening_id=screening.pk)


def page(cast, screening) -> str:
    return cast.rita.client.get(reverse("screening", args=[screening.pk])).content.decode()


def change(cast, model, pk, **columns) -> None:
    with cast.in_north():
        model.objects.filter(pk=pk).update(**columns)


def test_a_worker_is_told_what_the_record_says(cast, chart, photograph_bytes):
    screening = make_screening(cast.alice, chart, photograph_bytes, findings=("ulcerated",))
    eighteen_tomorrow = date.today().replace(year=date.today().year - 18) + timedelta(days=1)  # noqa: DTZ011
    change(cast, PatientIdentity, chart.patient.pk, birth_date=eighteen_tomorrow)
    change(cast, Patient, chart.patient.pk, skin_type=5)
    change(cast, Lesion, chart.lesion.pk, site="sole")
    ground = claim(cast, screening).ground
    assert (ground.age, ground.skin_type, ground.site, ground.findings) == (17, 5, "sole", {"ulcerated"})


def test_of_a_merged_patient_the_remaining_record_is_asked(cast, screening, chart):
    remaining = make_chart(cast.alice, given_name="Remaining", birth_date=date(2015, 1, 1))
    change(cast, Patient, remaining.patient.pk, skin_type=6)
    with cast.ada.acting():
        merge_patients(duplicate=chart.patient, into=remaining.patient)
    ground = claim(cast, screening).ground
    assert ground.skin_type == 6
    assert ground.age < 18


@pytest.mark.parametrize("refer", [True, False])
def test_the_page_says_it_above_the_score_and_shows_no_low_band(cast, chart, screening, refer):
    change(cast, Patient, chart.patient.pk, skin_type=None)
    read_by_model(cast, screening, refer=refer)
    shown = page(cast, screening)
    assert "The skin type is not recorded" in shown
    assert shown.index("The skin type is not recorded") < shown.index("reading-head")
    assert (NO_BAND in shown) is not refer
    assert ("High score" in shown) is refer
    assert ("chip-low" in shown) is False


def test_what_is_recorded_after_the_reading_counts_on_the_page(cast, chart, screening):
    read_by_model(cast, screening, refer=False)
    assert "Low score" in page(cast, screening)
    change(cast, Patient, chart.patient.pk, skin_type=6)
    shown = page(cast, screening)
    assert "Skin type IV to VI" in shown
    assert NO_BAND in shown
    assert "chip-low" not in shown
    change(cast, Patient, chart.patient.pk, skin_type=1)
    assert "Low score" in page(cast, screening)


def test_a_low_score_on_thin_ground_is_not_last_on_the_list(cast, chart, screening):
    change(cast, Patient, chart.patient.pk, skin_type=None)
    read_by_model(cast, screening, refer=False)
    known = make_chart(cast.alice, given_name="Known")
    other = make_screening(cast.alice, known, _photograph(screening, cast))
    read_by_model(cast, other, refer=False)
    with cast.in_north():
        ranks = dict(visits_to_review(Visit.objects.all(), cast.rita.actor).values_list("pk", "rank"))
    assert ranks == {chart.visit.pk: INTERMEDIATE, known.visit.pk: LOW}


def _photograph(screening, cast) -> bytes:
    with cast.in_north(), screening.image.photograph.open() as stored:
        return stored.read()


def test_suspicion_needs_no_reason_where_the_reading_said_nothing(cast, chart, screening):
    change(cast, Patient, chart.patient.pk, skin_type=None)
    read_by_model(cast, screening, refer=False)
    review = give(cast, screening, Opinion(suspicious=True, diagnosis="melanoma", recommendation="excise"))
    assert review.difference_reason == ""


def test_what_the_clinician_ticks_is_stored_and_moves_along(cast, chart, photograph_bytes):
    from django.core.files.uploadedfile import SimpleUploadedFile

    client = cast.alice.client
    file = SimpleUploadedFile("lesion.jpg", photograph_bytes, "image/jpeg")
    body = {
        "lesion": str(chart.lesion.pk),
        "clinic": str(cast.north.pk),
        "photographs": file,
        "findings": ["ulcerated", "non_pigmented", "purple"],
    }
    client.post(reverse("photograph_upload", args=[chart.visit.pk]), body)
    with cast.in_north():
        stored = Screening.objects.get()
        assert stored.image.findings == ["non_pigmented", "ulcerated"]
    elsewhere = make_chart(cast.alice, given_name="Elsewhere")
    with cast.alice.acting() as actor:
        moved = move_screening(
            actor=actor, screening=stored, visit=elsewhere.visit, lesion=elsewhere.lesion, reason="wrong_patient"
        )
    assert fresh(moved).image_id != stored.image_id
    with cast.in_north():
        assert LesionImage.objects.get(pk=moved.image_id).findings == ["non_pigmented", "ulcerated"]


def test_the_database_knows_the_findings(cast, chart, photograph_bytes):
    with pytest.raises(IntegrityError, match="image_findings_known"), transaction.atomic():
        make_screening(cast.alice, chart, photograph_bytes, findings=("purple",))
