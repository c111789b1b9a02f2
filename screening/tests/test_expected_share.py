"""How many of a clinic's lesions are expected to be malignant weighs the counts beside every reading."""

import pytest
from django.urls import reverse

from screening.presentation import count_sentences
from screening.tests.versions import models, own_readers
from skinclinic.audit.models import AuditEvent

__all__ = ["models", "own_readers"]  # fixtures


def share(person, **told):
    data = {"per_thousand": "25", "source": "Our pathology of 2025", "on": "2026-01-31"} | told
    return person.client.post(reverse("expected_share"), {"clinic": str(person.actor.clinic_id), **data}, follow=True)


def test_the_counts_are_weighed_with_the_clinics_own_share(real_cast, models):
    bands = {"low": {"malignant": {"count": 10, "total": 200}, "benign": {"count": 700, "total": 1000}}}
    told = models[0].manifest | {"bands": bands}
    clinic = real_cast.north
    before = " ".join(count_sentences(told, "low", clinic))
    assert "Where 40 of 1,000 are malignant, as expected here (assumed when the clinic was opened, " in before
    assert b"weighed with this share" in share(real_cast.ada).content
    clinic.refresh_from_db()
    after = " ".join(count_sentences(told, "low", clinic))
    # 0.025 x 0.05 / (0.025 x 0.05 + 0.975 x 0.7) = 1.8 of 1,000
    assert (
        "Where 25 of 1,000 are malignant, as expected here (Our pathology of 2025, 31 Jan 2026), about 2 would" in after
    )
    with real_cast.in_north():
        event = AuditEvent.objects.filter(subject_type="accounts_clinic", action="update").first()
    assert event.changes["expected_malignant_share"] == [0.04, 0.025]
    assert "0.04 → 0.025" in real_cast.otto.client.get(reverse("models")).content.decode()


@pytest.mark.parametrize("told", [{"per_thousand": "0"}, {"on": "2999-01-01"}, {"source": ""}])
def test_a_share_that_says_nothing_is_refused_beside_its_form(real_cast, models, told):
    page = share(real_cast.ada, **told)
    assert page.status_code == 200
    assert b"field-errors" in page.content
    real_cast.north.refresh_from_db()
    assert real_cast.north.expected_malignant_share == 0.04


def test_only_managers_set_the_share(real_cast, models):
    for person in (real_cast.alice, real_cast.rita, real_cast.otto):
        assert share(person).status_code == 403
