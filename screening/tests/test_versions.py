"""Which model reads: switched and gone back from with a reason, read beside, suspended by one and resumed by two."""

import csv
import io
import re
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from uuid import UUID

import pytest
from django.db import IntegrityError, connection, transaction
from django.urls import reverse

from conftest import Cast, make_chart, make_person, make_screening, owner_connection
from ml.contract import ModelError
from ml.fake import load as load_fake
from ml.predictor import newest_model
from patients.models import Visit
from screening.models import (
    ModelVersion,
    Prediction,
    ReadingPolicy,
    Screening,
    ShadowVersion,
    Suspension,
    SwitchRequest,
)
from screening.presentation import count_sentences
from screening.querysets import ALARMING, INTERMEDIATE, LOW, visits_to_review
from screening.reader import forget_readers, load_predictor, register_version
from screening.services import readings, versions
from screening.services.errors import NotYours, ReadingsSuspended, StaleTransition
from screening.services.readings import reading_backlog
from screening.services.reviews import Opinion
from screening.tests.conftest import BENIGN, fresh, give, read_by_model, rows, sign, status_of, wait_until
from skinclinic.accounts.services import decide_reviewing
from skinclinic.audit.acting import acting, system
from skinclinic.audit.models import AuditEvent

OLD, NEW = "2026.1.1", "2026.10.1"


@pytest.fixture(autouse=True)
def own_readers():
    """This process reads as a worker does; what it registers stands in this test's database only."""
    forget_readers()
    yield
    forget_readers()


@pytest.fixture
def models(real_cast) -> tuple[ModelVersion, ModelVersion]:
    """Two installed versions, of which the older one reads."""
    old, new = (register_version(load_fake(Path(version)).manifest) for version in (OLD, NEW))
    with real_cast.ada.acting() as actor:
        versions.begin_policy(actor=actor, version=old)
    return old, new


def upload(cast: Cast, photograph: bytes) -> Screening:
    return make_screening(cast.alice, make_chart(cast.alice), photograph)


def read(screening: Screening) -> None:
    readings.read_photograph(screening_id=screening.pk, clinic_id=screening.clinic_id)


def versions_that_read(screening: Screening) -> set[str]:
    with acting(system(clinic_id=screening.clinic_id)):
        return set(Prediction.objects.filter(screening=screening).values_list("model_version", flat=True))


def policy(cast: Cast) -> ReadingPolicy:
    with cast.in_north():
        return ReadingPolicy.objects.get()


def post(person, name: str, *keys, reason: str = "Better on our own lesions"):
    data = {"clinic": str(person.actor.clinic_id), "reason": reason}
    return person.client.post(reverse(name, args=keys), data, follow=True)


def agree(cast: Cast, person, reason: str = "I agree"):
    with cast.in_north():
        asked = SwitchRequest.objects.open().get()
    return post(person, "switch_agree", asked.pk, reason=reason)


def switch(cast: Cast, version: str, reason: str = "Better on our own lesions"):
    """As it is done: asked for by one, agreed to by another."""
    post(cast.ada, "version_switch", version, reason=reason)
    return agree(cast, cast.rita)


def test_the_first_reading_settles_the_clinics_version(real_cast, random_photograph):
    screening = upload(real_cast, random_photograph())
    read(screening)
    assert versions_that_read(screening) == {"0.0.0-fake"}
    register_version(load_fake(Path(NEW)).manifest)
    later = upload(real_cast, random_photograph())
    read(later)
    assert versions_that_read(later) == {"0.0.0-fake"}, "a newly installed version changes nobody's readings"


def test_a_clinic_from_before_goes_on_with_the_version_that_read_last(real_db, real_cast, models, random_photograph):
    screening = upload(real_cast, random_photograph())
    read(screening)
    with owner_connection(real_db).cursor() as cursor:
        cursor.execute("DELETE FROM screening_readingpolicy")
        cursor.execute(import_module("screening.migrations.0005_model_versions").KEEP_READING)
    assert policy(real_cast).active_id == OLD


