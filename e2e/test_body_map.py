"""A lesion is marked on the body: a tap proposes its site, what was chosen by hand stays, and what differs is asked."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from conftest import Cast, make_chart
from e2e.steps import sign_in
from e2e.test_access import violations
from patients.models import Lesion
from screening.tests.conftest import rows

pytestmark = pytest.mark.browser


def tap(page: Page, view: str, across: float, down: float) -> None:
    body = page.get_by_label(view)
    box = body.bounding_box()
    body.click(position={"x": across * box["width"], "y": down * box["height"]})


@pytest.mark.parametrize("phone", [True, False])
def test_tap_proposes_a_site_and_what_differs_is_asked(real_cast: Cast, open_page: Callable[..., Page], phone: bool):
    chart = make_chart(real_cast.alice)
    page = sign_in(open_page(phone=phone), real_cast.alice)
    page.goto(f"/patients/{chart.patient.pk}/lesions/new/")
    site, side = page.get_by_label("Site"), page.get_by_label("Side")
    tap(page, "Front of the body", 0.05, 0.05)
    expect(page.get_by_text("That is beside the body.")).to_be_visible()
    expect(site).to_have_value("")
    tap(page, "Front of the body", 0.59, 0.8)
    expect(site).to_have_value("lower_leg")
    expect(side).to_have_value("left")
    tap(page, "Front of the body", 0.37, 0.89)
    expect(page.get_by_text(re.compile("Back of the foot, Right"))).to_be_visible()
    expect(site).to_have_value("foot")
    page.get_by_label("Front of the body").press("ArrowDown")
    expect(site).to_have_value("foot")

    site.select_option("Face")
    tap(page, "Front of the body", 0.41, 0.885)
    expect(site).to_have_value("face")
    page.get_by_role("button", name="Add lesion").click()
    expect(page.get_by_text("The mark is at: Back of the foot, right. You chose: Face, right.")).to_be_visible()
    assert violations(page) == []
    assert len(rows(real_cast, Lesion)) == 1
    page.get_by_text("It is right as it stands").click()
    page.get_by_role("button", name="Add lesion").click()
    expect(page.get_by_text("Lesion 2: Face, right is on the body map")).to_be_visible()
