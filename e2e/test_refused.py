"""What is refused is told on top of its form, with the focus on it, also where the form lies below the fold."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, Page, expect

from conftest import Cast, make_chart, make_screening
from e2e.steps import sign_in
from screening.models import Review
from screening.tests.conftest import read_by_model, the_only

pytestmark = pytest.mark.browser
CONTRADICTS = "Melanoma is malignant or pre-malignant."


def expect_told(page: Page, sentence: str) -> None:
    """It has the focus, and is seen without scrolling, free of the bar."""
    told = page.locator(".refused")
    expect(told).to_contain_text(sentence)
    expect(told).to_be_focused()
    expect(told).to_be_in_viewport(ratio=1)
    assert told.bounding_box()["y"] >= page.locator(".topbar").bounding_box()["height"]


def contradict(page: Page) -> None:
    page.get_by_text("Not suspicious", exact=True).click()
    page.get_by_label("Diagnosis", exact=True).select_option("Melanoma")
    page.get_by_label("Recommendation").select_option("Follow up")
    page.get_by_label(re.compile("Months until then")).fill("3")


def test_an_opinion_that_contradicts_itself(real_cast: Cast, open_page: Callable[..., Page], photograph_bytes: bytes):
    screening = make_screening(real_cast.alice, make_chart(real_cast.alice), photograph_bytes)
    for phone in (True, False):
        page = sign_in(open_page(phone=phone), real_cast.rita)
        page.goto(f"/screenings/{screening.pk}/")
        contradict(page)
        page.get_by_role("button", name="Save opinion").click()
        expect_told(page, CONTRADICTS)
        page.keyboard.press("Tab")
        expect(page.locator("#opinion-form :focus")).to_have_count(1)


def test_the_link_leads_to_the_field(real_cast: Cast, open_page: Callable[..., Page]):
    page = sign_in(open_page(phone=True), real_cast.ada)
    page.goto("/clinic/settings/")
    page.get_by_label("Urgent visits, hours").fill("100")
    page.get_by_role("button", name="Save").click()
    expect_told(page, "Urgent visits are due no later than those that are due soon.")
    page.locator(".refused").get_by_role("link", name="Urgent visits, hours").click()
    field = page.get_by_label("Urgent visits, hours")
    expect(field).to_be_focused()
    assert field.bounding_box()["y"] >= page.locator(".topbar").bounding_box()["height"]


def test_what_is_told_by_the_next_page(real_cast: Cast, open_page: Callable[..., Page], photograph_bytes: bytes):
    screening = make_screening(real_cast.alice, make_chart(real_cast.alice), photograph_bytes)
    read_by_model(real_cast, screening, refer=False)
    page = sign_in(open_page(phone=True), real_cast.rita)
    page.goto(f"/screenings/{screening.pk}/")
    page.get_by_text("Report a problem with this reading").click()
    page.get_by_label("What is wrong").select_option("other")
    page.get_by_role("button", name="Report it to the managers").click()
    expect(page.get_by_role("alert")).to_be_focused()
    expect(page.get_by_role("alert")).to_have_text("Say in words what is wrong.")


def test_without_scripts(real_cast: Cast, browser: Browser, portal: str, photograph_bytes: bytes):
    screening = make_screening(real_cast.alice, make_chart(real_cast.alice), photograph_bytes)
    context = browser.new_context(
        java_script_enabled=False, base_url=portal, viewport={"width": 390, "height": 844}
    )  # fmt: skip
    page = sign_in(context.new_page(), real_cast.rita)
    page.goto(f"/screenings/{screening.pk}/")
    contradict(page)
    page.get_by_role("button", name="Save opinion").click()
    expect(page.locator(".refused:focus")).to_contain_text(CONTRADICTS)
    context.close()


def test_what_is_needed_at_times_is_asked_for_then(
    real_cast: Cast, open_page: Callable[..., Page], photograph_bytes: bytes
):
    screening = make_screening(real_cast.alice, make_chart(real_cast.alice), photograph_bytes)
    read_by_model(real_cast, screening, refer=True)
    page = sign_in(open_page(), real_cast.rita)
    page.goto(f"/screenings/{screening.pk}/")
    months, reason = page.get_by_label(re.compile("Months until then")), page.get_by_label(re.compile("Why it differs"))
    words = page.locator("#id_words")
    expect(months).to_be_hidden()
    expect(reason).to_be_hidden()
    page.get_by_text("Not suspicious", exact=True).click()
    page.get_by_label("Diagnosis", exact=True).select_option("Melanocytic nevus")
    page.get_by_label("Recommendation").select_option("Follow up")
    for field in (months, reason):
        expect(field).to_be_visible()
        expect(field).to_have_attribute("required", "")
    expect(words).not_to_have_attribute("required", "")
    reason.select_option("Other, in words")
    expect(words).to_have_attribute("required", "")
    page.get_by_role("button", name="Save opinion").click()
    expect(months).to_be_focused()
    page.get_by_label("Recommendation").select_option("Reassure")
    reason.select_option("The clinical picture says otherwise")
    page.get_by_role("button", name="Save opinion").click()
    expect(page.get_by_text("Your opinion is saved.")).to_be_visible()
    assert the_only(real_cast, Review).follow_up_months is None
