"""Periodic jobs: one at a time across processes and machines, and one clinic's trouble is no other's."""

import logging
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.db import OperationalError, connection

from skinclinic.accounts.models import Clinic

logger = logging.getLogger(__name__)


@contextmanager
def only_one(name: str) -> Iterator[bool]:
    """Whether this process is the one that does the periodic job `name` now; nobody waits for the lock.

    Held by the database session, not by a transaction: the job opens short ones of its own.
    """
    key = zlib.crc32(name.encode())
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [key])
        mine = bool(cursor.fetchone()[0])
    try:
        yield mine
    finally:
        if mine:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [key])


def do_alone(name: str, job: Callable[[], object]) -> None:
    """Unless another process is at it now."""
    with only_one(name) as mine:
        if mine:
            job()


@contextmanager
def next_in_spite_of_it(job: str, clinic: Clinic) -> Iterator[None]:
    """What fails in one clinic is logged, and the next one has its turn; a database that is away fails all of them."""
    try:
        yield
    except OperationalError:
        raise
    except Exception:
        logger.exception("The %s of clinic %s failed", job, clinic.pk)
