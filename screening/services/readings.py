"""The life of a reading: claimed, finished or failed by a worker, brought back by the sweeper, retried by a person."""

import logging
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID

from billiard.exceptions import SoftTimeLimitExceeded
from django.conf import settings
from django.core.files.storage import default_storage
from django.db import connection, transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext as _

from ml.cautions import Ground
from ml.contract import ModelError, Reading
from patients.services import allows_reading
from screening.codes import FailureCode
from screening.models import ModelVersion, Prediction, Screening
from screening.reader import the_reader
from screening.services.errors import ReadingRefusedByPatient, StaleTransition
from screening.services.queue import send, send_on_commit, waiting_in_broker
from screening.services.versions import begin_policy
from screening.status import ReadingStatus, reading_sources
from skinclinic.accounts.models import Clinic
from skinclinic.audit.acting import Actor, acting, system
from skinclinic.events.models import EventType
from skinclinic.events.publish import publish
from skinclinic.locks import next_in_spite_of_it

logger = logging.getLogger(__name__)
MAX_LOST_ATTEMPTS = 3
SWEEP_LIMIT = 500
LONGEST_RESEND = timedelta(minutes=10)

# Compare-and-swap like every move of a status, but in SQL: `update()` gives no columns back, and asking for them in a
# second query costs each photograph 2 ms of core more. Subqueries, since Postgres plans a join of six tables for 2 ms.
TAKE = """
    UPDATE screening_screening AS screening
    SET reading_status = 'running',
        attempt = attempt + 1,
        lease_until = statement_timestamp() + %s * interval '1 second'
    FROM screening_lesionimage AS image, patients_patient AS patient
    WHERE screening.id = %s AND reading_status = ANY (%s) AND withdrawn_at IS NULL
      AND image.id = screening.image_id AND patient.id = screening.patient_id
      AND NOT EXISTS (
          SELECT FROM screening_suspension AS stop
          WHERE stop.clinic_id = screening.clinic_id AND stop.resumed_at IS NULL
            AND (stop.model_version_id IS NULL OR stop.model_version_id IN
                (SELECT active_id FROM screening_readingpolicy AS policy WHERE policy.clinic_id = screening.clinic_id)))
    RETURNING screening.clinic_id, screening.patient_id, attempt, photograph,
        coalesce(patient.merged_into_id, patient.id),
        (SELECT date_part('year', age(screening.created_at, birth_date))::int FROM patients_patientidentity AS identity
         WHERE identity.patient_id = coalesce(patient.merged_into_id, patient.id)),
        (SELECT person.skin_type FROM patients_patient AS person
         WHERE person.id = coalesce(patient.merged_into_id, patient.id)),
        (SELECT site FROM patients_lesion AS lesion WHERE lesion.id = image.lesion_id),
        findings,
        (SELECT active_id FROM screening_readingpolicy AS policy WHERE policy.clinic_id = screening.clinic_id),
        ARRAY(SELECT shadow.model_version_id FROM screening_shadowversion AS shadow
              WHERE shadow.clinic_id = screening.clinic_id
                AND shadow.model_version_id IS DISTINCT FROM (SELECT active_id FROM screening_readingpolicy AS policy
                                                              WHERE policy.clinic_id = screening.clinic_id)
                AND NOT EXISTS (
                  SELECT FROM screening_suspension AS stop
                  WHERE stop.clinic_id = screening.clinic_id AND stop.resumed_at IS NULL
                    AND stop.model_version_id = shadow.model_version_id))
"""


@dataclass(frozen=True)
class Claim:
    """One worker's hold on one screening; `attempt` makes a late worker lose.

    photograph: a name in the storage. version: of the model that decides, "" where the clinic has none yet. shadows:
    versions that read beside it.
    """

    screening_id: UUID
    clinic_id: UUID
    patient_id: UUID
    attempt: int
    photograph: str
    ground: Ground
    version: str = ""
    shadows: tuple[str, ...] = ()


def read_photograph(*, screening_id: UUID, clinic_id: UUID) -> None:
    """What a worker does with one message: claim, predict outside any transaction, finish or fail.

    What goes wrong outside the model (the database or the bucket is away) ends the task; the claim stands, its lease
    expires, and the sweeper brings the screening back with a counted attempt.
    """
    worker = system(clinic_id=clinic_id)
    with acting(worker):
        claim = claim_reading(screening_id=screening_id)
    if claim is None:
        return
    # Without a lock: the store in Postgres asks which clinic it is, and a bucket holds up nobody but this worker.
    with acting(worker):
        photograph = fetch_photograph(claim)
    if not claim.version:
        claim = with_first_version(claim)
    outcome = predict(claim, photograph)
    try:
        with acting(worker):
            if isinstance(outcome, Reading):
                finish_reading(claim=claim, reading=outcome, version=the_reader(claim.version).version)
            else:
                fail_reading(claim=claim, code=outcome)
    except StaleTransition:
        logger.warning("Screening %s was taken from attempt %s, which came too late.", screening_id, claim.attempt)
        return
    # Only beside a reading: a version that stood alone here could not decide after a switch and another try.
    if isinstance(outcome, Reading) and photograph:
        read_in_the_shadow(claim, photograph)


