"""Managers say on their pages which systems are told; auditors look; another clinic's are not found."""

import re
from uuid import uuid4

import pytest
from django.urls import reverse

from conftest import Cast, Person
from screening.services.notices import sweep_notices
from skinclinic.api.models import WebhookDelivery, WebhookEndpoint
from skinclinic.api.tests.test_webhooks import deliveries, endpoint_of, fresh, happen
from skinclinic.api.webhooks.models import SentType
from skinclinic.api.webhooks.sending import send_due
from skinclinic.audit.models import AuditEvent

pytestmark = pytest.mark.usefixtures("inside")

SECRET = re.compile(r"<code>(whsec_[^<]+)")
ACTS = ("webhook_test", "webhook_rotate", "webhook_disable", "webhook_enable")


def post(person: Person, page: str, /, *ids: object, **fields: object):
    fields.setdefault("clinic", str(person.actor.clinic_id))
    return person.client.post(reverse(page, args=ids), fields, follow=True)


def page_of(person: Person, endpoint: WebhookEndpoint) -> str:
    return person.client.get(reverse("webhook", args=[endpoint.pk])).content.decode()


def make(person: Person, url: str, **fields: object):
    return post(person, "webhooks", url=url, description="Record system", event_types=SentType.values, **fields)


def the_only(cast: Cast) -> WebhookEndpoint:
    with cast.in_north():
        return WebhookEndpoint.objects.get()


def test_it_works(cast, receiver):
    made = make(cast.ada, receiver.url)
    assert "no-store" in made["Cache-Control"]
    (secret,) = SECRET.findall(made.content.decode())
    endpoint = the_only(cast)
    assert secret not in page_of(cast.ada, endpoint), "it is shown once"
    post(cast.ada, "webhook_test", endpoint.pk)
    log = reverse("webhook_log", args=[endpoint.pk])
    assert log in page_of(cast.ada, endpoint), "it asks by itself how it went"
    send_due()
    assert receiver.verified(secret)[0]["type"] == "webhook.test"
    told = cast.ada.client.get(log).content.decode()
    assert "Delivered" in told
    assert "hx-get" not in told
    with cast.in_north():
        event = AuditEvent.objects.get(subject_type="api_webhookendpoint")
    assert (event.actor_name, event.changes["url"]) == ("Ada Ash", receiver.url)


def test_another_secret_is_shown_and_the_first_signs_along(cast, receiver):
    (first,) = SECRET.findall(make(cast.ada, receiver.url).content.decode())
    endpoint = the_only(cast)
    page = post(cast.ada, "webhook_rotate", endpoint.pk).content.decode()
    (second,) = SECRET.findall(page)
    assert "signs along until" in page
    happen(cast)
    send_due()
    assert receiver.verified(first) == receiver.verified(second)


def test_a_message_is_sent_again_under_its_id(cast, receiver):
    endpoint, _secret = endpoint_of(cast.ada, receiver.url)
    (key,) = happen(cast)
    send_due()
    (delivery,) = deliveries(cast)
    assert "Send again" in page_of(cast.ada, endpoint)
    post(cast.ada, "webhook_again", endpoint.pk, delivery.pk)
    send_due()
    assert receiver.ids() == [key, key]


def test_disabled_it_says_why_and_is_enabled_with_what_waits(cast, receiver):
    endpoint, _secret = endpoint_of(cast.ada, receiver.url)
    receiver.answers = [410]
    happen(cast)
    send_due()
    page = page_of(cast.ada, endpoint)
    assert "gone for good" in page
    assert "1 message waits" in page
    assert "Enable it first" in post(cast.ada, "webhook_test", endpoint.pk).content.decode()
    assert "disabled already" in post(cast.ada, "webhook_disable", endpoint.pk).content.decode()
    assert "It is enabled" in post(cast.ada, "webhook_enable", endpoint.pk, missed="1").content.decode()
    assert "enabled already" in post(cast.ada, "webhook_enable", endpoint.pk).content.decode()
    send_due()
    assert len(receiver.got) == 2
    post(cast.ada, "webhook_disable", endpoint.pk)
    assert fresh(cast, endpoint).disabled_because == "by_hand"


