"""Messages to other systems: signed as the standard has it, sent until they are taken, lost never."""

import json
import re
import socket
import ssl
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from django.core import mail
from django.utils import timezone
from standardwebhooks import WebhookVerificationError

from conftest import IDENTITY, Cast, make_chart
from patients.services import merge_patients
from screening.models import Notice
from screening.services.notices import sweep_notices
from screening.tests.conftest import give, read_by_model, sign
from skinclinic.api.models import WebhookDelivery, WebhookEndpoint
from skinclinic.api.tests.receiving import receiving
from skinclinic.api.webhooks import post
from skinclinic.api.webhooks.models import SentType
from skinclinic.api.webhooks.sending import DELAYS, send_due
from skinclinic.api.webhooks.services import create_endpoint, enable_endpoint, rotate_endpoint_secret, send_test
from skinclinic.audit.models import AuditEvent
from skinclinic.events.models import EventType
from skinclinic.events.publish import publish
from skinclinic.outgoing import wire

pytestmark = pytest.mark.usefixtures("inside")

MERGED = EventType.PATIENT_MERGED


class Clock:
    """Of the schedule; what is signed keeps the real time, as the receiver does."""

    def __init__(self, monkeypatch):
        self.shift, real = timedelta(), timezone.now
        monkeypatch.setattr(timezone, "now", lambda: real() + self.shift)

    def move(self, **by: float) -> None:
        self.shift += timedelta(**by)


@pytest.fixture
def clock(monkeypatch) -> Clock:
    return Clock(monkeypatch)


def endpoint_of(person, url: str, *types: str) -> tuple[WebhookEndpoint, str]:
    with person.acting() as actor:
        return create_endpoint(actor=actor, url=url, event_types=types or SentType.values)


def happen(cast: Cast, number: int = 1, event_type: EventType = MERGED) -> list[str]:
    """The keys of what happened."""
    with cast.in_north():
        events = [publish(event_type, clinic_id=cast.north.pk, patient=cast.north.pk) for _ in range(number)]
    return [str(event.key) for event in events]


def deliveries(cast: Cast) -> list[WebhookDelivery]:
    with cast.in_north():
        return list(WebhookDelivery.objects.order_by("created_at"))


def fresh(cast: Cast, endpoint: WebhookEndpoint) -> WebhookEndpoint:
    with cast.in_north():
        return WebhookEndpoint.objects.get(pk=endpoint.pk)


def test_it_works(cast, chart, screening, receiver):
    _endpoint, secret = endpoint_of(cast.ada, receiver.url)
    read_by_model(cast, screening, refer=False)
    give(cast, screening)
    signature = sign(cast, chart.visit)
    send_due()
    told = {message["type"]: message for message in receiver.verified(secret)}
    assert set(told) == {"screening.predicted", "screening.reviewed", "report.signed"}
    assert told["screening.predicted"]["data"] == {"screening": str(screening.pk)}
    assert told["report.signed"]["data"] == {"visit": str(chart.visit.pk), "signature": str(signature.pk)}
    for headers, body in receiver.got:
        assert len(body) < 20_000
        assert headers["content-type"] == "application/json"
        for word in (*IDENTITY.values(), "nevus", "malignancy", "low"):
            assert word not in body.decode()
    send_due()
    assert len(receiver.got) == 3, "each once"


def test_the_secret_is_its_own_and_kept_encrypted(cast, receiver):
    endpoint, secret = endpoint_of(cast.ada, receiver.url)
    _other, another = endpoint_of(cast.ada, f"{receiver.url}&n=2")
    assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=", secret)
    assert secret != another
    assert secret.removeprefix("whsec_") not in endpoint.secret
    happen(cast)
    with cast.in_north():
        lines = AuditEvent.objects.filter(subject_type="api_webhookendpoint").values_list("changes", flat=True)
        (first, _second) = lines
        assert first["url"].startswith("http://127.0.0.1")
        assert {"secret", "previous_secret", "told_up_to"}.isdisjoint(first)
    send_due()
    with pytest.raises(WebhookVerificationError):
        receiver.verified(another)


