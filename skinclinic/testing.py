"""The servers that the tests run against: a real Postgres and a real Valkey, started with the test run.

Loaded by pytest as a plugin before Django's settings, which want to know where the servers are.
"""

import atexit
import os
import secrets
from contextlib import ExitStack
from pathlib import Path

import pytest

from skinclinic.embedded.place import temporary_folder
from skinclinic.embedded.postgres import EmbeddedPostgres
from skinclinic.embedded.valkey import EmbeddedValkey

TEMPLATE, SHARED = "clinic_template", "clinic_tests"


class Servers:
    folder: Path
    postgres: EmbeddedPostgres
    valkey: EmbeddedValkey


servers = Servers()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What walks pages for minutes comes first, or one process would go on with it when the others have ended."""
    items.sort(key=lambda item: item.get_closest_marker("browser") is None)


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    stack = ExitStack()
    atexit.register(stack.close)
    servers.folder = folder = stack.enter_context(temporary_folder(in_memory=True))
    servers.postgres = stack.enter_context(EmbeddedPostgres(folder / "postgres", durable=False))
    servers.valkey = stack.enter_context(EmbeddedValkey(folder / "valkey"))
    os.environ |= {
        "SECRET_KEY": secrets.token_urlsafe(48),
        "DATABASE_URL": servers.postgres.app_url(SHARED),
        "DATABASE_OWNER_URL": servers.postgres.owner_url(TEMPLATE),
        "REDIS_URL": servers.valkey.url,
        "MAIL_FOLDER": str(folder / "mail"),
        "STATIC_FOLDER": str(folder / "static"),
        "PREDICTOR": "ml.fake.load",
        "PROCESS_NAME": "tests",
        "SIGNATURE_HOLD": "0",  # the tests of holding ask for it themselves
        # Playwright leaves an event loop in this thread; the tests' own queries are plain ones all the same.
        "DJANGO_ALLOW_ASYNC_UNSAFE": "1",
        "DEBUG": "1",  # static files are served as they are, without a collecting run first
    }
