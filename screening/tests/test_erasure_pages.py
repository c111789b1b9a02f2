"""Erasing, holding and keeping, as managers and those who agree see it."""

from datetime import date, timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from conftest import make_chart, make_screening
from patients.models import Erasure, LegalHold, Patient
from patients.services import merge_patients, open_visit
from screening.models import Notice
from screening.services import retention
from screening.services.erasing import erase_files
from screening.services.notices import sweep_notices
from screening.services.photographs import move_screening
from screening.services.retention import kept_until_now
from screening.services.reviews import Opinion
from screening.tests.conftest import finish, give, read_by_model, rows, sign, the_only
from screening.tests.erasing import erase
from screening.tests.test_restricted import post
from skinclinic.accounts.models import Clinic

EXCISE = Opinion(suspicious=True, diagnosis="melanoma", recommendation="excise")


def page(person, name: str, *keys: object) -> str:
    answer = person.client.get(reverse(name, args=keys))
    assert answer.status_code == 200, answer.get("Location")
    return answer.content.decode()


@pytest.fixture
def signed(cast, chart, photograph_bytes):
    screening = make_screening(cast.alice, chart, photograph_bytes)
    finish(cast, screening, refer=True, band="high")
    give(cast, screening, EXCISE)
    sign(cast, chart.visit)
    return screening


def test_two_people_erase_her(cast, chart, signed):
    before = page(cast.ada, "patient_erase", chart.patient.pk)
    assert "What goes" in before
    assert "although follow-ups of what looks malignant are open" in before
    refused = post(cast.ada, "patient_erase", chart.patient.pk, reason="request")
    assert "Follow-ups of what looks malignant are open" in refused.content.decode()
    post(cast.ada, "patient_erase", chart.patient.pk, reason="request", words="wrote a letter", despite_follow_ups="on")
    asked_for = the_only(cast, Erasure)
    assert "Ada Ash asked on" in page(cast.rita, "patient_chart", chart.patient.pk)
    assert "asked on" not in page(cast.alice, "patient_chart", chart.patient.pk)
    shown = page(cast.rita, "erasure", asked_for.pk)
    assert "wrote a letter" in shown
    assert "Agree: erase this patient now" in shown
    assert "Agree: erase this patient now" not in page(cast.ada, "erasure", asked_for.pk)
    refused = post(cast.ada, "erasure_agree", asked_for.pk)
    assert "You asked for this erasure" in refused.content.decode()

    post(cast.rita, "erasure_take_back", asked_for.pk)
    assert "asked on" not in page(cast.rita, "patient_chart", chart.patient.pk)
    refused = post(cast.rita, "erasure_agree", asked_for.pk)
    assert "This was agreed to or taken back already." in refused.content.decode()
    post(cast.ada, "patient_erase", chart.patient.pk, reason="request", despite_follow_ups="on")
    asked_for = the_only(cast, Erasure, taken_back_at=None)

    sweep_notices()
    assert rows(cast, Notice, patient=chart.patient, seen_at=None)
    chart_then = post(cast.rita, "erasure_agree", asked_for.pk).content.decode()
    for text in ("Erased patient", "The patient asks for it", "Ada Ash", "Rita Rowan", "their bytes are being erased"):
        assert text in chart_then
    assert not rows(cast, Notice, patient=chart.patient, seen_at=None), "nobody is called to her any more"
    erase_files(erasure_id=asked_for.pk, clinic_id=cast.north.pk)
    for person in (cast.alice, cast.otto):
        left = page(person, "patient_chart", chart.patient.pk)
        assert "Winterbottom" not in left
        assert "being erased" not in left
    history = page(cast.otto, "patient_history", chart.patient.pk)
    for deed in ("Patient erased", "Files erased", "Erasure asked for", "Chart opened", "Review added"):
        assert deed in history
    assert "Winterbottom" not in history
    assert "Rita Rowan" in page(cast.ada, "erasures")


def test_other_pages_lead_to_what_is_left(cast, chart, signed):
    places = {
        "visit": chart.visit.pk, "lesion": chart.lesion.pk, "screening": signed.pk, "photograph": signed.image_id,
        "thumbnail": signed.image_id, "screening_dicom": signed.pk, "visit_report_pdf": chart.visit.pk,
        "patient_correct": chart.patient.pk, "patient_merge": chart.patient.pk, "compare": chart.patient.pk,
    }  # fmt: skip
    erase(cast, chart.patient)
    there = reverse("patient_chart", args=[chart.patient.pk])
    for name, key in places.items():
        answer = cast.rita.client.get(reverse(name, args=[key]))
        if name not in ("patient_correct", "patient_merge") or answer.status_code != 403:
            assert answer["Location"].startswith(there), name
    assert cast.bob.client.get(there).status_code == 404


