"""What a photograph is called where it came from."""

from django.db import models
from django.db.models import Q

from patients.models import PatientRecord
from screening.models import LesionImage


class DicomInstance(PatientRecord):
    """The DICOM object that a photograph was taken from; the first photograph that came from it has this row."""

    image = models.OneToOneField(LesionImage, on_delete=models.PROTECT, related_name="dicom")
    sop_class = models.CharField(max_length=64)
    instance_uid = models.CharField(max_length=64)
    series_uid = models.CharField(max_length=64)
    study_uid = models.CharField(max_length=64)
    tracking_uid = models.CharField(max_length=64, blank=True, help_text="What the sender calls the lesion.")
    manufacturer = models.CharField(max_length=64, blank=True)
    model_name = models.CharField(max_length=64, blank=True)
    serial_number = models.CharField(max_length=64, blank=True)
    software_versions = models.CharField(max_length=64, blank=True)
    recognizable = models.CharField(max_length=3, blank=True, help_text="YES or NO: whether features tell who it is.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["clinic", "instance_uid"], name="dicom_instance_once_in_the_clinic"),
            models.CheckConstraint(
                condition=~Q(instance_uid="") & ~Q(series_uid="") & ~Q(study_uid=""), name="dicom_instance_has_its_uids"
            ),
        ]
        indexes = [models.Index(fields=["patient", "tracking_uid"], name="dicom_by_tracking")]

    def __str__(self) -> str:
        return f"DICOM object of {self.image_id}"
