"""Details that were wrong, or not known yet."""

import pytest
from django.urls import reverse

from conftest import IDENTITY, Cast, make_chart
from patients.models import Consent, Patient, PatientIdentifier
from patients.services import add_identifier


def correct(cast: Cast, patient: Patient, **changed: str) -> str:
    with cast.in_north():
        version = Patient.objects.get(pk=patient.pk).version
    posted = IDENTITY | {"clinic": str(cast.north.pk), "sex": "female", "skin_type": "2", "version": version} | changed
    address = reverse("patient_correct", args=[patient.pk])
    return cast.alice.client.post(address, posted, follow=True).content.decode()


def numbers(cast: Cast, patient: Patient) -> list[str]:
    with cast.in_north():
        return list(PatientIdentifier.objects.filter(patient=patient).values_list("value", flat=True))


def test_a_record_number_is_given_later_and_corrected(cast, chart):
    assert "The details are corrected." in correct(cast, chart.patient, record_number="D-7")
    assert numbers(cast, chart.patient) == ["D-7"]
    form = cast.alice.client.get(reverse("patient_correct", args=[chart.patient.pk])).content.decode()
    assert 'value="D-7"' in form
    correct(cast, chart.patient, record_number="D-8")
    assert numbers(cast, chart.patient) == ["D-8"]
    correct(cast, chart.patient, record_number="")
    assert numbers(cast, chart.patient) == ["D-8"], "a number is not taken away"


def test_another_patients_number_is_refused_and_nothing_is_changed(cast, chart):
    other = make_chart(cast.alice, given_name="Another")
    correct(cast, other.patient, record_number="D-7")
    refused = correct(cast, chart.patient, record_number="D-7", given_name="Changed")
    assert "Another patient of this clinic has this number." in refused
    assert numbers(cast, chart.patient) == []
    with cast.in_north():
        assert Patient.objects.get(pk=chart.patient.pk).identity.given_name == "Erna"


def test_another_systems_number_stays_as_it_is(cast, chart):
    with cast.in_north():
        add_identifier(patient=chart.patient, system="urn:other", value="X-1")
    correct(cast, chart.patient, record_number="D-9")
    assert sorted(numbers(cast, chart.patient)) == ["D-9", "X-1"]


@pytest.mark.parametrize(("day", "is_taken"), [("1961-04-29", False), ("1961-04-30", True)])
def test_nobody_consents_before_she_is_born(cast, chart, day, is_taken):
    posted = {"clinic": str(cast.north.pk), "kind": "research", "decision": "given", "decided_on": day}
    page = cast.alice.client.post(reverse("consent_note", args=[chart.patient.pk]), posted, follow=True)
    assert ("before the patient" in page.content.decode()) is not is_taken
    with cast.in_north():
        assert Consent.objects.filter(kind="research").exists() is is_taken
