"""Readings are stopped by one person at once, and go on once two have agreed."""

import re
from pathlib import Path
from uuid import UUID

import pytest
from django.db import IntegrityError, transaction
from django.urls import reverse

from conftest import Cast, make_chart, make_screening
from ml.fake import load as load_fake
from patients.models import Visit
from screening.models import (
    Screening,
    Suspension,
)
from screening.querysets import ALARMING, INTERMEDIATE, LOW, visits_to_review
from screening.reader import register_version
from screening.services import versions
from screening.services.errors import NotYours, ReadingsSuspended, StaleTransition
from screening.services.readings import reading_backlog
from screening.tests.conftest import fresh, read_by_model, status_of
from screening.tests.versions import NEW, OLD, models, own_readers, post, read, switch, upload, versions_that_read
from skinclinic.accounts.services import decide_reviewing
from skinclinic.audit.acting import acting, system

__all__ = ["models", "own_readers"]  # fixtures


def test_one_manager_stops_all_readings_and_two_people_resume_them(real_cast, models, random_photograph):
    post(real_cast.ada, "readings_suspend", reason="Scores look wrong since this morning")
    screening = upload(real_cast, random_photograph())
    read(screening)
    assert status_of(screening) == "queued"
    with acting(system()):
        assert reading_backlog() == [], "what waits for a manager is not stuck"
    page = real_cast.rita.client.get(reverse("screening", args=[screening.pk])).content.decode()
    assert "Readings are suspended in this clinic" in page
    assert "every 2s" not in page
    assert "usually that takes seconds" not in page
    with real_cast.in_north():
        stop = Suspension.objects.get()
    post(real_cast.ada, "resume_ask", stop.pk)
    refused = post(real_cast.ada, "resume_agree", stop.pk)
    assert b"Another manager or a reviewer has to agree" in refused.content
    read(screening)
    assert status_of(screening) == "queued"
    assert b"ended by two people" in post(real_cast.rita, "resume_agree", stop.pk).content
    read(screening)
    assert status_of(screening) == "predicted"


def test_a_suspended_version_neither_reads_nor_is_trusted(real_cast, models, random_photograph):
    earlier, later = (upload(real_cast, random_photograph()) for _ in range(2))
    read(earlier)
    post(real_cast.ada, "version_suspend", OLD, reason="A recall")
    read(later)
    assert status_of(later) == "queued"
    switch(real_cast, NEW)
    read(later)
    assert versions_that_read(later) == {NEW}


@pytest.mark.parametrize("everything", [False, True], ids=["one version", "all readings"])
def test_what_a_suspended_version_read_reassures_nobody(cast, chart, screening, everything):
    with cast.ada.acting() as ada:
        decide_reviewing(actor=ada, unreviewed_readings="always")
    read_by_model(cast, screening, refer=False)
    places = {
        "worklist": cast.rita,
        "today": cast.alice,
        ("patient_chart", chart.patient.pk): cast.alice,
        ("visit", chart.visit.pk): cast.alice,
        ("screening", screening.pk): cast.rita,
    }
    addresses = [
        (person, reverse(place[0], args=place[1:]) if isinstance(place, tuple) else reverse(place))
        for place, person in places.items()
    ]
    for person, address in addresses:
        assert "chip-low" in person.client.get(address).content.decode(), address
    assert ranks(cast) == {chart.visit.pk: LOW}

    with cast.ada.acting() as ada:
        version = None if everything else fresh(screening).prediction.model_version
        stop = versions.suspend_readings(actor=ada, version=version, reason="A recall")
    for person, address in addresses:
        page = person.client.get(address).content.decode()
        assert "chip-low" not in page, address
        assert ">Suspended" in page, address
    assert "Do not rely on this one" in page
    assert "Low score" not in page
    assert ranks(cast) == {chart.visit.pk: ALARMING}

    with cast.ada.acting() as ada:
        versions.ask_to_resume(actor=ada, suspension=stop)
    with cast.rita.acting() as rita:
        stop.refresh_from_db()
        versions.agree_to_resume(actor=rita, suspension=stop)
    assert ranks(cast) == {chart.visit.pk: LOW}


def ranks(cast: Cast) -> dict[UUID, int]:
    with cast.in_north():
        return dict(visits_to_review(Visit.objects.all(), cast.rita.actor).values_list("pk", "rank"))