def fetch_photograph(claim: Claim) -> bytes | None:
    """JPEG bytes, or None when the storage does not have them."""
    try:
        with default_storage.open(claim.photograph) as stored:
            return bytes(stored.read())
    except FileNotFoundError:
        return None


def part_of_the_act() -> AbstractContextManager[None]:
    """All or nothing without a savepoint of its own, which costs a worker two more trips to the database each time:
    what fails in here rolls back the whole `acting`, and nobody goes on in it."""
    return transaction.atomic(savepoint=False)


def with_first_version(claim: Claim) -> Claim:
    """The clinic's first reading decides which version reads for it until a manager switches: this worker's newest."""
    newest = the_reader().version
    worker = system(clinic_id=claim.clinic_id)
    with acting(worker):
        return replace(claim, version=begin_policy(actor=worker, version=newest).active_id)


def predict(claim: Claim, photograph: bytes | None) -> Reading | FailureCode:
    if photograph is None:
        return FailureCode.BYTES_MISSING
    try:
        reader = the_reader(claim.version)
    except ModelError as error:
        logger.error("Screening %s waits for a model in vain: %s", claim.screening_id, error)  # noqa: TRY400 (a sentence)
        return FailureCode.MODEL_MISSING
    try:
        return reader.predictor.read(photograph, claim.ground)
    except SoftTimeLimitExceeded:
        return FailureCode.TOO_SLOW
    except ModelError as error:
        logger.error("Screening %s could not be read: %s", claim.screening_id, error)  # noqa: TRY400 (a sentence, no trace)
        return FailureCode.MODEL_ERROR
    except Exception:
        # Whatever a photograph does to the model is told to the clinic as a failed reading; the trace names no patient.
        logger.exception("Screening %s could not be read.", claim.screening_id)
        return FailureCode.MODEL_ERROR


def claim_reading(*, screening_id: UUID) -> Claim | None:
    """Take a queued screening for this worker, or None when another has it or nobody wants it any more."""
    with part_of_the_act():
        with connection.cursor() as cursor:
            cursor.execute(TAKE, [settings.READING_LEASE, screening_id, sorted(reading_sources(ReadingStatus.RUNNING))])
            taken = cursor.fetchone()
        if taken is None:
            return None
        clinic_id, patient_id, attempt, photograph, person_id, age, skin_type, site, findings, version, shadows = taken
        ground = Ground(age, skin_type, site, frozenset(findings))
        claim = Claim(screening_id, clinic_id, patient_id, attempt, photograph, ground, version or "", tuple(shadows))
        if allows_reading(person_id):
            return claim
        # She may have withdrawn her consent while the photograph waited.
        move_claimed(claim, ReadingStatus.NOT_WANTED)
        return None


def finish_reading(*, claim: Claim, reading: Reading, version: ModelVersion) -> Prediction:
    """Attach what the model said; raises StaleTransition when the claim was lost meanwhile."""
    with part_of_the_act():
        prediction = store_prediction(claim=claim, reading=reading, version=version)
        target = ReadingStatus.PREDICTED if reading.scorable else ReadingStatus.UNSCORABLE
        move_claimed(claim, target, prediction=prediction)
        event = EventType.SCREENING_PREDICTED if reading.scorable else EventType.SCREENING_UNSCORABLE
        publish(event, clinic_id=claim.clinic_id, screening=claim.screening_id)
        return prediction


def store_prediction(*, claim: Claim, reading: Reading, version: ModelVersion) -> Prediction:
    return Prediction.objects.create(
        clinic_id=claim.clinic_id,
        patient_id=claim.patient_id,
        screening_id=claim.screening_id,
        model_version=version,
        attempt=claim.attempt,
        malignancy=reading.malignancy,
        band=reading.band or "",
        refer=reading.refer,
        probabilities=reading.probabilities,
        activation_map=reading.activation_map.astype("<f4").tobytes(),
        unscorable_reasons=list(reading.unscorable_reasons),
        cautions=list(reading.cautions),
        quality=reading.quality,
        milliseconds=reading.milliseconds,
        weights_sha256=version.weights_sha256,
        preprocessing=version.preprocessing,
        thresholds=version.thresholds,
    )


def read_in_the_shadow(claim: Claim, photograph: bytes) -> None:
    """What other versions say, kept beside the deciding reading; what goes wrong with them is nobody's trouble."""
    for shadow in claim.shadows:
        try:
            reader = the_reader(shadow)
            reading = reader.predictor.read(photograph, claim.ground)
            with acting(system(clinic_id=claim.clinic_id)):
                store_prediction(claim=claim, reading=reading, version=reader.version)
        except SoftTimeLimitExceeded:
            logger.warning("No time was left for model %s in the shadow of screening %s.", shadow, claim.screening_id)
            return
        except Exception:
            logger.exception("Model %s could not read screening %s in the shadow.", shadow, claim.screening_id)


def fail_reading(*, claim: Claim, code: str) -> None:
    with part_of_the_act():
        move_claimed(claim, ReadingStatus.FAILED, failure_code=code)
        publish(EventType.SCREENING_FAILED, clinic_id=claim.clinic_id, screening=claim.screening_id)


