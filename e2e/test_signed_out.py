"""A session that ends while a patient is being registered loses nothing of what was typed."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from conftest import PASSWORD, Cast, Person
from e2e.steps import sign_in
from patients.models import PatientIdentity

pytestmark = pytest.mark.browser


def fill_in(page: Page) -> None:
    page.goto("/patients/new/")
    page.get_by_label("Family name").fill("Winterbottom")
    page.get_by_label("Given name").fill("Erna")
    page.get_by_label("Birth date").fill("1961-04-30")
    page.get_by_label("Address", exact=False).last.fill("Ring 1")


def sign_out_elsewhere(page: Page) -> Page:
    elsewhere = page.context.new_page()
    elsewhere.goto("/accounts/logout/")
    elsewhere.get_by_role("main").get_by_role("button", name="Sign out").click()
    return elsewhere


def sign_in_from(dialog, page: Page, person: Person) -> None:
    person.user.set_password(PASSWORD)
    person.user.save(update_fields=["password"])
    with page.context.expect_page() as opened:
        dialog.get_by_role("link", name="Sign in (new window)").click()
    window = opened.value
    window.get_by_label("Email").fill(person.user.email)
    window.get_by_label("Password").fill(PASSWORD)
    window.get_by_role("button", name="Sign in").click()
    expect(window.get_by_role("navigation", name="Main")).to_be_visible()
    window.close()


def stored_by(page: Page) -> str:
    return page.evaluate("JSON.stringify(localStorage) + JSON.stringify(sessionStorage) + location.href")


@pytest.mark.parametrize("phone", [False, True])
def test_the_form_waits_for_the_sign_in(real_cast: Cast, open_page: Callable[..., Page], phone: bool):
    page = sign_in(open_page(phone=phone), real_cast.alice)
    fill_in(page)
    sign_out_elsewhere(page)
    page.get_by_role("button", name="Register").click()
    dialog = page.get_by_role("dialog", name="Not sent yet")
    expect(dialog.get_by_text("You were signed out.")).to_be_visible()
    dialog.get_by_role("button", name="Back to the form").click()
    expect(page.get_by_label("Family name")).to_have_value("Winterbottom")
    assert "Winterbottom" not in stored_by(page)
    page.get_by_role("button", name="Register").click()
    sign_in_from(dialog, page, real_cast.alice)
    dialog.get_by_role("button", name="Send it now").click()
    expect(page.get_by_role("heading", name="Winterbottom, Erna")).to_be_visible()
    identity = the_only_identity(real_cast)
    assert (identity.address, str(identity.birth_date)) == ("Ring 1", "1961-04-30")


def the_only_identity(cast: Cast) -> PatientIdentity:
    with cast.in_north():
        return PatientIdentity.objects.get()


def test_nothing_goes_out_in_anothers_name(real_cast: Cast, open_page: Callable[..., Page]):
    page = sign_in(open_page(), real_cast.alice)
    fill_in(page)
    elsewhere = sign_out_elsewhere(page)
    sign_in(elsewhere, real_cast.rita)
    page.get_by_role("button", name="Register").click()
    dialog = page.get_by_role("dialog", name="Not sent yet")
    expect(dialog.get_by_text("somebody else has signed in")).to_be_visible()
    with real_cast.in_north():
        assert not PatientIdentity.objects.exists()


def test_the_clinic_that_is_away_loses_nothing(real_cast: Cast, open_page: Callable[..., Page]):
    page = sign_in(open_page(), real_cast.alice)
    fill_in(page)
    page.context.set_offline(True)
    page.get_by_role("button", name="Register").click()
    dialog = page.get_by_role("dialog", name="Not sent yet")
    expect(dialog.get_by_text("The clinic cannot be reached just now.")).to_be_visible()
    page.context.set_offline(False)
    dialog.get_by_role("button", name="Send it now").click()
    expect(page.get_by_role("heading", name="Winterbottom, Erna")).to_be_visible()
    assert the_only_identity(real_cast).given_name == "Erna"


def test_what_came_too_late_is_sent_again_from_the_answer(real_cast: Cast, open_page: Callable[..., Page]):
    """As where the session ends between the question and the sending."""
    page = sign_in(open_page(), real_cast.alice)
    fill_in(page)
    sign_out_elsewhere(page)
    page.evaluate("document.querySelector('main form').submit()")
    expect(page.get_by_role("heading", name="You were signed out")).to_be_visible()
    page.get_by_role("button", name="Send it again").click()
    dialog = page.get_by_role("dialog", name="Not sent yet")
    sign_in_from(dialog, page, real_cast.alice)
    dialog.get_by_role("button", name="Send it now").click()
    expect(page.get_by_role("heading", name="Winterbottom, Erna")).to_be_visible()
    assert the_only_identity(real_cast).address == "Ring 1"
