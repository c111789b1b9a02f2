"""Two readers who differ, and a third who decides."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from conftest import Cast, make_person
from e2e.steps import drawn, give_opinion, photograph_a_lesion, sign_in
from screening.models import Review, Screening

pytestmark = pytest.mark.browser


def read_visit(page: Page, *, suspicious: bool, diagnosis: str, recommendation: str) -> None:
    """Take the first visit of the list, give an opinion on its photograph, and come to the visit."""
    page.get_by_role("button", name="Take").first.click()
    page.locator("#screenings a").first.click()
    give_opinion(page, suspicious=suspicious, diagnosis=diagnosis, recommendation=recommendation)
    expect(page.get_by_role("heading", name="Sign the visit")).to_be_visible()


def test_a_third_reviewer_decides_between_two(real_cast: Cast, open_page: Callable[..., Page], start_worker: Callable):
    start_worker(beat=True)
    thea = make_person("Thea Thorn", real_cast.north, "reviewer")
    ada = sign_in(open_page(), real_cast.ada)
    ada.get_by_role("link", name="Clinic", exact=True).click()
    ada.get_by_label("Of all others, so many in a hundred").fill("100")
    ada.get_by_role("button", name="Save").click()
    expect(ada.get_by_text("Saved. It holds from now on.")).to_be_visible()
    alice = sign_in(open_page(), real_cast.alice)
    photograph_a_lesion(alice, drawn(3))

    rita = sign_in(open_page(), real_cast.rita)
    read_visit(rita, suspicious=False, diagnosis="Melanocytic nevus", recommendation="Reassure")
    expect(rita.get_by_text("This clinic asks for a second reader here")).to_be_visible()
    rita.get_by_role("button", name="Give back to the list").click()

    rolf = sign_in(open_page(), real_cast.rolf)
    read_visit(rolf, suspicious=True, diagnosis="Melanoma", recommendation="Excise")
    rolf.get_by_role("button", name=re.compile("^Sign for")).click()
    expect(rolf.get_by_text("You differ from the first reader. A third reviewer decides and signs.")).to_be_visible()

    page = sign_in(open_page(), thea)
    page.get_by_label("Show").select_option("Readers disagree")
    expect(page).to_have_url(re.compile("show=disputed"))
    read_visit(page, suspicious=True, diagnosis="Melanoma in situ", recommendation="Excise")
    page.get_by_role("button", name=re.compile("^Sign for")).click()
    expect(page.get_by_text("Nothing waits for review")).to_be_visible()
    with real_cast.in_north():
        screening = Screening.objects.select_related("signed_review").get()
        assert screening.review_status == "signed"
        assert screening.signed_review.reviewer_id == thea.user.pk
        kinds = list(Review.objects.order_by("created_at").values_list("kind", flat=True))
        assert kinds == ["opinion", "opinion", "adjudication"]
