"""The whole clinic as its own processes, and a browser in front of it."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

from screening.tests.conftest import Web, Worker, broker, start_worker

__all__ = ["broker", "start_worker"]  # fixtures
ARGUMENTS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--disable-sync",
]  # fmt: skip
# npm's browser, for machines without one of their own, is unpacked by bin/test and named here.
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture
def portal_settings(request: pytest.FixtureRequest) -> dict[str, str]:
    """What a test has the portal know beside, by indirect parameters."""
    return getattr(request, "param", {})


@pytest.fixture
def portal(real_db: str, tmp_path: Path, portal_settings: dict[str, str]) -> Iterator[str]:
    """The address of a web process on this test's database."""
    web = Web(real_db, tmp_path / "web.log", **portal_settings)
    try:
        web.start()
        yield web.address
    finally:
        web.end()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip("There is no Chromium on this machine; install one to run the browser tests.")
    extra = os.environ.get("CHROMIUM_ARGUMENTS", "").split()
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=path, args=[*ARGUMENTS, *extra])


@pytest.fixture
def open_page(browser: Browser, portal: str) -> Iterator[Callable[..., Page]]:
    """A new window of somebody else's; `phone` makes it a small one, `address` is another way to the portal.

    Nothing in it may be stopped by the content policy: that would be a page of ours which does not work.
    """
    contexts, blocked = [], list[str]()

    def note(message: ConsoleMessage) -> None:
        # What a test itself puts into a page has no file; what a page of ours puts into itself, `test_pages` looks for.
        if "Content Security Policy" in message.text and message.location["url"] != message.page.url:
            blocked.append(f"{message.page.url}: {message.text}")

    def open_one(*, phone: bool = False, address: str = portal) -> Page:
        size = {"width": 390, "height": 844} if phone else {"width": 1440, "height": 900}
        contexts.append(browser.new_context(viewport=size, base_url=address))
        page = contexts[-1].new_page()
        page.set_default_timeout(15_000)
        page.on("console", note)
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert not blocked, "\n".join(blocked)


__all__ += ["Worker"]
