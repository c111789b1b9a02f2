"""From the upload to the reading, with a real worker, a real broker and real signals."""

import contextlib
import json
import shutil
import signal
import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import psutil
import pytest
from botocore.exceptions import EndpointConnectionError
from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.urls import reverse

from conftest import make_chart, make_screening, owner_connection
from ml.cautions import Ground
from ml.contract import ModelError
from ml.fake import load as load_fake
from ml.golden import GOLDEN_FILE
from ml.manifest import sha256_of
from ml.predictor import newest_model
from patients.services import note_consent
from screening.models import ModelVersion, Prediction, Screening, StoredFile
from screening.reader import forget_readers, register_version
from screening.services import readings
from screening.services.errors import ReadingRefusedByPatient, StaleTransition
from screening.services.photographs import withdraw_screening
from screening.services.queue import send
from screening.status import ReadingStatus
from screening.storage import DatabaseStorage
from screening.tasks import read_photograph_task, sweep_signatures_task
from screening.tests.conftest import fresh, status_of, wait_until
from skinclinic.audit.acting import Actor, acting, system
from skinclinic.audit.models import AuditEvent
from skinclinic.celery import app
from skinclinic.testing import servers

pytestmark = pytest.mark.usefixtures("real_db")


@pytest.fixture
def queued(real_cast, broker, random_photograph) -> Screening:
    return make_screening(real_cast.alice, make_chart(real_cast.alice), random_photograph())


def predictions_of(screening: Screening) -> list[Prediction]:
    with acting(system(clinic_id=screening.clinic_id)):
        return list(Prediction.objects.filter(screening=screening))


def expire_lease(screening: Screening) -> None:
    with acting(system(clinic_id=screening.clinic_id)), connection.cursor() as cursor:
        cursor.execute(
            "UPDATE screening_screening SET lease_until = now() - interval '1 s' WHERE id = %s AND attempt > 0",
            [str(screening.pk)],
        )


def test_it_works(real_cast, queued, start_worker):
    start_worker()
    wait_until(lambda: status_of(queued) == "predicted")
    (prediction,) = predictions_of(queued)
    read = fresh(queued)
    assert read.prediction == prediction
    assert (read.attempt, read.lease_until, read.failure_code) == (1, None, "")
    assert sum(prediction.probabilities.values()) == pytest.approx(1, abs=1e-6)
    assert len(bytes(prediction.activation_map)) == 7 * 7 * 7 * 4
    with real_cast.in_north():
        changes = list(
            AuditEvent.objects.filter(subject_id=str(queued.pk), action="update")
            .order_by("id")
            .values("actor", "changes")
        )
    assert [change["changes"]["reading_status"] for change in changes] == [
        ["queued", "running"],
        ["running", "predicted"],
    ]
    assert {change["actor"] for change in changes} == {"system:worker"}


def test_worker_keeps_its_connection_and_opens_another_when_it_is_lost(
    real_db, real_cast, start_worker, random_photograph
):
    def connections_of_worker() -> list[tuple[int]]:
        with owner_connection("postgres").cursor() as cursor:
            cursor.execute(
                "SELECT pid FROM pg_stat_activity WHERE application_name = 'worker' AND datname = %s", [real_db]
            )
            return cursor.fetchall()

    chart = make_chart(real_cast.alice)
    start_worker()

    def read_another() -> list[tuple[int]]:
        screening = make_screening(real_cast.alice, chart, random_photograph())
        wait_until(lambda: status_of(screening) == "predicted")
        return connections_of_worker()

    (first,) = read_another()
    assert read_another() == [first]
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", first)
    (second,) = read_another()
    assert second != first


def test_killed_child_is_followed_by_another_attempt(queued, start_worker):
    worker = start_worker(beat=True, delay=1.5)
    wait_until(lambda: status_of(queued) == "running")
    worker.child().send_signal(signal.SIGKILL)
    wait_until(lambda: status_of(queued) == "predicted", seconds=30)
    assert (fresh(queued).attempt, fresh(queued).lost_attempts) == (2, 1)
    assert [prediction.attempt for prediction in predictions_of(queued)] == [2]


