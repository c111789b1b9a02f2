"""A clinic brings its folder of photographs: the table, its report, the word to begin, and the record then."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from conftest import Cast, make_chart
from e2e.steps import drawn, sign_in
from e2e.test_access import violations
from e2e.test_upload import Line, line
from patients.models import Lesion, PatientIdentity, Visit
from screening.importing import ImportBatch, ImportRow
from screening.models import LesionImage, Screening, StoredFile
from screening.tests.conftest import rows, the_only, wait_until
from screening.tests.importing import ERNA, JOSEF, table_of

__all__ = ["line"]  # a fixture
pytestmark = pytest.mark.browser
TABLE = table_of(ERNA, ERNA | {"file": "erna-2.jpg", "lesion": "B", "site": "chest"}, JOSEF, delimiter=";")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The table, a photograph for each of its rows, and one that nobody asked for."""
    made = tmp_path / "share"
    (made / "2024").mkdir(parents=True)
    (made / "table.csv").write_bytes(TABLE)
    for number, name in enumerate(("erna-1.jpg", "Erna-2.JPG", "josef-1.jpg", "holiday.jpg")):
        (made / "2024" / name).write_bytes(drawn(number)["buffer"])
    return made


@pytest.fixture
def zipped(folder: Path) -> Path:
    path = folder.parent / "share.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for each in sorted(folder.rglob("*.*")):
            archive.write(each, each.relative_to(folder.parent))
    return path


def look_at_table(page: Page, table: Path) -> None:
    page.goto("/patients/")
    page.get_by_role("link", name="Import photographs").click()
    page.get_by_label("Table (CSV)").set_input_files(table)
    page.get_by_role("button", name="Look at the table").click()
    expect(page.get_by_role("heading", name="Send the photographs")).to_be_visible()


def send(page: Page, picker: str, path: Path) -> None:
    page.get_by_label(picker).set_input_files(path)
    page.get_by_role("button", name="Send photographs").click()


def test_folder_becomes_patients_visits_and_readings(
    real_cast: Cast, open_page: Callable[..., Page], start_worker: Callable, folder: Path
):
    start_worker(beat=True)
    make_chart(real_cast.alice, family_name="Autumnbottom", given_name="Josef", birth_date="1948-11-12")
    page = sign_in(open_page(), real_cast.alice)
    look_at_table(page, folder / "table.csv")
    assert len(rows(real_cast, Visit)) == 1, "nothing of it is in the record"
    send(page, "Folder", folder)
    expect(page.get_by_text("3 of 3 kept beside their rows. 2 files stand in no row")).to_be_visible()
    expect(page.get_by_role("button", name="Import 2 photographs")).to_be_visible()
    assert violations(page) == []

    page.get_by_text("No, another person").click()
    page.get_by_role("button", name="Keep these answers").click()
    page.get_by_role("link", name="Only problems").click()
    expect(page.get_by_text("No such row")).to_be_visible()
    page.get_by_role("button", name="Import 3 photographs").click()
    expect(page.get_by_text("3 of 3 rows imported.")).to_be_visible()
    page.get_by_role("link", name="Show what became of each row").click()
    expect(page.get_by_text("What became of it")).to_be_visible()
    assert violations(page) == []
    page.get_by_role("link", name="Winterbottom, Erna").first.click()
    expect(page.get_by_text("R-4711")).to_be_visible()

    assert the_only(real_cast, ImportBatch).status == "done"
    assert {row.status for row in rows(real_cast, ImportRow)} == {"imported"}
    with real_cast.in_north():
        names = sorted(PatientIdentity.objects.values_list("family_name", flat=True))
    assert names == ["Autumnbottom", "Autumnbottom", "Winterbottom"]
    assert sorted(image.original_name for image in rows(real_cast, LesionImage)) == [
        "erna-1.jpg", "erna-2.jpg", "josef-1.jpg",
    ]  # fmt: skip
    assert len(rows(real_cast, Lesion)) == 4
    assert len(rows(real_cast, Visit)) == 3
    wait_until(
        lambda: (
            sorted(shot.reading_status == "not_wanted" for shot in rows(real_cast, Screening)) == [False, False, True]
            and not any(shot.reading_status in ("queued", "running") for shot in rows(real_cast, Screening))
        )
    )


def test_zip_is_opened_in_the_browser(real_cast: Cast, open_page: Callable[..., Page], zipped: Path):
    page = sign_in(open_page(phone=True), real_cast.alice)
    look_at_table(page, zipped)
    assert violations(page) == []
    send(page, "Zip, or photographs", zipped)
    expect(page.get_by_text("3 of 3 kept beside their rows.")).to_be_visible()
    expect(page.get_by_role("button", name="Import 3 photographs")).to_be_visible()
    assert all(row.photograph for row in rows(real_cast, ImportRow))


def test_line_that_breaks_and_page_that_is_closed_lose_nothing(
    real_cast: Cast, open_page: Callable[..., Page], line: Line, folder: Path
):
    page = sign_in(open_page(address=line.address), real_cast.alice)
    look_at_table(page, folder / "table.csv")
    line.passes = 60_000
    send(page, "Folder", folder)
    expect(page.get_by_text("wait for the line; they are sent again by themselves")).to_be_visible()
    assert page.evaluate("dispatchEvent(new Event('beforeunload', { cancelable: true }))") is False
    line.mend()
    page.evaluate("dispatchEvent(new Event('online'))")
    expect(page.get_by_text("3 of 3 kept beside their rows.")).to_be_visible()
    with real_cast.in_north():
        assert StoredFile.objects.count() == 6

    other = sign_in(open_page(), real_cast.alice)
    other.goto(page.url.replace(line.address, other.url.split("/today")[0]))
    send(other, "Folder", folder)
    expect(other.get_by_text("No row waits for any of these files.")).to_be_visible()


@pytest.fixture
def small_imports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMPORT_MOST_MB", "1")


def test_more_than_an_import_may_hold_is_not_sent(
    small_imports: None, real_cast: Cast, open_page: Callable[..., Page], folder: Path
):
    page = sign_in(open_page(phone=True), real_cast.alice)
    look_at_table(page, folder / "table.csv")
    expect(page.get_by_text("All of an import: up to 1.0 MB.")).to_be_visible()
    (folder / "2024" / "erna-1.jpg").write_bytes(bytes(1024 * 1024 + 1))
    send(page, "Folder", folder)
    expect(page.get_by_text("None of them was sent.")).to_be_visible()
    assert not any(row.photograph or row.photograph_refusal for row in rows(real_cast, ImportRow))
