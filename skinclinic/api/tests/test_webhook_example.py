"""The receiver that the documentation shows, run as it says."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from django.conf import settings as django_settings

from conftest import Cast
from skinclinic.api.models import WebhookDelivery
from skinclinic.api.tests.receiving import LOOPBACK
from skinclinic.api.tests.test_webhooks import deliveries, endpoint_of, happen
from skinclinic.api.webhooks.models import SentType
from skinclinic.api.webhooks.sending import send_due
from skinclinic.api.webhooks.services import rotate_endpoint_secret, send_again
from skinclinic.api.webhooks.signing import make_secret

FOLDER = Path(django_settings.BASE_DIR) / "docs" / "integrations"


@pytest.fixture
def start(tmp_path: Path) -> Iterator:
    started = []

    def run(port: int, *secrets: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, FOLDER / "examples" / "receive_webhooks.py", str(port), tmp_path / "inbox.db"],
            env=os.environ | {"WEBHOOK_SECRETS": " ".join(secrets)},
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout.readline().startswith("Listening")
        return process

    yield run
    for process in started:
        process.terminate()
        process.wait()
        process.stdout.close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def test_it_takes_each_message_once_and_no_forged_one(cast: Cast, start, settings):
    settings.SEND_TO_NETWORKS = LOOPBACK
    port = free_port()
    url = f"http://127.0.0.1:{port}/"
    endpoint, secret = endpoint_of(cast.ada, url)
    with cast.ada.acting():
        rotate_endpoint_secret(endpoint=endpoint)
    process = start(port, make_secret(), secret)
    happen(cast)
    send_due()
    with cast.in_north():
        send_again(delivery=WebhookDelivery.objects.select_related("endpoint").get())
    send_due()
    assert [(each.state, each.attempts) for each in deliveries(cast)] == [("delivered", 1)]
    forged = {"webhook-id": "1", "webhook-timestamp": "1795356300", "webhook-signature": "v1,bm8="}
    assert requests.post(url, data=b"{}", headers=forged, timeout=5).status_code == 400
    process.terminate()
    assert process.stdout.read().splitlines() == [f'patient.merged {{"patient": "{cast.north.pk}"}}']


def test_every_event_is_in_the_page():
    page = (FOLDER / "webhooks.md").read_text()
    assert not [event for event in SentType.values if f"`{event}`" not in page]
