"""Sends what is due: rows are claimed in short transactions, and none is open while a receiver makes up its mind."""

import logging
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import OperationalError, connection
from django.utils import timezone

from skinclinic.api.webhooks.kinds import KINDS
from skinclinic.api.webhooks.models import DeliveryState, DisabledBecause, Trouble, WebhookDelivery, WebhookEndpoint
from skinclinic.api.webhooks.outbox import make_deliveries
from skinclinic.api.webhooks.post import Answer
from skinclinic.api.webhooks.services import disable_endpoint
from skinclinic.audit.acting import acting, system
from skinclinic.events.models import EventType
from skinclinic.events.publish import publish
from skinclinic.locks import next_in_spite_of_it

logger = logging.getLogger(__name__)
# Seconds before each attempt, counted from the one before; the last one failed, the message is given up.
DELAYS = (0, 5, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600, 14 * 3600, 20 * 3600, 24 * 3600)
JITTER = 0.1
PAUSE = 60.0  # seconds, for a receiver that is overloaded and does not say for how long
ASKS_FOR_A_PAUSE = frozenset({429, 502, 504})
GONE = 410
THREADS = 32  # of which a receiver that hangs holds only the few of its kind
MOST_SECONDS = 20.0


@dataclass(frozen=True)
class Claim:
    """A delivery that is under way."""

    endpoint: WebhookEndpoint
    delivery: WebhookDelivery
    attempt: int


def send_due() -> None:
    """Until nothing is due, or others want the worker; what is under way then is waited for.

    What cannot be noted is under way until its lease ends, and stops no other.
    """
    ends, under_way = time.monotonic() + MOST_SECONDS, dict[Future[Answer], Claim]()
    with ThreadPoolExecutor(THREADS, thread_name_prefix="webhook") as pool:
        while True:
            if time.monotonic() < ends:
                busy = Counter(claim.endpoint.pk for claim in under_way.values())
                under_way |= {pool.submit(prepared(claim)): claim for claim in claim_due(busy)}
            if not under_way:
                return
            done, _waiting = wait(under_way, timeout=0.5, return_when=FIRST_COMPLETED)
            for future in done:
                claim = under_way.pop(future)
                with next_in_spite_of_it("webhooks", claim.endpoint.clinic):
                    note(claim, future.result())


def prepared(claim: Claim) -> Callable[[], Answer]:
    """What cannot be made is tried again like what was not taken, and holds up nothing else."""
    try:
        return KINDS[claim.endpoint.kind].request_of(claim.endpoint, claim.delivery).send
    except OperationalError:
        raise
    except Exception as error:  # noqa: BLE001 (whatever it is)
        # Its kind alone: its words may be of a patient.
        logger.error("Delivery %s could not be made: %s", claim.delivery.pk, type(error).__name__)  # noqa: TRY400
        return lambda: Answer(trouble=Trouble.NOT_MADE)


def claim_due(busy: Counter[UUID]) -> list[Claim]:
    """At most so many of each endpoint, and of all, as there are threads for."""
    claimed: list[Claim] = []
    for endpoint in ready_endpoints():
        free = min(KINDS[endpoint.kind].at_once - busy[endpoint.pk], THREADS - busy.total() - len(claimed))
        if free > 0:
            with next_in_spite_of_it("webhooks", endpoint.clinic):
                claimed += claim_of(endpoint, most=free)
    return claimed


def ready_endpoints() -> list[WebhookEndpoint]:
    """In no order of clinics, so that none is always the last."""
    found: list[WebhookEndpoint] = []
    for clinic_id in telling_clinics():
        with acting(system(clinic_id=clinic_id)):
            found += WebhookEndpoint.objects.ready(timezone.now()).filter(clinic=clinic_id).select_related("clinic")
    return found


def telling_clinics() -> list[UUID]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT clinic FROM webhook_clinics() ORDER BY random()")
        return [clinic for (clinic,) in cursor.fetchall()]


