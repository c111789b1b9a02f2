"""A photograph's way through the clinic, in the browsers of those who use it."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from conftest import Cast
from e2e.steps import (
    READ,
    drawn,
    give_opinion,
    mark_lesion,
    note_consent,
    open_visit,
    photograph_a_lesion,
    register,
    sign_in,
    upload,
)
from patients.models import Patient
from screening.models import FollowUp, Prediction, Review, Screening, Signature, Suspension
from screening.tests.conftest import wait_until
from skinclinic.accounts.services import decide_reviewing
from skinclinic.audit.models import AuditEvent

pytestmark = pytest.mark.browser


def test_from_a_photograph_to_a_signed_and_acknowledged_review(
    real_cast: Cast, open_page: Callable[..., Page], start_worker: Callable
):
    start_worker(beat=True, PREDICTOR="ml.predictor.load")
    with real_cast.ada.acting() as ada:
        decide_reviewing(actor=ada, unreviewed_readings="always")
    alice = sign_in(open_page(), real_cast.alice)
    register(alice, "Winterbottom")
    note_consent(alice)
    open_visit(alice, "Has changed over the summer. Benign?")
    mark_lesion(alice, "Back")
    upload(alice, drawn(3), drawn(4))
    expect(alice.locator(READ)).to_have_count(2)
    visit_address = alice.url

    alice.locator("#screenings a").first.click()
    reading = alice.get_by_role("region", name="Reading by the model")
    expect(reading.get_by_text("never a diagnosis by itself")).to_be_visible()
    reading.get_by_text("Seven diagnoses").click()
    expect(reading.get_by_role("meter")).to_have_count(7)
    reading.get_by_text("Quality, model and threshold").click()
    with real_cast.in_north():
        version = Prediction.objects.first().model_version_id
    expect(reading.get_by_text(version)).to_be_visible()
    alice.get_by_label("Map").fill("4")
    expect(alice.locator("#viewer-stage")).to_have_attribute("data-map", re.compile(r"/map\.png$"))

    rita = sign_in(open_page(), real_cast.rita)
    expect(rita.get_by_role("heading", name="Worklist")).to_be_visible()
    rita.get_by_role("button", name="Take").click()
    rita.locator("#screenings a").first.click()
    give_opinion(rita, suspicious=True, diagnosis="Melanoma", recommendation="Excise")
    give_opinion(rita, suspicious=True, diagnosis="Melanoma in situ", recommendation="Excise")
    rita.get_by_role("button", name="Sign for Winterbottom, Erna").click()
    expect(rita.get_by_text("Nothing waits for review")).to_be_visible()

    alice.goto("/today/")
    alice.get_by_role("link", name="Winterbottom, Erna").first.click()
    expect(alice.get_by_text("Signed by Rita Rowan")).to_be_visible()
    alice.get_by_role("button", name="Acknowledge").click()
    expect(alice.get_by_text("acknowledged by Alice Alder")).to_be_visible()
    assert alice.url == visit_address
    alice.locator("#screenings a").first.click()
    alice.get_by_role("link", name="History").click()
    for step in ("Photograph added", "Reading: read", "Review: signed", "Signature changed"):
        expect(alice.get_by_text(step, exact=True).first).to_be_visible()

    with real_cast.in_north():
        screenings = Screening.objects.order_by("created_at")
        assert {(each.reading_status, each.review_status) for each in screenings} == {("predicted", "signed")}
        assert Review.objects.count() == 2
        signature = Signature.objects.get()
        assert (signature.reviewer_id, signature.acknowledged_by_id) == (
            real_cast.rita.user.pk,
            real_cast.alice.user.pk,
        )
        assert [each.what for each in FollowUp.objects.all()] == ["excise", "excise"]
        events = AuditEvent.objects.filter(subject_type="screening_screening")
        actors = set(events.values_list("actor_name", flat=True))
    assert {"Alice Alder", "Rita Rowan", "system:worker"} <= actors


def test_photograph_of_the_wrong_patient_is_moved(
    real_cast: Cast, open_page: Callable[..., Page], start_worker: Callable
):
    start_worker(beat=True)
    alice = sign_in(open_page(), real_cast.alice)
    for family_name in ("Rightful", "Mistaken"):
        register(alice, family_name)
        note_consent(alice)
        open_visit(alice, "Benign?")
        mark_lesion(alice, "Back")
    alice.get_by_label("Ulcerated").check()
    upload(alice, drawn(5))
    alice.locator("#screenings a").first.click()
    expect(alice.get_by_text("Ulcerated; such lesions were not tested apart.")).to_be_visible()
    alice.get_by_role("link", name="Withdraw or move").click()
    alice.get_by_label(re.compile("To another patient")).fill("rightf")
    alice.get_by_role("button", name="Search", exact=True).click()
    alice.get_by_role("link", name="Rightful, Erna").click()
    alice.get_by_text("Wrong patient", exact=True).click()
    alice.get_by_label("Visit", exact=True).select_option(index=1)
    alice.get_by_label("Lesion", exact=True).select_option(index=1)
    alice.get_by_role("button", name="Move to Rightful, Erna").click()
    expect(alice.get_by_text("The photograph is moved, and will be read there.")).to_be_visible()
    expect(alice.locator(".patient-line").first).to_contain_text("Rightful, Erna")

    def moved_is_read() -> bool:
        with real_cast.in_north():
            return Screening.objects.filter(moved_from__isnull=False, reading_status="predicted").exists()

    wait_until(moved_is_read)
    with real_cast.in_north():
        old = Screening.objects.select_related("image", "moved_to__image", "moved_to__patient__identity").get(
            withdrawn_at__isnull=False
        )
        assert old.image.findings == old.moved_to.image.findings == ["ulcerated"]
        assert old.withdrawn_reason == "wrong_patient"
        assert old.moved_to.patient.identity.family_name == "Rightful"
        event = AuditEvent.objects.filter(subject_id=str(old.pk), action="update").latest("id")
    assert (event.actor_name, event.reason) == ("Alice Alder", "wrong_patient")


def test_photograph_that_could_not_be_read_is_reviewed_on_a_phone(
    real_cast: Cast, open_page: Callable[..., Page], start_worker: Callable
):
    start_worker(beat=True, PREDICTOR="ml.predictor.load")
    alice = sign_in(open_page(phone=True), real_cast.alice)
    register(alice, "Winterbottom")
    note_consent(alice)
    open_visit(alice, "Could you look at this?")
    mark_lesion(alice, "Back")
    upload(alice, drawn(6, blur=12))
    expect(alice.locator("#screenings .chip-unscorable")).to_be_visible()
    alice.locator("#screenings a").first.click()
    expect(alice.get_by_text("The photograph is too blurred to be read.")).to_be_visible()
    expect(alice.get_by_role("meter")).to_have_count(0)

    rita = sign_in(open_page(phone=True), real_cast.rita)
    expect(rita.get_by_label("Site")).to_be_hidden()  # the list comes first on a small screen
    rita.get_by_role("button", name="Narrow or search").click()
    rita.get_by_label("Site").select_option("Face")
    expect(rita.get_by_role("button", name="Take")).to_be_hidden()
    rita.get_by_label("Site").select_option("Back")
    rita.get_by_role("button", name="Take").click()
    rita.locator("#screenings a").first.click()
    give_opinion(rita, suspicious=False, diagnosis="Lentigo", recommendation="Photograph again")
    rita.get_by_role("button", name=re.compile("^Sign for")).click()
    expect(rita.get_by_text("Nothing waits for review")).to_be_visible()
    with real_cast.in_north():
        screening = Screening.objects.select_related("signed_review", "prediction").get()
        assert (screening.reading_status, screening.review_status) == ("unscorable", "signed")
        assert screening.signed_review.reading_shown is None
        assert screening.prediction.band == ""
        assert Patient.objects.count() == 1


def test_readings_are_suspended_by_one_and_resumed_by_two(
    real_cast: Cast, open_page: Callable[..., Page], start_worker: Callable
):
    start_worker(beat=True)
    alice = sign_in(open_page(), real_cast.alice)
    photograph_a_lesion(alice, drawn(3))

    ada = sign_in(open_page(), real_cast.ada)
    ada.get_by_role("link", name="Models").click()
    ada.get_by_text("Suspend all readings", exact=True).click()
    ada.get_by_label("Why they are suspended").fill("Scores look wrong since this morning")
    ada.get_by_role("button", name="Suspend all readings now").click()
    expect(ada.get_by_text("All readings of this clinic are suspended.")).to_be_visible()

    alice.reload()  # what the first upload said is gone, so that the second one's word is waited for
    upload(alice, drawn(4))
    alice.reload()
    expect(alice.locator(READ)).to_have_count(0)
    expect(alice.locator("#screenings").get_by_text("Suspended", exact=True)).to_have_count(2)

    ada.get_by_text("Ask to resume", exact=True).first.click()
    ada.get_by_label("Why they may go on").fill("It was the lamp")
    ada.get_by_role("button", name="Ask to resume").click()
    expect(ada.get_by_role("button", name="Agree: readings go on")).to_have_count(0)
    rita = sign_in(open_page(), real_cast.rita)
    rita.get_by_role("link", name="Models").click()
    expect(rita.get_by_text("It was the lamp")).to_have_count(2)  # beside the button, and in the history
    rita.get_by_label("Why you agree").fill("Seen the lamp")
    rita.get_by_role("button", name="Agree: readings go on").click()
    expect(rita.get_by_text("ended by two people")).to_be_visible()

    alice.reload()
    expect(alice.locator(READ)).to_have_count(2)
    with real_cast.in_north():
        stop = Suspension.objects.get()
        assert (stop.suspended_by_id, stop.resume_asked_by_id, stop.resumed_by_id) == (
            real_cast.ada.user.pk,
            real_cast.ada.user.pk,
            real_cast.rita.user.pk,
        )
