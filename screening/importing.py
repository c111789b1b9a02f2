"""The tables of a bulk import: a batch waits here, and is nothing of the record, until a clinician confirms it."""

from datetime import timedelta
from typing import Self

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from patients.models import ClinicRecord, Lesion, Patient, PatientRecord
from patients.querysets import ClinicQuerySet
from skinclinic.accounts.models import User

KEPT_UNCONFIRMED = timedelta(days=7)


class ImportStatus(models.TextChoices):
    OPEN = "open", _("Not confirmed yet")
    CONFIRMED = "confirmed", _("Being imported")
    DONE = "done", _("Done")
    DROPPED = "dropped", _("Dropped")


class ImportRowStatus(models.TextChoices):
    OPEN = "open", _("Not imported yet")
    IMPORTED = "imported", _("Imported")
    PRESENT = "present", _("In the record already")
    LEFT_OUT = "left_out", _("Left out")


class ImportBatchQuerySet(ClinicQuerySet):
    def unconfirmed(self) -> Self:
        return self.filter(status=ImportStatus.OPEN)

    def confirmed(self) -> Self:
        return self.filter(status=ImportStatus.CONFIRMED)

    def closed(self) -> Self:
        return self.filter(status__in=[ImportStatus.DONE, ImportStatus.DROPPED])

    def standing_still(self) -> Self:
        """No worker has moved it for a while: its message was lost, or its worker."""
        return self.confirmed().filter(sent_at__lt=timezone.now() - timedelta(seconds=settings.READING_RESEND_AFTER))

    def forgotten(self) -> Self:
        return self.unconfirmed().filter(created_at__lt=timezone.now() - KEPT_UNCONFIRMED)

    def to_be_erased(self) -> Self:
        return self.closed().filter(erased_at__isnull=True)


class ImportBatch(ClinicRecord):
    """One table with its photographs. `submission`: the form's own number, so that it is taken once."""

    started_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    submission = models.UUIDField()
    status = models.CharField(max_length=10, choices=ImportStatus.choices, default=ImportStatus.OPEN)
    confirmed_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    sent_at = models.DateTimeField(null=True, help_text="When the workers were last told, or a patient last taken.")
    closed_at = models.DateTimeField(null=True)
    erased_at = models.DateTimeField(null=True, help_text="When what it held of people and photographs was erased.")

    objects = ImportBatchQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(fields=["started_by", "submission"], name="import_once_per_submission"),
            models.CheckConstraint(
                condition=Q(status__in=["confirmed", "done"], confirmed_by__isnull=False)
                | Q(status__in=["open", "dropped"], confirmed_by__isnull=True),
                name="import_confirmed_by_someone",
            ),
            models.CheckConstraint(
                condition=Q(status__in=["open", "confirmed"], closed_at__isnull=True, erased_at__isnull=True)
                | Q(status__in=["done", "dropped"], closed_at__isnull=False),
                name="import_closed_at_some_time",
            ),
        ]
        indexes = [
            models.Index(fields=["clinic", "created_at"], condition=Q(erased_at__isnull=True), name="import_to_see_to")
        ]

    def __str__(self) -> str:
        return f"import {self.pk}"


def staged_photograph_path(row: "ImportRow", filename: str) -> str:
    return f"{row.clinic_id}/import/{row.pk}/photograph.jpg"


def staged_thumbnail_path(row: "ImportRow", filename: str) -> str:
    return f"{row.clinic_id}/import/{row.pk}/thumbnail.jpg"


class ImportRowQuerySet(ClinicQuerySet):
    def open(self) -> Self:
        return self.filter(status=ImportRowStatus.OPEN)

    def staged(self) -> Self:
        return self.exclude(photograph="")

    def in_order(self) -> Self:
        return self.order_by("number")


class ImportRow(ClinicRecord):
    """One row of the table, and the clean photograph that it names once that has arrived.

    `cells` and `file_key` name people; they and the bytes are erased with the batch. `person` is the number of the
    first row of the same patient: her rows come together or not at all. The row's key is its photograph's submission.
    """

    batch = models.ForeignKey(ImportBatch, on_delete=models.PROTECT, related_name="rows")
    number = models.PositiveIntegerField(help_text="As a spreadsheet counts: the header is row 1.")
    person = models.PositiveIntegerField()
    cells = models.JSONField(default=dict, blank=True)
    file_key = models.CharField(max_length=255, blank=True)
    refusal = models.TextField(blank=True, help_text="Why it is not imported, without a word from its cells.")
    status = models.CharField(max_length=10, choices=ImportRowStatus.choices, default=ImportRowStatus.OPEN)
    likely_patients = ArrayField(models.UUIDField(), default=list, blank=True, help_text="Whom a new one resembles.")
    likely_rows = ArrayField(models.PositiveIntegerField(), default=list, blank=True)
    is_another = models.BooleanField(default=False, help_text="Somebody said that she is none of them.")
    attempts = models.PositiveSmallIntegerField(default=0)
    photograph = models.FileField(upload_to=staged_photograph_path, max_length=200, blank=True)
    thumbnail = models.FileField(upload_to=staged_thumbnail_path, max_length=200, blank=True)
    photograph_refusal = models.TextField(blank=True, help_text="Why what came as its photograph is none.")
    width = models.PositiveIntegerField(null=True)
    height = models.PositiveIntegerField(null=True)
    size = models.PositiveIntegerField(default=0, help_text="Bytes that are kept of its photograph until it is in.")
    sha256 = models.CharField(max_length=64, blank=True)
    upload_sha256 = models.CharField(max_length=64, blank=True)
    captured_at = models.DateTimeField(null=True)
    camera = models.CharField(max_length=100, blank=True)
    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, null=True, related_name="+")
    image = models.OneToOneField("screening.LesionImage", on_delete=models.PROTECT, null=True, related_name="+")

    objects = ImportRowQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["batch", "number"], name="import_row_once"),
            models.UniqueConstraint(fields=["batch", "file_key"], condition=~Q(file_key=""), name="import_file_once"),
            models.CheckConstraint(
                condition=Q(status="imported", image__isnull=False) | ~Q(status="imported") & Q(image__isnull=True),
                name="import_row_has_its_photograph",
            ),
            models.CheckConstraint(condition=~Q(status="left_out") | ~Q(refusal=""), name="import_left_out_says_why"),
        ]

    def __str__(self) -> str:
        return f"row {self.pk}"


class LesionLabel(PatientRecord):
    """What the clinic's own tables call a lesion, folded for comparing: a later table adds to the same one."""

    lesion = models.ForeignKey(Lesion, on_delete=models.PROTECT, related_name="labels")
    label = models.CharField(max_length=100)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["patient", "label"], name="lesion_label_once_per_patient")]

    def __str__(self) -> str:
        return f"label {self.pk}"
