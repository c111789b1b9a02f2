"""Endpoints: made, changed, given another secret, tried, disabled and enabled; and deliveries sent again."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.utils import timezone
from django.utils.translation import gettext as _

from skinclinic.accounts.models import Clinic
from skinclinic.api.webhooks.models import (
    TEST,
    DeliveryQuerySet,
    DeliveryState,
    DisabledBecause,
    WebhookDelivery,
    WebhookEndpoint,
)
from skinclinic.api.webhooks.outbox import last_number, send_soon
from skinclinic.api.webhooks.signing import encrypt, make_secret
from skinclinic.audit.acting import Actor
from skinclinic.errors import ClinicError
from skinclinic.outgoing.guard import target_of

MOST_ENDPOINTS = 20
SIGNS_ALONG = timedelta(hours=24)


class TooManyEndpoints(ClinicError):
    code = "too-many-webhooks"


class EndpointDisabled(ClinicError):
    code = "webhook-disabled"


class EndpointEnabled(ClinicError):
    code = "webhook-enabled"


class SendsDocuments(ClinicError):
    """What is to be changed is the receiver's to say, or fixed."""

    code = "webhook-sends-documents"


def create_endpoint(
    *, actor: Actor, url: str, event_types: Sequence[str], description: str = ""
) -> tuple[WebhookEndpoint, str]:
    """Told of what happens from now on; returned with its secret. Raises AddressRefused, TooManyEndpoints."""
    target_of(url)
    secret = make_secret()
    told = sorted(set(event_types))
    return add_endpoint(actor=actor, secret=secret, url=url, event_types=told, description=description), secret


def add_endpoint(*, actor: Actor, secret: str, **columns: Any) -> WebhookEndpoint:
    """Of either kind. Raises TooManyEndpoints."""
    clinic_id = actor.own_clinic()
    refuse_too_many(clinic_id)
    return WebhookEndpoint.objects.create(
        clinic_id=clinic_id,
        secret=encrypt(secret),
        created_by_id=actor.user_id,
        created_by_name=actor.name,
        told_up_to=last_number(clinic_id),
        **columns,
    )


def change_endpoint(*, endpoint: WebhookEndpoint, url: str, event_types: Sequence[str], description: str) -> None:
    """Raises AddressRefused, SendsDocuments."""
    refuse_documents(endpoint)
    target_of(url)
    endpoint.url, endpoint.description, endpoint.event_types = url, description, sorted(set(event_types))
    endpoint.save(update_fields=["url", "description", "event_types"])


def rotate_endpoint_secret(*, endpoint: WebhookEndpoint) -> str:
    """Another secret; the one before signs along for a day. Raises EndpointDisabled, SendsDocuments."""
    refuse_documents(endpoint)
    refuse_disabled(endpoint)
    secret = make_secret()
    endpoint.previous_secret, endpoint.previous_until = endpoint.secret, timezone.now() + SIGNS_ALONG
    endpoint.secret = encrypt(secret)
    endpoint.save(update_fields=["secret", "previous_secret", "previous_until"])
    return secret


def disable_endpoint(*, endpoint: WebhookEndpoint, because: DisabledBecause = DisabledBecause.BY_HAND) -> bool:
    """Nothing is sent any more; what waits, waits. False where it was disabled already."""
    enabled = WebhookEndpoint.objects.enabled().filter(pk=endpoint.pk)
    return bool(enabled.update(disabled_at=timezone.now(), disabled_because=because))


def enable_endpoint(*, endpoint: WebhookEndpoint, missed: bool) -> None:
    """missed: what happened while it was disabled, and what waited then, is sent too.

    Raises EndpointEnabled, TooManyEndpoints.
    """
    if not endpoint.is_enabled:
        refuse_too_many(endpoint.clinic_id)
    disabled = WebhookEndpoint.objects.filter(pk=endpoint.pk, disabled_at__isnull=False)
    changes = {} if missed else {"told_up_to": last_number(endpoint.clinic_id)}
    if not disabled.update(disabled_at=None, disabled_because="", not_before=None, **changes):
        raise EndpointEnabled(_("It is enabled already."))
    waiting = endpoint.deliveries.waiting()
    if missed:
        start_anew(waiting)
        send_soon()
    else:
        waiting.update(state=DeliveryState.GIVEN_UP)


def send_test(*, endpoint: WebhookEndpoint) -> WebhookDelivery:
    """A message that says nothing, or for a FHIR server a question, tried once. Raises EndpointDisabled."""
    refuse_disabled(endpoint)
    delivery = WebhookDelivery.objects.create(clinic_id=endpoint.clinic_id, endpoint=endpoint, type=TEST)
    send_soon()
    return delivery


def send_again(*, delivery: WebhookDelivery) -> None:
    """Whatever became of it, under its old id. Raises EndpointDisabled."""
    refuse_disabled(delivery.endpoint)
    start_anew(WebhookDelivery.objects.filter(pk=delivery.pk))
    send_soon()


def start_anew(deliveries: DeliveryQuerySet) -> None:
    """As if it had never been tried."""
    fresh = {"attempts": 0, "last_at": None, "last_status": None, "trouble": "", "words": ""}
    deliveries.update(state=DeliveryState.WAITING, next_at=timezone.now(), **fresh)


def refuse_too_many(clinic_id: UUID) -> None:
    """Asked by all that adds one; of two at the same moment the second waits."""
    Clinic.objects.select_for_update(no_key=True).get(pk=clinic_id)
    if WebhookEndpoint.objects.filter(clinic=clinic_id).enabled().count() >= MOST_ENDPOINTS:
        raise TooManyEndpoints(
            _("There are %(count)s webhooks already. Disable one that nobody needs.") % {"count": MOST_ENDPOINTS}
        )


def refuse_documents(endpoint: WebhookEndpoint) -> None:
    if endpoint.sends_documents:
        raise SendsDocuments(_("This one sends documents. It is changed, and given another token, on its page."))


def refuse_disabled(endpoint: WebhookEndpoint) -> None:
    if not endpoint.is_enabled:
        raise EndpointDisabled(_("This webhook is disabled. Enable it first."))
