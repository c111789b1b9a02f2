"""The schema is kept: schemathesis sends what it allows and what it does not, and holds every answer against it."""

import io
import itertools
from pathlib import Path
from uuid import uuid4

import pytest
import schemathesis
from django.conf import settings as django_settings
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from conftest import Cast
from ml.drawing import draw_photograph
from skinclinic.api.tests.serving import ended
from skinclinic.api.tests.test_api import Api
from skinclinic.api.tests.test_every_operation import ids_of_signed

CONFIG = schemathesis.Config.from_path(Path(django_settings.BASE_DIR) / "schemathesis.toml")
EXAMPLES = 12  # of each operation
FUZZED = settings(
    max_examples=EXAMPLES,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def photograph() -> bytes:
    """Random bytes are rightly refused."""
    buffer = io.BytesIO()
    draw_photograph(7).resize((320, 240)).save(buffer, "JPEG")
    return buffer.getvalue()


schemathesis.openapi.format("binary", st.just(photograph()))


@pytest.fixture
def api(real_cast: Cast) -> Api:
    return Api(real_cast.north)


@pytest.fixture
def ids(real_cast: Cast, photograph_bytes: bytes) -> dict[str, str]:
    return ids_of_signed(real_cast, photograph_bytes)


def test_every_answer_is_as_documented(api, ids, settings):
    settings.API_REQUESTS_A_MINUTE = 0
    schema = schemathesis.openapi.from_wsgi("/api/schema/?format=json", ended, config=CONFIG)
    asked = 0
    for found in schema.include(path_regex="^/api/v1/").get_all_operations():
        asked += fuzz(found.ok(), api, ids)
    assert asked > 25, "operations"


def fuzz(operation, api: Api, ids: dict[str, str]) -> int:
    """Every other time it is about something that is there."""
    times = itertools.count()

    @given(case=operation.as_strategy())
    @FUZZED
    def one(case) -> None:
        if next(times) % 2:
            aim(case, ids)
        headers = dict(case.headers or {}) | {"Authorization": f"Bearer {api.token}"}
        if "Idempotency-Key" in headers:
            headers["Idempotency-Key"] = str(uuid4())
        case.call_and_validate(headers=headers)

    one()
    return 1


def aim(case, ids: dict[str, str]) -> None:
    """ids: by the name of the resource, which is also what a body calls it, in the plural.

    What is wrong on purpose stays wrong. Forms stay as they are: schemathesis would take changed bytes for wrong ones.
    """
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    if "id" in (case.path_parameters or {}):
        case.path_parameters["id"] = ids.get(case.path.split("/")[3], case.path_parameters["id"])
    if case.media_type == "application/json" and isinstance(case.body, dict):
        case.body |= {name: ids[f"{name}s"] for name in case.body if f"{name}s" in ids}