def test_a_switch_and_the_way_back_hold_from_the_next_photograph_on(real_cast, models, random_photograph):
    before, after, back = (upload(real_cast, random_photograph()) for _ in range(3))
    read(before)
    assert b"has to agree on this page" in post(real_cast.ada, "version_switch", NEW).content
    assert policy(real_cast).active_id == OLD
    assert b"reads from the next photograph on" in agree(real_cast, real_cast.rita, "Seen on both").content
    read(after)
    page = real_cast.ada.client.get(reverse("models")).content.decode()
    assert "Go back to it" in page
    switch(real_cast, OLD, reason="Too many alarms")
    read(back)
    assert [versions_that_read(screening) for screening in (before, after, back)] == [{OLD}, {NEW}, {OLD}]
    with real_cast.in_north():
        events = AuditEvent.objects.filter(subject_type="screening_readingpolicy", action="update").order_by("id")
        told = [(event.actor_name, event.reason, event.changes["active_id"]) for event in events]
    assert told == [
        ("Rita Rowan", "Seen on both", [OLD, NEW]),
        ("Rita Rowan", "I agree", [NEW, OLD]),
    ]


def test_a_reading_keeps_what_it_was_made_with(real_cast, models, random_photograph):
    screening = upload(real_cast, random_photograph())
    read(screening)
    kept, manifest = fresh(screening).prediction, load_fake(Path(OLD)).manifest
    assert (kept.model_version_id, kept.weights_sha256) == (OLD, manifest.network_sha256)
    assert (kept.preprocessing, kept.thresholds) == (manifest.preprocessing, manifest.thresholds_version)
    assert len(kept.thresholds) == 12


def test_a_shadow_reads_silently(real_cast, models, random_photograph):
    post(real_cast.ada, "shadow_begin", NEW)
    screening = upload(real_cast, random_photograph())
    read(screening)
    assert versions_that_read(screening) == {OLD, NEW}
    assert fresh(screening).prediction.model_version_id == OLD
    with real_cast.in_north():
        shadow = Prediction.objects.get(model_version=NEW)
    # Not as the end of another figure: 0.3 stands in 10.3 %.
    shown = re.compile(rf"(?<![\d.]){re.escape(f'{shadow.malignancy:.3g}')}")
    pages = [
        reverse("screening", args=[screening.pk]),
        reverse("screening_history", args=[screening.pk]),
        reverse("patient_history", args=[screening.patient_id]),
    ]
    for page in pages:
        text = real_cast.rita.client.get(page).content.decode()
        assert not shown.search(text), page
        assert NEW not in text, page
    table = real_cast.ada.client.get(reverse("models")).content.decode()
    assert "Readings beside" in table
    assert reverse("beside") in table
    post(real_cast.ada, "shadow_end", NEW)
    assert "None" not in real_cast.ada.client.get(reverse("models")).content.decode()
    later = upload(real_cast, random_photograph())
    read(later)
    assert versions_that_read(later) == {OLD}


def test_what_goes_wrong_with_a_shadow_is_nobodys_trouble(real_cast, models, random_photograph, monkeypatch, caplog):
    def load(folder: Path | None = None):
        if folder and folder.name == NEW:
            raise ModelError("There is no model here.")
        return load_fake(folder)

    monkeypatch.setattr("ml.fake.load", load)
    with real_cast.ada.acting() as actor:
        versions.begin_shadow(actor=actor, version=models[1])
    screening = upload(real_cast, random_photograph())
    read(screening)
    assert status_of(screening) == "predicted"
    assert versions_that_read(screening) == {OLD}
    assert "could not read" in caplog.text


