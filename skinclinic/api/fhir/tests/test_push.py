"""Signed reports are sent to a FHIR server that the clinic names: as they are now, until it has them, and once."""

import base64
import hashlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs

import pytest
from django.utils import timezone

from conftest import IDENTITY, Cast, make_chart, make_screening
from patients.models import PatientIdentifier
from patients.services import merge_patients
from screening.models import Screening
from screening.tests.conftest import finish, give
from skinclinic.accounts.models import Clinic
from skinclinic.api.fhir import documents, push, tokens
from skinclinic.api.fhir.tests.conftest import AGAINST, SUSPECT, amend, make_documents, signed, withdraw
from skinclinic.api.fhir.tests.fhir_server import CLIENT, CLIENT_SECRET, STATEMENT, TOKEN, Server
from skinclinic.api.models import WebhookDelivery, WebhookEndpoint
from skinclinic.api.tests.receiving import LOOPBACK, receiving
from skinclinic.api.tests.test_webhooks import clock, deliveries, endpoint_of, fresh
from skinclinic.api.webhooks.documents import create_document_endpoint, give_secret
from skinclinic.api.webhooks.sending import send_due
from skinclinic.api.webhooks.services import enable_endpoint, send_again, send_test
from skinclinic.api.webhooks.signing import encrypt
from skinclinic.audit.models import AuditEvent
from skinclinic.outgoing.guard import AddressRefused

__all__ = ["clock"]  # a fixture


@pytest.fixture(autouse=True)
def inside(settings) -> None:
    settings.SEND_TO_NETWORKS = LOOPBACK
    tokens._kept.clear()


@pytest.fixture
def server() -> Iterator[Server]:
    with receiving() as receiver:
        server = Server(receiver)
        receiver.answer = server.answer
        yield server


def named(person, server: Server, **changes: str) -> WebhookEndpoint:
    with person.acting() as actor:
        return create_document_endpoint(actor=actor, **({"url": server.base, "secret": TOKEN} | changes))


def of_client(cast: Cast, server: Server, secret: str = CLIENT_SECRET) -> WebhookEndpoint:
    return named(cast.ada, server, secret=secret, token_url=server.token_url, client_id=CLIENT)


@pytest.fixture
def read(cast: Cast, screening: Screening) -> Screening:
    finish(cast, screening, refer=True, band="high")
    return screening


def pdf_of(document: dict[str, Any]) -> bytes:
    """It is the one whose hash is told."""
    attachment = document["content"][0]["attachment"]
    pdf = base64.b64decode(attachment["data"])
    assert base64.b64encode(hashlib.sha1(pdf, usedforsecurity=False).digest()).decode() == attachment["hash"]
    assert (len(pdf), attachment["contentType"]) == (attachment["size"], "application/pdf")
    assert pdf.startswith(b"%PDF-")
    assert b"%%EOF" in pdf[-32:]
    return pdf


def log_of(cast: Cast) -> tuple[str, int | None, str, str]:
    """Of the last delivery."""
    last = deliveries(cast)[-1]
    return last.state, last.last_status, last.trouble, last.words


def test_it_works(cast, chart, read, server):
    endpoint = named(cast.ada, server)
    signed(cast, read, SUSPECT)
    send_due()
    document = server.the_only()
    assert server.receiver.asked == [
        f"PUT /fhir/DocumentReference?identifier=urn%3Askinclinic%3Avisit%7C{chart.visit.pk}"
    ]
    assert (document["status"], document["docStatus"]) == ("current", "final")
    assert document["subject"] == {"reference": "#patient"}
    assert document["contained"][0]["name"][0]["family"] == IDENTITY["family_name"]
    assert {"id", "meta"}.isdisjoint(document)
    assert b"/Image" in pdf_of(document)
    with cast.in_north():
        line = AuditEvent.objects.get(action="document_sent")
    assert (line.patient_id, line.subject_id) == (chart.patient.pk, str(chart.visit.pk))
    assert line.changes["webhook"] == str(endpoint.pk)
    send_due()
    assert server.puts == 1


def test_its_report_is_the_one_that_fhir_reads(cast, chart, read, server, api):
    named(cast.ada, server)
    signed(cast, read, SUSPECT)
    send_due()
    told = api.read(f"DocumentReference/{chart.visit.pk}")["content"][0]["attachment"]
    assert told["hash"] == server.the_only()["content"][0]["attachment"]["hash"]
    assert b"".join(api.ask(told["url"])) == pdf_of(server.the_only())


