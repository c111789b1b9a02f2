"""A create that is sent twice is done once: one after the other, both at the same moment, and with other content."""

import json
import time
from collections import Counter
from datetime import timedelta
from uuid import uuid4

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone
from oauth2_provider.models import get_access_token_model

from conftest import IDENTITY, Cast, make_chart
from patients.models import Patient, Visit
from screening.models import Screening
from screening.tests.conftest import broker
from skinclinic.api import limits
from skinclinic.api.idempotency import sweep_answers
from skinclinic.api.models import StoredAnswer
from skinclinic.api.tasks import sweep_answers_task
from skinclinic.api.tests.test_api import Api
from skinclinic.api.tests.together import at_the_same_moment

__all__ = ["broker"]  # a fixture

KEY = "5f0c9a0e-6e0a-4a52-8d0a-0c9a3f1f7d11"


@pytest.fixture
def api(cast: Cast) -> Api:
    return Api(cast.north)


def test_it_works(cast, api):
    first = api.post("patients/", {"identity": IDENTITY}, key=KEY)
    again = api.post("patients/", {"identity": IDENTITY}, key=f'"{KEY}"')
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert ("Idempotency-Replayed" in first, again["Idempotency-Replayed"]) == (False, "true")
    with cast.in_north():
        assert Patient.objects.count() == 1


@pytest.mark.parametrize("key", [None, "", "1", "not-a-uuid"])
def test_without_a_key_nothing_is_made(cast, api, key):
    headers = {"Idempotency-Key": key} if key is not None else {}
    answer = api.browser.post(
        "/api/v1/patients/", {"identity": IDENTITY}, content_type="application/json", headers=api.bearer | headers
    )
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "Idempotency-Key"
    with cast.in_north():
        assert not Patient.objects.exists()


def test_other_content_under_the_same_key_is_refused(api):
    api.post("patients/", {"identity": IDENTITY}, key=KEY)
    answer = api.post("patients/", {"identity": IDENTITY | {"given_name": "Emma"}}, key=KEY)
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:skinclinic:problem:idempotency-key-reused")


def test_a_refused_create_may_be_mended_under_its_key(api):
    assert api.post("patients/", {"identity": {}}, key=KEY).status_code == 400
    assert api.post("patients/", {"identity": IDENTITY}, key=KEY).status_code == 201


def test_another_clients_key_is_its_own(cast, api):
    other = Api(cast.north)
    first, second = (each.post("patients/", {"identity": IDENTITY}, key=KEY).json()["id"] for each in (api, other))
    assert first != second
    with cast.bob.acting() as bob:
        assert not StoredAnswer.objects.visible_to(bob).exists()


def test_an_upload_sent_again_is_stored_once(cast, api, photograph_bytes):
    chart = make_chart(cast.alice)
    ids = {"visit": str(chart.visit.pk), "lesion": str(chart.lesion.pk)}
    first, again = (api.upload(photograph_bytes, key=KEY, **ids) for _ in range(2))
    assert (first.status_code, again.status_code) == (202, 202)
    assert (first.json()["id"], first["Location"]) == (again.json()["id"], again["Location"])
    with cast.in_north():
        assert Screening.objects.count() == 1
    assert api.upload(photograph_bytes + b"x", key=KEY, **ids).status_code == 422


def test_the_bytes_alone_are_an_upload_too(cast, api, photograph_bytes):
    chart = make_chart(cast.alice)
    path = f"/api/v1/screenings/?visit={chart.visit.pk}&lesion={chart.lesion.pk}&findings=ulcerated"
    headers = api.bearer | {"Idempotency-Key": KEY}
    answers = [api.browser.post(path, photograph_bytes, content_type="image/jpeg", headers=headers) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[0].json() == answers[1].json()
    assert answers[0].json()["findings"] == ["ulcerated"]
    broken = api.browser.post(
        path, b"no photograph", content_type="image/png", headers=api.bearer | {"Idempotency-Key": str(uuid4())}
    )
    assert broken.status_code == 422


def bulk(api: Api, items: list[dict], files: dict[str, bytes], key: str = KEY):
    form = {"items": json.dumps(items)} | {
        name: SimpleUploadedFile(f"{name}.jpg", data) for name, data in files.items()
    }
    return api.browser.post("/api/v1/screenings/bulk/", form, headers=api.bearer | {"Idempotency-Key": key})


def test_many_at_once_have_an_outcome_each(cast, api, random_photograph, settings):
    # Each of them is a create of its own, in a transaction of its own.
    settings.ZEAL_ALLOWLIST = [{"model": "*", "field": "*"}]
    chart, theirs = make_chart(cast.alice), make_chart(cast.bob)
    ids = {"visit": str(chart.visit.pk), "lesion": str(chart.lesion.pk)}
    files = {"a": random_photograph(), "b": b"no photograph", "c": random_photograph()}
    items = [
        {**ids, "photograph": "a"},
        {**ids, "photograph": "b"},
        {"visit": str(theirs.visit.pk), "lesion": str(theirs.lesion.pk), "photograph": "c"},
        {**ids, "photograph": "missing"},
        {**ids, "photograph": "c", "findings": ["ulcerated"]},
    ]
    first, again = bulk(api, items, files), bulk(api, items, files)
    assert [each["status"] for each in first.json()] == [202, 422, 404, 400, 202]
    assert [each["status"] for each in again.json()] == [202, 422, 404, 400, 202]
    made = [each["screening"]["id"] for each in first.json() if each["status"] == 202]
    assert made == [each["screening"]["id"] for each in again.json() if each["status"] == 202]
    with cast.in_north():
        assert {str(key) for key in Screening.objects.values_list("pk", flat=True)} == set(made)


def test_many_at_once_leave_no_file_out(api, chart, photograph_bytes):
    ids = {"visit": str(chart.visit.pk), "lesion": str(chart.lesion.pk)}
    item = {**ids, "photograph": "a"}
    unnamed = bulk(api, [item], {"a": photograph_bytes, "b": photograph_bytes})
    assert (unnamed.status_code, unnamed.json()["errors"][0]["field"]) == (400, "items")
    twice = {"items": json.dumps([item]), "a": [SimpleUploadedFile(name, photograph_bytes) for name in ("1", "2")]}
    headers = api.bearer | {"Idempotency-Key": KEY}
    assert api.browser.post("/api/v1/screenings/bulk/", twice, headers=headers).status_code == 400


@pytest.mark.parametrize("items", ["", "{", "{}", "[]", "[1]", json.dumps([{}] * 101)])
def test_many_at_once_that_are_no_list_are_refused(api, items):
    answer = api.browser.post(
        "/api/v1/screenings/bulk/", {"items": items}, headers=api.bearer | {"Idempotency-Key": KEY}
    )
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "items")