def test_two_secrets_sign_while_one_is_rotated(cast, receiver, clock):
    endpoint, before = endpoint_of(cast.ada, receiver.url)
    with cast.ada.acting():
        after = rotate_endpoint_secret(endpoint=endpoint)
    happen(cast)
    send_due()
    assert receiver.verified(before) == receiver.verified(after)
    assert len(receiver.got[0][0]["webhook-signature"].split()) == 2
    clock.move(hours=25)
    receiver.got.clear()
    happen(cast)
    send_due()
    assert receiver.verified(after)
    with pytest.raises(WebhookVerificationError):
        receiver.verified(before)


def test_only_what_is_wanted_and_what_happens_from_now_on(cast, receiver):
    happen(cast, 3)
    endpoint_of(cast.ada, receiver.url, "patient.merged")
    happen(cast, 1, EventType.SCREENING_FAILED)
    happen(cast, 1, EventType.PATIENT_UNMERGED)
    (key,) = happen(cast)
    send_due()
    assert receiver.ids() == [key]


def test_another_clinic_is_told_nothing(cast, receiver):
    endpoint_of(cast.bob, receiver.url)
    happen(cast)
    send_due()
    assert not receiver.got


def test_a_receiver_that_is_down_for_a_day_gets_everything_once_it_is_back(cast, clock):
    with receiving() as gone:
        port = gone.port
    endpoint, secret = endpoint_of(cast.ada, f"http://127.0.0.1:{port}/hook")
    keys = happen(cast, 3)
    for _hour in range(24):
        send_due()
        clock.move(hours=1)
    assert {each.trouble for each in deliveries(cast)} == {"no_connection"}
    assert max(each.attempts for each in deliveries(cast)) == 7, "at once, 5 s, 5 min, 30 min, 2, 5 and 10 h"
    keys += happen(cast, 2)
    with receiving(port) as back:
        for _hour in range(16):
            send_due()
            clock.move(hours=1)
        assert sorted(back.ids()) == sorted(keys)
        back.verified(secret)
    assert fresh(cast, endpoint).is_enabled


def test_the_schedule_is_the_standards(cast, clock, receiver):
    endpoint_of(cast.ada, receiver.url)
    receiver.status = 500
    happen(cast)
    waited = []
    while fresh_delivery(cast, send=True).attempts < len(DELAYS):
        delivery = fresh_delivery(cast)
        waited.append((delivery.next_at - delivery.last_at).total_seconds())
        clock.shift += delivery.next_at - timezone.now()
    hours = [seconds / 3600 for seconds in waited]
    wanted = [5 / 3600, 5 / 60, 0.5, 2, 5, 10, 14, 20, 24]
    assert len(hours) == len(wanted)
    for seen, least in zip(hours, wanted, strict=True):
        assert least <= seen < 1.11 * least
    assert len(set(receiver.ids())) == 1


def test_each_attempt_is_signed_anew_with_its_own_time(cast, clock, receiver, monkeypatch):
    _endpoint, secret = endpoint_of(cast.ada, receiver.url)
    receiver.answers = [500]
    happen(cast)
    send_due()
    later = time.time() + 60
    monkeypatch.setattr(post, "time", SimpleNamespace(time=lambda: later))
    clock.move(seconds=6)
    send_due()
    assert len(receiver.verified(secret)) == 2
    first, second = (headers for headers, _body in receiver.got)
    assert first["webhook-id"] == second["webhook-id"]
    assert int(second["webhook-timestamp"]) - int(first["webhook-timestamp"]) >= 59
    assert first["webhook-signature"] != second["webhook-signature"]


def fresh_delivery(cast: Cast, *, send: bool = False) -> WebhookDelivery:
    if send:
        send_due()
    (delivery,) = deliveries(cast)
    return delivery


