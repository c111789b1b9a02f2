"""A lesion that was photographed twice: compared by eye, and set beside what pathology found."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from conftest import Cast
from e2e.steps import drawn, photograph_a_lesion, sign_in
from screening.models import Outcome
from skinclinic.audit.models import AuditEvent

pytestmark = pytest.mark.browser


def test_a_clinician_compares_two_photographs_and_enters_the_report(
    real_cast: Cast, open_page: Callable[..., Page], start_worker: Callable
):
    start_worker(beat=True)
    page = sign_in(open_page(), real_cast.alice)
    photograph_a_lesion(page, drawn(3), drawn(4))
    page.get_by_role("link", name="Winterbottom, Erna").first.click()
    page.get_by_label("Back of the body").get_by_role("link", name="1: Back, left").click()
    expect(page.get_by_role("heading", name="Score over time")).to_be_visible()

    page.get_by_role("link", name="Compare the oldest and the newest").click()
    expect(page.locator("canvas")).to_have_count(2)
    expect(page.get_by_label("Magnification")).to_have_count(2)
    left, right = page.get_by_label("Magnification").all()
    page.get_by_role("button", name="Nearer").click()
    expect(left).to_have_text("1.4×")
    expect(right).to_have_text("1.4×")
    page.get_by_label("Zoom and move together").uncheck()
    page.locator(".compare-stage").first.hover()
    page.mouse.wheel(0, -300)
    expect(left).not_to_have_text("1.4×")
    expect(right).to_have_text("1.4×")
    page.get_by_role("button", name="One over the other").click()
    expect(page.locator(".compare-stage >> visible=true")).to_have_count(1)
    whole = page.locator(".compare-stage").first.screenshot()
    page.get_by_label("Uncover").fill("5")
    page.wait_for_timeout(300)
    assert page.locator(".compare-stage").first.screenshot() != whole, "the slider uncovers the other photograph"

    page.go_back()
    page.get_by_role("row", name=re.compile("To be reviewed")).first.get_by_role("link").click()
    stage = page.locator("#viewer-stage")
    expect(stage.locator("canvas")).to_be_visible()
    page.get_by_label("Map").fill("5")
    expect(stage).to_have_attribute("data-map", re.compile(r"/map\.png$"))
    page.locator("#map-diagnosis").select_option("Melanoma")
    expect(stage).to_have_attribute("data-map", re.compile(r"diagnosis=mel$"))
    page.get_by_label("Map").fill("0")
    expect(stage).to_have_attribute("data-map", "")
    with real_cast.in_north():
        assert AuditEvent.objects.filter(action="map_seen").count() == 2, "a map is fetched when it is looked at"
    page.go_back()
    page.get_by_text("Enter a report").click()
    page.get_by_label("Diagnosis").select_option("Melanoma in situ")
    page.get_by_label("Reported on").fill("2026-11-20")
    page.get_by_role("button", name=re.compile("^Enter the report for")).click()
    expect(page.get_by_text("The report is entered.")).to_be_visible()
    with real_cast.in_north():
        outcome = Outcome.objects.in_force().get()
        assert (outcome.diagnosis, outcome.entered_by_id) == ("melanoma_in_situ", real_cast.alice.user.pk)
