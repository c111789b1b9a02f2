"""What becomes of messages that a worker holds when its broker goes away."""

from typing import Any

from kombu.transport import redis


class ForgivingQoS(redis.QoS):
    """A broker that has gone away needs no word of what was held: it, or our sweeper, gives it out again.

    kombu 5.7 forgets where the broker was before it closes a lost connection, and then wants to put back what was not
    acknowledged. That ends in an AttributeError, which celery takes for the end of the worker.
    """

    @property
    def is_gone(self) -> bool:
        return self.channel.connection is None or self.channel.connection.client is None

    def restore_unacked_once(self, stderr: Any = None) -> None:
        if self.is_gone:
            self._on_collect.cancel()
            self._delivered.clear()
        else:
            super().restore_unacked_once(stderr)

    def ack(self, delivery_tag: str) -> None:
        """By a task that ended meanwhile."""
        if not self.is_gone:
            super().ack(delivery_tag)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        if not self.is_gone:
            super().reject(delivery_tag, requeue)


def forgive() -> None:
    """For every connection of this process, whatever the scheme of its address."""
    redis.Channel.QoS = ForgivingQoS