def test_a_version_that_is_not_installed_fails_in_words(real_cast, models, random_photograph, monkeypatch):
    def load(folder: Path | None = None):
        raise ModelError("There is no model here.")

    monkeypatch.setattr("ml.fake.load", load)
    screening = upload(real_cast, random_photograph())
    read(screening)
    assert (status_of(screening), fresh(screening).failure_code) == ("failed", "model_missing")
    page = real_cast.rita.client.get(reverse("screening", args=[screening.pk])).content.decode()
    assert "is missing where photographs are read, or failed its test there" in page
    assert versions_that_read(screening) == set()


def test_after_a_failure_the_shadow_can_be_switched_to(real_cast, models, random_photograph, monkeypatch):
    post(real_cast.ada, "shadow_begin", NEW)

    def load(folder: Path | None = None):
        if folder and folder.name == OLD:
            raise ModelError("There is no model here.")
        return load_fake(folder)

    monkeypatch.setattr("ml.fake.load", load)
    screening = upload(real_cast, random_photograph())
    read(screening)
    assert status_of(screening) == "failed"
    switch(real_cast, NEW)
    with real_cast.rita.acting() as actor:
        readings.retry_reading(actor=actor, screening=fresh(screening))
    read(screening)
    assert (status_of(screening), versions_that_read(screening)) == ("predicted", {NEW})


def test_a_folder_that_holds_another_version_is_refused(monkeypatch):
    monkeypatch.setattr("ml.fake.load", lambda folder=None: load_fake(Path(OLD)))
    with pytest.raises(ModelError, match=f"folder of model {NEW} holds {OLD}"):
        load_predictor(NEW)


def test_other_thresholds_want_a_version_of_their_own(models):
    changed = replace(load_fake(Path(OLD)).manifest, quality_limits={"sharpness": 0.5})
    with pytest.raises(ModelError, match="other thresholds"):
        register_version(changed)


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


def test_what_stands_already_is_not_done_again(real_cast, models):
    old, new = models
    with real_cast.ada.acting() as actor:
        with pytest.raises(StaleTransition, match="reads for this clinic already"):
            versions.ask_to_switch(actor=actor, version=old, reason="x")
        with pytest.raises(StaleTransition, match="cannot read beside itself"):
            versions.begin_shadow(actor=actor, version=old)
        with pytest.raises(StaleTransition, match="does not read in the shadow"):
            versions.end_shadow(actor=actor, version=new)
        versions.begin_shadow(actor=actor, version=new)
    switch(real_cast, NEW)
    with real_cast.in_north():
        assert not ShadowVersion.objects.exists(), "what decides does not read beside itself"


def test_a_switch_takes_two_people(real_cast, models):
    post(real_cast.ada, "version_switch", NEW)
    page = real_cast.rita.client.get(reverse("models")).content.decode()
    assert "Ada Ash asked on" in page
    assert "Better on our own lesions" in page
    assert b"You asked for this switch" in agree(real_cast, real_cast.ada).content
    for person in (real_cast.alice, real_cast.otto):
        assert agree(real_cast, person).status_code == 403
    assert b"has to be agreed to or taken back first" in post(real_cast.ada, "version_switch", NEW).content
    with real_cast.in_north():
        asked = SwitchRequest.objects.get()
        with pytest.raises(IntegrityError, match="switch_agreed_by_two"), transaction.atomic():
            SwitchRequest.objects.update(agreed_by=asked.asked_by, ended_at=asked.created_at)
    assert post(real_cast.bob, "switch_agree", asked.pk).status_code == 404
    assert policy(real_cast).active_id == OLD
    agree(real_cast, real_cast.rita)
    assert policy(real_cast).active_id == NEW
    assert b"agreed to or taken back already" in post(real_cast.rolf, "switch_agree", asked.pk).content
    page = real_cast.otto.client.get(reverse("models")).content.decode()
    history = page[page.index("What was decided") :]
    told = ["Switch of the model agreed to", "Model switched", "Switch of the model asked for"]
    assert sorted(re.findall("|".join(told), history)) == sorted(told)


