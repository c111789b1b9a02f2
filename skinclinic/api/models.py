"""The systems that use the API, and what they were answered."""

from datetime import datetime, timedelta
from typing import Any

from django.db import models
from django.utils import timezone
from oauth2_provider.models import AbstractApplication

from patients.models import PatientRecord
from patients.querysets import ClinicQuerySet
from skinclinic.accounts.models import Clinic, User
from skinclinic.api.webhooks.models import WebhookDelivery, WebhookEndpoint
from skinclinic.audit.acting import Actor

__all__ = ["ChartLink", "Client", "StoredAnswer", "WebhookDelivery", "WebhookEndpoint"]

KEPT_FOR = timedelta(hours=24)
LINK_LASTS = timedelta(minutes=10)


class ClientQuerySet(models.QuerySet["Client"]):
    def visible_to(self, actor: Actor) -> "ClientQuerySet":
        return self.filter(clinic_id=actor.clinic_id) if actor.clinic_id else self.none()

    def get_by_natural_key(self, client_id: str) -> "Client":
        return self.get(client_id=client_id)


class Client(AbstractApplication):
    """An OAuth2 client of one clinic; it signs in with client credentials and never as a person."""

    clinic = models.ForeignKey(Clinic, on_delete=models.PROTECT, related_name="api_clients")
    allowed_scopes = models.TextField(blank=True, help_text="Scopes this client may ask for, separated by spaces.")
    disabled_at = models.DateTimeField(null=True, blank=True)

    objects = ClientQuerySet.as_manager()

    class Meta(AbstractApplication.Meta):
        swappable = "OAUTH2_PROVIDER_APPLICATION_MODEL"

    def is_usable(self, request: Any) -> bool:
        """Asked before a token is given."""
        return self.disabled_at is None


class StoredAnswerQuerySet(models.QuerySet["StoredAnswer"]):
    def visible_to(self, actor: Actor) -> "StoredAnswerQuerySet":
        return self.filter(clinic_id=actor.clinic_id) if actor.clinic_id else self.none()

    def stale(self) -> "StoredAnswerQuerySet":
        return self.filter(created_at__lt=timezone.now() - KEPT_FOR)


class StoredAnswer(models.Model):
    """What a create was answered, for a client that sends it again. `body` is what the serializer said."""

    clinic = models.ForeignKey(Clinic, on_delete=models.PROTECT, related_name="+")
    client = models.CharField(max_length=120, help_text="The actor that sent it.")
    key = models.UUIDField()
    fingerprint = models.CharField(max_length=64, help_text="SHA-256 of the fields and files.")
    status = models.PositiveSmallIntegerField()
    body = models.JSONField()
    headers = models.JSONField(default=dict)
    created_at = models.DateTimeField(default=timezone.now)

    objects = StoredAnswerQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["client", "key"], name="answer_once_per_key")]
        indexes = [models.Index(fields=["clinic", "created_at"], name="answer_by_age")]

    def __str__(self) -> str:
        return f"{self.key} of {self.client}"


def end_of_link() -> datetime:
    return timezone.now() + LINK_LASTS


class ChartLink(PatientRecord):
    """A system's way to a chart for whoever sits before it. It gives no right: she signs in, and it is used once."""

    token_hash = models.CharField(max_length=64, unique=True)
    ends_at = models.DateTimeField(default=end_of_link)
    used_at = models.DateTimeField(null=True)
    used_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")

    objects = ClinicQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(used_at__isnull=True, used_by__isnull=True)
                | models.Q(used_at__isnull=False, used_by__isnull=False),
                name="chart_link_used_by_someone",
            )
        ]

    def __str__(self) -> str:
        return f"link {self.pk}"
