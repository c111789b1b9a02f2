"""Taking photographs in, withdrawing them, and moving them to where they belong."""

from collections.abc import Iterable
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from django.core.files.base import ContentFile
from django.db import transaction
from django.utils import timezone

from patients.models import Lesion, Visit
from patients.services import allows_reading, hold_current, refuses_photographs
from screening.codes import FollowUpStatus, WithdrawalReason
from screening.images import CleanPhotograph
from screening.models import FollowUp, LesionImage, Screening
from screening.services.errors import PhotographsRefusedByPatient, ReasonMissing, StaleTransition, WrongPatient
from screening.services.queue import send_on_commit
from screening.status import ReadingStatus
from skinclinic.audit.acting import Actor
from skinclinic.events.models import EventType
from skinclinic.events.publish import publish

if TYPE_CHECKING:
    from django.db.models import QuerySet


def add_photograph(
    *,
    actor: Actor,
    visit: Visit,
    lesion: Lesion,
    clean: CleanPhotograph,
    original_name: str = "",
    findings: Iterable[str] = (),
) -> Screening:
    """Store the photograph and queue it for reading, or not to be read where the patient did not consent to that."""
    if lesion.patient_id != visit.patient_id:
        raise WrongPatient("This lesion is another patient's. Choose a lesion of the patient whose visit this is.")
    with transaction.atomic():
        refuse_unwanted(visit)
        image = LesionImage(
            id=uuid4(),
            clinic_id=visit.clinic_id,
            patient_id=visit.patient_id,
            lesion=lesion,
            width=clean.width,
            height=clean.height,
            size=len(clean.photograph),
            sha256=clean.sha256,
            upload_sha256=clean.upload_sha256,
            original_name=original_name,
            captured_at=clean.captured_at,
            camera=clean.camera,
            findings=sorted(findings),
            uploaded_by_id=actor.user_id,
        )
        image.photograph.save("photograph.jpg", ContentFile(clean.photograph), save=False)
        image.thumbnail.save("thumbnail.jpg", ContentFile(clean.thumbnail), save=False)
        image.save(force_insert=True)
        return queue_screening(visit=visit, image=image)


def refuse_unwanted(visit: Visit) -> None:
    hold_current(visit.patient)
    if refuses_photographs(visit.patient_id):
        raise PhotographsRefusedByPatient


def queue_screening(*, visit: Visit, image: LesionImage) -> Screening:
    wanted = allows_reading(visit.patient_id)
    screening = Screening.objects.create(
        clinic_id=visit.clinic_id,
        patient_id=visit.patient_id,
        visit=visit,
        image=image,
        reading_status=ReadingStatus.QUEUED if wanted else ReadingStatus.NOT_WANTED,
        sent_at=timezone.now() if wanted else None,
        times_sent=1 if wanted else 0,
    )
    if wanted:
        publish(EventType.SCREENING_QUEUED, clinic_id=visit.clinic_id, screening=screening.pk)
        send_on_commit(screening)
    return screening


def duplicates_of(image: LesionImage) -> "QuerySet[LesionImage]":
    """Other photographs of the same patient that came from the same file."""
    return (
        LesionImage.objects.in_use()
        .filter(clinic_id=image.clinic_id, patient_id=image.patient_id, upload_sha256=image.upload_sha256)
        .exclude(pk=image.pk)
    )


def withdraw_screening(*, actor: Actor, screening: Screening, reason: str, words: str = "") -> None:
    """Take a screening off every list and statistic. It stays on record, with its photograph and its readings.

    What its signed review asked for was asked for the wrong patient or lesion: the open follow-up ends with it.
    """
    if reason == WithdrawalReason.OTHER and not words:
        raise ReasonMissing("Say in words why it is withdrawn.")
    with transaction.atomic():
        moved = (
            Screening.objects.in_use()
            .filter(pk=screening.pk)
            .update(
                withdrawn_at=timezone.now(), withdrawn_by=actor.user_id, withdrawn_reason=reason, withdrawn_words=words
            )
        )
        if moved != 1:
            raise StaleTransition("This screening is withdrawn already.")
        FollowUp.objects.open().filter(review__screening=screening).update(
            status=FollowUpStatus.WITHDRAWN, closed_at=timezone.now()
        )
        publish(EventType.SCREENING_WITHDRAWN, clinic_id=screening.clinic_id, screening=screening.pk)


def move_screening(
    *, actor: Actor, screening: Screening, visit: Visit, lesion: Lesion, reason: str, words: str = ""
) -> Screening:
    """Withdraw a screening and start a new one on the same photograph where it belongs.

    The photograph is stored a second time: each patient's record owns its bytes, so that one can be erased alone.
    """
    if lesion.patient_id != visit.patient_id:
        raise WrongPatient("This lesion is another patient's. Choose a lesion of the patient whose visit this is.")
    with transaction.atomic():
        refuse_unwanted(visit)
        withdraw_screening(actor=actor, screening=screening, reason=reason, words=words)
        copy = copy_image(screening.image, visit=visit, lesion=lesion, user_id=actor.user_id)
        target = queue_screening(visit=visit, image=copy)
        Screening.objects.filter(pk=screening.pk).update(moved_to=target)
        return target


def copy_image(image: LesionImage, *, visit: Visit, lesion: Lesion, user_id: UUID | None) -> LesionImage:
    kept = ("width", "height", "size", "sha256", "upload_sha256", "original_name", "captured_at", "camera", "findings")
    copy = LesionImage(
        id=uuid4(),
        clinic_id=visit.clinic_id,
        patient_id=visit.patient_id,
        lesion=lesion,
        uploaded_by_id=user_id,
        **{name: getattr(image, name) for name in kept},
    )
    copy.photograph.save("photograph.jpg", ContentFile(image.photograph.read()), save=False)
    copy.thumbnail.save("thumbnail.jpg", ContentFile(image.thumbnail.read()), save=False)
    copy.save(force_insert=True)
    return copy
