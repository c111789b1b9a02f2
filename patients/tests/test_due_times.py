"""Until when a visit is to be reviewed is the clinic's to decide."""

from datetime import timedelta

import pytest
from django.db import IntegrityError
from django.urls import reverse
from django.utils import timezone

from patients.services import open_visit
from skinclinic.accounts.models import Clinic

OTHERS = {"second_reading_percent": "0", "unreviewed_readings": "not_low", "letter_advice_en": "Call us."}


def decide(cast, urgent: int, soon: int, routine: int):
    hours = {"due_hours_urgent": urgent, "due_hours_soon": soon, "due_hours_routine": routine}
    return cast.ada.client.post(reverse("clinic_settings"), OTHERS | hours | {"clinic": str(cast.north.pk)})


def due_in(cast, chart, urgency: str) -> timedelta:
    with cast.alice.acting() as alice:
        visit = open_visit(actor=alice, patient=chart.patient, urgency=urgency)
    return visit.due_at - visit.created_at


@pytest.mark.parametrize(("urgency", "before", "after"), [("urgent", 24, 2), ("soon", 72, 10), ("routine", 168, 48)])
def test_it_works(cast, chart, urgency, before, after):
    assert abs(due_in(cast, chart, urgency) - timedelta(hours=before)) < timedelta(seconds=1)
    assert decide(cast, 2, 10, 48).status_code == 302
    assert abs(due_in(cast, chart, urgency) - timedelta(hours=after)) < timedelta(seconds=1)


def test_another_clinic_keeps_its_own(cast, chart):
    decide(cast, 2, 10, 48)
    assert Clinic.objects.get(pk=cast.south.pk).due_hours_urgent == 24


def test_what_is_open_keeps_its_time(cast, chart):
    decide(cast, 1, 1, 1)
    with cast.in_north():
        chart.visit.refresh_from_db()
    assert chart.visit.due_at > timezone.now() + timedelta(hours=100)


@pytest.mark.parametrize("hours", [(10, 2, 48), (2, 48, 10), (0, 10, 48), (2, 10, 24 * 365 + 1)])
def test_what_is_out_of_order_is_refused_everywhere(cast, hours):
    assert "field-errors" in decide(cast, *hours).content.decode()
    names = ("due_hours_urgent", "due_hours_soon", "due_hours_routine")
    with pytest.raises(IntegrityError, match="clinic_due_hours_in_order"), cast.in_north():
        Clinic.objects.filter(pk=cast.north.pk).update(**dict(zip(names, hours, strict=True)))
