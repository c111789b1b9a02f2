"""What a DICOM object was called is kept with the photograph, so that it is known when it comes again."""

from dataclasses import asdict

from django.db import IntegrityError, transaction

from screening.dicom.models import DicomInstance
from screening.dicom.sent import SentObject
from screening.models import LesionImage


def keep_instance(image: LesionImage, sent: SentObject | None) -> None:
    """A second photograph from the same object is a duplicate like any other, and has no row of its own."""
    if sent is None:
        return
    told = {"clinic_id": image.clinic_id, "instance_uid": sent.instance_uid}
    if DicomInstance.objects.filter(**told).exists():
        return
    try:
        with transaction.atomic():
            DicomInstance.objects.create(
                **told,
                patient_id=image.patient_id,
                image=image,
                sop_class=sent.sop_class,
                series_uid=sent.series_uid,
                study_uid=sent.study_uid,
                tracking_uid=sent.tracking_uid,
                recognizable=sent.recognizable if sent.recognizable in ("YES", "NO") else "",
                **asdict(sent.equipment),
            )
    except IntegrityError:
        if not DicomInstance.objects.filter(**told).exists():
            raise