def test_twenty_at_the_same_moment_make_one(real_cast):
    """The others are answered that it is on its way, or as the first was."""
    chart = make_chart(real_cast.alice)
    api = Api(real_cast.north)

    answers = at_the_same_moment(20, lambda: api.post("visits/", {"patient": str(chart.patient.pk)}, key=KEY))
    counts = Counter(answer.status_code for answer in answers)
    assert set(counts) <= {201, 409}, counts
    assert counts[201] >= 1
    assert len({answer.json()["id"] for answer in answers if answer.status_code == 201}) == 1
    with real_cast.in_north():
        assert Visit.objects.exclude(pk=chart.visit.pk).count() == 1


def test_answers_are_kept_for_a_day(cast, api):
    api.post("patients/", {"identity": IDENTITY}, key=KEY)
    with cast.in_north() as actor:
        sweep_answers(actor)
        assert StoredAnswer.objects.count() == 1
        StoredAnswer.objects.update(created_at=timezone.now() - timedelta(hours=25))
        sweep_answers(actor)
        assert not StoredAnswer.objects.exists()


def test_tokens_that_have_ended_are_not_kept(cast, api):
    api.fetch_token()
    tokens = get_access_token_model().objects
    ended = tokens.latest("id")
    tokens.filter(pk=ended.pk).update(expires=timezone.now() - timedelta(seconds=1))
    sweep_answers_task()
    assert not tokens.filter(pk=ended.pk).exists()
    assert api.get("patients/").status_code == 200


def test_a_client_that_asks_too_much_is_told_when_to_come_back(api, settings, broker):
    settings.API_REQUESTS_A_MINUTE = 2
    first, second, third = (api.get("patients/") for _ in range(3))
    assert [each.status_code for each in (first, second, third)] == [200, 200, 429]
    assert first["RateLimit-Policy"] == '"client";q=2;w=60'
    assert [each["RateLimit"].split(";")[1] for each in (first, second, third)] == ["r=1", "r=0", "r=0"]
    assert 0 < int(third["Retry-After"]) <= 60
    assert third["Content-Type"] == "application/problem+json"
    assert Api(api.client_row.clinic).get("patients/").status_code == 200, "each client has its own"


def test_nobody_is_held_back_while_the_broker_is_away(api, settings, monkeypatch):
    settings.API_REQUESTS_A_MINUTE = 1
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    monkeypatch.setattr("skinclinic.api.limits.broker", limits.broker.__wrapped__)
    began = time.monotonic()
    assert [api.get("patients/").status_code for _ in range(3)] == [200] * 3
    assert time.monotonic() - began < 3, "redis-py would try again for as long"


@pytest.mark.parametrize("path", ["screenings/", "screenings/bulk/"])
def test_an_upload_of_nothing_is_refused(api, path):
    headers = api.bearer | {"Idempotency-Key": KEY}
    assert api.browser.post(f"/api/v1/{path}", headers=headers).status_code == 400
    assert api.browser.generic("POST", f"/api/v1/{path}", b"", headers=headers).status_code in (400, 415)


def test_two_photographs_in_one_form_are_refused_rather_than_one_of_them_lost(api, chart, photograph_bytes):
    files = [SimpleUploadedFile(name, photograph_bytes) for name in ("a.jpg", "b.jpg")]
    form = {"visit": chart.visit.pk, "lesion": chart.lesion.pk, "photograph": files}
    answer = api.browser.post("/api/v1/screenings/", form, headers=api.bearer | {"Idempotency-Key": KEY})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "photograph")


@pytest.mark.parametrize("path", ["/api/v1/patients/", "/fhir/Patient"])
def test_a_body_in_chunks_is_refused_for_its_missing_length(api, path):
    answer = api.browser.generic("POST", path, headers=api.bearer | {"Transfer-Encoding": "chunked"})
    assert (answer.status_code, "Content-Length" in answer.content.decode()) == (411, True)


def test_a_body_that_is_too_large_is_told_so(api):
    answer = api.post("patients/", {"sex": "x" * 3_000_000})
    assert (answer.status_code, answer.json()["status"]) == (413, 413)
    assert "photographs" in answer.json()["detail"]


def test_a_moment_in_no_zone_of_this_world_is_taken_or_refused(api):
    assert api.get("visits/?created_before=2026-11-28T00:00:00-23:00").status_code == 200
    assert api.get("visits/?created_before=0001-01-01T00:00:00%2B23:00").status_code == 400
    assert api.get("patients/?created_before=9999-12-31T23:00:00-23:00").status_code == 400
