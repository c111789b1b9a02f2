"""The portal in German, chosen in its menu."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from conftest import Cast, make_chart, make_screening
from e2e.steps import sign_in
from e2e.test_access import violations
from screening.tests.conftest import finish
from skinclinic.accounts.models import User

pytestmark = pytest.mark.browser


def test_result_is_read_in_german(
    real_cast: Cast, open_page: Callable[..., Page], random_photograph: Callable[[], bytes]
):
    screening = make_screening(real_cast.alice, make_chart(real_cast.alice), random_photograph())
    finish(real_cast, screening, refer=True, band="high")
    page = sign_in(open_page(), real_cast.rita)
    page.locator(".person-menu summary").click()
    page.get_by_role("form", name="Language").get_by_role("button", name="Deutsch").click()
    expect(page.locator("html")).to_have_attribute("lang", "de")
    expect(page.get_by_role("heading", name="Arbeitsliste")).to_be_visible()
    page.get_by_role("button", name="Übernehmen").click()
    page.locator("#screenings a").first.click()
    expect(page.get_by_text("Hoher Score")).to_be_visible()
    page.get_by_text("Nicht verdächtig", exact=True).click()
    expect(page.get_by_text("Entwurf um")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Tasten auf dieser Seite")).to_contain_text("Das Formular speichern")
    page.get_by_role("button", name="Schließen").click()
    assert violations(page) == []
    page.reload()
    page.locator(".person-menu summary").click()
    assert violations(page) == []
    assert User.objects.get(pk=real_cast.rita.user.pk).language == "de"
