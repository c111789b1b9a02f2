"""The quick path to the workers. The row is the message; what is sent here may be lost at any moment."""

import logging
from uuid import UUID

from django.conf import settings
from django.db import transaction
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from patients.models import ClinicRecord
from skinclinic.celery import app

logger = logging.getLogger(__name__)
READ, IMPORT, ERASE = "read_photograph_task", "import_patient_task", "erase_files_task"


def send_on_commit(row: ClinicRecord, *, task: str = READ) -> None:
    def tell() -> None:
        # A function of its own: Django cannot name a `partial` when it fails (AttributeError in place of the log line).
        send(row.pk, row.clinic_id, task=task)

    transaction.on_commit(tell, robust=True)


def send(key: UUID, clinic_id: UUID, *, task: str = READ) -> bool:
    """Tell the workers; a broker that is away is logged, not raised: the sweeper will tell them."""
    from screening import tasks

    try:
        getattr(tasks, task).apply_async([str(key), str(clinic_id)], retry=False)
    except (OperationalError, RedisError, OSError) as error:
        logger.warning("%s of %s waits for the broker: %s", task, key, type(error).__name__)
        return False
    return True


def waiting_in_broker() -> int | None:
    """How many messages lie in the broker, upkeep apart, or None when it cannot be asked."""
    try:
        with app.connection_for_write(transport_options=settings.CELERY_BROKER_TRANSPORT_OPTIONS) as connection:
            return int(connection.default_channel.client.llen(settings.WORK))
    except (OperationalError, RedisError, OSError):
        return None
