"""The ledger, the seals on it, and the private old values that it must not hold."""

import uuid
from datetime import datetime
from typing import Self

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from skinclinic.audit.acting import Actor

# Lines that are written at the same time are numbered in no order; more than so many are not.
AT_ONCE = 10_000
CHANGED_OF_NO_PATIENT = models.Q(patient_id__isnull=True, action__in=["insert", "update", "delete"])


class AuditEventQuerySet(models.QuerySet["AuditEvent"]):
    def visible_to(self, actor: Actor) -> "AuditEventQuerySet":
        if actor.clinic_id is None:
            return self.none()
        return self.filter(clinic_id=actor.clinic_id)

    def about_patients(self, ids) -> "AuditEventQuerySet":
        return self.filter(patient_id__in=ids)

    def not_about(self, subject_type: str, ids) -> "AuditEventQuerySet":
        return self.exclude(subject_type=subject_type, subject_id__in=[str(key) for key in ids])

    def between(self, first: datetime | None, end: datetime | None) -> "AuditEventQuerySet":
        """From `first` until before `end`. The numbers of the lines are bounded too, by which lists are in order: else
        a long ledger would be read through to the day."""
        found = self
        if first:
            begins = self.filter(at__gte=first).order_by("at").values_list("pk", flat=True).first()
            found = found.filter(at__gte=first, pk__gte=(begins or 0) - AT_ONCE) if begins else found.none()
        if end:
            ends = self.filter(at__lt=end).order_by("-at").values_list("pk", flat=True).first()
            found = found.filter(at__lt=end, pk__lte=ends + AT_ONCE) if ends else found.none()
        return found

    def of_rules(self) -> "AuditEventQuerySet":
        """What was changed that is of no patient: what people and managers decided. These lines have an index."""
        return self.filter(CHANGED_OF_NO_PATIENT)

    def about_any(self, ids) -> "AuditEventQuerySet":
        return self.filter(subject_id__in=[str(key) for key in ids])


class AuditEvent(models.Model):
    """One thing that was done or seen. Only the functions `audit_row` and `audit_record` write here.

    No foreign keys: a line must outlive what it speaks of. `transaction` is the Postgres transaction id, by which
    sealing knows that no older line can still arrive.
    """

    id = models.BigAutoField(primary_key=True)
    at = models.DateTimeField()
    transaction = models.BigIntegerField()
    clinic_id = models.UUIDField(null=True)
    actor = models.TextField()
    actor_name = models.TextField()
    action = models.TextField()
    subject_type = models.TextField(blank=True)
    subject_id = models.TextField(blank=True)
    patient_id = models.UUIDField(null=True)
    changes = models.JSONField(default=dict)
    request_id = models.TextField(blank=True)
    reason = models.TextField(blank=True)

    outlives_erasure = True

    objects = AuditEventQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        default_permissions = ("view",)
        indexes = [
            models.Index(fields=["clinic_id", "-id"], name="audit_by_clinic"),
            models.Index(fields=["clinic_id", "at"], name="audit_by_time"),
            # For what is rare: a common act or a busy person is found among the newest lines.
            models.Index(fields=["clinic_id", "action", "subject_type"], name="audit_by_act"),
            models.Index(fields=["clinic_id", "actor"], name="audit_by_actor"),
            models.Index(fields=["clinic_id", "-id"], condition=CHANGED_OF_NO_PATIENT, name="audit_of_rules"),
            models.Index(fields=["patient_id", "-id"], name="audit_by_patient"),
            models.Index(fields=["subject_id", "-id"], name="audit_by_subject"),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.subject_type} {self.subject_id}"


class PrivateValue(models.Model):
    """What a name, a record number or a free text was before it changed; erased together with the patient."""

    id = models.BigAutoField(primary_key=True)
    event_id = models.BigIntegerField()
    at = models.DateTimeField()
    clinic_id = models.UUIDField(null=True)
    patient_id = models.UUIDField(null=True)
    subject_type = models.TextField()
    subject_id = models.TextField()
    column = models.TextField()
    value = models.JSONField(null=True)

    class Meta:
        default_permissions = ("view",)
        indexes = [
            models.Index(fields=["subject_id"], name="private_by_subject"),
            models.Index(fields=["patient_id"], name="private_by_patient"),
        ]

    def __str__(self) -> str:
        return f"{self.subject_type}.{self.column}"


