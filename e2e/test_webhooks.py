"""A manager has another system told, and sees it arrive without loading the page again."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from conftest import Cast
from e2e.steps import sign_in
from skinclinic.api.tests.receiving import receiving
from skinclinic.api.tests.test_webhooks import deliveries

pytestmark = pytest.mark.browser
INSIDE = {"SEND_TO_NETWORKS": "127.0.0.0/8"}


@pytest.mark.parametrize("portal_settings", [INSIDE], indirect=True)
def test_a_test_is_sent_and_arrives(real_cast: Cast, start_worker: Callable, open_page: Callable[..., Page]):
    start_worker(**INSIDE)
    with receiving() as receiver:
        page = sign_in(open_page(phone=True), real_cast.ada)
        page.goto("/clinic/webhooks/")
        page.get_by_label("Address").fill(receiver.url)
        page.get_by_label("A report is signed").uncheck()
        page.get_by_role("button", name="Make it").click()
        secret = page.locator("code").inner_text()
        page.get_by_role("button", name="Send a test").click()
        expect(page.get_by_text("HTTP 204")).to_be_visible()
        assert not page.evaluate("document.documentElement.scrollWidth > innerWidth")
        expect(page.locator("#webhook-log[hx-get]")).to_have_count(0)
        page.get_by_role("button", name="Send again").click()
        expect(page.get_by_text("HTTP 204")).to_be_visible()
        assert [message["type"] for message in receiver.verified(secret)] == ["webhook.test"] * len(receiver.got)
    assert [each.state for each in deliveries(real_cast)] == ["delivered"]