def test_a_switch_that_is_asked_for_can_be_taken_back_and_is_refused_once_the_version_is_suspended(real_cast, models):
    post(real_cast.ada, "version_switch", NEW)
    with real_cast.in_north():
        asked = SwitchRequest.objects.get()
    assert post(real_cast.rita, "switch_take_back", asked.pk).status_code == 403
    assert b"All stays as it was" in post(real_cast.ada, "switch_take_back", asked.pk).content
    post(real_cast.ada, "version_switch", NEW)
    post(real_cast.ada, "version_suspend", NEW, reason="A recall")
    assert b"has to be resumed by two people first" in agree(real_cast, real_cast.rita).content
    assert policy(real_cast).active_id == OLD


@pytest.mark.parametrize(
    "name", ["readings_suspend", "version_switch", "shadow_begin", "shadow_end", "version_suspend"]
)
def test_only_managers_act_on_models(real_cast, models, name):
    keys = [] if name == "readings_suspend" else [NEW]
    for person in (real_cast.alice, real_cast.rita, real_cast.otto):
        assert post(person, name, *keys).status_code == 403
    with real_cast.in_north():
        assert not Suspension.objects.exists()
    assert policy(real_cast).active_id == OLD


def test_who_may_ask_and_agree_to_resume(real_cast, models):
    with real_cast.ada.acting() as actor:
        stop = versions.suspend_readings(actor=actor, version=None, reason="x")
    assert post(real_cast.rita, "resume_ask", stop.pk).status_code == 403
    post(real_cast.ada, "resume_ask", stop.pk)
    for person in (real_cast.alice, real_cast.otto):
        assert post(person, "resume_agree", stop.pk).status_code == 403
    with real_cast.in_north():
        assert Suspension.objects.open().exists()


def test_a_clinic_that_was_never_read_for_can_choose_its_first_version(real_cast, random_photograph):
    for version in (OLD, NEW):
        register_version(load_fake(Path(version)).manifest)
    assert b"reads from the first photograph on" in post(real_cast.ada, "version_switch", NEW).content
    assert policy(real_cast).active_id == NEW


def test_before_the_first_photograph_the_page_says_which_model_reads_it(real_cast, random_photograph):
    for version in (OLD, NEW):
        register_version(load_fake(Path(version)).manifest)
    told = f"as things stand {NEW}; from then on that model is the active one"
    page = real_cast.ada.client.get(reverse("models")).content.decode()
    assert told in page
    assert page.count("Reads the first photograph<") == 1
    assert page.count("Let it read beside") == 1, "what reads first cannot read beside itself"
    assert "Make it active<" not in page
    assert "You need not do anything" not in real_cast.otto.client.get(reverse("models")).content.decode()
    post(real_cast.ada, "version_switch", OLD)  # at once: nothing was read yet
    page = real_cast.ada.client.get(reverse("models")).content.decode()
    assert "as things stand" not in page
    assert "Make it active<" in page


def test_an_act_without_a_reason_is_not_done(real_cast, models):
    assert b"kept on the ledger" in post(real_cast.ada, "version_switch", NEW, reason="  ").content
    assert policy(real_cast).active_id == OLD


def test_the_page_takes_few_queries_however_many_models(real_cast, models, django_assert_max_num_queries):
    for number in range(2, 12):
        register_version(load_fake(Path(f"2026.10.{number}")).manifest)
    client = real_cast.ada.client
    client.get(reverse("models"))
    with django_assert_max_num_queries(15 + 2):  # and the beginning and the end of its transaction
        page = client.get(reverse("models"))
    assert page.content.count(b"Weights</dt>") == 12


def test_a_clinics_models_are_its_own(real_cast, models, random_photograph):
    post(real_cast.bob, "readings_suspend")
    screening = upload(real_cast, random_photograph())
    read(screening)
    assert status_of(screening) == "predicted"
    with real_cast.in_north():
        assert not Suspension.objects.exists()
    with real_cast.bob.acting():
        stop = Suspension.objects.get()
    other = make_person("Mona Moss", real_cast.north, "manager")
    assert post(other, "resume_ask", stop.pk).status_code == 404


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


