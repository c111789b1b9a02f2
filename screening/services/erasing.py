"""Erasing a patient: asked for by one, agreed to by another, done by the database; her files follow piece by piece."""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from django.core.files.storage import default_storage
from django.db import IntegrityError, OperationalError, connection, transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _
from psycopg2.errors import DeadlockDetected

from patients.codes import ErasureReason
from patients.erased import RecordErased
from patients.models import Erasure, LegalHold, Lesion, Patient, PatientIdentifier, Visit
from patients.services import RECORD_NUMBER, RecordMerged
from screening.codes import MALIGNANT_DIAGNOSES, FollowUpStatus, HeldStatus
from screening.importing import ImportRowStatus
from screening.models import (
    FollowUp,
    HeldSignature,
    ImportRow,
    Incident,
    LesionImage,
    Outcome,
    Prediction,
    ReadingProblem,
    Review,
    Screening,
)
from screening.services.errors import CannotErase, NotYours, ReasonMissing, StaleTransition
from screening.services.importing import delete_bytes
from screening.services.queue import ERASE, send, send_on_commit
from screening.status import READING_IS_OPEN
from skinclinic.accounts.approval import refuse_who_may_not_agree
from skinclinic.accounts.models import Clinic
from skinclinic.audit.acting import Actor, acting, system
from skinclinic.audit.models import AuditEvent, PrivateValue
from skinclinic.events.models import EventType
from skinclinic.events.publish import publish
from skinclinic.locks import next_in_spite_of_it

# In one transaction, which must not be idle for a minute while a bucket is slow.
FILES_AT_ONCE = 20


def ask_erasure(
    *, actor: Actor, patient: Patient, reason: str, words: str = "", despite_follow_ups: bool = False
) -> Erasure:
    """Nothing is erased before another person agrees. Raises CannotErase, RecordErased, RecordMerged, ReasonMissing."""
    if reason == ErasureReason.OTHER and not words:
        raise ReasonMissing(_("Say in words why this patient is to be erased."))
    try:
        with transaction.atomic(), acting(actor, reason=reason):
            refuse_what_is_under_way(lock_person(patient), despite_follow_ups=despite_follow_ups)
            erasure = Erasure.objects.create(
                clinic_id=patient.clinic_id,
                patient=patient,
                reason=reason,
                words=words,
                despite_follow_ups=despite_follow_ups,
                asked_by_id=actor.person(),
            )
            publish(EventType.ERASURE_ASKED, clinic_id=patient.clinic_id, patient=patient.pk, erasure=erasure.pk)
            return erasure
    except IntegrityError as error:
        raise StaleTransition(_("This erasure is asked for already. Load the page again and look.")) from error


def agree_to_erasure(*, actor: Actor, erasure: Erasure) -> None:
    """By another person than the one who asked: what is written of her is erased now, and her files in a moment.

    Raises NotYours, NotAllowed, StaleTransition, CannotErase.
    """
    refuse_who_may_not_agree(actor)
    if erasure.asked_by_id == actor.person():
        raise NotYours(_("You asked for this erasure. Another manager or a reviewer has to agree."))
    try:
        with transaction.atomic(), acting(actor, reason=erasure.reason):
            records = lock_person(erasure.patient)
            refuse_what_is_under_way(records, despite_follow_ups=erasure.despite_follow_ups)
            end_request(erasure, agreed_by=actor.person(), sent_at=timezone.now())
            erase_words(erasure, records)
            send_on_commit(erasure, task=ERASE)
    except OperationalError as error:
        if not isinstance(error.__cause__, DeadlockDetected):
            raise
        raise StaleTransition(_("Somebody is writing in this record at this moment. Try again.")) from error


def take_back_erasure(*, actor: Actor, erasure: Erasure) -> None:
    """By any manager, and by whoever was asked to agree and does not."""
    refuse_who_may_not_agree(actor)
    end_request(erasure, taken_back_at=timezone.now())


def end_request(erasure: Erasure, **columns: object) -> None:
    if Erasure.objects.asked().filter(pk=erasure.pk).update(**columns) != 1:
        raise StaleTransition(_("This was agreed to or taken back already."))


def lock_person(patient: Patient) -> list[UUID]:
    """All her records, for this transaction. With their keys, unlike the other locks of ours: whoever writes a row
    that points at her is waited for, and waits.

    Raises RecordMerged, RecordErased.
    """
    Patient.objects.select_for_update().get(pk=patient.pk)  # from here on none is merged into hers
    hers = Patient.objects.of_person(patient.pk).select_for_update().order_by("pk")
    rows = {row.pk: row for row in hers}
    if rows[patient.pk].erased_at:
        raise RecordErased
    if rows[patient.pk].merged_into_id:
        raise RecordMerged
    return list(rows)


