"""Managers name FHIR servers on their pages; a token that was given is shown to nobody and goes nowhere else."""

import pytest
from django.urls import reverse

from conftest import Cast
from skinclinic.api.models import WebhookDelivery, WebhookEndpoint
from skinclinic.api.tests.receiving import Receiver
from skinclinic.api.tests.test_api import Api
from skinclinic.api.tests.test_webhook_pages import page_of, post, the_only
from skinclinic.api.webhooks.sending import send_due
from skinclinic.api.webhooks.services import disable_endpoint
from skinclinic.api.webhooks.signing import decrypt
from skinclinic.audit.models import AuditEvent

pytestmark = pytest.mark.usefixtures("inside")

TOKEN = "t0ken-of-the-hospital"
OF_CLIENT = {"token_url": "https://records.example/token", "client_id": "skinclinic"}


def base_of(receiver: Receiver) -> str:
    return f"http://127.0.0.1:{receiver.port}/fhir"


def name(cast: Cast, receiver: Receiver, **changes: str):
    fields = {"url": base_of(receiver), "description": "Hospital", "secret": TOKEN} | changes
    return post(cast.ada, "webhooks_of_documents", **fields)


def change(cast: Cast, endpoint: WebhookEndpoint, **changes: str) -> str:
    kept = {name: getattr(endpoint, name) for name in ("url", "token_url", "client_id", "token_scope")}
    fields = kept | changes
    return post(cast.ada, "webhook", endpoint.pk, **fields).content.decode()


def test_it_works(cast, receiver):
    page = name(cast, receiver).content.decode()
    assert "Signed reports as FHIR documents" in page
    endpoint = the_only(cast)
    assert endpoint.event_types == ["report.signed", "report.amended", "screening.withdrawn"]
    assert decrypt(endpoint.secret) == TOKEN
    receiver.status, receiver.body = 200, b'{"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1"}'
    post(cast.ada, "webhook_test", endpoint.pk)
    send_due()
    assert receiver.asked == ["GET /fhir/metadata"]
    page = page_of(cast.ada, endpoint)
    assert "FHIR 4.0.1" in page
    assert "does not say that it updates a DocumentReference" in page
    with cast.in_north():
        line = AuditEvent.objects.get(subject_type="api_webhookendpoint")
    assert (line.actor_name, line.changes["kind"]) == ("Ada Ash", "documents")
    assert "secret" not in line.changes


def test_its_token_is_shown_nowhere(cast, receiver):
    pages = [name(cast, receiver).content.decode()]
    endpoint = the_only(cast)
    pages += [page_of(cast.ada, endpoint), change(cast, endpoint, url="x", secret=TOKEN), change(cast, endpoint)]
    pages += [post(cast.ada, "webhook_rotate", endpoint.pk, secret=f"{TOKEN} ").content.decode()]
    pages += [name(cast, receiver, url="x").content.decode()]
    pages += [cast.ada.client.get(reverse("webhooks")).content.decode()]
    assert not [page for page in pages if TOKEN in page]


