"""A morning's work without the mouse: agree, agree, sign, next; undo; a draft that outlives a sign-out."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from conftest import Cast, Chart, make_chart, make_screening
from e2e.steps import sign_in
from patients.models import Visit
from patients.services import add_lesion
from screening.models import Draft, HeldSignature, Review, Screening, Signature
from screening.tests.conftest import finish, rows, wait_until

pytestmark = pytest.mark.browser
VISITS = 50
KEYS_A_VISIT = 6
NEVUS = {"akiec": 0.01, "bcc": 0.01, "bkl": 0.05, "df": 0.01, "mel": 0.03, "nv": 0.88, "vasc": 0.01}


@pytest.fixture(autouse=True)
def two_seconds_to_undo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGNATURE_HOLD", "2")


def read_low(cast: Cast, chart: Chart, photograph: bytes) -> Screening:
    screening = make_screening(cast.alice, chart, photograph)
    finish(cast, screening, refer=False, band="low", probabilities=NEVUS)
    return screening


def visit_of_two(cast: Cast, photograph: bytes, family_name: str) -> Chart:
    chart = make_chart(cast.alice, family_name=family_name)
    read_low(cast, chart, photograph)
    with cast.alice.acting():
        second = add_lesion(patient=chart.patient, site="chest", laterality="right", view="front", x=0.6, y=0.3)
    read_low(cast, Chart(chart.patient, chart.visit, second), photograph)
    return chart


def test_fifty_visits_of_two_are_signed_by_keyboard(
    real_cast: Cast, open_page: Callable[..., Page], photograph_bytes: bytes
):
    for number in range(VISITS):
        visit_of_two(real_cast, photograph_bytes, f"Patient{number}")
    page = sign_in(open_page(), real_cast.rita)
    pressed = 0

    def press(key: str) -> None:
        nonlocal pressed
        page.keyboard.press(key)
        pressed += 1

    for _ in range(VISITS):
        press("n")
        agree = page.get_by_role("button", name=re.compile("Agree: not suspicious, melanocytic nevus, reassure"))
        expect(agree).to_be_visible()
        first = page.url
        press("a")
        page.wait_for_url(lambda url, first=first: url != first)
        expect(agree).to_be_visible()
        press("a")
        expect(page.get_by_role("button", name=re.compile("Sign for Patient"))).to_be_visible()
        press("s")
        expect(page.get_by_role("heading", name="Worklist")).to_be_visible()
    assert pressed <= KEYS_A_VISIT * VISITS
    press("n")
    expect(page.get_by_text("Nothing else on your list waits")).to_be_visible()
    wait_until(lambda: len(rows(real_cast, Signature)) == VISITS)
    assert {screening.review_status for screening in rows(real_cast, Screening)} == {"signed"}
    assert len(rows(real_cast, Review)) == 2 * VISITS


def test_a_signature_is_undone_with_one_key(real_cast: Cast, open_page: Callable[..., Page], photograph_bytes: bytes):
    chart = make_chart(real_cast.alice)
    read_low(real_cast, chart, photograph_bytes)
    page = sign_in(open_page(), real_cast.rita)
    for key, told in (("n", "Agree: "), ("a", "Sign for"), ("s", "Undo")):
        page.keyboard.press(key)
        expect(page.get_by_role("button", name=re.compile(told))).to_be_visible()
    page.keyboard.press("u")
    expect(page.get_by_text("Undone: the visit is not signed.")).to_be_visible()
    page.wait_for_timeout(2500)
    assert not rows(real_cast, Signature)
    assert [held.status for held in rows(real_cast, HeldSignature)] == ["undone"]


def test_a_draft_outlives_the_sign_out(real_cast: Cast, open_page: Callable[..., Page], photograph_bytes: bytes):
    chart = make_chart(real_cast.alice)
    screening = read_low(real_cast, chart, photograph_bytes)
    page = sign_in(open_page(), real_cast.rita)
    page.keyboard.press("n")
    expect(page.get_by_role("button", name=re.compile("Agree: "))).to_be_visible()
    page.keyboard.press("o")
    page.keyboard.press("Space")
    page.locator("#id_words").fill("Blue-white veil in the middle")
    expect(page.get_by_text("Draft kept at")).to_be_visible()
    page.context.clear_cookies(name="sessionid")
    page.locator("#id_words").press_sequentially(" and a network")
    expect(page.get_by_text("You are signed out.")).to_be_visible()
    sign_in(page, real_cast.rita)
    page.goto(f"/screenings/{screening.pk}/")
    expect(page.locator("#id_words")).to_have_value("Blue-white veil in the middle")
    expect(page.get_by_label("Suspicious", exact=True)).to_be_checked()
    expect(page.get_by_role("button", name=re.compile("Agree: "))).to_have_count(0)
    assert [draft.fields["words"] for draft in rows(real_cast, Draft)] == ["Blue-white veil in the middle"]
    page.get_by_role("button", name="Discard it").click()
    expect(page.get_by_role("button", name=re.compile("Agree: "))).to_be_visible()
    assert not rows(real_cast, Draft)
    assert not rows(real_cast, Review)


def test_the_list_stays_where_the_focus_is(real_cast: Cast, open_page: Callable[..., Page], photograph_bytes: bytes):
    calm = make_chart(real_cast.alice, family_name="Calm")
    read_low(real_cast, calm, photograph_bytes)
    page = open_page()
    page.clock.install()
    sign_in(page, real_cast.rita)
    page.keyboard.press("j")
    expect(page.get_by_role("link", name="Calm, Erna")).to_be_focused()
    urgent = make_chart(real_cast.alice, family_name="Urgent")
    read_low(real_cast, urgent, photograph_bytes)
    with real_cast.in_north():
        Visit.objects.filter(pk=urgent.visit.pk).update(urgency="urgent")
    page.clock.fast_forward(31_000)
    expect(page.get_by_role("button", name=re.compile("The list has changed"))).to_be_visible()
    expect(page.get_by_role("link", name="Calm, Erna")).to_be_focused()
    expect(page.get_by_role("link", name="Urgent, Erna")).to_have_count(0)
    page.keyboard.press("r")
    expect(page.locator("#worklist tbody a").first).to_have_text("Urgent, Erna")
    expect(page.get_by_role("button", name=re.compile("The list has changed"))).to_be_hidden()


def test_letters_can_be_turned_off(real_cast: Cast, open_page: Callable[..., Page], photograph_bytes: bytes):
    read_low(real_cast, make_chart(real_cast.alice), photograph_bytes)
    page = sign_in(open_page(), real_cast.rita)
    page.keyboard.press("?")
    keys = page.get_by_role("dialog", name="Keys on this page")
    expect(keys.get_by_text("The next visit")).to_be_visible()
    keys.get_by_label("Letters act as keys").uncheck()
    page.keyboard.press("Escape")
    expect(keys).to_be_hidden()
    page.keyboard.press("n")
    page.wait_for_timeout(500)
    expect(page.get_by_role("heading", name="Worklist")).to_be_visible()