@pytest.mark.parametrize("way", ["gone", "last"])
def test_a_hopeless_endpoint_is_disabled_and_managers_are_told(cast, receiver, clock, way, settings):
    settings.NOTICE_MAIL_AFTER = 0
    endpoint, _secret = endpoint_of(cast.ada, receiver.url)
    receiver.status = 410 if way == "gone" else 500
    happen(cast, 2)
    if way == "last":
        send_due()
        with cast.in_north():
            WebhookDelivery.objects.update(attempts=len(DELAYS) - 1)
        clock.move(hours=24)
    send_due()
    now = fresh(cast, endpoint)
    assert (now.is_enabled, now.disabled_because) == (False, "gone" if way == "gone" else "gave_up")
    sweep_notices()
    with cast.in_north():
        (notice,) = Notice.objects.all()
    assert (notice.recipient, notice.kind, notice.endpoint_id) == (cast.ada.user, "webhook_disabled", endpoint.pk)
    (told,) = mail.outbox
    assert told.to == ["ada@example.org"]
    assert "A webhook was disabled" in told.body
    sent = len(receiver.got)
    happen(cast)
    clock.move(days=3)
    send_due()
    assert len(receiver.got) == sent, "nothing is sent to one that is disabled"


@pytest.mark.parametrize("missed", [True, False])
def test_enabled_again_it_is_told_what_it_missed_or_not(cast, receiver, missed):
    endpoint, _secret = endpoint_of(cast.ada, receiver.url)
    receiver.answers = [410]
    lost = happen(cast)
    send_due()
    lost += happen(cast, 2)
    with cast.ada.acting():
        enable_endpoint(endpoint=fresh(cast, endpoint), missed=missed)
    receiver.got.clear()
    new = happen(cast)
    send_due()
    assert sorted(receiver.ids()) == sorted([*lost, *new] if missed else new)


@pytest.mark.parametrize(
    ("status", "headers", "pause"),
    [(503, {"Retry-After": "600"}, 600), (429, {}, 60), (502, {}, 60), (504, {}, 60), (500, {}, 0)],
)
def test_an_endpoint_that_asks_for_a_pause_has_it_and_no_other(  # noqa: PLR0917
    cast, receiver, clock, status, headers, pause
):
    endpoint_of(cast.ada, receiver.url)
    receiver.answers, receiver.headers = [status], headers
    happen(cast)
    send_due()
    receiver.got.clear()
    with receiving() as quick:
        endpoint_of(cast.ada, quick.url)
        happen(cast)
        send_due()
        assert len(quick.got) == 1
    assert len(receiver.got) == (0 if pause else 1)
    clock.move(seconds=max(pause, 6))
    send_due()
    assert len(receiver.got) == 2


def test_one_that_hangs_stops_no_other(cast, receiver, monkeypatch):
    monkeypatch.setattr(wire, "TIME_OUT", 1.0)
    answered = threading.Event()
    receiver.before_answer = lambda: answered.wait(5) and None
    slow, _secret = endpoint_of(cast.ada, receiver.url)
    with receiving() as quick:
        endpoint_of(cast.ada, quick.url)
        happen(cast, 12)
        send_due()
        answered.set()
        assert len(quick.got) == 12
    assert len(receiver.got) == 4, "so many at once; then it has a pause"
    told = deliveries(cast)
    hung = [each.last_at for each in told if each.trouble == "too_slow"]
    assert len(hung) == 4
    assert max(each.last_at for each in told if each.endpoint_id != slow.pk) < min(hung)