def test_each_kind_has_its_own_fields(cast):
    messages = cast.ada.client.get(reverse("webhooks")).content.decode()
    documents = cast.ada.client.get(reverse("webhooks_of_documents")).content.decode()
    assert ("event_types" in messages, "token_url" in messages) == (True, False)
    assert ("event_types" in documents, "token_url" in documents) == (False, True)
    assert f'<a href="{reverse("webhooks")}" aria-current="page">' in documents, "its tab"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"url": "https://10.0.0.5/fhir"}, "private network"), ({"url": "https://x.example/fhir?x=1"}, "without a ?"),
        ({"secret": ""}, "required"), ({"secret": "two words"}, "without spaces"), ({"secret": "ö"}, "without spaces"),
        ({"client_id": "skinclinic"}, "or neither"), ({"token_url": "https://records.example/token"}, "or neither"),
        ({"token_url": "https://169.254.169.254/", "client_id": "skinclinic"}, "private network"),
        ({"token_scope": "system/*.cu"}, "A scope is asked for where tokens are given"),
        (OF_CLIENT | {"token_scope": "system/ö"}, "without spaces"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(cast, receiver, wrong, said):
    page = name(cast, receiver, **wrong).content.decode()
    assert said in page
    with cast.in_north():
        assert not WebhookEndpoint.objects.exists()


def test_a_token_goes_to_no_other_address_unasked(cast, receiver):
    name(cast, receiver)
    endpoint = the_only(cast)
    assert "Give its token or secret again" in change(cast, endpoint, url="https://elsewhere.example/fhir")
    moved = {"token_url": "https://elsewhere.example/token", "client_id": "skinclinic"}
    assert "Give its token or secret again" in change(cast, endpoint, **moved)
    assert (the_only(cast).url, the_only(cast).token_url) == (base_of(receiver), "")
    assert "Saved." in change(cast, endpoint, description="The hospital's record")
    assert decrypt(the_only(cast).secret) == TOKEN
    assert "Saved." in change(cast, endpoint, url="https://elsewhere.example/fhir", secret="another", **moved)
    kept = the_only(cast)
    assert (kept.url, kept.client_id, decrypt(kept.secret)) == (
        "https://elsewhere.example/fhir",
        "skinclinic",
        "another",
    )


def test_its_scope_is_changed_and_shown(cast, receiver):
    name(cast, receiver, **OF_CLIENT)
    endpoint = the_only(cast)
    assert "Saved." in change(cast, endpoint, token_scope="system/DocumentReference.cu openid")
    assert the_only(cast).token_scope == "system/DocumentReference.cu openid"
    assert "system/DocumentReference.cu openid</dd>" in page_of(cast.ada, endpoint)


def test_another_token_is_given_also_while_it_is_disabled(cast, receiver):
    name(cast, receiver)
    endpoint = the_only(cast)
    with cast.ada.acting():
        disable_endpoint(endpoint=endpoint)
    assert "from now on" in post(cast.ada, "webhook_rotate", endpoint.pk, secret="another").content.decode()
    assert "without spaces" in post(cast.ada, "webhook_rotate", endpoint.pk, secret="a b").content.decode()
    assert decrypt(the_only(cast).secret) == "another"
    assert not the_only(cast).previous_secret


@pytest.mark.parametrize(("who", "looks"), [("alice", 403), ("rita", 403), ("otto", 200)])
def test_managers_alone_name_them(cast, receiver, who, looks):
    person = getattr(cast, who)
    fields = {"url": base_of(receiver), "secret": TOKEN}
    assert post(person, "webhooks_of_documents", **fields).status_code == 403
    assert person.client.get(reverse("webhooks_of_documents")).status_code == looks
    with cast.in_north():
        assert not WebhookEndpoint.objects.exists()
    name(cast, receiver)
    endpoint = the_only(cast)
    post(person, "webhook", endpoint.pk, **(fields | {"url": "https://elsewhere.example/", "secret": "another"}))
    assert post(person, "webhook_rotate", endpoint.pk, secret="another").status_code == 403
    assert (the_only(cast).url, decrypt(the_only(cast).secret)) == (base_of(receiver), TOKEN)


def test_systems_see_them_and_leave_them_alone(cast, receiver):
    api = Api(cast.north, scopes=["webhooks:manage"])
    made = api.post("webhooks/", {"kind": "documents", "url": base_of(receiver), "event_types": ["report.signed"]})
    assert (made.status_code, made.json()["errors"][0]["field"]) == (400, "kind")
    name(cast, receiver)
    endpoint = the_only(cast)
    path = f"webhooks/{endpoint.pk}/"
    seen = api.get(path)
    assert seen.json()["kind"] == "documents"
    assert TOKEN not in seen.content.decode()
    refused = api.patch(path, {"url": "https://elsewhere.example/fhir"}, **{"If-Match": seen["ETag"]})
    assert (refused.status_code, refused.json()["type"]) == (422, "urn:skinclinic:problem:webhook-sends-documents")
    assert api.post(f"{path}rotate/", {}).status_code == 422
    assert (the_only(cast).url, decrypt(the_only(cast).secret)) == (base_of(receiver), TOKEN)
    assert api.post(f"{path}test/", {}).status_code == 202
    with cast.in_north():
        assert WebhookDelivery.objects.get().type == "webhook.test"
