"""Other systems see to their webhooks themselves, with the scope for it."""

from uuid import uuid4

import pytest

from conftest import Cast
from skinclinic.api.models import StoredAnswer
from skinclinic.api.tests.receiving import Receiver
from skinclinic.api.tests.test_api import Api
from skinclinic.api.tests.test_webhooks import deliveries, endpoint_of, happen
from skinclinic.api.webhooks.sending import send_due
from skinclinic.api.webhooks.services import MOST_ENDPOINTS
from skinclinic.audit.models import AuditEvent

pytestmark = pytest.mark.usefixtures("inside")

WANTED = {"event_types": ["patient.merged"], "description": "Record system"}


@pytest.fixture
def api(cast: Cast) -> Api:
    return Api(cast.north, scopes=["webhooks:manage"])


@pytest.fixture
def made(api: Api, receiver: Receiver) -> dict[str, str]:
    return api.post("webhooks/", WANTED | {"url": receiver.url}).json()


def test_it_works(cast, api, receiver, made):
    assert api.get(f"webhooks/{made['id']}/").json() == {name: made[name] for name in made if name != "secret"}
    tested = api.post(f"webhooks/{made['id']}/test/", {})
    assert (tested.status_code, tested.json()["state"]) == (202, "waiting")
    (key,) = happen(cast)
    send_due()
    assert {message["type"] for message in receiver.verified(made["secret"])} == {"webhook.test", "patient.merged"}
    log = api.get(f"webhooks/{made['id']}/deliveries/?page_size=1").json()
    assert [each["message_id"] for each in log["results"]] == [key]
    assert log["next"]
    (line,) = log["results"]
    assert (line["state"], line["last_status"], line["attempts"], line["next_at"]) == ("delivered", 204, 1, None)
    assert api.post(f"webhooks/{made['id']}/replay/", {"delivery": line["id"]}).status_code == 202
    send_due()
    assert receiver.ids().count(key) == 2
    with cast.in_north():
        event = AuditEvent.objects.get(subject_type="api_webhookendpoint", action="insert")
    assert event.actor_name == "Record system"


def test_a_create_that_is_sent_again_tells_its_secret_again_and_keeps_it_nowhere(cast, api, receiver):
    key = str(uuid4())
    first, again = (api.post("webhooks/", WANTED | {"url": receiver.url}, key=key) for _ in range(2))
    assert first.json() == again.json()
    assert first.json()["secret"].startswith("whsec_")
    assert again["Idempotency-Replayed"] == "true"
    assert len(api.get("webhooks/").json()["results"]) == 1
    with cast.in_north():
        assert "secret" not in StoredAnswer.objects.get().body


def test_a_rotation_that_is_sent_again_rotates_once(cast, api, receiver, made):
    key = str(uuid4())
    first, again = (api.post(f"webhooks/{made['id']}/rotate/", {}, key=key).json() for _ in range(2))
    assert first == again
    assert first["secret"] != made["secret"]
    assert first["previous_until"]
    happen(cast)
    send_due()
    assert receiver.verified(made["secret"]) == receiver.verified(first["secret"])


def test_it_is_changed_by_who_has_seen_it(cast, api, receiver, made):
    path = f"webhooks/{made['id']}/"
    seen = api.get(path)["ETag"]
    assert api.patch(path, {"description": "x"}).status_code == 428
    changed = api.patch(path, {"event_types": ["report.signed"]}, **{"If-Match": seen})
    assert (changed.status_code, changed.json()["event_types"]) == (200, ["report.signed"])
    assert api.patch(path, {"description": "x"}, **{"If-Match": seen}).status_code == 412
    assert changed["ETag"] == api.get(path)["ETag"]
    happen(cast)
    send_due()
    assert not receiver.got


def test_deleted_it_is_disabled_and_can_be_enabled(cast, api, receiver, made):
    path = f"webhooks/{made['id']}/"
    for _ in range(2):
        assert api.browser.delete(f"/api/v1/{path}", headers=api.bearer).status_code == 204
    assert api.get(path).json()["disabled_because"] == "by_hand"
    for act in ("test/", "rotate/"):
        assert api.post(f"{path}{act}", {}).status_code == 422
    happen(cast)
    send_due()
    assert not receiver.got
    assert api.post(f"{path}enable/", {"missed": True}).json()["disabled_at"] is None
    assert api.post(f"{path}enable/", {}).json()["type"] == "urn:skinclinic:problem:webhook-enabled"
    send_due()
    assert len(receiver.got) == 1


def test_without_the_scope_nothing_is_told(cast, made):
    reader = Api(cast.north, scopes=["patients:read", "screenings:read", "reviews:read"])
    assert reader.get("webhooks/").status_code == 403
    assert reader.get(f"webhooks/{made['id']}/deliveries/").status_code == 403
    assert reader.post(f"webhooks/{made['id']}/test/", {}).status_code == 403
    assert not deliveries(cast)


def test_another_clinics_is_not_found(cast, api, receiver, made):
    theirs, _secret = endpoint_of(cast.bob, receiver.url)
    assert api.get(f"webhooks/{theirs.pk}/").status_code == 404
    assert [row["id"] for row in api.get("webhooks/").json()["results"]] == [made["id"]]
    happen(cast)
    send_due()
    (mine,) = deliveries(cast)
    other, _secret = endpoint_of(cast.ada, receiver.url)
    refused = api.post(f"webhooks/{other.pk}/replay/", {"delivery": str(mine.pk)})
    assert refused.status_code == 404, "it is of another webhook"


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "https://10.0.0.5/"}, {"url": "http://receiver.example/"}, {"url": ""}, {"event_types": []},
        {"event_types": ["screening.queued"]}, {"description": "two\nlines"},
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(api, settings, wrong):
    settings.SEND_TO_NETWORKS = []
    answer = api.post("webhooks/", WANTED | {"url": "https://receiver.example/"} | wrong)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"].split(".")[0] == next(iter(wrong))


def test_there_are_only_so_many(cast, api, receiver):
    with cast.in_north():
        for _ in range(MOST_ENDPOINTS):
            endpoint_of(cast.ada, receiver.url)
    assert kind_of(api.post("webhooks/", WANTED | {"url": receiver.url})) == "too-many-webhooks"


def test_nor_by_enabling_what_was_disabled(cast, api, receiver, made):
    api.browser.delete(f"/api/v1/webhooks/{made['id']}/", headers=api.bearer)
    for _ in range(MOST_ENDPOINTS):
        endpoint_of(cast.ada, receiver.url)
    assert kind_of(api.post(f"webhooks/{made['id']}/enable/", {})) == "too-many-webhooks"
    assert api.get(f"webhooks/{made['id']}/").json()["disabled_at"]


def kind_of(refused) -> str:
    assert refused.status_code == 422
    return refused.json()["type"].removeprefix("urn:skinclinic:problem:")
