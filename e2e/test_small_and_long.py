"""Small screens and long names: the next step stays in reach, and nothing breaks out of the page."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from conftest import Cast, Chart, make_chart, make_screening, with_another_lesion
from e2e.steps import sign_in
from screening.models import Screening
from screening.tests.conftest import finish, give, read_by_model, rows, sign, wait_until

pytestmark = pytest.mark.browser
LONG = {"family_name": "Donaudampfschifffahrtselektrizitaetenhauptbetriebswerk", "given_name": "M" * 44}


def visit_of_four(cast: Cast, photograph: Callable[[], bytes]) -> Chart:
    chart = make_chart(cast.alice, **LONG)
    for each in (chart, with_another_lesion(cast.alice, chart)) * 2:
        finish(cast, make_screening(cast.alice, each, photograph()), refer=False, band="low")
    return chart


def box(found: Locator) -> dict[str, float]:
    found.wait_for()
    return dict(found.bounding_box())


def test_the_next_step_stays_in_reach_on_a_phone(
    real_cast: Cast, open_page: Callable[..., Page], random_photograph: Callable[[], bytes]
):
    chart = visit_of_four(real_cast, random_photograph)
    for shot in rows(real_cast, Screening):
        give(real_cast, shot)
    page = sign_in(open_page(phone=True), real_cast.rita)
    page.goto(f"/visits/{chart.visit.pk}/")
    step = page.get_by_role("navigation", name="Next step")
    page.mouse.wheel(0, 500)
    page.wait_for_function("scrollY > 100")
    bar = box(page.locator(".topbar"))
    assert abs(box(step)["y"] - bar["y"] - bar["height"]) <= 1, "it stands under the bar, which it does not cover"
    step.get_by_role("link", name="Sign below").click()
    expect(page.get_by_role("heading", name="Sign the visit")).to_be_in_viewport(ratio=1)
    assert box(page.get_by_role("heading", name="Sign the visit"))["y"] >= box(step)["y"] + box(step)["height"]
    page.keyboard.press("Tab")
    expect(page.locator("section:has(#sign-title) :focus")).to_have_count(1)
    below = box(step)["y"] + box(step)["height"]
    for key in ("Tab", "Tab", "Tab", "Shift+Tab", "Shift+Tab", "Shift+Tab", "Shift+Tab", "Shift+Tab"):
        page.keyboard.press(key)
        if page.locator("main :focus").count() and not page.locator(".next-step :focus").count():
            wait_until(lambda: box(page.locator("main :focus"))["y"] + 1 >= below)


@pytest.mark.parametrize("name", ["alice", "rita", "ada"])
def test_long_names_break_no_page(
    real_cast: Cast, open_page: Callable[..., Page], random_photograph: Callable[[], bytes], name: str
):
    chart = visit_of_four(real_cast, random_photograph)
    first = rows(real_cast, Screening)[0]
    signed = make_chart(real_cast.alice, **LONG | {"given_name": "N" * 44})
    give(real_cast, make_screening(real_cast.alice, signed, random_photograph()))
    sign(real_cast, signed.visit)
    pages = [
        f"/visits/{chart.visit.pk}/", f"/visits/{signed.visit.pk}/", f"/screenings/{first.pk}/",
        f"/patients/{chart.patient.pk}/", f"/lesions/{chart.lesion.pk}/", f"/visits/{signed.visit.pk}/report/",
        f"/visits/{signed.visit.pk}/letter/", "/patients/", "/today/", "/notices/",
    ]  # fmt: skip
    pages += {"alice": [f"/screenings/{first.pk}/withdraw/"], "rita": ["/worklist/"], "ada": ["/worklist/"]}[name]
    broken = []
    for phone in (True, False):
        page = sign_in(open_page(phone=phone), getattr(real_cast, name))
        for address in pages:
            page.goto(address)
            wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
            cut = page.locator(".panel-flush").evaluate_all("found => found.some(e => e.scrollWidth > e.clientWidth)")
            if wide > 0 or cut:
                broken.append((address, phone, wide))
    assert not broken


def test_who_may_do_everything_reaches_every_entry_on_a_phone(real_cast: Cast, open_page: Callable[..., Page]):
    """In the longer words of German."""
    page = sign_in(open_page(phone=True), real_cast.bob)
    real_cast.bob.user.language = "de"
    real_cast.bob.user.save(update_fields=["language"])
    page.goto("/patients/new/")
    entries = page.locator(".rail a")
    expect(entries).to_have_count(8)
    expect(page.locator(".rail [aria-current]")).to_be_in_viewport(ratio=0.95)
    for entry in entries.all():
        entry.scroll_into_view_if_needed()
        expect(entry).to_be_in_viewport(ratio=0.95)


@pytest.mark.parametrize("width", [1440, 1100])
def test_the_worklist_is_neat_on_a_desk(
    real_cast: Cast, open_page: Callable[..., Page], random_photograph: Callable[[], bytes], width: int
):
    visit_of_four(real_cast, random_photograph)
    page = sign_in(open_page(), real_cast.rita)
    page.set_viewport_size({"width": width, "height": 900})
    controls = page.locator(".narrowing :is(input:not([type=hidden]), select)").all()
    lines = {round(box(each)["y"] / 20) for each in controls}
    assert len(lines) <= 3, "one line above the other, two at most, whose controls differ a little in height"
    assert box(page.locator("#worklist"))["y"] < 330
    due = page.locator(".worklist td:nth-child(5) .text-nowrap")
    assert due.count() == 2
    for part in [*due.all(), page.get_by_role("button", name="Take")]:
        assert box(part)["height"] < 40, "nothing in it is broken into lines"
    take, panel = box(page.get_by_role("button", name="Take")), box(page.locator("#worklist"))
    assert take["x"] + take["width"] <= panel["x"] + panel["width"]


def test_a_lesions_chart_can_be_read_on_a_phone(
    real_cast: Cast, open_page: Callable[..., Page], random_photograph: Callable[[], bytes]
):
    chart = visit_of_four(real_cast, random_photograph)
    page = sign_in(open_page(phone=True), real_cast.rita)
    page.goto(f"/lesions/{chart.lesion.pk}/")
    ticks = page.locator(".score-chart .tick")
    heights = ticks.evaluate_all("found => found.map(each => each.getBoundingClientRect().height)")
    assert min(heights) >= 11, "of the letters, as they are drawn"
    lefts = ticks.evaluate_all("found => found.map(each => each.getBoundingClientRect().left)")
    assert min(lefts) >= box(page.locator(".panel:has(.score-chart)"))["x"]


def test_a_refused_photograph_looks_refused(real_cast: Cast, open_page: Callable[..., Page], photograph_bytes: bytes):
    chart = make_chart(real_cast.alice)
    page = sign_in(open_page(), real_cast.alice)
    page.goto(f"/visits/{chart.visit.pk}/")
    good = {"name": "good.jpg", "mimeType": "image/jpeg", "buffer": photograph_bytes}
    page.get_by_label("Choose photographs").set_input_files([good, good | {"name": "bad.jpg", "buffer": b"no picture"}])
    page.get_by_role("button", name=re.compile("^Upload for")).click()
    refused, stored = page.locator(".uploads .refused"), page.locator(".uploads .stored")
    expect(refused.get_by_text("Refused", exact=True)).to_be_visible()
    expect(refused.get_by_role("progressbar")).to_be_hidden()
    expect(stored.get_by_role("progressbar")).to_be_visible()
    expect(stored.get_by_text("Refused", exact=True)).to_be_hidden()


def test_an_opinion_is_saved_without_scrolling_however_many_cautions_there_are(
    real_cast: Cast, open_page: Callable[..., Page], photograph_bytes: bytes
):
    screening = make_screening(real_cast.alice, make_chart(real_cast.alice), photograph_bytes)
    finish(real_cast, screening, refer=True, band="high")
    page = sign_in(open_page(), real_cast.rita)
    page.goto(f"/screenings/{screening.pk}/")
    save = page.get_by_role("button", name="Save opinion")
    expect(save).to_be_in_viewport(ratio=1)
    caution = '<div class="caution">The skin type is not recorded; the model was tested on light skin.</div>'
    page.locator("#reading-title").evaluate("(title, html) => title.insertAdjacentHTML('afterend', html)", caution * 5)
    expect(save).to_be_in_viewport(ratio=1)
    page.get_by_label("Recommendation").select_option("Follow up")
    expect(save).to_be_in_viewport(ratio=1)


def expect_seen_above(bar: Locator, first: Locator, *fields: str) -> None:
    """Those with these ids, reached by the Tab key from the first: clear of the bar over the page's end."""
    page, focused = first.page, ""
    first.focus()
    while focused != fields[-1]:
        page.keyboard.press("Tab")
        focused = page.evaluate("document.activeElement.id")
        if focused in fields:  # a page that has to move does so in the frames that follow
            ends = "bar => document.activeElement.getBoundingClientRect().bottom <= bar"
            page.wait_for_function(ends, arg=box(bar)["y"], timeout=10_000)


def test_focus_is_not_hidden_below_a_bar(real_cast: Cast, open_page: Callable[..., Page], photograph_bytes: bytes):
    screening = make_screening(real_cast.alice, make_chart(real_cast.alice), photograph_bytes)
    read_by_model(real_cast, screening, refer=False)
    phone = sign_in(open_page(phone=True), real_cast.alice)
    phone.goto("/patients/new/")
    expect_seen_above(phone.locator(".rail"), phone.get_by_label("Family name"), "id_email", "id_address")
    desk = sign_in(open_page(), real_cast.rita)
    desk.goto(f"/screenings/{screening.pk}/")
    desk.get_by_text("Suspicious", exact=True).click()
    desk.get_by_label("Recommendation").select_option("Follow up")
    expect_seen_above(
        desk.locator(".review-form .save"), desk.get_by_label("Recommendation"), "id_follow_up_months", "id_words"
    )
