"""The outbox: what happened, written in the transaction in which it happened."""

import uuid

from django.db import models
from django.utils import timezone

from skinclinic.accounts.models import Clinic


class EventType(models.TextChoices):
    SCREENING_QUEUED = "screening.queued"
    SCREENING_PREDICTED = "screening.predicted"
    SCREENING_UNSCORABLE = "screening.unscorable"
    SCREENING_FAILED = "screening.failed"
    SCREENING_REVIEWED = "screening.reviewed"
    SCREENING_DISPUTED = "screening.disputed"
    SCREENING_WITHDRAWN = "screening.withdrawn"
    RETAKE_ASSIGNED = "retake.assigned"
    ALARM_RAISED = "alarm.raised"
    WEBHOOK_DISABLED = "webhook.disabled"
    READING_PROBLEM = "reading.problem"
    SWITCH_ASKED = "switch.asked"
    RESUME_ASKED = "resume.asked"
    ERASURE_ASKED = "erasure.asked"
    LIFT_ASKED = "lift.asked"
    REPORT_SIGNED = "report.signed"
    REPORT_AMENDED = "report.amended"
    CHART_OPENED = "chart.opened"
    PATIENT_MERGED = "patient.merged"
    PATIENT_UNMERGED = "patient.unmerged"
    LEDGER_HEAD = "ledger.head"


class Event(models.Model):
    """Opaque ids only: no name, no result, no image. Bell, mail, webhooks and `/changes` read from here."""

    id = models.BigAutoField(primary_key=True)
    key = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    clinic = models.ForeignKey(Clinic, on_delete=models.PROTECT, related_name="+")
    type = models.CharField(max_length=40, choices=EventType.choices)
    ids = models.JSONField()
    at = models.DateTimeField(default=timezone.now)
    number = models.BigIntegerField(null=True, help_text="In the clinic, without gaps; given when it is first read.")
    handed_on_at = models.DateTimeField(null=True, help_text="When all that read the outbox had been given it.")

    class Meta:
        default_permissions = ("view",)
        constraints = [models.UniqueConstraint(fields=["clinic", "number"], name="event_number_once")]
        indexes = [
            models.Index(fields=["clinic", "id"], name="event_by_clinic"),
            models.Index(fields=["clinic", "id"], condition=models.Q(handed_on_at__isnull=True), name="event_waiting"),
            models.Index(fields=["clinic", "id"], condition=models.Q(number__isnull=True), name="event_not_numbered"),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.key}"
