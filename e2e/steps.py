"""What people do on the pages, step by step."""

import re
from io import BytesIO

from playwright.sync_api import Page, expect

from conftest import PASSWORD, Person
from ml.drawing import draw_photograph

READ = "#screenings :is(.chip-low, .chip-intermediate, .chip-high, .chip-unreviewed)"


def drawn(seed: int, *, blur: float = 0) -> dict[str, object]:
    """A file for the upload field."""
    buffer = BytesIO()
    draw_photograph(seed, blur=blur).save(buffer, "JPEG", quality=92)
    return {"name": f"lesion-{seed}.jpg", "mimeType": "image/jpeg", "buffer": buffer.getvalue()}


def sign_in(page: Page, person: Person) -> Page:
    page.goto("/")
    give_password(page, person)
    return page


def give_password(page: Page, person: Person) -> None:
    """On the sign-in page."""
    person.user.set_password(PASSWORD)
    person.user.save(update_fields=["password"])
    page.get_by_label("Email").fill(person.user.email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("navigation", name="Main")).to_be_visible()
    page.wait_for_load_state()


def register(page: Page, family_name: str) -> None:
    page.goto("/patients/new/")
    page.get_by_label("Family name").fill(family_name)
    page.get_by_label("Given name").fill("Erna")
    page.get_by_label("Birth date").fill("1961-04-30")
    page.get_by_label("Sex").select_option("Female")
    page.get_by_label("Skin type (Fitzpatrick)").select_option("2")
    page.get_by_role("button", name="Register").click()
    expect(page.get_by_role("heading", name=f"{family_name}, Erna")).to_be_visible()


def note_consent(page: Page) -> None:
    page.get_by_label("Kind").select_option("Reading by the model")
    page.get_by_text("Given", exact=True).click()
    page.get_by_role("button", name="Note consent").click()
    expect(page.get_by_text("The consent is noted.")).to_be_visible()


def open_visit(page: Page, question: str) -> None:
    page.get_by_role("link", name="New visit").first.click()
    page.get_by_label(re.compile("Question")).fill(question)
    page.get_by_text("Changing", exact=True).click()
    page.get_by_role("button", name="Open visit").click()
    expect(page.get_by_role("heading", name="Visit", exact=True)).to_be_visible()


def mark_lesion(page: Page, site: str) -> None:
    page.get_by_role("link", name=re.compile("Mark (a|another) lesion")).click()
    wait_for_scripts(page, "New lesion")
    page.get_by_label("Back of the body").click(position={"x": 70, "y": 110})
    page.get_by_label("Site").select_option(site)
    page.get_by_role("button", name="Add lesion").click()
    expect(page.get_by_text("is on the body map")).to_be_visible()


def wait_for_scripts(page: Page, heading: str) -> None:
    """The page with this heading listens; one that is still loading shows its elements before it does."""
    expect(page.get_by_role("heading", name=heading, exact=True)).to_be_visible()
    page.wait_for_load_state()


def upload(page: Page, *files: dict[str, object]) -> None:
    wait_for_scripts(page, "Visit")
    page.get_by_label("Choose photographs").set_input_files(list(files))
    page.get_by_role("button", name=re.compile("^Upload for")).click()
    expect(page.get_by_text("Stored; it waits to be read.")).to_have_count(len(files))


def photograph_a_lesion(page: Page, *files: dict[str, object]) -> None:
    """A new patient's visit, from the registration to the readings of `files`."""
    register(page, "Winterbottom")
    note_consent(page)
    open_visit(page, "Benign?")
    mark_lesion(page, "Back")
    upload(page, *files)
    expect(page.locator(READ)).to_have_count(len(files))


def give_opinion(page: Page, *, suspicious: bool, diagnosis: str, recommendation: str) -> None:
    page.get_by_text("Suspicious" if suspicious else "Not suspicious", exact=True).click()
    page.get_by_label("Diagnosis", exact=True).select_option(diagnosis)
    page.get_by_label("Recommendation").select_option(recommendation)
    reason = page.get_by_label(re.compile("Why it differs"))
    if reason.is_visible():
        reason.select_option("The clinical picture says otherwise")
    page.get_by_role("button", name="Save opinion").click()
    expect(page.get_by_text("Your opinion is saved.")).to_be_visible()
