"""What a patient decided holds: at the upload, while a photograph waits, after a move and after a merge."""

import re

import pytest
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format

from conftest import make_chart, make_screening
from patients.services import (
    NothingToWithdraw,
    RecordMerged,
    add_lesion,
    consents_of,
    ids_of_person,
    merge_patients,
    note_consent,
    open_visit,
    withdraw_consent,
)
from screening.services import readings
from screening.services.errors import PhotographsRefusedByPatient, ReadingRefusedByPatient
from screening.services.photographs import move_screening
from screening.tests.conftest import fresh, give, sign, status_of


def decide(person, chart, kind: str, decision: str) -> None:
    with person.acting() as actor:
        note_consent(actor=actor, patient=chart.patient, kind=kind, decision=decision, decided_on="2026-11-22")


def test_withdrawn_consent_to_photographs_stops_uploads(cast, chart, photograph_bytes):
    decide(cast.alice, chart, "photograph", "given")
    with cast.alice.acting() as alice:
        withdraw_consent(actor=alice, patient=chart.patient, kind="photograph")
    with pytest.raises(PhotographsRefusedByPatient):
        make_screening(cast.alice, chart, photograph_bytes)


def withdrawal(chart, kind: str = "ai_reading") -> str:
    return f"/patients/{chart.patient.pk}/consents/{kind}/withdraw/"


@pytest.mark.parametrize(
    ("kind", "stops"),
    [
        ("photograph", "New photographs of this patient are refused"),
        ("ai_reading", "The model reads no photograph of this patient any more"),
        ("teaching", "may not be used in teaching any more"),
        ("research", "may not be used in research any more"),
    ],
)
def test_withdrawal_says_first_what_stops_and_what_stays(cast, chart, kind, stops):
    decide(cast.alice, chart, kind, "given")
    page = cast.alice.client.get(withdrawal(chart, kind)).content.decode()
    assert stops in page
    assert "What stays" in page
    with cast.in_north():
        assert consents_of([chart.patient.pk])[kind].decision == "given", "nothing is withdrawn by looking"


def test_what_was_given_and_is_given_no_more_reads_withdrawn(cast, chart):
    decide(cast.alice, chart, "research", "refused")
    answer = cast.alice.client.post(withdrawal(chart), {"clinic": str(cast.north.pk)}, follow=True)
    page = answer.content.decode()
    today = date_format(timezone.localdate(), "DATE_FORMAT")
    assert f"Withdrawn on {today}" in page
    assert page.count('fw-semibold">Refused<') == 1, "research, which was never given"
    assert withdrawal(chart) not in page
    decide(cast.alice, chart, "ai_reading", "given")
    assert "Withdrawn on" not in cast.alice.client.get(f"/patients/{chart.patient.pk}/").content.decode()


def test_nothing_given_leads_back_and_an_unknown_kind_is_nowhere(cast, chart):
    assert cast.alice.client.get(withdrawal(chart, "teaching")).url == f"/patients/{chart.patient.pk}/"
    assert cast.alice.client.get(withdrawal(chart, "driving")).status_code == 404


def test_kind_of_a_consent_is_chosen_and_not_given_beforehand(cast, chart):
    page = cast.alice.client.get(f"/patients/{chart.patient.pk}/").content.decode()
    kinds = page[page.index('id="id_kind"') : page.index("</select>", page.index('id="id_kind"'))]
    assert re.findall(r'value="(\w*)" selected', kinds) == [""]
    form = {"kind": "", "decision": "given", "decided_on": "2026-11-22", "clinic": str(cast.north.pk)}
    assert (
        "The consent is noted."
        not in cast.alice.client.post(f"/patients/{chart.patient.pk}/consents/", form, follow=True).content.decode()
    )


def test_refusal_cannot_be_withdrawn_into_nothing(cast, chart, photograph_bytes):
    decide(cast.alice, chart, "photograph", "refused")
    with pytest.raises(NothingToWithdraw), cast.alice.acting() as alice:
        withdraw_consent(actor=alice, patient=chart.patient, kind="photograph")
    with pytest.raises(PhotographsRefusedByPatient):
        make_screening(cast.alice, chart, photograph_bytes)


