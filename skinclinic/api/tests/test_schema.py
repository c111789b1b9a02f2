"""The schema is kept: schemathesis sends what it allows and what it does not, and holds every answer against it."""

import io
from pathlib import Path
from uuid import uuid4

import pytest
import schemathesis
from django.conf import settings as django_settings
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from conftest import Cast, make_chart
from ml.drawing import draw_photograph
from skinclinic.api.tests.serving import ended
from skinclinic.api.tests.test_api import Api

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
    make_chart(real_cast.alice)
    return Api(real_cast.north)


def test_every_answer_is_as_documented(api, settings):
    settings.API_REQUESTS_A_MINUTE = 0
    schema = schemathesis.openapi.from_wsgi("/api/schema/?format=json", ended, config=CONFIG)
    asked = 0
    for found in schema.include(path_regex="^/api/v1/").get_all_operations():
        asked += fuzz(found.ok(), api)
    assert asked > 25, "operations"


def fuzz(operation, api: Api) -> int:
    @given(case=operation.as_strategy())
    @FUZZED
    def one(case) -> None:
        headers = dict(case.headers or {}) | {"Authorization": f"Bearer {api.token}"}
        if "Idempotency-Key" in headers:
            headers["Idempotency-Key"] = str(uuid4())
        case.call_and_validate(headers=headers)

    one()
    return 1
