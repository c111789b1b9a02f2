"""What harmed a patient or could have, and what came of it."""

from typing import Self

from django.db import models
from django.db.models import Q

from patients.models import ClinicRecord, Patient
from patients.querysets import ClinicQuerySet
from screening.codes import IncidentKind
from skinclinic.accounts.models import User
from skinclinic.audit.acting import AUDITOR, MANAGER, Actor


class IncidentQuerySet(ClinicQuerySet):
    def visible_to(self, actor: Actor) -> Self:
        """Managers and auditors see the clinic's; others those that they opened or own."""
        found = super().visible_to(actor)
        if actor.has_role(MANAGER, AUDITOR):
            return found
        return found.filter(Q(opened_by=actor.user_id) | Q(owner=actor.user_id))

    def open(self) -> Self:
        return self.filter(closed_at__isnull=True)

    def without_owner(self) -> Self:
        return self.open().filter(owner__isnull=True)


class Incident(ClinicRecord):
    """`prediction`: the reading that was shown to who opened it; empty where none was."""

    outlives_erasure = True

    kind = models.CharField(max_length=16, choices=IncidentKind.choices)
    words = models.TextField(max_length=2000)
    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, null=True, related_name="+")
    screening = models.ForeignKey("screening.Screening", on_delete=models.PROTECT, null=True, related_name="incidents")
    prediction = models.ForeignKey("screening.Prediction", on_delete=models.PROTECT, null=True, related_name="+")
    opened_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    submission = models.UUIDField(help_text="The form's own number: sent twice, it is saved once.")
    owner = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    finding = models.TextField(max_length=2000, blank=True, help_text="What was found, and what changes.")
    closed_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    closed_at = models.DateTimeField(null=True)

    objects = IncidentQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "id"]
        constraints = [
            models.UniqueConstraint(fields=["opened_by", "submission"], name="incident_once_per_submission"),
            models.CheckConstraint(condition=Q(kind__in=IncidentKind.values), name="incident_kind_known"),
            models.CheckConstraint(condition=~Q(words=""), name="incident_has_words"),
            models.CheckConstraint(
                condition=Q(screening__isnull=True) | Q(patient__isnull=False), name="incident_screening_has_patient"
            ),
            models.CheckConstraint(
                condition=Q(closed_by__isnull=True, closed_at__isnull=True)
                | Q(closed_by__isnull=False, closed_at__isnull=False) & ~Q(finding=""),
                name="incident_closed_with_words",
            ),
        ]
        indexes = [
            models.Index(fields=["clinic", "created_at"], condition=Q(closed_at__isnull=True), name="incident_open")
        ]

    def __str__(self) -> str:
        return f"incident {self.pk}"

    @property
    def is_open(self) -> bool:
        return self.closed_at is None


class IncidentNote(ClinicRecord):
    """What somebody adds to an incident. Never changed."""

    incident = models.ForeignKey(Incident, on_delete=models.PROTECT, related_name="notes")
    author = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    words = models.TextField(max_length=2000)

    class Meta:
        ordering = ["created_at", "id"]
        constraints = [models.CheckConstraint(condition=~Q(words=""), name="incident_note_has_words")]

    def __str__(self) -> str:
        return f"note {self.pk}"
