"""Taking photographs in, withdrawing them, and moving them to where they belong."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from django.core.files.base import ContentFile
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from patients.codes import Urgency
from patients.models import Lesion, Visit
from patients.services import allows_reading, due_from_now, hold_current, refuses_photographs
from screening.codes import FollowUpStatus, WithdrawalReason
from screening.dicom.keeping import keep_instance
from screening.dicom.matching import refuse_contradiction
from screening.images import CleanPhotograph
from screening.models import FollowUp, LesionImage, Overview, PhotographScale, Screening
from screening.services.errors import PhotographsRefusedByPatient, ReasonMissing, StaleTransition, WrongPatient
from screening.services.follow_ups import end_follow_ups, lock_lesions
from screening.services.queue import send_on_commit
from screening.status import ReadingStatus
from skinclinic.audit.acting import Actor
from skinclinic.errors import StaleForm
from skinclinic.events.models import EventType
from skinclinic.events.publish import publish

if TYPE_CHECKING:
    from django.db.models import QuerySet


@dataclass(frozen=True)
class Points:
    """Two points on a photograph, as shares of its width and height."""

    x1: float
    y1: float
    x2: float
    y2: float


def add_photograph(
    *,
    actor: Actor,
    visit: Visit,
    lesion: Lesion,
    clean: CleanPhotograph,
    original_name: str = "",
    findings: Iterable[str] = (),
    submission: UUID | None = None,
) -> Screening:
    """Store the photograph and queue it for reading, or not to be read where the patient did not consent to that.

    The same `submission` sent twice is one photograph.
    """
    with transaction.atomic():
        image, is_new = store_image(
            actor=actor,
            visit=visit,
            lesion=lesion,
            clean=clean,
            original_name=original_name,
            findings=sorted(findings),
            submission=submission,
        )
        if is_new:
            return queue_screening(visit=visit, image=image)
        if before := Screening.objects.filter(image=image).first():
            return before
        raise sent_otherwise()


def add_overview(
    *,
    actor: Actor,
    visit: Visit,
    lesion: Lesion,
    clean: CleanPhotograph,
    original_name: str = "",
    submission: UUID | None = None,
) -> Overview:
    """Store a photograph that shows where the lesion sits. The same `submission` sent twice is one photograph."""
    with transaction.atomic():
        image, is_new = store_image(
            actor=actor, visit=visit, lesion=lesion, clean=clean, original_name=original_name, submission=submission
        )
        if not is_new:
            if before := Overview.objects.filter(image=image).first():
                return before
            raise sent_otherwise()
        return Overview.objects.create(clinic_id=visit.clinic_id, patient_id=visit.patient_id, visit=visit, image=image)


def store_image(
    *, actor: Actor, visit: Visit, lesion: Lesion, clean: CleanPhotograph, submission: UUID | None, **told: Any
) -> tuple[LesionImage, bool]:
    """The photograph, and whether it is a new one; `told` are the columns that the sender fills."""
    if lesion.patient_id != visit.patient_id:
        raise WrongPatient(_("This lesion is another patient's. Choose a lesion of the patient whose visit this is."))
    refuse_unwanted(visit)
    refuse_contradiction(lesion=lesion, sent=clean.sent)
    # Asked once the patient is locked: the first sending may have been stored while this one waited.
    if submission and (before := LesionImage.objects.filter(uploaded_by=actor.user_id, submission=submission).first()):
        if (before.upload_sha256, before.lesion_id) != (clean.upload_sha256, lesion.pk):
            raise sent_otherwise()
        return before, False
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
        captured_at=clean.captured_at,
        camera=clean.camera,
        uploaded_by_id=actor.user_id,
        submission=submission,
        **told,
    )
    image.photograph.save("photograph.jpg", ContentFile(clean.photograph), save=False)
    image.thumbnail.save("thumbnail.jpg", ContentFile(clean.thumbnail), save=False)
    image.save(force_insert=True)
    keep_instance(image, clean.sent)
    return image, True


def sent_otherwise() -> StaleForm:
    return StaleForm(_("Another photograph was sent under this one's number. Load the page again and choose it."))


def refuse_unwanted(visit: Visit) -> None:
    hold_current(visit.patient)
    if refuses_photographs(visit.patient_id):
        raise PhotographsRefusedByPatient


def queue_screening(*, visit: Visit, image: LesionImage) -> Screening:
    give_time_anew(visit)
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


def give_time_anew(visit: Visit) -> None:
    """What is added to a signed visit is due as if the visit were opened now, and not overdue on its first minute.

    An imported visit has no due time, whatever is added to it.
    """
    if visit.is_imported:
        return
    screenings = Screening.objects.in_use().filter(visit=visit)
    if screenings.signed().exists() and not screenings.to_be_reviewed().exists():
        Visit.objects.filter(pk=visit.pk).update(due_at=due_from_now(visit.clinic_id, Urgency(visit.urgency)))


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
        raise ReasonMissing(_("Say in words why it is withdrawn."))
    with transaction.atomic():
        moved = (
            Screening.objects.in_use()
            .filter(pk=screening.pk)
            .update(
                withdrawn_at=timezone.now(), withdrawn_by=actor.user_id, withdrawn_reason=reason, withdrawn_words=words
            )
        )
        if moved != 1:
            raise StaleTransition(_("This screening is withdrawn already."))
        lock_lesions([screening])
        of_screening = FollowUp.objects.filter(review__screening=screening)
        end_follow_ups(of_screening, status=FollowUpStatus.WITHDRAWN)
        publish(EventType.SCREENING_WITHDRAWN, clinic_id=screening.clinic_id, screening=screening.pk)


def withdraw_overview(*, actor: Actor, overview: Overview, reason: str, words: str = "") -> None:
    """Take an overview photograph off every page. It stays on record."""
    if reason == WithdrawalReason.OTHER and not words:
        raise ReasonMissing(_("Say in words why it is withdrawn."))
    moved = Overview.objects.in_use().filter(pk=overview.pk)
    changes = {"withdrawn_by": actor.person(), "withdrawn_reason": reason, "withdrawn_words": words}
    if moved.update(withdrawn_at=timezone.now(), **changes) != 1:
        raise StaleTransition(_("This photograph is withdrawn already."))


def set_scale(*, actor: Actor, image: LesionImage, submission: UUID, points: Points, millimetres: float) -> None:
    """Keep how far apart two points of the photograph are on the skin. The same form sent twice is one scale."""
    PhotographScale.objects.get_or_create(
        set_by_id=actor.person(),
        submission=submission,
        defaults={
            "clinic_id": image.clinic_id,
            "patient_id": image.patient_id,
            "image": image,
            "millimetres": millimetres,
            **vars(points),
        },
    )


def move_screening(
    *, actor: Actor, screening: Screening, visit: Visit, lesion: Lesion, reason: str, words: str = ""
) -> Screening:
    """Withdraw a screening and start a new one on the same photograph where it belongs.

    The photograph is stored a second time: each patient's record owns its bytes, so that one can be erased alone.
    """
    if lesion.patient_id != visit.patient_id:
        raise WrongPatient(_("This lesion is another patient's. Choose a lesion of the patient whose visit this is."))
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
