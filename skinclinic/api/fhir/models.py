"""What the FHIR side keeps for itself: documents as they were handed out, and what others call our photographs."""

from django.db import models
from django.db.models import Q

from patients.models import PatientRecord, Visit
from screening.models import LesionImage
from skinclinic.text import validate_one_line


def document_path(document: "SignedDocument", filename: str) -> str:
    return f"{document.clinic_id}/documents/{document.pk}.pdf"


class SignedDocument(PatientRecord):
    """The report of a visit as it was signed when somebody first asked for it: everybody is given the same bytes.

    `of`: which signed reviews it tells of; where others are signed, or one is withdrawn, there is another document.
    """

    visit = models.ForeignKey(Visit, on_delete=models.PROTECT, related_name="documents")
    of = models.CharField(max_length=64, help_text="SHA-256 of the keys of the reviews that are signed.")
    pdf = models.FileField(upload_to=document_path, max_length=200)
    size = models.PositiveIntegerField()
    sha1 = models.CharField(max_length=28, help_text="As FHIR has it: base64.")
    sha256 = models.CharField(max_length=64)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["visit", "of"], name="document_once_as_signed")]

    def __str__(self) -> str:
        return f"document {self.pk}"


class PhotographNumber(PatientRecord):
    """What another system calls a photograph that it sent."""

    image = models.ForeignKey(LesionImage, on_delete=models.PROTECT, related_name="numbers")
    system = models.CharField(max_length=200, blank=True)
    value = models.CharField(max_length=100, validators=[validate_one_line])

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["clinic", "system", "value"], name="photograph_number_once"),
            models.CheckConstraint(condition=~Q(value=""), name="photograph_number_is_not_empty"),
        ]

    def __str__(self) -> str:
        return f"number of {self.image_id}"
