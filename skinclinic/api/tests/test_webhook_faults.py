"""What goes wrong on our side, or is odd on theirs, loses no message and holds up no other."""

import time

import pytest
from kombu.exceptions import OperationalError

from skinclinic.api.tasks import send_webhooks_task
from skinclinic.api.tests.receiving import receiving
from skinclinic.api.tests.test_webhooks import clock, endpoint_of, fresh_delivery, happen
from skinclinic.api.webhooks import outbox, sending
from skinclinic.api.webhooks.sending import send_due
from skinclinic.events.models import EventType
from skinclinic.testing import servers

pytestmark = pytest.mark.usefixtures("inside")

__all__ = ["clock"]  # a fixture


@pytest.mark.parametrize("said", [f"Sat, 28 Nov 2026 10:00:00 +{'9' * 20}", "soon", "-5", "1e9"])
def test_a_pause_that_means_nothing_is_none(cast, receiver, said):
    endpoint_of(cast.ada, receiver.url)
    receiver.status, receiver.headers = 503, {"Retry-After": said}
    happen(cast)
    send_due()
    assert fresh_delivery(cast).last_status == 503


def test_what_cannot_be_made_or_noted_for_one_stops_no_other(cast, receiver, monkeypatch):
    """Whatever it is: a fault of ours in one clinic's is none of all clinics'."""
    broken, _secret = endpoint_of(cast.ada, receiver.url)
    real_make, real_note = sending.make_deliveries, sending.note

    def make(*, actor, endpoint):
        real_make(actor=actor, endpoint=endpoint)
        if endpoint.pk == broken.pk and not receiver.got:
            raise KeyError

    def note(claim, answer):
        if claim.endpoint.pk == broken.pk:
            raise KeyError
        real_note(claim, answer)

    monkeypatch.setattr(sending, "make_deliveries", make)
    monkeypatch.setattr(sending, "note", note)
    with receiving() as other:
        endpoint_of(cast.ada, other.url)
        happen(cast)
        send_due()
        assert (len(other.got), len(receiver.got)) == (1, 0)
        receiver.got.append(({}, b""))
        happen(cast)
        send_due()
        assert len(other.got) == 2
        assert len(receiver.got) == 3, "what was taken back is made again"


def test_what_is_not_wanted_holds_up_nothing_that_is(cast, receiver, monkeypatch):
    monkeypatch.setattr(outbox, "EVENTS_AT_ONCE", 2)
    endpoint_of(cast.ada, receiver.url, "patient.merged")
    happen(cast, 5, EventType.SCREENING_FAILED)
    happen(cast)
    send_due()
    assert receiver.types() == ["patient.merged"]


def test_a_broker_that_is_down_loses_nothing(cast, receiver, monkeypatch, django_capture_on_commit_callbacks):
    asked = []

    def down(**options: object) -> None:
        asked.append(options)
        raise OperationalError

    monkeypatch.setattr(send_webhooks_task, "apply_async", down)
    endpoint_of(cast.ada, receiver.url, "patient.merged")
    with django_capture_on_commit_callbacks(execute=True):
        happen(cast, 3)
    with django_capture_on_commit_callbacks(execute=True):
        happen(cast, 1, EventType.SCREENING_FAILED)
    assert asked == [{"retry": False}], "once, for what somebody wants to be told of"
    send_due()
    assert receiver.types() == ["patient.merged"] * 3


def test_a_message_whose_worker_was_killed_is_sent_again_under_its_id(cast, receiver, clock, monkeypatch):
    """Between the answer of the receiver and the note of it."""
    endpoint_of(cast.ada, receiver.url)
    happen(cast)
    with monkeypatch.context() as killed:
        killed.setattr(sending, "note", lambda claim, answer: None)
        send_due()
    send_due()
    assert len(receiver.got) == 1, "it may be under way still"
    clock.move(seconds=91)
    send_due()
    assert len(receiver.got) == 2
    assert len(set(receiver.ids())) == 1
    assert fresh_delivery(cast).state == "delivered"


def test_a_lost_secret_key_is_said_and_stops_nothing(cast, receiver, settings):
    endpoint_of(cast.ada, receiver.url)
    settings.SECRET_KEY = "another one, as long as it has to be to be taken at all"
    happen(cast)
    send_due()
    assert not receiver.got
    assert fresh_delivery(cast).trouble == "no_secret"


def test_a_broker_that_is_away_is_tried_once():
    """Whoever signs a report does not wait for it."""
    servers.valkey.stop()
    began = time.monotonic()
    try:
        outbox.wake_sender()
        took = time.monotonic() - began
    finally:
        servers.valkey.start()
    assert took < 2, "kombu would sleep for six seconds"
