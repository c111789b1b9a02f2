"""A clinic's API clients are made, given another secret and disabled by its managers."""

import base64
import re

import pytest
from django.urls import reverse

from conftest import Cast, Person
from skinclinic.api.models import Client
from skinclinic.api.tests.test_api import Api
from skinclinic.audit.models import AuditEvent

SECRET = re.compile(r"client_secret</dt><dd><code>([^<]+)")


def post(person: Person, page: str, /, *ids: object, **fields: object):
    fields.setdefault("clinic", str(person.actor.clinic_id))
    return person.client.post(reverse(page, args=ids), fields, follow=True)


def secret_in(response) -> str:
    (secret,) = SECRET.findall(response.content.decode())
    return secret


def status_of_token(api: Api, client: Client, secret: str) -> int:
    basic = base64.b64encode(f"{client.client_id}:{secret}".encode()).decode()
    data = {"grant_type": "client_credentials"}
    return api.browser.post("/api/oauth2/token/", data, headers={"Authorization": f"Basic {basic}"}).status_code


@pytest.fixture
def api(cast: Cast) -> Api:
    return Api(cast.south)


@pytest.fixture
def made(cast: Cast) -> tuple[Client, str]:
    response = post(cast.ada, "clients", name="Record system", scopes=["patients:read"])
    assert "no-store" in response["Cache-Control"]
    return Client.objects.get(clinic=cast.north), secret_in(response)


def test_it_works(cast, api, made):
    client, secret = made
    assert (client.clinic, client.allowed_scopes) == (cast.north, "patients:read")
    assert status_of_token(api, client, secret) == 200
    again = cast.ada.client.get(reverse("clients")).content.decode()
    assert "Record system" in again
    assert secret not in again, "it is shown once"
    with cast.in_north():
        event = AuditEvent.objects.get(subject_type="api_client")
    assert event.actor_name == "Ada Ash"
    assert secret not in str(event.changes)


def test_another_secret_takes_the_place_of_the_first(cast, api, made):
    client, secret = made
    new = secret_in(post(cast.ada, "client_rotate", client.client_id))
    assert status_of_token(api, client, secret) == 401
    assert status_of_token(api, client, new) == 200


def test_disabled_it_can_do_nothing_at_once(cast):
    api = Api(cast.north)
    assert api.get("patients/").status_code == 200
    post(cast.ada, "client_disable", api.client_row.client_id)
    assert api.get("patients/").status_code == 401
    assert status_of_token(api, api.client_row, api.secret) == 401
    assert "disabled already" in post(cast.ada, "client_disable", api.client_row.client_id).content.decode()
    assert "Make another one" in post(cast.ada, "client_rotate", api.client_row.client_id).content.decode()


def test_one_without_a_right_or_a_name_is_refused(cast):
    page = post(cast.ada, "clients", name=" ", scopes=[]).content.decode()
    assert "There is something to correct" in page
    assert post(cast.ada, "clients", name="x", scopes=["everything"]).status_code == 200
    assert not Client.objects.exists()


def test_another_clinics_is_not_found(cast, api):
    for name in ("client_rotate", "client_disable"):
        assert post(cast.ada, name, api.client_row.client_id).status_code == 404
    assert api.client_row.client_id not in cast.ada.client.get(reverse("clients")).content.decode()


@pytest.mark.parametrize(("name", "status"), [("alice", 403), ("rita", 403), ("otto", 403), ("ada", 200)])
def test_managers_alone_change_them(cast, name, status):
    mine = Api(cast.north).client_row
    for act in ("client_rotate", "client_disable"):
        assert post(getattr(cast, name), act, mine.client_id).status_code == status
    post(getattr(cast, name), "clients", name="Another", scopes=["patients:read"])
    assert Client.objects.filter(name="Another").exists() is (status == 200)
