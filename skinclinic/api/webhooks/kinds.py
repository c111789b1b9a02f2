"""The kinds of endpoints, and how each is told. A package that knows another one adds it when it starts."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from skinclinic.api.webhooks.models import EndpointKind, WebhookDelivery, WebhookEndpoint
from skinclinic.api.webhooks.post import Answer, Message, body_of
from skinclinic.events.models import Event


class Request(Protocol):
    """What goes over the wire: made where the database is, sent by a thread that has none."""

    def send(self) -> Answer:
        """Never raises for what the receiver or the network does."""


def all_of(events: list[Event]) -> list[Event]:
    return events


def nothing_more(endpoint: WebhookEndpoint, delivery: WebhookDelivery) -> None:
    return


@dataclass(frozen=True)
class Kind:
    """request_of: called right before sending, outside any transaction. at_once: requests to one receiver.

    Both in a transaction of the clinic: `wanted` says which of the events that an endpoint listens to it is told of;
    `taken` is called when the receiver has taken one.
    """

    request_of: Callable[[WebhookEndpoint, WebhookDelivery], Request]
    at_once: int
    wanted: Callable[[list[Event]], list[Event]] = all_of
    taken: Callable[[WebhookEndpoint, WebhookDelivery], None] = nothing_more


def message_of(endpoint: WebhookEndpoint, delivery: WebhookDelivery) -> Message:
    at, ids = delivery.created_at, {"webhook": str(endpoint.pk)}
    if delivery.event is not None:
        at, ids = delivery.event.at, delivery.event.ids
    previous = [endpoint.previous_secret] if endpoint.previous_signs_along() else []
    return Message(
        url=endpoint.url,
        message_id=str(delivery.message_id),
        body=body_of(delivery.type, at, ids),
        secrets=(endpoint.secret, *previous),
    )


KINDS: dict[str, Kind] = {EndpointKind.MESSAGES: Kind(message_of, at_once=4)}
