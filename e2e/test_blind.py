"""A reviewer who judges before she sees the reading."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from conftest import Cast
from e2e.steps import drawn, give_opinion, photograph_a_lesion, sign_in
from screening.models import Review, Screening

pytestmark = pytest.mark.browser


def test_first_opinion_is_blind_and_the_switch_is_kept(
    real_cast: Cast, open_page: Callable[..., Page], start_worker: Callable
):
    start_worker(beat=True)
    ada = sign_in(open_page(), real_cast.ada)
    ada.get_by_role("link", name="Clinic", exact=True).click()
    ada.get_by_label("Reviewers give their first opinion before they see the reading").check()
    ada.get_by_role("button", name="Save").click()
    expect(ada.get_by_text("Saved. It holds from now on.")).to_be_visible()

    alice = sign_in(open_page(), real_cast.alice)
    photograph_a_lesion(alice, drawn(3))

    rita = sign_in(open_page(), real_cast.rita)
    expect(rita.locator("#worklist").get_by_text("Your opinion first")).to_be_visible()
    rita.get_by_role("button", name="Take").click()
    rita.locator("#screenings a").first.click()
    expect(rita.get_by_text("Shown after your opinion")).to_be_visible()
    expect(rita.locator("#map-opacity, .chip-low, .chip-intermediate, .chip-high")).to_have_count(0)
    rita.get_by_text("Not suspicious", exact=True).click()
    rita.get_by_label("Diagnosis", exact=True).select_option("Melanocytic nevus")
    rita.get_by_label("Recommendation").select_option("Reassure")
    rita.get_by_role("button", name="Save and see the reading").click()

    reading = rita.get_by_role("region", name="Reading by the model")
    reading.get_by_text("Seven diagnoses").click()
    expect(reading.get_by_role("meter")).to_have_count(7)
    expect(rita.get_by_label("Diagnosis", exact=True)).to_have_value("nevus")
    give_opinion(rita, suspicious=True, diagnosis="Melanoma", recommendation="Excise")
    rita.get_by_role("button", name="Sign for Winterbottom, Erna").click()
    expect(rita.get_by_text("Nothing waits for review")).to_be_visible()

    alice.locator("#screenings a").first.click()
    expect(alice.get_by_text("Changed after the reading was shown. Before: not suspicious")).to_be_visible()
    with real_cast.in_north():
        screening = Screening.objects.select_related("signed_review").get()
        blind, after = Review.objects.order_by("created_at")
        assert (blind.kind, blind.reading_shown_id, blind.suspicious) == ("blind", None, False)
        assert (after.kind, after.reading_shown_id) == ("opinion", screening.prediction_id)
        assert after.blind_opinion_id == blind.pk
        assert after.switched
        assert screening.signed_review == after
