"""From the outbox to deliveries. What goes to the broker from here may be lost: the rows are the messages."""

import logging
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models.signals import post_save
from django.dispatch import receiver
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from skinclinic.api.webhooks.kinds import KINDS
from skinclinic.api.webhooks.models import SentType, WebhookDelivery, WebhookEndpoint
from skinclinic.audit.acting import Actor
from skinclinic.events.changes import changes_since, number_events
from skinclinic.events.models import Event

logger = logging.getLogger(__name__)
EVENTS_AT_ONCE = 200


@receiver(post_save, sender=Event)
def send_soon_what_is_wanted(instance: Event, **kwargs: Any) -> None:
    """The quick path of an event; without it, the next sweep finds it."""
    of_clinic = WebhookEndpoint.objects.filter(clinic=instance.clinic_id)
    if instance.type in SentType.values and of_clinic.wanting(instance.type).exists():
        send_soon()


def send_soon() -> None:
    """Once, however much happens in the transaction: a broker that is away is waited for after it."""
    if not any(call is wake_sender for _savepoints, call, _robust in connection.run_on_commit):
        transaction.on_commit(wake_sender, robust=True)


def wake_sender() -> None:
    from skinclinic.api.tasks import send_webhooks_task

    try:
        send_webhooks_task.apply_async(retry=False)
    except (OperationalError, RedisError, OSError) as error:
        logger.warning("Webhooks wait for the broker: %s", type(error).__name__)


def make_deliveries(*, actor: Actor, endpoint: WebhookEndpoint) -> None:
    """What happened since it was last told, once each: until there is something to send, or no more.

    Runs inside a transaction of the clinic.
    """
    made = False
    while not made:
        found = changes_since(actor=actor, number=endpoint.told_up_to, most=EVENTS_AT_ONCE)
        if not found or not move_on(endpoint, found[-1].number):
            return
        made = bool(WebhookDelivery.objects.bulk_create(deliveries_of(endpoint, found)))


def deliveries_of(endpoint: WebhookEndpoint, found: list[Event]) -> list[WebhookDelivery]:
    wanted = KINDS[endpoint.kind].wanted([event for event in found if event.type in endpoint.event_types])
    told = {"clinic_id": endpoint.clinic_id, "endpoint": endpoint}
    return [WebhookDelivery(**told, event=event, message_id=event.key, type=event.type) for event in wanted]


def move_on(endpoint: WebhookEndpoint, number: int | None) -> bool:
    """False where somebody else did, or it was disabled meanwhile."""
    same = WebhookEndpoint.objects.enabled().filter(pk=endpoint.pk, told_up_to=endpoint.told_up_to)
    has_moved = bool(same.update(told_up_to=number))
    endpoint.told_up_to = number or endpoint.told_up_to
    return has_moved


def last_number(clinic_id: UUID) -> int:
    """Of what has happened until now; nobody is told afterwards of what happened before."""
    of_clinic = Event.objects.filter(clinic=clinic_id)
    while of_clinic.filter(number__isnull=True).exists():
        number_events(clinic_id)
    newest = of_clinic.filter(number__isnull=False).order_by("-number").values_list("number", flat=True).first()
    return newest or 0