def refuse_what_is_under_way(records: list[UUID], *, despite_follow_ups: bool) -> None:
    """Raises CannotErase."""
    if LegalHold.objects.open().filter(patient__in=records).exists():
        raise CannotErase(_("A legal hold stands on this patient. Two people lift it first."))
    screenings = Screening.objects.in_use().filter(patient__in=records)
    if screenings.filter(reading_status__in=sorted(READING_IS_OPEN)).exists():
        raise CannotErase(_("A photograph of this patient is being read. Wait until it is, or withdraw it."))
    if HeldSignature.objects.held().filter(patient__in=records).exists():
        raise CannotErase(_("A review of this patient is about to be signed. Try again in a moment."))
    if not despite_follow_ups and malignant_follow_ups(records).exists():
        raise CannotErase(
            _("Follow-ups of what looks malignant are open. Close them, or say that the record is erased all the same.")
        )


@dataclass(frozen=True)
class Extent:
    """How much there is of a patient: of what goes, and of what stays under opaque ids."""

    records: int
    numbers: int
    earlier_values: int
    photographs: int
    texts: int
    malignant_follow_ups: int
    visits: int
    lesions: int
    readings: int
    reviews: int
    ledger_lines: int


def extent_of(records: list[UUID]) -> Extent:
    hers = {"patient__in": records}
    texts = [
        Visit.objects.filter(**hers).exclude(question=""),
        *(model.objects.filter(**hers).exclude(words="") for model in (Review, Outcome, ReadingProblem, Incident)),
    ]
    return Extent(
        records=len(records),
        numbers=PatientIdentifier.objects.filter(**hers).count(),
        earlier_values=PrivateValue.objects.filter(patient_id__in=records).count(),
        photographs=LesionImage.objects.filter(**hers).count(),
        texts=sum(rows.count() for rows in texts),
        malignant_follow_ups=malignant_follow_ups(records).count(),
        visits=Visit.objects.filter(**hers).count(),
        lesions=Lesion.objects.filter(**hers).count(),
        readings=Prediction.objects.filter(**hers).count(),
        reviews=Review.objects.filter(**hers).count(),
        ledger_lines=AuditEvent.objects.about_patients(records).count(),
    )


def malignant_follow_ups(records: Iterable[UUID]):
    looks_malignant = Q(review__suspicious=True) | Q(review__diagnosis__in=sorted(MALIGNANT_DIAGNOSES))
    return FollowUp.objects.open().filter(looks_malignant, patient__in=records)


def erase_words(erasure: Erasure, records: list[UUID]) -> None:
    """What is written of her, in the running transaction. The database holds once more that it may be."""
    leave_out_of_imports(erasure.clinic_id, records)
    now = timezone.now()
    FollowUp.objects.open().filter(patient__in=records).update(status=FollowUpStatus.WITHDRAWN, closed_at=now)
    # There is one only where a restore erases her again.
    HeldSignature.objects.held().filter(patient__in=records).update(status=HeldStatus.UNDONE, closed_at=now)
    with connection.cursor() as cursor:
        cursor.execute("SELECT erase_patient(%s)", [str(erasure.pk)])


def leave_out_of_imports(clinic_id: UUID, records: list[UUID]) -> None:
    """A table that is not in the record yet would bring her back."""
    hers_alone = PatientIdentifier.objects.filter(patient__in=records, system=RECORD_NUMBER)
    numbers = hers_alone.values_list("value", flat=True)
    hers = ImportRow.objects.filter(
        Q(patient__in=records) | Q(cells__record_number__in=list(numbers)), clinic=clinic_id
    )
    hers.open().update(status=ImportRowStatus.LEFT_OUT, refusal=_("This patient's record was erased."))
    for row in hers.staged():
        delete_bytes(row)
    hers.staged().update(photograph="", thumbnail="", size=0)


def erase_files(*, erasure_id: UUID, clinic_id: UUID) -> bool:
    """Some of her files, and whether there are more. Done again after a worker was killed, it finds what is left:
    a row forgets a file's name once that is gone."""
    with acting(system(clinic_id=clinic_id)):
        erasure = Erasure.objects.with_files_left().filter(pk=erasure_id)
        if not erasure.select_for_update(no_key=True):
            return False
        names = files_of(erasure_id)
        for name in names:
            default_storage.delete(name)
        forget_files(erasure_id, names)
        goes_on = len(names) == FILES_AT_ONCE
        erasure.update(sent_at=timezone.now(), files_erased_at=None if goes_on else timezone.now())
        return goes_on


def files_of(erasure_id: UUID) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM erasure_files(%s, %s)", [str(erasure_id), FILES_AT_ONCE])
        return [name for (name,) in cursor.fetchall()]


def forget_files(erasure_id: UUID, names: list[str]) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT erasure_forget_files(%s, %s)", [str(erasure_id), names])


def sweep_erasures() -> None:
    """Whose worker was lost, or whose message."""
    with acting(system()):
        clinics = list(Clinic.objects.all())
    for clinic in clinics:
        with next_in_spite_of_it("erasures", clinic):
            with acting(system(clinic_id=clinic.pk)):
                waiting = list(Erasure.objects.standing_still().values_list("pk", flat=True))
                Erasure.objects.filter(pk__in=waiting).update(sent_at=timezone.now())
            for erasure_id in waiting:
                send(erasure_id, clinic.pk, task=ERASE)