def test_a_report_that_the_clinic_sends_by_itself_bears_its_name_and_its_time(cast, read, server, monkeypatch):
    made, real = [], documents.signed_pdf

    def make(**given: Any) -> Any:
        made.append((given["actor"].name, timezone.get_current_timezone_name()))
        return real(**given)

    monkeypatch.setattr(documents, "signed_pdf", make)
    with cast.in_north():
        Clinic.objects.filter(pk=cast.north.pk).update(time_zone="Europe/Vienna")
    named(cast.ada, server)
    signed(cast, read, SUSPECT)
    send_due()
    assert made == [("North", "Europe/Vienna")], "and is made once"


def test_an_amendment_is_sent_in_its_place(cast, read, server):
    named(cast.ada, server)
    signed(cast, read, SUSPECT)
    send_due()
    first = server.the_only()["content"][0]["attachment"]["hash"]
    amend(cast, read, AGAINST)
    send_due()
    document = server.the_only()
    assert (document["docStatus"], server.puts) == ("amended", 2)
    assert document["content"][0]["attachment"]["hash"] != first
    assert pdf_of(document)


def test_one_that_is_withdrawn_is_entered_in_error_and_has_no_report(cast, read, server):
    named(cast.ada, server)
    signed(cast, read, SUSPECT)
    withdraw(cast, read)
    send_due()
    document = server.the_only()
    assert document["status"] == "entered-in-error"
    assert document["content"] == [{"attachment": {"contentType": "application/pdf"}}]
    assert server.puts == 2, "for two events, each as the report is now"


def test_a_withdrawal_from_a_visit_that_was_never_signed_is_not_sent(cast, read, server):
    named(cast.ada, server)
    give(cast, read, SUSPECT)
    withdraw(cast, read)
    send_due()
    assert not server.receiver.asked
    assert not deliveries(cast)


def test_a_merged_patients_remaining_record_stands_in_it(cast, read, chart, server):
    named(cast.ada, server)
    kept = make_chart(cast.alice, given_name="Erna Maria").patient
    with cast.alice.acting():
        number = {"type": "record", "system": "urn:oid:1.2.3", "value": "4711"}
        PatientIdentifier.objects.create(clinic=cast.north, patient=kept, **number)
        merge_patients(duplicate=chart.patient, into=kept)
    signed(cast, read, SUSPECT)
    send_due()
    (patient,) = server.the_only()["contained"]
    assert patient["name"][0]["given"] == ["Erna Maria"]
    assert patient["identifier"][0]["value"] == "4711"


def test_a_server_that_was_down_has_everything_once_it_is_back(cast, read, random_photograph, clock):
    with receiving() as gone:
        server = Server(gone)
    endpoint = named(cast.ada, server)
    signed(cast, read, SUSPECT)
    other = make_screening(cast.alice, make_chart(cast.alice, given_name="Anna"), random_photograph())
    signed(cast, other, SUSPECT)
    for _hour in range(3):
        send_due()
        clock.move(hours=1)
    amend(cast, read, AGAINST)
    assert {each.trouble for each in deliveries(cast)} == {"no_connection"}
    with receiving(gone.port) as back:
        back.answer = server.answer
        for _hour in range(6):
            send_due()
            clock.move(hours=1)
    assert len(server.kept) == 2
    assert sorted(each["docStatus"] for each in server.kept.values()) == ["amended", "final"]
    assert {each.state for each in deliveries(cast)} == {"delivered"}
    assert fresh(cast, endpoint).is_enabled


def test_one_is_under_way_at_a_time(cast, server, random_photograph):
    """So that a server which looks for the identifier finds what was made a moment ago."""
    named(cast.ada, server)
    under_way, most = [], []
    for name in ("Anna", "Berta", "Carla"):
        signed(cast, make_screening(cast.alice, make_chart(cast.alice, given_name=name), random_photograph()), SUSPECT)
    make_documents(cast)

    def think() -> None:
        under_way.append(1)
        time.sleep(0.2)
        most.append(len(under_way))
        under_way.pop()

    server.receiver.before_answer = think
    send_due()
    assert (len(server.kept), max(most)) == (3, 1)


