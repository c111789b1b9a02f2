"""What the dashboard keeps: alarms from their first sight to their end, and figures counted ahead."""

from typing import Self

from django.db import models
from django.db.models import Q

from patients.models import ClinicRecord
from patients.querysets import ClinicQuerySet
from screening.codes import AlarmCode, Panel
from skinclinic.accounts.models import User


class AlarmQuerySet(ClinicQuerySet):
    def open(self) -> Self:
        return self.filter(ended_at__isnull=True)

    def raised(self) -> Self:
        return self.filter(raised_at__isnull=False)


class Alarm(ClinicRecord):
    """Something that asked for a manager, from when it was first seen until it was gone.

    It is raised, and told, once it has lasted a minute. `facts` are those of the last time it was seen.
    """

    code = models.CharField(max_length=20, choices=AlarmCode.choices)
    about = models.CharField(max_length=100, blank=True, help_text="Which of several things, such as a worker's name.")
    facts = models.JSONField(default=dict)
    seen_at = models.DateTimeField(help_text="When it was last seen.")
    raised_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    acknowledged_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    acknowledged_at = models.DateTimeField(null=True)
    acknowledged_count = models.PositiveIntegerField(default=0, help_text="How much there was to see to by then.")
    note = models.TextField(max_length=500, blank=True)

    objects = AlarmQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["clinic", "code", "about"], condition=Q(ended_at__isnull=True), name="alarm_open_once"
            ),
            models.CheckConstraint(condition=Q(code__in=AlarmCode.values), name="alarm_code_known"),
            models.CheckConstraint(
                condition=Q(acknowledged_by__isnull=True, acknowledged_at__isnull=True, note="")
                | Q(acknowledged_by__isnull=False, acknowledged_at__isnull=False, raised_at__isnull=False)
                & ~Q(note=""),
                name="alarm_acknowledged_with_a_note",
            ),
        ]

    def __str__(self) -> str:
        return f"alarm {self.code}"


class CountedPanel(ClinicRecord):
    """A panel's figures as they were last counted; replaced by the next count."""

    panel = models.CharField(max_length=16, choices=Panel.choices)
    figures = models.JSONField()
    counted_at = models.DateTimeField()
    seconds = models.FloatField(help_text="How long the count took.")
    last_event = models.BigIntegerField(help_text="The newest of the clinic's events when it began.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["clinic", "panel"], name="panel_once_per_clinic"),
            models.CheckConstraint(condition=Q(panel__in=Panel.values), name="panel_known"),
        ]

    def __str__(self) -> str:
        return f"figures of {self.panel}"
