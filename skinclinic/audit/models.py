"""The ledger, and the private old values that it must not hold."""

from django.db import models

from skinclinic.audit.acting import Actor


class AuditEventQuerySet(models.QuerySet["AuditEvent"]):
    def visible_to(self, actor: Actor) -> "AuditEventQuerySet":
        if actor.clinic_id is None:
            return self.none()
        return self.filter(clinic_id=actor.clinic_id)

    def about_patients(self, ids) -> "AuditEventQuerySet":
        return self.filter(patient_id__in=ids)

    def not_about(self, subject_type: str, ids) -> "AuditEventQuerySet":
        return self.exclude(subject_type=subject_type, subject_id__in=[str(key) for key in ids])

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

    objects = AuditEventQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        default_permissions = ("view",)
        indexes = [
            models.Index(fields=["clinic_id", "-id"], name="audit_by_clinic"),
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