def test_a_server_that_refuses_without_reading_all_is_heard():
    """It closes while the document is still on its way."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def refuse() -> None:
            caller, _address = listener.accept()
            with caller:
                caller.recv(1000)
                caller.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")

        thread = threading.Thread(target=refuse)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/fhir"
        answer = push.Request(url, "/DocumentReference", ("", "", "", encrypt(TOKEN)), b"x" * 30_000_000).send()
        thread.join()
    assert answer.status == 413


def test_a_wrong_token_is_told_in_words(cast, read, server, clock):
    endpoint = named(cast.ada, server, secret="another")
    signed(cast, read, SUSPECT)
    send_due()
    assert log_of(cast) == ("waiting", 401, "token_refused", "")
    page = cast.ada.client.get(f"/clinic/webhooks/{endpoint.pk}/").content.decode()
    assert "does not take the token" in page
    assert "HTTP 401" in page
    with cast.ada.acting():
        give_secret(endpoint=endpoint, secret=TOKEN)
    clock.move(seconds=6)
    send_due()
    assert log_of(cast)[0] == "delivered"


@pytest.mark.parametrize(("status", "trouble"), [(403, "not_allowed"), (422, ""), (412, ""), (500, ""), (307, "")])
def test_a_refusal_keeps_codes_and_no_words(cast, read, server, status, trouble):
    named(cast.ada, server)
    signed(cast, read, SUSPECT)
    place = "DocumentReference.content[0].attachment.data"
    issues = [
        {"code": "too-long", "expression": [place, "Winterbottom"], "diagnostics": "Winterbottom, Erna"},
        {"code": "Winterbottom"}, {"code": ["x"], "expression": 7}, "Winterbottom",
    ]  # fmt: skip
    server.receiver.answer = lambda *asked: (status, json.dumps({"issue": issues}).encode())
    send_due()
    assert log_of(cast) == ("waiting", status, trouble, f"too-long {place}")


@pytest.mark.parametrize("said", [b"", b"[" * 60_000, b"{", b"[]", b'{"issue": {"code": 1}}', b"\xff"])
def test_an_answer_that_is_none_stops_nothing(cast, read, server, said):
    named(cast.ada, server)
    signed(cast, read, SUSPECT)
    server.receiver.answer = lambda *asked: (400, said)
    send_due()
    assert log_of(cast) == ("waiting", 400, "", "")


def test_a_token_is_asked_for_and_kept_until_it_expires(cast, server, random_photograph, monkeypatch):
    of_client(cast, server)
    for name in ("Anna", "Berta"):
        signed(cast, make_screening(cast.alice, make_chart(cast.alice, given_name=name), random_photograph()), SUSPECT)
    send_due()
    assert (len(server.kept), server.given) == (2, 1)
    real = tokens.time.monotonic
    monkeypatch.setattr(tokens.time, "monotonic", lambda: real() + 271)
    with cast.in_north():
        send_again(delivery=WebhookDelivery.objects.select_related("endpoint").first())
    send_due()
    assert server.given == 2


@pytest.mark.parametrize(
    ("scope", "form"),
    [("", {}), ("system/DocumentReference.cu openid", {"scope": ["system/DocumentReference.cu openid"]})],
)
def test_a_token_is_asked_for_with_its_scope(cast, read, server, scope, form):
    named(cast.ada, server, secret=CLIENT_SECRET, token_url=server.token_url, client_id=CLIENT, token_scope=scope)
    signed(cast, read, SUSPECT)
    send_due()
    asked = parse_qs(server.receiver.got[0][1].decode())
    assert asked == {"grant_type": ["client_credentials"]} | form
    assert server.puts == 1


def test_a_token_that_is_not_taken_any_more_is_asked_for_anew(cast, read, server, clock):
    of_client(cast, server)
    signed(cast, read, SUSPECT)
    send_due()
    server.token = "revoked"
    amend(cast, read, AGAINST)
    send_due()
    assert log_of(cast)[2] == "token_refused"
    clock.move(seconds=6)
    send_due()
    assert (server.given, server.the_only()["docStatus"]) == (2, "amended")


def test_a_token_that_does_not_say_how_long_it_lasts_is_used_once(cast, read, server):
    server.lasts = 0
    of_client(cast, server)
    signed(cast, read, SUSPECT)
    amend(cast, read, AGAINST)
    send_due()
    assert (server.puts, server.given) == (2, 2)
    assert not tokens._kept


def test_a_wrong_client_is_told_in_words(cast, read, server):
    of_client(cast, server, secret="wrong")
    signed(cast, read, SUSPECT)
    send_due()
    assert log_of(cast) == ("waiting", None, "no_token", "HTTP 401 invalid_client")
    assert server.receiver.asked == ["POST /token"]


@pytest.mark.parametrize(
    "said",
    [
        b"", b"{}", b'{"access_token": "x"}', b'{"access_token": "x", "token_type": "mac"}',
        b'{"access_token": "two words", "token_type": "bearer"}', b'{"access_token": 7, "token_type": "bearer"}',
        b'{"access_token": "x\\r\\nX-More: 1", "token_type": "bearer"}', b'{"error": ["x"]}',
    ],
)  # fmt: skip
def test_what_is_no_token_is_not_used(cast, read, server, said):
    of_client(cast, server)
    signed(cast, read, SUSPECT)
    server.receiver.answer = lambda *asked: (200, said)
    send_due()
    assert log_of(cast)[2:] == ("no_token", "HTTP 200")
    assert server.receiver.asked == ["POST /token"]


def test_the_address_of_tokens_is_guarded_as_well(cast, read, server, settings):
    endpoint = of_client(cast, server)
    with pytest.raises(AddressRefused):
        named(cast.ada, server, token_url="https://169.254.169.254/", client_id=CLIENT)
    with pytest.raises(AddressRefused):
        named(cast.ada, server, url="https://10.0.0.5/fhir")
    with cast.in_north():
        WebhookEndpoint.objects.filter(pk=endpoint.pk).update(token_url="https://169.254.169.254/")
    signed(cast, read, SUSPECT)
    send_due()
    assert log_of(cast)[2:] == ("address_refused", "169.254.169.254")
    assert not server.receiver.asked


def test_no_redirect_is_followed_with_a_token(cast, read, server):
    of_client(cast, server)
    signed(cast, read, SUSPECT)
    server.receiver.status, server.receiver.headers = 307, {"Location": f"{server.base}/elsewhere"}
    send_due()
    assert log_of(cast)[2:] == ("no_token", "HTTP 307")
    assert server.receiver.asked == ["POST /token"]


def test_another_clinics_reports_never_go_there(cast, read, server):
    named(cast.bob, server)
    signed(cast, read, SUSPECT)
    with receiving() as told:
        endpoint_of(cast.ada, told.url, "report.signed")
        send_due()
        assert not server.receiver.asked
        amend(cast, read, AGAINST)
        send_due()
    assert not server.receiver.asked


def test_what_was_signed_before_is_not_sent(cast, read, server):
    signed(cast, read, SUSPECT)
    named(cast.ada, server)
    send_due()
    assert not server.receiver.asked


@pytest.mark.parametrize(
    ("statement", "wanted"),
    [
        (STATEMENT, ("delivered", 200, "", "FHIR 4.0.1")),
        (STATEMENT | {"rest": []}, ("given_up", 200, "no_updates", "FHIR 4.0.1")),
        (STATEMENT | {"rest": [7, {"resource": [None]}]}, ("given_up", 200, "no_updates", "FHIR 4.0.1")),
        ({"resourceType": "Patient"}, ("given_up", 200, "not_fhir", "")),
        ([], ("given_up", 200, "not_fhir", "")),
    ],
)
def test_a_test_asks_what_the_server_can_do(cast, server, statement, wanted):
    endpoint = named(cast.ada, server)
    server.statement = statement
    with cast.ada.acting():
        send_test(endpoint=endpoint)
    send_due()
    assert log_of(cast) == wanted
    assert server.receiver.asked == ["GET /fhir/metadata"]
    with cast.in_north():
        assert not AuditEvent.objects.filter(action="document_sent").exists()


def test_a_test_with_a_wrong_token_says_so(cast, server):
    endpoint = named(cast.ada, server, secret="another")
    with cast.ada.acting():
        send_test(endpoint=endpoint)
    send_due()
    assert log_of(cast) == ("given_up", 401, "token_refused", "")


def test_nothing_of_it_is_in_a_log_or_kept_with_the_delivery(cast, read, server, caplog):
    caplog.set_level("DEBUG")
    of_client(cast, server)
    signed(cast, read, SUSPECT)
    send_due()
    assert "answered 201" in caplog.text
    (row,) = deliveries(cast)
    kept = " ".join(str(value) for value in vars(row).values())
    for word in (*IDENTITY.values(), "melanoma", "given-1", CLIENT_SECRET, "urn:skinclinic:visit"):
        assert word not in caplog.text
        assert word not in kept


def test_one_that_cannot_be_made_holds_up_no_other(  # noqa: PLR0917
    cast, read, server, random_photograph, monkeypatch, caplog
):
    named(cast.ada, server)
    real = push.document_to_send

    def lose(row: Any) -> Any:
        if row.pk == read.visit_id:
            raise FileNotFoundError("Winterbottom.pdf")
        return real(row)

    monkeypatch.setattr(push, "document_to_send", lose)
    signed(cast, read, SUSPECT)
    signed(cast, make_screening(cast.alice, make_chart(cast.alice, given_name="Anna"), random_photograph()), SUSPECT)
    send_due()
    assert [(each.state, each.trouble) for each in deliveries(cast)] == [("waiting", "not_made"), ("delivered", "")]
    assert "FileNotFoundError" in caplog.text
    assert "Winterbottom" not in caplog.text


def test_one_that_gave_up_is_given_another_token_and_told_what_it_missed(cast, read, server):
    endpoint = named(cast.ada, server, secret="another")
    server.receiver.answers = [410]
    signed(cast, read, SUSPECT)
    send_due()
    assert fresh(cast, endpoint).disabled_because == "gone"
    with cast.ada.acting():
        give_secret(endpoint=endpoint, secret=TOKEN)
        enable_endpoint(endpoint=fresh(cast, endpoint), missed=True)
    send_due()
    assert server.the_only()["docStatus"] == "final"