def move_claimed(claim: Claim, target: ReadingStatus, **columns) -> None:
    moved = Screening.objects.filter(
        pk=claim.screening_id,
        reading_status__in=reading_sources(target) & {ReadingStatus.RUNNING},
        attempt=claim.attempt,
    ).update(reading_status=target, lease_until=None, finished_at=Now(), **columns)
    if moved != 1:
        raise StaleTransition


def retry_reading(*, actor: Actor, screening: Screening) -> None:
    """Queue a failed reading once more, its lost attempts forgiven; or one that the patient has allowed by now.

    What she decides meanwhile is asked again when a worker claims it.
    """
    if not allows_reading(screening.patient_id):
        raise ReadingRefusedByPatient
    with transaction.atomic():
        moved = (
            Screening.objects.in_use()
            .filter(pk=screening.pk, reading_status__in=[ReadingStatus.FAILED, ReadingStatus.NOT_WANTED])
            .update(
                reading_status=ReadingStatus.QUEUED,
                failure_code="",
                lost_attempts=0,
                finished_at=None,
                sent_at=timezone.now(),
                times_sent=1,
            )
        )
        if moved != 1:
            raise StaleTransition(_("Only a failed or unwanted reading can be asked for again; this is neither."))
        publish(EventType.SCREENING_QUEUED, clinic_id=screening.clinic_id, screening=screening.pk)
        send_on_commit(screening)


@dataclass(frozen=True)
class Backlog:
    clinic_id: UUID
    open_readings: int
    oldest_seconds: float


def reading_backlog() -> list[Backlog]:
    """The clinics with open readings, asked across clinics; the answer holds no patient data."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clinic, open_readings, oldest_seconds FROM reading_backlog()")
        return [Backlog(*row) for row in cursor.fetchall()]


@dataclass(frozen=True)
class Outcomes:
    """Of the photographs of all clinics in one state; from upload to result in seconds, None where there is none."""

    status: str
    photographs: int
    typical_seconds: float | None
    slow_seconds: float | None


def reading_outcomes(*, since: timedelta = timedelta(hours=1)) -> list[Outcomes]:
    """Of photographs that were taken since then, across clinics; like `reading_backlog`, of no patient."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM reading_outcomes(make_interval(secs => %s))", [since.total_seconds()])
        return [Outcomes(*row) for row in cursor.fetchall()]


def sweep_readings() -> int:
    """Take back what lost its worker and send again what the broker lost; returns how many were sent."""
    with acting(system()):
        clinics = Clinic.objects.in_bulk([backlog.clinic_id for backlog in reading_backlog()])
    at_once = bool(clinics) and waiting_in_broker() == 0
    sent = 0
    for clinic in clinics.values():
        with next_in_spite_of_it("readings", clinic):
            with acting(system(clinic_id=clinic.pk)):
                take_back_expired()
                due = mark_due_for_sending(limit=SWEEP_LIMIT - sent, at_once=at_once)
            for screening_id in due:
                if not send(screening_id, clinic.pk):
                    return sent
                sent += 1
    return sent


def take_back_expired() -> None:
    expired = Screening.objects.with_expired_lease().values_list("pk", "attempt", "lost_attempts", "clinic_id")
    for screening_id, attempt, lost, clinic_id in list(expired):
        still_held = Screening.objects.filter(pk=screening_id, reading_status=ReadingStatus.RUNNING, attempt=attempt)
        if lost + 1 < MAX_LOST_ATTEMPTS:
            still_held.update(
                reading_status=ReadingStatus.QUEUED,
                lease_until=None,
                lost_attempts=lost + 1,
                sent_at=None,
                times_sent=0,
            )
        elif still_held.update(
            reading_status=ReadingStatus.FAILED,
            lease_until=None,
            lost_attempts=lost + 1,
            failure_code=FailureCode.WORKER_LOST,
            finished_at=Now(),
        ):
            publish(EventType.SCREENING_FAILED, clinic_id=clinic_id, screening=screening_id)
            logger.error("Screening %s lost its worker %s times and is given up.", screening_id, lost + 1)


def mark_due_for_sending(*, limit: int, at_once: bool) -> list[UUID]:
    """The queued rows whose message is overdue, marked as sent now. `at_once`: the broker holds none, so all are."""
    now = timezone.now()
    queued = Screening.objects.in_use().queued().order_by("created_at").values_list("pk", "sent_at", "times_sent")
    due = [
        screening_id
        for screening_id, sent_at, times_sent in queued.iterator()
        if at_once or sent_at is None or sent_at + resend_after(times_sent) <= now
    ][: max(limit, 0)]
    Screening.objects.queued().filter(pk__in=due).update(sent_at=now, times_sent=F("times_sent") + 1)
    return due


def resend_after(times_sent: int) -> timedelta:
    """60 s, doubling to 10 min."""
    first = timedelta(seconds=settings.READING_RESEND_AFTER)
    return min(first * 2 ** max(min(times_sent, 10) - 1, 0), LONGEST_RESEND)