def test_killed_worker_is_followed_by_another(queued, start_worker):
    worker = start_worker(delay=5)
    wait_until(lambda: status_of(queued) == "running")
    worker.kill_everything()
    start_worker(beat=True)
    wait_until(lambda: status_of(queued) == "predicted", seconds=30)
    assert len(predictions_of(queued)) == 1


def test_stopped_worker_ends_its_reading_first(queued, start_worker):
    worker = start_worker(delay=1)
    wait_until(lambda: status_of(queued) == "running")
    worker.process.send_signal(signal.SIGTERM)
    worker.process.wait(timeout=20)
    assert status_of(queued) == "predicted"
    assert fresh(queued).attempt == 1


def test_third_loss_is_a_failure_with_its_reason(queued):
    for _ in range(3):
        with acting(system(clinic_id=queued.clinic_id)):
            assert readings.claim_reading(screening_id=queued.pk) is not None
        expire_lease(queued)
        readings.sweep_readings()
    assert (status_of(queued), fresh(queued).failure_code) == ("failed", "worker_lost")


def test_broker_away_at_upload_answers_in_time_and_is_read_later(real_cast, broker, random_photograph, start_worker):
    chart = make_chart(real_cast.alice)
    servers.valkey.stop()
    try:
        started = time.monotonic()
        screening = make_screening(real_cast.alice, chart, random_photograph())
        took = time.monotonic() - started
    finally:
        servers.valkey.start()
    assert took < 3
    assert status_of(screening) == "queued"
    start_worker(beat=True)
    wait_until(lambda: status_of(screening) == "predicted", seconds=30)


def test_broker_flushed_with_jobs_queued(real_cast, broker, random_photograph, start_worker):
    chart = make_chart(real_cast.alice)
    waiting = [make_screening(real_cast.alice, chart, random_photograph()) for _ in range(5)]
    broker.flushall()
    start_worker(beat=True)
    wait_until(lambda: all(status_of(screening) == "predicted" for screening in waiting), seconds=30)


def test_broker_restarted_under_load(real_cast, broker, random_photograph, start_worker):
    chart = make_chart(real_cast.alice)
    start_worker(beat=True, delay=0.1)
    waiting = [make_screening(real_cast.alice, chart, random_photograph()) for _ in range(4)]
    servers.valkey.kill()
    servers.valkey.start()
    waiting += [make_screening(real_cast.alice, chart, random_photograph()) for _ in range(4)]
    wait_until(lambda: all(status_of(screening) == "predicted" for screening in waiting), seconds=40)
    assert all(len(predictions_of(screening)) == 1 for screening in waiting)


def test_worker_lives_on_though_its_broker_was_away(real_cast, broker, random_photograph, start_worker):
    """One child reads, so that the worker holds a message; the other one is free, so that it asks for more."""
    chart = make_chart(real_cast.alice)
    worker = start_worker(beat=True, delay=2, children=2)
    waiting = [make_screening(real_cast.alice, chart, random_photograph())]
    wait_until(lambda: status_of(waiting[0]) == "running")
    servers.valkey.kill()
    time.sleep(3)
    servers.valkey.start()
    waiting += [make_screening(real_cast.alice, chart, random_photograph()) for _ in range(2)]
    wait_until(lambda: all(status_of(screening) == "predicted" for screening in waiting), seconds=40)
    assert worker.process.poll() is None
    assert all(len(predictions_of(screening)) == 1 for screening in waiting)


def test_task_delivered_twice_is_one_prediction(queued, start_worker):
    for _ in range(3):
        send(queued.pk, queued.clinic_id)
    start_worker()
    wait_until(lambda: status_of(queued) == "predicted")
    time.sleep(0.5)
    assert len(predictions_of(queued)) == 1
    assert fresh(queued).attempt == 1


def test_late_worker_loses(real_cast, queued):
    with real_cast.in_north():
        version = register_version(load_fake().manifest)
        late = readings.claim_reading(screening_id=queued.pk)
        reading = load_fake().read(readings.fetch_photograph(late))
    expire_lease(queued)
    readings.sweep_readings()
    with real_cast.in_north():
        second = readings.claim_reading(screening_id=queued.pk)
    with pytest.raises(StaleTransition), real_cast.in_north():
        readings.finish_reading(claim=late, reading=reading, version=version)
    assert predictions_of(queued) == []
    with real_cast.in_north():
        readings.finish_reading(claim=second, reading=reading, version=version)
    assert [prediction.attempt for prediction in predictions_of(queued)] == [2]


