"""A real worker is killed while it sends, and the broker loses all that it held."""

from functools import partial

from conftest import Cast
from screening.tests.conftest import broker, start_worker, wait_until
from skinclinic.api.tests.receiving import LOOPBACK, receiving
from skinclinic.api.tests.test_webhooks import deliveries, endpoint_of, happen

__all__ = ["broker", "start_worker"]  # fixtures
QUICKLY = {"SEND_TO_NETWORKS": "127.0.0.0/8", "WEBHOOK_SWEEP_EVERY": "1", "WEBHOOK_LEASE": "2"}


def test_what_was_under_way_is_sent_again_under_its_id(real_cast: Cast, broker, start_worker, settings):
    settings.SEND_TO_NETWORKS = LOOPBACK
    with receiving() as receiver:
        endpoint_of(real_cast.ada, receiver.url)
        (key,) = happen(real_cast)
        broker.flushall()
        worker = start_worker(beat=True, **QUICKLY)
        receiver.before_answer = worker.kill_everything
        wait_until(lambda: len(receiver.got) == 1 and worker.process.poll() is not None)
        assert [each.state for each in deliveries(real_cast)] == ["waiting"]
        broker.flushall()
        receiver.before_answer = partial(int)
        start_worker(beat=True, **QUICKLY)
        wait_until(lambda: [each.state for each in deliveries(real_cast)] == ["delivered"])
        assert set(receiver.ids()) == {key}
        assert len(receiver.got) == 2
