"""What makes a cancer likelier is noted once, and stands beside the photograph when it is judged."""

import re

import pytest
from django.db import IntegrityError
from django.urls import reverse

from patients.models import Patient

DETAILS = {"family_name": "Winterbottom", "given_name": "Erna", "birth_date": "1961-04-30", "sex": "female"}


def noted(cast, patient) -> list[str]:
    with cast.in_north():
        return Patient.objects.get(pk=patient.pk).risk_factors


def correct(cast, chart, *factors: str):
    form = DETAILS | {"version": "1", "risk_factors": list(factors), "clinic": str(cast.north.pk)}
    return cast.alice.client.post(reverse("patient_correct", args=[chart.patient.pk]), form)


def test_it_works(cast, chart, screening):
    pages = [
        reverse("patient_chart", args=[chart.patient.pk]),
        reverse("visit", args=[chart.visit.pk]),
        reverse("screening", args=[screening.pk]),
    ]
    for page in pages:
        assert "not asked" in cast.rita.client.get(page).content.decode(), page
    assert correct(cast, chart, "many_nevi", "melanoma").status_code == 302
    for page in pages:
        assert "Earlier melanoma, More than 50 nevi" in cast.rita.client.get(page).content.decode(), page
    form = cast.alice.client.get(reverse("patient_correct", args=[chart.patient.pk])).content.decode()
    assert len(re.findall(r'name="risk_factors"[^>]* checked', form)) == 2


def test_registering_notes_them(cast):
    form = DETAILS | {"risk_factors": ["none_known"], "clinic": str(cast.north.pk)}
    cast.alice.client.post(reverse("patient_new"), form)
    with cast.in_north():
        assert Patient.objects.get().risk_words == "Asked: none known"


@pytest.mark.parametrize("factors", [["none_known", "melanoma"], ["freckles"]])
def test_what_cannot_be_is_refused_everywhere(cast, chart, factors):
    assert "field-errors" in correct(cast, chart, *factors).content.decode()
    assert noted(cast, chart.patient) == []
    with pytest.raises(IntegrityError, match="patient_"), cast.in_north():
        Patient.objects.filter(pk=chart.patient.pk).update(risk_factors=factors)


def test_the_history_of_a_visit_is_told_in_words(cast, chart, screening):
    for page in (reverse("visit", args=[chart.visit.pk]), reverse("screening", args=[screening.pk])):
        assert "<dt>History</dt><dd>Changing" in cast.rita.client.get(page).content.decode()