def test_the_notice_of_a_disabled_one_leads_to_it(cast, receiver):
    endpoint, _secret = endpoint_of(cast.ada, receiver.url)
    receiver.status = 410
    happen(cast)
    send_due()
    sweep_notices()
    assert "Notices, 1 new" in cast.ada.client.get(reverse("bell")).content.decode()
    listed = cast.ada.client.get(reverse("notices")).content.decode()
    assert "Webhook disabled" in listed
    (address,) = re.findall(r'href="(/notices/[^"]+/)"', listed)
    assert cast.ada.client.get(address)["Location"] == reverse("webhook", args=[endpoint.pk])
    assert "Notices, 0 new" in cast.ada.client.get(reverse("bell")).content.decode()


@pytest.mark.parametrize(
    ("url", "said"),
    [("http://receiver.example/", "must begin with https"), ("https://10.0.0.5/", "private network"), ("x", "https")],
)
def test_an_address_that_cannot_be_is_refused(cast, settings, url, said):
    settings.SEND_TO_NETWORKS = []
    endpoint, _secret = endpoint_of(cast.ada, "https://receiver.example/")
    assert said in make(cast.ada, url).content.decode()
    changed = post(cast.ada, "webhook", endpoint.pk, url=url, event_types=["report.signed"]).content.decode()
    assert said in changed
    assert the_only(cast).url == "https://receiver.example/"


def test_it_is_changed(cast, receiver):
    endpoint, _secret = endpoint_of(cast.ada, "http://127.0.0.1:9/")
    post(cast.ada, "webhook", endpoint.pk, url=receiver.url, event_types=["patient.merged"])
    happen(cast)
    send_due()
    assert receiver.types() == ["patient.merged"]


def test_another_clinics_is_not_found(cast, receiver):
    theirs, _secret = endpoint_of(cast.bob, receiver.url)
    with cast.bob.acting():
        delivery = WebhookDelivery.objects.create(clinic=cast.south, endpoint=theirs, type="webhook.test")
    for name in (*ACTS, "webhook"):
        assert post(cast.ada, name, theirs.pk).status_code == 404
    for name in ("webhook", "webhook_log"):
        assert cast.ada.client.get(reverse(name, args=[theirs.pk])).status_code == 404
    mine, _secret = endpoint_of(cast.ada, receiver.url)
    for endpoint in (theirs, mine):
        assert post(cast.ada, "webhook_again", endpoint.pk, delivery.pk).status_code == 404
    assert str(theirs.pk) not in cast.ada.client.get(reverse("webhooks")).content.decode()


@pytest.mark.parametrize(("name", "looks"), [("alice", 403), ("rita", 403), ("otto", 200)])
def test_managers_alone_change_them(cast, receiver, name, looks):
    person = getattr(cast, name)
    endpoint, _secret = endpoint_of(cast.ada, receiver.url)
    assert make(person, receiver.url).status_code == 403
    assert post(person, "webhook", endpoint.pk, url="http://127.0.0.1:9/").status_code == 403
    for act in ACTS:
        assert post(person, act, endpoint.pk).status_code == 403
    assert post(person, "webhook_again", endpoint.pk, uuid4()).status_code == 403
    for page in (reverse("webhook", args=[endpoint.pk]), reverse("webhook_log", args=[endpoint.pk])):
        assert person.client.get(page).status_code == looks
    assert the_only(cast).url == receiver.url
    assert not deliveries(cast)


def test_the_log_has_pages(cast, receiver, django_assert_max_num_queries):
    endpoint, _secret = endpoint_of(cast.ada, receiver.url)
    happen(cast, 31)
    send_due()
    client = cast.ada.client
    with django_assert_max_num_queries(30):
        first = client.get(reverse("webhook", args=[endpoint.pk])).content.decode()
    assert first.count("Delivered") == 30
    second = client.get(reverse("webhook", args=[endpoint.pk]) + "?page=2").content.decode()
    assert second.count("Delivered") == 1
