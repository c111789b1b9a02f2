"""What the page of the API shows can be sent as it stands."""

from typing import Any
from uuid import uuid4

import pytest

from conftest import make_chart
from skinclinic.api.tests.test_api import Api
from skinclinic.api.tests.test_every_operation import ids, operations  # noqa: F401 (a fixture)
from skinclinic.api.v1.described import AN_ID, BODIES, LINES, THINGS


@pytest.fixture
def schema(db, client) -> dict[str, Any]:
    return client.get("/api/schema/?format=json").json()


def described(schema: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        f"{method} {path.removeprefix('/api/v1/')}": operation
        for path, item in schema["paths"].items()
        for method, operation in item.items()
        if path.startswith("/api/v1/")
    }


def test_every_address_has_its_line_and_no_other(schema):
    found = described(schema)
    assert set(LINES) <= set(found)
    assert {address.split(" ")[1].partition("/")[0] for address in found} == set(THINGS)
    lines = [operation["summary"] for operation in found.values()]
    assert len(set(lines)) == len(lines), "each says something else"


def test_every_create_tells_of_its_key(schema):
    with_key = {
        address
        for address, operation in described(schema).items()
        if any(each["name"] == "Idempotency-Key" for each in operation.get("parameters", ()))
    }
    creates = {address for address, operation in described(schema).items() if "201" in operation["responses"]}
    assert with_key == creates | {"post screenings/", "post screenings/bulk/"}


def test_pages_say_how_large_they_may_be(schema):
    sizes = [
        parameter["schema"]
        for operation in described(schema).values()
        for parameter in operation.get("parameters", ())
        if parameter["name"] == "page_size"
    ]
    assert len(sizes) > 10
    assert {(size["minimum"], size["maximum"]) for size in sizes} == {(1, 200), (1, 1000)}


def test_every_body_is_shown_with_one_that_can_be_sent(cast, schema, ids):  # noqa: F811
    """Its ids are the reader's to fill in."""
    api, other = Api(cast.north), str(make_chart(cast.alice, given_name="Emma").patient.pk)
    sent = 0
    merging_last = sorted(described(schema).items(), key=lambda each: "merge" in each[0])
    for address, operation in merging_last:
        content = operation.get("requestBody", {}).get("content", {}).get("application/json")
        if content is None or "webhooks" in address:
            continue
        (example,) = content["examples"].values()
        method, _, path = address.partition(" ")
        own = {name: own_id(name, value, ids, other) for name, value in example["value"].items()}
        headers = api.bearer | {"Idempotency-Key": str(uuid4()), "If-Match": "*"}
        place = f"/api/v1/{path.replace('{id}', ids[path.partition('/')[0]])}"
        answer = getattr(api.browser, method)(place, own, content_type="application/json", headers=headers)
        assert answer.status_code in (200, 201), (address, answer.content)
        sent += 1
    assert sent >= len(BODIES)


def own_id(name: str, value: Any, ids: dict[str, str], other: str) -> Any:  # noqa: F811
    if value != AN_ID:
        return value
    return other if name == "into" else ids[f"{name}s"]