def test_a_real_worker_reads_with_the_clinics_version(real_cast, models, random_photograph, start_worker):
    start_worker()
    screening = upload(real_cast, random_photograph())
    wait_until(lambda: status_of(screening) == "predicted")
    assert versions_that_read(screening) == {OLD}
    with real_cast.in_north():
        assert ModelVersion.objects.filter(version="0.0.0-fake").exists()
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM screening_modelversion WHERE version = %s", [newest_model().name])
        assert cursor.fetchone() == (1,), "the worker registers what is installed"


def test_a_stranger_sees_no_policy_shadow_or_suspension(real_cast, models):
    with real_cast.ada.acting() as ada:
        versions.begin_shadow(actor=ada, version=models[1])
        versions.suspend_readings(actor=ada, version=None, reason="x")
    with real_cast.in_north():
        for model in (ReadingPolicy, ShadowVersion, Suspension):
            assert model.objects.visible_to(real_cast.ada.actor).exists(), model
            assert not model.objects.visible_to(real_cast.bob.actor).exists(), model
        told = set(AuditEvent.objects.filter(action="insert").values_list("subject_type", flat=True))
    assert told >= {"screening_readingpolicy", "screening_shadowversion", "screening_suspension"}


def opinion_like(screening: Screening) -> Opinion:
    """One that agrees with the reading."""
    if fresh(screening).prediction.refer:
        return Opinion(suspicious=True, diagnosis="melanoma", recommendation="excise")
    return BENIGN


def looked_back(cast: Cast, version: str, **asked: str) -> str:
    return cast.ada.client.get(reverse("look_back", args=[version]), asked).content.decode()


def test_looking_back_finds_all_that_a_version_read_and_who_relied_on_it(real_cast, models, random_photograph):
    shadowed = upload(real_cast, random_photograph())
    post(real_cast.ada, "shadow_begin", NEW)
    read(shadowed)
    signed = upload(real_cast, random_photograph())
    read(signed)
    give(real_cast, signed, opinion_like(signed))
    sign(real_cast, signed.visit)
    with real_cast.in_north():
        Screening.objects.filter(pk=shadowed.pk).update(
            withdrawn_at=signed.created_at, withdrawn_reason="wrong_patient"
        )
    page = looked_back(real_cast, OLD)
    assert "<dt>Photographs</dt><dd>2</dd>" in page
    assert "<dt>Of these it decided</dt><dd>2</dd>" in page
    assert "Rita Rowan: 1 times, signed 1" in page
    assert "Withdrawn</span>" in page
    beside = looked_back(real_cast, NEW)
    assert "<dt>Of these it decided</dt><dd>0</dd>" in beside
    assert "beside the deciding one" in beside
    assert "Rita Rowan: 1" not in beside
    lines = list(csv.DictReader(io.StringIO(looked_back(real_cast, OLD, csv=""))))
    assert [(line["decided"], line["shown to"], line["signed by"], line["withdrawn"]) for line in lines] == [
        ("yes", "Rita Rowan", "Rita Rowan", ""),
        ("yes", "", "", "yes"),
    ]
    assert "read nothing in this clinic" in real_cast.bob.client.get(
        reverse("look_back", args=[OLD])
    ).content.decode()  # fmt: skip
    assert real_cast.rita.client.get(reverse("look_back", args=[OLD])).status_code == 403
    assert real_cast.ada.client.get(reverse("look_back", args=["nothing"])).status_code == 404
    exported = [event.changes for event in rows(real_cast, AuditEvent, action="look_back_exported")]
    assert exported == [{"version": OLD, "lines": 2}]


def test_looking_back_takes_few_queries(real_cast, models, random_photograph, django_assert_max_num_queries):
    for _ in range(4):
        read(upload(real_cast, random_photograph()))
    client = real_cast.ada.client
    client.get(reverse("look_back", args=[OLD]))
    with django_assert_max_num_queries(15 + 2):
        client.get(reverse("look_back", args=[OLD]))