def test_too_slow_reading_fails_and_says_so(queued, start_worker):
    start_worker(delay=30, READING_SOFT_LIMIT="1", READING_HARD_LIMIT="3", READING_LEASE="20")
    wait_until(lambda: status_of(queued) == "failed", seconds=20)
    assert fresh(queued).failure_code == "too_slow"


def test_model_error_is_a_failure_and_retry_reads_again(real_cast, queued, start_worker):
    worker = start_worker(SKINCLINIC_FAKE_OUTCOME="error")
    wait_until(lambda: status_of(queued) == "failed")
    assert fresh(queued).failure_code == "model_error"
    worker.kill_everything()
    start_worker()
    with real_cast.ada.acting() as ada:
        readings.retry_reading(actor=ada, screening=queued)
    wait_until(lambda: status_of(queued) == "predicted")


def test_unscorable_keeps_its_score_and_shows_no_band(queued, start_worker):
    start_worker(SKINCLINIC_FAKE_OUTCOME="unscorable")
    wait_until(lambda: status_of(queued) == "unscorable")
    (prediction,) = predictions_of(queued)
    assert prediction.band == ""
    assert prediction.unscorable_reasons == ["blurred"]
    assert 0 <= prediction.malignancy <= 1


def test_without_consent_it_is_not_read_and_still_waits_for_review(real_cast, broker, random_photograph):
    chart = make_chart(real_cast.alice, consent="refused")
    screening = make_screening(real_cast.alice, chart, random_photograph())
    assert (status_of(screening), fresh(screening).review_status) == ("not_wanted", "open")
    readings.sweep_readings()
    assert broker.llen("celery") == 0


def test_worker_without_its_model_refuses_to_start(real_db, tmp_path, broker):
    from screening.tests.conftest import Worker

    worker = Worker(real_db, tmp_path / "worker.log", PREDICTOR="ml.predictor.load", MODELS_FOLDER=str(tmp_path))
    assert worker.process.wait(timeout=30) == 78
    assert "The worker does not start:" in worker.log.read_text()
    assert "Traceback" not in worker.log.read_text()


def test_worker_whose_model_answers_otherwise_refuses_to_start(real_db, tmp_path, broker):
    from screening.tests.conftest import Worker

    model = tmp_path / "models" / newest_model().name
    shutil.copytree(newest_model(), model)
    with np.load(model / GOLDEN_FILE) as file:
        golden = dict(file)
    golden["logits"][0, 0] += 0.1
    np.savez(model / GOLDEN_FILE, **golden)
    manifest = json.loads((model / "manifest.json").read_text())
    manifest["files"][GOLDEN_FILE] = sha256_of(model / GOLDEN_FILE)
    (model / "manifest.json").write_text(json.dumps(manifest))
    options = {"PREDICTOR": "ml.predictor.load", "MODELS_FOLDER": str(model.parent)}
    worker = Worker(real_db, tmp_path / "worker.log", **options)
    assert worker.process.wait(timeout=30) == 78
    assert "answers a stored question differently" in worker.log.read_text()


def test_worker_child_does_not_import_tensorflow(start_worker):
    worker = start_worker()
    maps = psutil.Process(worker.child().pid).memory_maps()
    assert not [mapped.path for mapped in maps if "tensorflow" in mapped.path and "lite" not in mapped.path]


@pytest.fixture
def screenings_by_status(real_cast, broker, random_photograph) -> dict[str, tuple[Screening, readings.Claim | None]]:
    """One screening in every reading status, with the claim of the worker that holds or held it."""
    found = {}
    for status in ReadingStatus:
        chart = make_chart(real_cast.alice, consent="refused" if status == "not_wanted" else "given")
        screening = make_screening(real_cast.alice, chart, random_photograph())
        with real_cast.in_north():
            claim = None if status == "queued" else readings.claim_reading(screening_id=screening.pk)
            if status in ("predicted", "unscorable"):
                finish(claim, status)
            elif status == "failed":
                readings.fail_reading(claim=claim, code="model_error")
        assert status_of(screening) == status
        found[status] = screening, claim
    return found