def test_one_that_drips_its_answer_is_cut_off(cast, monkeypatch):
    monkeypatch.setattr(wire, "TIME_OUT", 0.6)
    listener = socket.create_server(("127.0.0.1", 0))

    def drip() -> None:
        with listener.accept()[0] as caller:
            try:
                for _ in range(60):
                    caller.sendall(b"H")
                    time.sleep(0.05)
            except OSError:
                return

    thread = threading.Thread(target=drip)
    thread.start()
    endpoint_of(cast.ada, f"http://127.0.0.1:{listener.getsockname()[1]}/")
    happen(cast)
    began = time.monotonic()
    send_due()
    assert time.monotonic() - began < 2
    thread.join()
    listener.close()
    assert fresh_delivery(cast).trouble == "too_slow"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> Path:
    """Of localhost, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, now - timedelta(days=1), now + timedelta(days=1))
    made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    plain = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = tmp_path_factory.mktemp("tls") / "localhost.pem"
    signed = made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM, *plain) + signed)
    return path


@pytest.mark.parametrize(
    ("trusted", "host", "wanted"),
    [(True, "localhost", ""), (False, "localhost", "no_trust"), (True, "127.0.0.1", "no_trust")],
)
def test_https_is_held_to_its_certificate_and_name(  # noqa: PLR0917
    cast, certificate, monkeypatch, trusted, host, wanted
):
    context = ssl.create_default_context(cafile=certificate if trusted else None)
    monkeypatch.setattr(wire, "trust", lambda: context)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    with receiving(tls=tls) as receiver:
        receiver.host = host
        _endpoint, secret = endpoint_of(cast.ada, receiver.url)
        happen(cast)
        send_due()
        assert fresh_delivery(cast).trouble == wanted
        assert len(receiver.verified(secret)) == (0 if wanted else 1)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_one_that_takes_the_connection_and_says_nothing_is_cut_off(cast, monkeypatch, scheme):
    monkeypatch.setattr(wire, "TIME_OUT", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        endpoint_of(cast.ada, f"{scheme}://127.0.0.1:{listener.getsockname()[1]}/")
        happen(cast)
        send_due()
    assert fresh_delivery(cast).trouble == "too_slow"


def test_of_a_refusal_one_clean_line_is_kept(cast, receiver):
    endpoint_of(cast.ada, receiver.url)
    receiver.status, receiver.body = 500, b"<b>No\x00\xe2\x80\xae</b> \xff way\nsecond line" + b"x" * 10_000
    happen(cast)
    send_due()
    delivery = fresh_delivery(cast)
    assert delivery.words.startswith("<b>No</b>")
    assert "second" not in delivery.words
    assert len(delivery.words) <= 120


def test_no_redirect_is_followed(cast, receiver):
    with receiving() as inner:
        endpoint_of(cast.ada, receiver.url)
        receiver.status, receiver.headers = 307, {"Location": inner.url}
        happen(cast)
        send_due()
        assert not inner.got
    assert fresh_delivery(cast).last_status == 307


def test_a_test_is_tried_once_and_disables_nothing(cast, receiver):
    endpoint, secret = endpoint_of(cast.ada, receiver.url)
    for status in (204, 500):
        receiver.status = status
        with cast.ada.acting():
            send_test(endpoint=endpoint)
        send_due()
    good, bad = receiver.verified(secret)
    assert good["type"] == bad["type"] == "webhook.test"
    assert good["data"] == {"webhook": str(endpoint.pk)}
    assert [each.state for each in deliveries(cast)] == ["delivered", "given_up"]
    assert fresh(cast, endpoint).is_enabled


def test_what_is_sent_is_in_no_log(cast, receiver, caplog):
    caplog.set_level("DEBUG")
    _endpoint, secret = endpoint_of(cast.ada, receiver.url)
    happen(cast)
    send_due()
    assert "answered 204" in caplog.text
    assert "of=clinic" not in caplog.text
    assert secret not in caplog.text


def test_a_merge_of_records_is_told(cast, receiver):
    _endpoint, secret = endpoint_of(cast.ada, receiver.url)
    kept, double = (make_chart(cast.alice, given_name=name).patient for name in ("Erna", "Emma"))
    with cast.alice.acting():
        merge_patients(duplicate=double, into=kept)
    send_due()
    (message,) = receiver.verified(secret)
    assert message["data"] == {"patient": str(double.pk), "into": str(kept.pk)}
    assert json.dumps(message).count("Winterbottom") == 0