def test_consent_withdrawn_while_the_photograph_waits_is_heeded(cast, chart, screening):
    decide(cast.alice, chart, "ai_reading", "refused")
    with cast.in_north():
        assert readings.claim_reading(screening_id=screening.pk) is None
    assert status_of(screening) == "not_wanted"
    with pytest.raises(ReadingRefusedByPatient), cast.ada.acting() as ada:
        readings.retry_reading(actor=ada, screening=screening)


def test_consent_given_later_lets_the_photograph_be_read(cast, photograph_bytes):
    chart = make_chart(cast.alice, consent="refused")
    screening = make_screening(cast.alice, chart, photograph_bytes)
    decide(cast.alice, chart, "ai_reading", "given")
    page = cast.alice.client.get(f"/screenings/{screening.pk}/").content.decode()
    assert "Read it now" in page
    with cast.alice.acting() as alice:
        readings.retry_reading(actor=alice, screening=screening)
    assert status_of(screening) == "queued"


def test_photograph_is_not_moved_to_a_patient_who_refuses(cast, chart, screening):
    other = make_chart(cast.alice, family_name="Unwilling")
    decide(cast.alice, other, "photograph", "refused")
    with pytest.raises(PhotographsRefusedByPatient), cast.alice.acting() as alice:
        move_screening(actor=alice, screening=screening, visit=other.visit, lesion=other.lesion, reason="wrong_patient")
    assert fresh(screening).withdrawn_at is None


def test_refusal_survives_a_merge_and_the_merged_record_is_closed(cast, chart, photograph_bytes):
    twin = make_chart(cast.alice)
    decide(cast.alice, chart, "photograph", "given")
    decide(cast.alice, twin, "photograph", "refused")
    with cast.alice.acting() as alice:
        merge_patients(duplicate=twin.patient, into=chart.patient)
        shown = consents_of(ids_of_person(chart.patient.pk))
        assert shown["photograph"].decision == "refused"
        for write in (
            lambda: open_visit(actor=alice, patient=twin.patient),
            lambda: add_lesion(patient=twin.patient, site="back", laterality="left", view="back", x=0, y=0),
        ):
            with pytest.raises(RecordMerged):
                write()
    with pytest.raises(PhotographsRefusedByPatient):
        make_screening(cast.alice, chart, photograph_bytes)
    response = cast.alice.client.post(
        f"/patients/{twin.patient.pk}/visits/new/", {"urgency": "routine", "clinic": str(cast.north.pk)}
    )
    assert (response.status_code, "merged into another" in response.content.decode()) == (409, True)


def test_refusal_on_a_merged_record_can_be_changed(cast, chart, photograph_bytes):
    twin = make_chart(cast.alice)
    decide(cast.alice, twin, "photograph", "refused")
    with cast.alice.acting():
        merge_patients(duplicate=twin.patient, into=chart.patient)
    decide(cast.alice, chart, "photograph", "given")
    assert make_screening(cast.alice, chart, photograph_bytes).pk


def test_history_of_a_merged_patient_holds_both_records(cast, chart):
    twin = make_chart(cast.alice)
    with cast.alice.acting():
        merge_patients(duplicate=twin.patient, into=chart.patient)
    history = cast.alice.client.get(f"/patients/{chart.patient.pk}/history/").content.decode()
    assert history.count("Visit added") == 2


def test_follow_up_ends_with_the_photograph_that_is_moved_away(cast, chart, screening):
    from dataclasses import replace

    from screening.models import FollowUp
    from screening.tests.conftest import BENIGN

    give(cast, screening, replace(BENIGN, recommendation="excise"))
    sign(cast, chart.visit)
    right = make_chart(cast.alice, family_name="Rightful")
    with cast.alice.acting() as alice:
        move_screening(actor=alice, screening=screening, visit=right.visit, lesion=right.lesion, reason="wrong_patient")
        assert FollowUp.objects.get().status == "withdrawn"
    page = cast.alice.client.get(f"/visits/{chart.visit.pk}/").content.decode()
    assert "Withdrawn from this visit" in page


def test_who_refuses_photographs_is_offered_no_upload(cast, chart):
    decide(cast.alice, chart, "photograph", "refused")
    page = cast.alice.client.get(reverse("visit", args=[chart.visit.pk])).content.decode()
    assert "none can be added" in page
    assert "data-upload" not in page