def finish(claim: readings.Claim, status: str) -> None:
    reading = load_fake().read(readings.fetch_photograph(claim))
    if status == "unscorable":
        reading = replace(reading, band=None, unscorable_reasons=("blurred",))
    readings.finish_reading(claim=claim, reading=reading, version=register_version(load_fake().manifest))


def row_of(screening: Screening) -> tuple[object, ...]:
    now = fresh(screening)
    return now.reading_status, now.attempt, now.lost_attempts, now.failure_code, now.prediction_id, now.sent_at


def try_to_move(move: str, screening: Screening, claim: readings.Claim, actor: Actor) -> None:
    match move:
        case "claim":
            readings.claim_reading(screening_id=screening.pk)
        case "finish":
            finish(claim, "predicted")
        case "fail":
            readings.fail_reading(claim=claim, code="too_slow")
        case "retry":
            readings.retry_reading(actor=actor, screening=screening)
        case _:
            raise ValueError(move)


@pytest.mark.parametrize(
    ("move", "from_statuses"),
    [("claim", {"queued"}), ("finish", {"running"}), ("fail", {"running"}), ("retry", {"failed"})],
)
def test_reading_moves_only_from_where_it_may(real_cast, screenings_by_status, move, from_statuses):
    # A second prediction of the same version is refused by its constraint, before the status is looked at.
    refusals = (StaleTransition, ReadingRefusedByPatient, *([IntegrityError] if move == "finish" else []))
    moved = set()
    for status, (screening, claim) in screenings_by_status.items():
        before = row_of(screening)
        name = screening.image.photograph.name
        held = claim or readings.Claim(screening.pk, screening.clinic_id, screening.patient_id, 0, name, Ground())
        with contextlib.suppress(*refusals), real_cast.ada.acting() as ada:
            try_to_move(move, screening, held, ada)
        if row_of(screening) != before:
            moved.add(status)
    assert moved == from_statuses


def test_not_wanted_reading_is_asked_for_again_once_the_patient_consents(real_cast, screenings_by_status):
    screening, _ = screenings_by_status["not_wanted"]
    with real_cast.alice.acting() as alice:
        patient = screening.patient
        note_consent(actor=alice, patient=patient, kind="ai_reading", decision="given", decided_on="2026-11-22")
        readings.retry_reading(actor=alice, screening=screening)
    assert status_of(screening) == "queued"


def test_withdrawn_while_it_is_read_gives_its_lease_back(real_cast, queued):
    with real_cast.alice.acting() as alice:
        readings.claim_reading(screening_id=queued.pk)
        withdraw_screening(actor=alice, screening=queued, reason="wrong_lesion")
    expire_lease(queued)
    readings.sweep_readings()
    assert (status_of(queued), fresh(queued).lease_until) == ("queued", None)
    page = real_cast.alice.client.get(reverse("screening", args=[queued.pk])).content.decode()
    assert "withdrawn before it was read" in page
    assert "every 2s" not in page
    assert readings.sweep_readings() == 0, "nobody wants it read any more"


@pytest.fixture
def own_reader() -> Iterator[None]:
    """This process reads as a worker does; the version that it registers stands in this test's database only."""
    forget_readers()
    yield
    forget_readers()


def test_photograph_that_the_storage_lost_is_a_failure(real_cast, queued, own_reader):
    with real_cast.in_north():
        StoredFile.objects.filter(name__startswith=str(queued.clinic_id)).delete()
    readings.read_photograph(screening_id=queued.pk, clinic_id=queued.clinic_id)
    assert fresh(queued).failure_code == "bytes_missing"


def test_storage_that_is_away_costs_an_attempt_and_is_asked_again(queued, own_reader, monkeypatch):
    def away(self, name, mode="rb"):
        raise EndpointConnectionError(endpoint_url="https://bucket.example")

    with monkeypatch.context() as patched:
        patched.setattr(DatabaseStorage, "_open", away)
        with pytest.raises(EndpointConnectionError):
            readings.read_photograph(screening_id=queued.pk, clinic_id=queued.clinic_id)
    assert (status_of(queued), fresh(queued).attempt) == ("running", 1)
    expire_lease(queued)
    readings.sweep_readings()
    readings.read_photograph(screening_id=queued.pk, clinic_id=queued.clinic_id)
    assert (status_of(queued), fresh(queued).attempt, fresh(queued).lost_attempts) == ("predicted", 2, 1)