class Seal(models.Model):
    """A link of the chain: lines that were sealed together, the digest of the seal before and of theirs in one."""

    number = models.BigIntegerField(primary_key=True)
    at = models.DateTimeField()
    lines = models.IntegerField()
    digest = models.BinaryField()

    class Meta:
        default_permissions = ("view",)

    def __str__(self) -> str:
        return head_of(self.number, bytes(self.digest))


class SealedEvent(models.Model):
    """What a line of the ledger was when it was sealed."""

    event = models.BigIntegerField(primary_key=True)
    seal = models.BigIntegerField()
    position = models.IntegerField()
    digest = models.BinaryField()

    class Meta:
        default_permissions = ("view",)
        constraints = [models.UniqueConstraint(fields=["seal", "position"], name="sealed_place_once")]

    def __str__(self) -> str:
        return f"{self.event} in {self.seal}"


class UnsealedEvent(models.Model):
    """A line that waits to be sealed; `audit_append` puts it here, sealing takes it away."""

    event = models.BigIntegerField(primary_key=True)
    at = models.DateTimeField()

    class Meta:
        default_permissions = ("view",)

    def __str__(self) -> str:
        return str(self.event)


class ToldHead(models.Model):
    """The head that was told elsewhere on a day (UTC), so that it is told once."""

    day = models.DateField(primary_key=True)
    head = models.TextField()
    mailed_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"{self.day} {self.head}"


def head_of(number: int, digest: bytes) -> str:
    """The chain's head as people keep it elsewhere: the last seal's number and digest."""
    return f"{number}:{digest.hex()}"


class Fault(models.TextChoices):
    """What can be wrong with a ledger; the sentence names the line or the seal."""

    LINE_CHANGED = "line_changed", _("Line %(event)s was changed.")
    LINE_DELETED = "line_deleted", _("Line %(event)s was deleted.")
    LINE_STRAY = "line_stray", _("Line %(event)s was not written by the ledger itself.")
    LINE_MISDATED = "line_misdated", _("Line %(event)s bears another day than the one it was sealed on.")
    SEAL_GONE = "seal_gone", _("Seal %(seal)s is gone.")
    SEAL_SHORT = "seal_short", _("Some of the lines of seal %(seal)s are gone.")
    SEAL_REWRITTEN = "seal_rewritten", _("Seal %(seal)s was rewritten: it does not follow from its lines.")
    HEAD_DIFFERS = "head_differs", _("Seal %(seal)s is another one than the head that was kept says.")
    TRIGGER_OFF = "trigger_off", _("%(table)s writes nothing on the ledger: its trigger is switched off or gone.")
    FUNCTION_CHANGED = "function_changed", _("%(table)s is not the function of the ledger that was installed.")


class VerificationQuerySet(models.QuerySet["Verification"]):
    def visible_to(self, actor: Actor) -> Self:
        return self.filter(clinic_id=actor.clinic_id) if actor.clinic_id else self.none()

    def running(self) -> Self:
        return self.filter(finished_at__isnull=True)

    def newest_first(self) -> Self:
        return self.order_by("-asked_at")


class Verification(models.Model):
    """The whole ledger held against its seals, because somebody of a clinic asked for it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    clinic_id = models.UUIDField()
    asked_by = models.TextField()
    asked_at = models.DateTimeField(default=timezone.now)
    lines_in_all = models.BigIntegerField()
    lines = models.BigIntegerField(default=0, help_text="Verified so far.")
    head = models.TextField(blank=True, help_text="Of the last seal that was verified.")
    finished_at = models.DateTimeField(null=True)
    fault = models.TextField(choices=Fault.choices, blank=True)
    named = models.JSONField(default=dict, help_text="What the fault's sentence names.")

    objects = VerificationQuerySet.as_manager()

    class Meta:
        default_permissions = ("view",)
        indexes = [models.Index(fields=["clinic_id", "-asked_at"], name="verification_by_clinic")]
        constraints = [
            models.UniqueConstraint(
                fields=["clinic_id"], condition=models.Q(finished_at__isnull=True), name="verification_one_at_a_time"
            )
        ]

    def __str__(self) -> str:
        return f"{self.asked_at:%Y-%m-%d %H:%M} {self.fault or self.head}"

    @property
    def sentence(self) -> str:
        """What was found wrong; empty where nothing was."""
        return str(Fault(self.fault).label) % self.named if self.fault else ""

    @property
    def percent(self) -> int:
        return min(100, 100 * self.lines // self.lines_in_all) if self.lines_in_all else 100
