"""Where other systems want to be told of what happened, and what each was told."""

import uuid
from datetime import datetime
from typing import Self

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from patients.models import ClinicRecord
from patients.querysets import ClinicQuerySet
from skinclinic.accounts.models import User
from skinclinic.events.models import Event

TEST = "webhook.test"


class SentType(models.TextChoices):
    """The events of the outbox that other systems can be told of."""

    SCREENING_PREDICTED = "screening.predicted", _("A photograph is read")
    SCREENING_UNSCORABLE = "screening.unscorable", _("A photograph is not fit to be read")
    SCREENING_FAILED = "screening.failed", _("A reading failed")
    SCREENING_REVIEWED = "screening.reviewed", _("A photograph is reviewed")
    SCREENING_WITHDRAWN = "screening.withdrawn", _("A photograph is withdrawn")
    REPORT_SIGNED = "report.signed", _("A report is signed")
    REPORT_AMENDED = "report.amended", _("A report is amended")
    PATIENT_MERGED = "patient.merged", _("Two records are merged")


class EndpointKind(models.TextChoices):
    MESSAGES = "messages", _("Messages (Standard Webhooks)")
    DOCUMENTS = "documents", _("Signed reports as FHIR documents")


class DisabledBecause(models.TextChoices):
    BY_HAND = "by_hand", _("Somebody disabled it")
    GONE = "gone", _("The receiver says that it is gone for good (410)")
    GAVE_UP = "gave_up", _("A message could not be delivered in its ten tries")


class DeliveryState(models.TextChoices):
    WAITING = "waiting", _("Waiting")
    DELIVERED = "delivered", _("Delivered")
    GIVEN_UP = "given_up", _("Given up")


class Trouble(models.TextChoices):
    """Why there was no answer, or none that will do."""

    NO_ADDRESS = "no_address", _("The name of the receiver was not found")
    ADDRESS_REFUSED = (
        "address_refused",
        _("Its network is not open; ask whoever runs this installation: SEND_TO_NETWORKS"),
    )
    NO_CONNECTION = "no_connection", _("No connection to the receiver")
    NO_TRUST = "no_trust", _("The certificate of the receiver is not valid")
    TOO_SLOW = "too_slow", _("No answer within 15 seconds")
    NOT_HTTP = "not_http", _("The answer was not HTTP")
    NO_SECRET = "no_secret", _("The secret cannot be read any more; give it another one")
    NO_TOKEN = "no_token", _("No token was given for its client id and secret")
    TOKEN_REFUSED = "token_refused", _("The receiver does not take the token; give it another one")
    NOT_ALLOWED = "not_allowed", _("The receiver takes the token, but does not allow this with it")
    NOT_FHIR = "not_fhir", _("What answered is no FHIR server")
    NO_UPDATES = "no_updates", _("The server does not say that it updates a DocumentReference by its identifier")
    NOT_MADE = "not_made", _("The document could not be made")


class EndpointQuerySet(ClinicQuerySet):
    def enabled(self) -> Self:
        return self.filter(disabled_at__isnull=True)

    def ready(self, now: datetime) -> Self:
        """Without those that asked for a pause."""
        return self.enabled().filter(Q(not_before__isnull=True) | Q(not_before__lte=now))

    def wanting(self, event_type: str) -> Self:
        return self.enabled().filter(event_types__contains=[event_type])