def claim_of(endpoint: WebhookEndpoint, *, most: int) -> list[Claim]:
    """Its own transaction: what cannot be made for one endpoint takes nothing back of another."""
    with acting(system(clinic_id=endpoint.clinic_id)) as actor:
        make_deliveries(actor=actor, endpoint=endpoint)
        return list(take(endpoint, most=most))


def take(endpoint: WebhookEndpoint, *, most: int) -> Iterator[Claim]:
    now = timezone.now()
    taken_up_again = now + timedelta(seconds=settings.WEBHOOK_LEASE)
    due = endpoint.deliveries.due(now).filter(endpoint__disabled_at=None).select_related("event").order_by("next_at")
    for delivery in due.select_for_update(skip_locked=True, of=("self",))[:most]:
        attempt = delivery.attempts + 1
        WebhookDelivery.objects.filter(pk=delivery.pk).update(attempts=attempt, next_at=taken_up_again)
        yield Claim(endpoint, delivery, attempt)


def note(claim: Claim, answer: Answer) -> None:
    """What became of it. Somebody who took it up again meanwhile wins."""
    with acting(system(clinic_id=claim.endpoint.clinic_id)):
        endpoint = WebhookEndpoint.objects.select_for_update(no_key=True).get(pk=claim.endpoint.pk)
        same = WebhookDelivery.objects.waiting().filter(pk=claim.delivery.pk, attempts=claim.attempt)
        delivery = same.select_for_update().first()
        if delivery is None:
            return
        changes = {"last_at": timezone.now(), "last_status": answer.status, "trouble": answer.trouble}
        same.update(**changes, words=answer.words, **what_next(delivery, answer))
        if answer.is_success:
            KINDS[endpoint.kind].taken(endpoint, claim.delivery)
        slow_down(endpoint, answer)
        disable_where_hopeless(endpoint, delivery, answer)
    logger.info("Webhook %s answered %s", claim.endpoint.pk, answer.status or answer.trouble)


def what_next(delivery: WebhookDelivery, answer: Answer) -> dict[str, object]:
    if answer.is_success:
        return {"state": DeliveryState.DELIVERED}
    if delivery.is_test:  # tried once: somebody sits before it
        return {"state": DeliveryState.GIVEN_UP}
    if is_hopeless(delivery, answer):  # the endpoint is disabled with it, and so it waits until that is enabled
        return {}
    return {"next_at": next_attempt(delivery.attempts, answer)}


def is_hopeless(delivery: WebhookDelivery, answer: Answer) -> bool:
    return answer.status == GONE or (not delivery.is_test and delivery.attempts >= len(DELAYS))


def next_attempt(attempts: int, answer: Answer) -> datetime:
    delay = DELAYS[attempts] * random.uniform(1, 1 + JITTER)  # noqa: S311 (so that not all come back at once)
    return timezone.now() + timedelta(seconds=max(delay, answer.pause or 0))


def slow_down(endpoint: WebhookEndpoint, answer: Answer) -> None:
    """All that is for it waits, where it asks for a pause or does not answer in time."""
    pause = answer.pause
    if pause is None and (answer.status in ASKS_FOR_A_PAUSE or answer.trouble == Trouble.TOO_SLOW):
        pause = PAUSE
    if not answer.is_success and pause:
        endpoint.not_before = timezone.now() + timedelta(seconds=pause)
        endpoint.save(update_fields=["not_before"])


def disable_where_hopeless(endpoint: WebhookEndpoint, delivery: WebhookDelivery, answer: Answer) -> None:
    """And tell those whose it is."""
    if answer.is_success or not is_hopeless(delivery, answer):
        return
    because = DisabledBecause.GONE if answer.status == GONE else DisabledBecause.GAVE_UP
    if disable_endpoint(endpoint=endpoint, because=because):
        publish(EventType.WEBHOOK_DISABLED, clinic_id=endpoint.clinic_id, endpoint=endpoint.pk)
