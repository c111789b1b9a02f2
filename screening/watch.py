"""The watch: a thread of the beat that seals the ledger, looks for alarms and tells of them.

It is no task, since a worker cannot report that no worker is there.
"""

import logging
import threading

from django.conf import settings
from django.db import Error, close_old_connections, connection

from screening.services.alarms import sweep_alarms
from screening.services.ledger import tell_head
from screening.services.notices import sweep_notices
from skinclinic.audit.sealing import seal_ledger
from skinclinic.locks import do_alone
from skinclinic.workers import say_watching

logger = logging.getLogger(__name__)


SWEEPS = {
    "seal-ledger": seal_ledger,
    "sweep-alarms": sweep_alarms,
    "sweep-notices": sweep_notices,
    "tell-head": tell_head,
}


class Watch(threading.Thread):
    """Looks at once and then every `ALARM_SWEEP_EVERY` seconds, for as long as the process lives."""

    def __init__(self) -> None:
        super().__init__(name="watch", daemon=True)
        self.ended = threading.Event()

    def run(self) -> None:
        while not self.ended.is_set():
            self.look()
            self.ended.wait(settings.ALARM_SWEEP_EVERY)

    def look(self) -> None:
        """A database that is away is no reason to stop watching."""
        try:
            close_old_connections()
            for name, sweep in SWEEPS.items():
                do_alone(name, sweep)
            say_watching(3 * settings.ALARM_SWEEP_EVERY)
        except Error as error:
            logger.warning("The watch cannot look: %s", type(error).__name__)
            connection.close()
        except Exception:
            logger.exception("The watch failed")