def test_lists_leave_her_out(cast, chart, photograph_bytes):
    finish(cast, make_screening(cast.alice, chart, photograph_bytes), refer=True, band="high")
    assert "Winterbottom" in page(cast.rita, "worklist")
    assert "Winterbottom" in page(cast.rita, "patients")
    erase(cast, chart.patient)
    for person, name in (
        (cast.rita, "worklist"),
        (cast.rita, "patients"),
        (cast.alice, "today"),
        (cast.ada, "overdue"),
    ):
        shown = page(person, name)
        assert "Winterbottom" not in shown
        assert "Erased patient" not in shown, name


def test_photograph_that_was_in_a_wrong_record_is_gone_there_too(cast, chart, signed):
    other = make_chart(cast.alice, family_name="Autumnbottom")
    with cast.alice.acting() as alice:
        wrong = make_screening(cast.alice, other, signed.image.photograph.read())
        finish(cast, wrong, refer=False, band="low")
        moved = move_screening(
            actor=alice, screening=wrong, visit=chart.visit, lesion=chart.lesion, reason="wrong_patient"
        )
    finish(cast, moved, refer=False, band="low")
    assert cast.rita.client.get(reverse("photograph", args=[wrong.image_id])).status_code == 200
    erase(cast, chart.patient)
    gone = cast.rita.client.get(reverse("photograph", args=[wrong.image_id]))
    assert gone.status_code == 410
    assert cast.rita.client.get(reverse("patient_chart", args=[other.patient.pk])).status_code == 200


def test_notice_of_an_erased_patient_tells_no_birth_date(cast, chart, screening):
    read_by_model(cast, screening, refer=True)
    sweep_notices()
    assert "born" in page(cast.rita, "notices")
    erase(cast, chart.patient)
    shown = page(cast.rita, "notices")
    assert "Erased patient" in shown
    assert "born" not in shown


def test_hold_is_put_and_lifted_by_two(cast, chart):
    held = post(cast.ada, "hold_put", chart.patient.pk, words="a claim of her insurer")
    assert "A legal hold stands since" in held.content.decode()
    hold = the_only(cast, LegalHold)
    assert "a claim of her insurer" in page(cast.rita, "patient_chart", chart.patient.pk)
    refused = post(cast.ada, "patient_erase", chart.patient.pk, reason="mistake")
    assert "Two people lift it first" in refused.content.decode()
    post(cast.ada, "hold_ask", hold.pk)
    assert "You asked to lift it" in post(cast.ada, "hold_agree", hold.pk).content.decode()
    assert "two people agreed" in post(cast.rita, "hold_agree", hold.pk).content.decode()
    post(cast.ada, "patient_erase", chart.patient.pk, reason="mistake")
    assert rows(cast, Erasure)


def test_whose_time_has_ended_is_listed_and_asked_for(cast, chart, monkeypatch):
    """As if all that is done today had been done long ago."""
    monkeypatch.setattr(retention, "kept_until_now", lambda clinic, today: today + timedelta(days=1))
    recent, held, twin = (make_chart(cast.alice, family_name=name) for name in ("Springbottom", "Autumnbottom", "Twin"))
    with cast.alice.acting() as alice:
        open_visit(actor=alice, patient=recent.patient, photographed_on=timezone.localdate() + timedelta(days=2))
        merge_patients(duplicate=twin.patient, into=recent.patient)
    post(cast.ada, "hold_put", held.patient.pk, words="a claim")
    listed = page(cast.ada, "retention")
    assert "Winterbottom" in listed
    assert not any(name in listed for name in ("Springbottom", "Autumnbottom", "Twin")), "lately, held, the same person"
    said = post(cast.ada, "retention", patients=[chart.patient.pk, recent.patient.pk]).content.decode()
    assert "1 erasure is asked for" in said
    (asked_for,) = rows(cast, Erasure)
    assert (asked_for.patient_id, asked_for.reason) == (chart.patient.pk, "retention")
    assert "Winterbottom" not in page(cast.ada, "retention")
    assert "1 patient is erased" in post(cast.rita, "erasures_agree", erasures=[asked_for.pk]).content.decode()
    assert rows(cast, Patient, erased_at__isnull=False) == [chart.patient]


def test_day_until_which_records_are_kept():
    clinic = Clinic(retention_years=10)
    assert kept_until_now(clinic, date(2026, 11, 28)) == date(2016, 11, 28)
    assert kept_until_now(Clinic(retention_years=1), date(2024, 2, 29)) == date(2023, 3, 1)
