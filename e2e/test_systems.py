"""Another system before the whole clinic: its own OAuth2 library, a line that breaks, and the same create again."""

import socket
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from authlib.integrations.requests_client import OAuth2Session

from conftest import IDENTITY
from screening.models import LesionImage, Screening
from screening.tests.conftest import wait_until
from skinclinic.api.services import create_client

SCOPES = ["patients:read", "patients:write", "screenings:read", "screenings:write"]
SPOT = {"site": "back", "laterality": "left", "view": "back", "x": 0.4, "y": 0.3}


@pytest.fixture
def system(real_cast, portal) -> OAuth2Session:
    row, secret = create_client(clinic=real_cast.north, name="Record system", scopes=SCOPES)
    session = OAuth2Session(row.client_id, secret, token_endpoint=f"{portal}/api/oauth2/token/")
    session.fetch_token(f"{portal}/api/oauth2/token/")
    return session


def create(system: OAuth2Session, address: str, body: dict) -> dict:
    answer = system.post(address, json=body, headers={"Idempotency-Key": str(uuid4())})
    assert answer.status_code == 201, answer.text
    return answer.json()


def test_what_was_cut_off_is_sent_again_and_read_once(real_cast, portal, start_worker, system, photograph_bytes):
    start_worker()
    api = f"{portal}/api/v1"
    patient = create(system, f"{api}/patients/", {"identity": IDENTITY})["id"]
    consent = {"kind": "ai_reading", "decision": "given", "decided_on": "2026-11-22"}
    create(system, f"{api}/patients/{patient}/consents/", consent)
    visit = create(system, f"{api}/visits/", {"patient": patient})["id"]
    lesion = create(system, f"{api}/lesions/", {"patient": patient, **SPOT})["id"]
    place, key = f"{api}/screenings/?visit={visit}&lesion={lesion}", str(uuid4())
    cut_off(place, photograph_bytes, token=system.token["access_token"], key=key)
    with real_cast.in_north():
        assert not LesionImage.objects.exists()
    headers = {"Idempotency-Key": key, "Content-Type": "image/jpeg"}
    first, again = (system.post(place, data=photograph_bytes, headers=headers) for _time in range(2))
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json()["id"] == again.json()["id"]

    def is_read() -> bool:
        return system.get(f"{api}/screenings/{first.json()['id']}/").json()["reading_status"] == "predicted"

    wait_until(is_read, seconds=30)
    with real_cast.in_north():
        assert Screening.objects.get().predictions.count() == 1


def cut_off(place: str, body: bytes, *, token: str, key: str) -> None:
    """The line breaks in the middle of the photograph; the server has seen it when this returns."""
    parts = urlsplit(place)
    head = [
        f"POST {parts.path}?{parts.query} HTTP/1.1", f"Host: {parts.netloc}", f"Authorization: Bearer {token}",
        f"Idempotency-Key: {key}", "Content-Type: image/jpeg", f"Content-Length: {len(body)}", "", "",
    ]  # fmt: skip
    with socket.create_connection((parts.hostname, parts.port)) as line:
        line.sendall("\r\n".join(head).encode() + body[: len(body) // 2])
        line.shutdown(socket.SHUT_WR)
        line.settimeout(20)
        assert b" 202 " not in line.recv(1000)


@pytest.mark.browser
def test_the_page_of_the_api_shows_every_address(real_cast, open_page):
    page = open_page()
    page.goto("/api/docs/")
    page.get_by_text("Register a patient").wait_for()
    page.get_by_text("Register a patient").click()
    page.get_by_text("urn:example:his").first.wait_for()
