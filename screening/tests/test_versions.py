"""Which model reads: switched and gone back from with a reason, and read beside."""

import re
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest
from django.db import IntegrityError, connection, transaction
from django.urls import reverse

from conftest import make_person, owner_connection
from ml.contract import ModelError
from ml.fake import load as load_fake
from ml.predictor import newest_model
from screening.models import (
    ModelVersion,
    Prediction,
    ReadingPolicy,
    ShadowVersion,
    Suspension,
    SwitchRequest,
)
from screening.reader import load_predictor, register_version
from screening.services import readings, versions
from screening.services.errors import StaleTransition
from screening.tests.conftest import fresh, status_of, wait_until
from screening.tests.versions import (
    NEW,
    OLD,
    agree,
    models,
    own_readers,
    policy,
    post,
    read,
    switch,
    upload,
    versions_that_read,
)
from skinclinic.audit.models import AuditEvent

__all__ = ["models", "own_readers"]  # fixtures


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
    shown = re.compile(rf"(?<![\d.]){re.escape(f'{shadow.malignancy:.3f}')}")
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