def test_a_photograph_that_waits_for_a_suspended_version_is_pressing(cast, chart, screening, photograph_bytes):
    other = make_screening(cast.bob, make_chart(cast.bob), photograph_bytes)
    old, new = (register_version(load_fake(Path(version)).manifest) for version in (OLD, NEW))
    with cast.ada.acting() as ada:
        versions.begin_policy(actor=ada, version=old)
        versions.suspend_readings(actor=ada, version=new, reason="A recall")
        assert ranks(cast) == {chart.visit.pk: INTERMEDIATE}, "another version is suspended"
        versions.suspend_readings(actor=ada, version=old, reason="A recall")
    assert ranks(cast) == {chart.visit.pk: ALARMING}
    assert ">Suspended" in cast.rita.client.get(reverse("worklist")).content.decode()
    with cast.bob.acting():
        assert not Screening.objects.with_prediction().get(pk=other.pk).is_suspended, "another clinic's"


def test_a_suspended_shadow_does_not_read_and_stops_nothing(real_cast, models, random_photograph):
    with real_cast.ada.acting() as actor:
        versions.begin_shadow(actor=actor, version=models[1])
        versions.suspend_readings(actor=actor, version=models[1], reason="A recall")
    screening = upload(real_cast, random_photograph())
    page = real_cast.rita.client.get(reverse("screening", args=[screening.pk])).content.decode()
    assert "suspended" not in page
    read(screening)
    assert versions_that_read(screening) == {OLD}


def test_a_suspended_version_cannot_be_switched_to(real_cast, models):
    with real_cast.ada.acting() as actor:
        versions.suspend_readings(actor=actor, version=models[1], reason="A recall")
        with pytest.raises(ReadingsSuspended, match="resumed by two people"):
            versions.ask_to_switch(actor=actor, version=models[1], reason="x")


def test_the_database_wants_two_people(real_cast, models):
    with real_cast.ada.acting() as actor:
        stop = versions.suspend_readings(actor=actor, version=None, reason="x")
        versions.ask_to_resume(actor=actor, suspension=stop)
        stop.refresh_from_db()
        with pytest.raises(NotYours):
            versions.agree_to_resume(actor=actor, suspension=stop)
        with pytest.raises(IntegrityError, match="suspension_resumed_by_two"), transaction.atomic():
            Suspension.objects.filter(pk=stop.pk).update(resumed_by=actor.user_id, resumed_at=stop.created_at)
        with pytest.raises(IntegrityError, match="suspension_resumed_by_two"), transaction.atomic():
            Suspension.objects.filter(pk=stop.pk).update(
                resume_asked_by=None, resume_asked_at=None, resumed_by=actor.user_id, resumed_at=stop.created_at
            )


def test_who_agrees_reads_why_it_was_asked_and_a_request_can_be_taken_back(real_cast, models):
    post(real_cast.ada, "version_suspend", OLD, reason="A recall")
    with real_cast.in_north():
        stop = Suspension.objects.get()
    post(real_cast.ada, "resume_ask", stop.pk, reason="The recall was of another model")
    assert "The recall was of another model</p>" in real_cast.rita.client.get(reverse("models")).content.decode()
    assert post(real_cast.rita, "resume_take_back", stop.pk).status_code == 403
    assert b"stays suspended" in post(real_cast.ada, "resume_take_back", stop.pk, reason="Too early").content
    assert b"Nobody asks for this any more" in post(real_cast.ada, "resume_take_back", stop.pk).content
    post(real_cast.rita, "resume_agree", stop.pk)
    with real_cast.in_north():
        assert Suspension.objects.open().exists(), "what was taken back cannot be agreed to"
    post(real_cast.ada, "resume_ask", stop.pk, reason="Now it is known")
    page = real_cast.otto.client.get(reverse("models")).content.decode()
    assert "Now it is known</p>" in page
    history = page[page.index("What was decided") :]
    told = [
        "Asked to resume readings",
        "Request to resume taken back",
        "Asked to resume readings",
        "Readings suspended",
    ]
    assert re.findall("|".join(set(told)), history) == told
    assert history.count(f"of: {OLD}") == 4


def test_a_suspension_is_said_once(real_cast, models):
    with real_cast.ada.acting() as actor:
        versions.suspend_readings(actor=actor, version=None, reason="x")
        with pytest.raises(StaleTransition, match="suspended already"):
            versions.suspend_readings(actor=actor, version=None, reason="y")
        versions.suspend_readings(actor=actor, version=models[0], reason="z")


def test_who_may_ask_and_agree_to_resume(real_cast, models):
    with real_cast.ada.acting() as actor:
        stop = versions.suspend_readings(actor=actor, version=None, reason="x")
    assert post(real_cast.rita, "resume_ask", stop.pk).status_code == 403
    post(real_cast.ada, "resume_ask", stop.pk)
    for person in (real_cast.alice, real_cast.otto):
        assert post(person, "resume_agree", stop.pk).status_code == 403
    with real_cast.in_north():
        assert Suspension.objects.open().exists()
