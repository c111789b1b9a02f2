"""The quick path to the workers. The row is the message; what is sent here may be lost at any moment."""

import logging
from uuid import UUID

from django.conf import settings
from django.db import transaction
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from screening.models import Screening
from skinclinic.celery import app

logger = logging.getLogger(__name__)
QUEUE = "celery"


def send_on_commit(screening: Screening) -> None:
    def tell() -> None:
        # A function of its own: Django cannot name a `partial` when it fails (AttributeError in place of the log line).
        send(screening.pk, screening.clinic_id)

    transaction.on_commit(tell, robust=True)


def send(screening_id: UUID, clinic_id: UUID) -> bool:
    """Tell the workers; a broker that is away is logged, not raised: the sweeper will tell them."""
    from screening.tasks import read_photograph_task

    try:
        read_photograph_task.apply_async([str(screening_id), str(clinic_id)], retry=False)
    except (OperationalError, RedisError, OSError) as error:
        logger.warning("Screening %s waits for the broker: %s", screening_id, type(error).__name__)
        return False
    return True


def waiting_in_broker() -> int | None:
    """How many messages lie in the broker, or None when it cannot be asked."""
    try:
        with app.connection_for_write(transport_options=settings.CELERY_BROKER_TRANSPORT_OPTIONS) as connection:
            return int(connection.default_channel.client.llen(QUEUE))
    except (OperationalError, RedisError, OSError):
        return None
