"""Which models there are, which of them reads for a clinic, and what is suspended."""

from django.db import models
from django.db.models import F, Q

from patients.models import ClinicRecord
from screening.querysets import ModelVersionQuerySet, SuspensionQuerySet, SwitchRequestQuerySet
from skinclinic.accounts.models import User


class ModelVersion(models.Model):
    """A trained model as its manifest describes it. The same for every clinic of the installation."""

    version = models.CharField(max_length=40, primary_key=True)
    weights_sha256 = models.CharField(max_length=64)
    preprocessing = models.CharField(max_length=20)
    manifest = models.JSONField()
    thresholds = models.CharField(max_length=12, blank=True, help_text="Digest of calibration, thresholds and limits.")
    registered_at = models.DateTimeField(auto_now_add=True)

    objects = ModelVersionQuerySet.as_manager()

    def __str__(self) -> str:
        return self.version


class ReadingPolicy(ClinicRecord):
    """Which model reads a clinic's photographs. One row per clinic; the ledger keeps every change and its reason."""

    active = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="decides_in")
    previous = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, null=True, related_name="+")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["clinic"], name="reading_policy_once_per_clinic"),
            models.CheckConstraint(condition=~Q(active=F("previous")), name="reading_policy_previous_is_another"),
        ]

    def __str__(self) -> str:
        return f"{self.active_id} reads for {self.clinic_id}"


class SwitchRequest(ClinicRecord):
    """Another version is to decide: asked for by one manager, and agreed to by another person, or taken back."""

    version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="+")
    reason = models.TextField(max_length=500)
    asked_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    agreed_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    ended_at = models.DateTimeField(null=True, help_text="Agreed to, or taken back where nobody agreed.")

    objects = SwitchRequestQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["clinic"], condition=Q(ended_at__isnull=True), name="switch_asked_once"),
            models.CheckConstraint(
                condition=Q(agreed_by__isnull=True) | Q(ended_at__isnull=False) & ~Q(agreed_by=F("asked_by")),
                name="switch_agreed_by_two",
            ),
        ]

    def __str__(self) -> str:
        return f"request to read with {self.version_id}"


class ShadowVersion(ClinicRecord):
    """A version that reads silently beside the deciding one."""

    model_version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="+")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["clinic", "model_version"], name="shadow_once_per_clinic")]

    def __str__(self) -> str:
        return f"{self.model_version_id} in the shadow"


class Suspension(ClinicRecord):
    """Readings stopped by a manager: all of the clinic's, or one version's. Ended by two people."""

    model_version = models.ForeignKey(
        ModelVersion, on_delete=models.PROTECT, null=True, related_name="+", help_text="Empty: all readings."
    )
    reason = models.TextField(max_length=500)
    suspended_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    resume_asked_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    resume_asked_at = models.DateTimeField(null=True)
    resumed_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    resumed_at = models.DateTimeField(null=True)

    objects = SuspensionQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["clinic", "model_version"],
                condition=Q(resumed_at__isnull=True),
                nulls_distinct=False,
                name="suspension_open_once",
            ),
            models.CheckConstraint(
                condition=Q(resume_asked_by__isnull=True, resume_asked_at__isnull=True)
                | Q(resume_asked_by__isnull=False, resume_asked_at__isnull=False),
                name="suspension_resume_asked_by_somebody",
            ),
            models.CheckConstraint(
                condition=Q(resumed_by__isnull=True, resumed_at__isnull=True)
                | Q(resumed_at__isnull=False, resume_asked_by__isnull=False)
                & ~Q(resumed_by=F("resume_asked_by"))
                & Q(resumed_by__isnull=False),
                name="suspension_resumed_by_two",
            ),
        ]

    def __str__(self) -> str:
        return f"suspension of {self.model_version_id or 'all readings'}"