def test_failed_task_leaves_no_connection_behind(real_db):
    connection.ensure_connection()
    with pytest.raises(ValueError, match="badly formed"):
        read_photograph_task.apply(["no id", "no clinic"], throw=True)
    assert connection.connection is None


@pytest.mark.parametrize(
    "columns",
    [
        "reading_status = 'failed'",
        "reading_status = 'predicted'",
        "reading_status = 'running'",
        "reading_status = 'imagined'",
        "failure_code = 'too_slow'",
        "review_status = 'signed'",
        "withdrawn_at = now()",
    ],
)
def test_database_refuses_states_that_cannot_be(queued, columns):
    with pytest.raises(IntegrityError, match="violates check constraint"), transaction.atomic():
        with acting(system(clinic_id=queued.clinic_id)), connection.cursor() as cursor:
            cursor.execute(f"UPDATE screening_screening SET {columns} WHERE id = %s", [str(queued.pk)])


def test_resending_waits_longer_each_time(settings):
    settings.READING_RESEND_AFTER = 60
    waits = [readings.resend_after(times).total_seconds() for times in (1, 2, 3, 4, 5, 50)]
    assert waits == [60, 120, 240, 480, 600, 600]


def test_sweeper_sends_at_most_its_limit_and_at_once_only_to_an_empty_queue(
    real_cast, broker, random_photograph, monkeypatch
):
    chart = make_chart(real_cast.alice)
    for _ in range(4):
        make_screening(real_cast.alice, chart, random_photograph())
    assert readings.sweep_readings() == 0, "what was just sent and still lies in the broker is not sent again"
    broker.flushall()
    monkeypatch.setattr(readings, "SWEEP_LIMIT", 3)
    assert readings.sweep_readings() == 3
    assert broker.llen("celery") == 3


def test_upkeep_in_the_broker_does_not_look_like_photographs(queued, broker):
    broker.flushall()
    for each in settings.CELERY_BEAT_SCHEDULE.values():
        app.send_task(each["task"])
    assert broker.llen("upkeep") == len(settings.CELERY_BEAT_SCHEDULE)
    assert readings.sweep_readings() == 1, "the broker has lost it"


def test_upkeep_does_not_wait_behind_photographs(real_cast, broker, start_worker, random_photograph):
    chart = make_chart(real_cast.alice)
    for _ in range(6):
        make_screening(real_cast.alice, chart, random_photograph())
    sweep_signatures_task.delay()
    assert (broker.llen("celery"), broker.llen("upkeep")) == (6, 1)
    start_worker(delay=1)
    wait_until(lambda: broker.llen("upkeep") == 0)
    assert broker.llen("celery") >= 3


def test_version_with_other_weights_is_refused(real_cast):
    with real_cast.in_north():
        version = register_version(load_fake().manifest)
    ModelVersion.objects.create(
        version="9", weights_sha256="1" * 64, preprocessing=version.preprocessing, manifest=version.manifest
    )
    predictor = load_fake()
    predictor.manifest = replace(predictor.manifest, version="9")
    with pytest.raises(ModelError, match="other weights"):
        register_version(predictor.manifest)


def test_one_clinics_trouble_leaves_no_other_unread(real_cast, broker, random_photograph, monkeypatch, caplog):
    screenings = [
        make_screening(person, make_chart(person), random_photograph()) for person in (real_cast.alice, real_cast.bob)
    ]
    for screening in screenings:
        with acting(system(clinic_id=screening.clinic_id)):
            Screening.objects.update(sent_at=None)
    take_back, failed = readings.take_back_expired, []

    def fails_once() -> None:
        if not failed:
            failed.append(True)
            raise ValueError("of the first")
        take_back()

    monkeypatch.setattr(readings, "take_back_expired", fails_once)
    assert readings.sweep_readings() == 1
    assert "The readings of clinic" in caplog.text
