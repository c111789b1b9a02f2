"""Every operation of the schema, with another clinic's ids: nothing is read, nothing is changed, nothing is told."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from drf_spectacular.generators import SchemaGenerator

from conftest import IDENTITY, Cast, make_chart, make_screening
from screening.models import FollowUp, Outcome, Screening, Signature
from screening.services.reviews import Opinion
from screening.tests.conftest import finish, give, sign
from screening.tests.test_truth import enter
from skinclinic.api.tests.test_api import Api
from skinclinic.api.webhooks.services import create_endpoint, send_test

METHODS = ("get", "post", "put", "patch", "delete")
# Of no clinic: which models are installed is the same for all, and what the answer says of them is the caller's own.
OF_ALL = {"/api/v1/model-versions/{version}/"}
# What each POST or PATCH with an id in its path is sent; one that is missing here fails.
BODIES: dict[str, dict[str, Any]] = {
    "patients/{id}/": {"sex": "male"},
    "patients/{id}/consents/": {"kind": "teaching", "decision": "given", "decided_on": "2026-11-22"},
    "patients/{id}/identifiers/": {"system": "urn:x", "value": "1"},
    "patients/{id}/merge/": {"into": "patients"},
    "patients/{id}/unmerge/": {},
    "patients/{id}/link/": {},
    "screenings/{id}/withdraw/": {"reason": "other", "words": "x"},
    "follow-ups/{id}/close/": {"status": "done"},
    "webhooks/{id}/": {"description": "x"},
    "webhooks/{id}/enable/": {},
    "webhooks/{id}/rotate/": {},
    "webhooks/{id}/test/": {},
    "webhooks/{id}/replay/": {"delivery": "deliveries"},
}
SPOT = {"site": "back", "laterality": "left", "view": "back", "x": 0.4, "y": 0.3}
# Creates that name somebody else's rows; `patients/` names none, and is the caller's own.
CREATES: dict[str, dict[str, Any]] = {
    "visits/": {"patient": "patients"},
    "lesions/": {"patient": "patients", **SPOT},
    "outcomes/": {"lesion": "lesions", "diagnosis": "nevus", "reported_on": "2026-11-22"},
}


@dataclass(frozen=True)
class Operation:
    path: str
    method: str

    @property
    def short(self) -> str:
        return self.path.removeprefix("/api/v1/")

    @property
    def resource(self) -> str:
        return self.short.split("/")[0]


def operations() -> Iterator[Operation]:
    schema = SchemaGenerator().get_schema(request=None, public=True)
    for path, item in schema["paths"].items():
        if path.startswith("/api/v1/"):
            yield from (Operation(path, method) for method in METHODS if method in item)


def with_id() -> list[Operation]:
    return [each for each in operations() if "{" in each.path and each.path not in OF_ALL]


@pytest.fixture
def ids(cast: Cast, photograph_bytes: bytes) -> dict[str, str]:
    return ids_of_signed(cast, photograph_bytes)


def ids_of_signed(cast: Cast, photograph_bytes: bytes) -> dict[str, str]:
    """Of a signed visit in clinic North, by the name of the resource."""
    chart = make_chart(cast.alice)
    screening = make_screening(cast.alice, chart, photograph_bytes)
    finish(cast, screening, refer=True, band="high")
    give(cast, screening, Opinion(suspicious=True, diagnosis="melanoma", recommendation="refer"))
    sign(cast, chart.visit)
    enter(cast, chart, "melanoma", date(2026, 11, 22))
    with cast.ada.acting() as ada:
        endpoint, _secret = create_endpoint(actor=ada, url="https://receiver.example/", event_types=["report.signed"])
        delivery = send_test(endpoint=endpoint)
    with cast.in_north():
        return {
            "patients": str(chart.patient.pk),
            "visits": str(chart.visit.pk),
            "lesions": str(chart.lesion.pk),
            "screenings": str(screening.pk),
            "follow-ups": str(FollowUp.objects.get().pk),
            "outcomes": str(Outcome.objects.get().pk),
            "reports": str(Signature.objects.get().pk),
            "webhooks": str(endpoint.pk),
            "deliveries": str(delivery.pk),
        }


def filled(body: dict[str, Any], ids: dict[str, str]) -> dict[str, Any]:
    return {name: ids.get(value, value) if isinstance(value, str) else value for name, value in body.items()}


def ask(api: Api, each: Operation, ids: dict[str, str]) -> Any:
    path = each.path.replace("{id}", ids[each.resource])
    assert "{" not in path, f"{each.path}: no id of it is known here"
    headers = api.bearer | {"Idempotency-Key": str(uuid4()), "If-Match": "*"}
    body = None if each.method == "get" else filled(BODIES[each.short], ids)
    return getattr(api.browser, each.method)(path, body, content_type="application/json", headers=headers)


def counts() -> dict[str, int]:
    """Rows of every table that has a clinic, as the database's owner of the transaction sees them in North."""
    tables = (
        "patients_patient", "patients_consent", "patients_visit", "screening_screening", "screening_outcome",
        "api_webhookendpoint", "api_webhookdelivery",
    )  # fmt: skip
    with connection.cursor() as cursor:
        found = {}
        for table in tables:
            cursor.execute(f"SELECT count(*), coalesce(md5(string_agg(t::text, '' ORDER BY id)), '') FROM {table} t")
            found[table] = cursor.fetchone()
        return found


def test_own_ids_are_answered(cast, ids):
    """So that a 404 below says something of the clinic, and not of the address."""
    own = Api(cast.north)
    for each in with_id():
        if each.method == "get":
            assert ask(own, each, ids).status_code == 200, each


def test_another_clinics_ids_are_not_found(cast, ids):
    theirs = Api(cast.south)
    with cast.in_north():
        before = counts()
    for each in with_id():
        answer = ask(theirs, each, ids)
        assert answer.status_code == 404, (each, answer.content)
        assert answer["Content-Type"] == "application/problem+json"
    with cast.in_north():
        assert counts() == before


def test_creates_that_name_anothers_rows_are_refused(cast, ids, photograph_bytes):
    theirs = Api(cast.south)
    without_id = {each.short for each in operations() if each.method == "post" and "{" not in each.path}
    known = {*CREATES, "webhooks/", "patients/", "patients/search/", "screenings/", "screenings/bulk/"}
    assert without_id == known, "a new create is to be tried here"
    for path, body in CREATES.items():
        assert theirs.post(path, filled(body, ids)).status_code in (400, 404), path
    assert theirs.upload(photograph_bytes, visit=ids["visits"], lesion=ids["lesions"]).status_code == 404
    assert theirs.post("patients/search/", {"words": IDENTITY["family_name"]}).json() == []
    with cast.in_north():
        assert Screening.objects.count() == 1


def test_lists_hold_none_of_another_clinics(cast, ids):
    theirs = Api(cast.south)
    for each in operations():
        if each.method == "get" and "{" not in each.path and each.resource != "model-versions":
            answer = theirs.get(each.short)
            assert answer.status_code == 200, each
            assert not [key for key in ids.values() if key in answer.content.decode()], each


def test_nothing_is_told_without_a_token(cast, ids):
    api = Api(cast.north)
    api.token = "wrong"
    for each in with_id():
        assert ask(api, each, ids).status_code == 401, each