class WebhookEndpoint(ClinicRecord):
    """An address of another system's, the events that it wants, and the secret that it knows us by.

    Messages are signed with the secret. Documents go with it as their token, or with one that it is given for at
    `token_url` (OAuth2 client credentials).
    """

    kind = models.CharField(max_length=10, choices=EndpointKind.choices, default=EndpointKind.MESSAGES)
    url = models.CharField(max_length=500)
    description = models.CharField(max_length=200, blank=True)
    event_types = ArrayField(models.CharField(max_length=40, choices=SentType.choices))
    secret = models.TextField(help_text="Encrypted.")
    previous_secret = models.TextField(blank=True, help_text="Encrypted; it signs along until its end.")
    previous_until = models.DateTimeField(null=True)
    token_url = models.CharField(max_length=500, blank=True)
    client_id = models.CharField(max_length=200, blank=True)
    token_scope = models.CharField(max_length=500, blank=True, help_text="What a token is asked for, where it must be.")
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    created_by_name = models.CharField(max_length=255)
    disabled_at = models.DateTimeField(null=True)
    disabled_because = models.CharField(max_length=10, choices=DisabledBecause.choices, blank=True)
    told_up_to = models.BigIntegerField(help_text="The number of the last event that it was told of, or did not want.")
    not_before = models.DateTimeField(null=True, help_text="It asked for a pause.")

    objects = EndpointQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(disabled_at__isnull=True, disabled_because="")
                | Q(disabled_at__isnull=False, disabled_because__in=DisabledBecause.values),
                name="webhook_disabled_with_a_reason",
            ),
            models.CheckConstraint(
                condition=Q(previous_secret="", previous_until__isnull=True)
                | (~Q(previous_secret="") & Q(previous_until__isnull=False)),
                name="webhook_previous_secret_has_an_end",
            ),
            models.CheckConstraint(
                condition=Q(kind=EndpointKind.MESSAGES, token_url="", client_id="", token_scope="")
                | Q(kind=EndpointKind.DOCUMENTS, previous_secret="", token_url="", client_id="", token_scope="")
                | (Q(kind=EndpointKind.DOCUMENTS, previous_secret="") & ~Q(token_url="") & ~Q(client_id="")),
                name="webhook_credentials_of_its_kind",
            ),
        ]
        indexes = [models.Index(fields=["clinic"], condition=Q(disabled_at__isnull=True), name="webhook_enabled")]

    def __str__(self) -> str:
        return f"webhook {self.pk}"

    @property
    def sends_documents(self) -> bool:
        return self.kind == EndpointKind.DOCUMENTS

    @property
    def is_enabled(self) -> bool:
        return self.disabled_at is None

    def previous_signs_along(self) -> bool:
        return self.previous_until is not None and self.previous_until > timezone.now()


class DeliveryQuerySet(ClinicQuerySet):
    def waiting(self) -> Self:
        return self.filter(state=DeliveryState.WAITING)

    def due(self, now: datetime) -> Self:
        return self.waiting().filter(next_at__lte=now)


class WebhookDelivery(ClinicRecord):
    """One message to one endpoint. The row is the message: it waits here until the receiver took it.

    A document is not kept here: it is made of what the record says when it is sent.

    While it is under way, `next_at` is when it is taken up again in case nobody comes back to say how it went.
    """

    endpoint = models.ForeignKey(WebhookEndpoint, on_delete=models.PROTECT, related_name="deliveries")
    event = models.ForeignKey(Event, on_delete=models.PROTECT, null=True, related_name="+")  # a test has none
    message_id = models.UUIDField(default=uuid.uuid4, help_text="The event's key: the same however often it is sent.")
    type = models.CharField(max_length=40)
    state = models.CharField(max_length=10, choices=DeliveryState.choices, default=DeliveryState.WAITING)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_at = models.DateTimeField(default=timezone.now)
    last_at = models.DateTimeField(null=True)
    last_status = models.PositiveSmallIntegerField(null=True)
    trouble = models.CharField(max_length=16, choices=Trouble.choices, blank=True)
    words = models.CharField(max_length=120, blank=True, help_text="The first line of a refusal, cleaned.")

    objects = DeliveryQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["endpoint", "message_id"], name="webhook_message_once"),
            models.CheckConstraint(condition=Q(state__in=DeliveryState.values), name="webhook_state_known"),
            models.CheckConstraint(
                condition=Q(event__isnull=True, type=TEST) | (Q(event__isnull=False) & ~Q(type=TEST)),
                name="webhook_test_has_no_event",
            ),
        ]
        indexes = [
            models.Index(fields=["endpoint", "next_at"], condition=Q(state="waiting"), name="webhook_waiting"),
            models.Index(fields=["endpoint", "-created_at"], name="webhook_log"),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.message_id}"

    @property
    def is_test(self) -> bool:
        return self.type == TEST
