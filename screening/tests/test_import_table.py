"""The dry run: every refusal in words, and nothing of it in the record."""

import csv
import hashlib
import io
from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from conftest import make_chart, make_screening
from patients.body_map import fits, is_on_body, sites_at
from patients.codes import BodySite, Laterality
from patients.services import RECORD_NUMBER, add_identifier, merge_patients, note_consent
from screening.import_places import SITES, place_of
from screening.import_table import MOST_ROWS, NAMES, file_key, read_table
from screening.models import ImportBatch, ImportRow, StoredFile
from screening.tests.conftest import rows, the_only
from screening.tests.importing import (
    ERNA,
    JOSEF,
    begin,
    lines_of,
    post,
    record_counts,
    refusal_of,
    refused_table,
    said,
    send_all,
    send_photograph,
    send_table,
    table_of,
    verdicts,
)
from screening.tests.test_pages import INLINE
from skinclinic.audit.models import AuditEvent


def test_it_works(cast, photograph_bytes):
    batch = begin(cast, ERNA, JOSEF)
    assert verdicts(cast, batch) == ["waiting", "waiting"]
    assert send_photograph(cast, batch, "erna-1.jpg", photograph_bytes).status_code == 201
    page = cast.alice.client.get(f"/imports/{batch.pk}/").content.decode()
    assert not INLINE.search(page.encode())
    assert verdicts(cast, batch) == ["ready", "waiting"]
    for wanted in ("Winterbottom, Erna", "new, R-4711", "new lesion", "Import 1 photograph", "Not sent yet"):
        assert wanted in page, wanted


def test_dry_run_stores_nothing_in_the_record(cast, random_photograph):
    with cast.in_north():
        before = record_counts()
    batch = begin(cast, ERNA, JOSEF, ERNA | {"file": "x.jpg", "site": "nowhere"})
    send_all(cast, batch, random_photograph)
    cast.alice.client.get(f"/imports/{batch.pk}/")
    cast.alice.client.get(f"/imports/{batch.pk}/report.csv")
    with cast.in_north():
        assert record_counts() == before
        assert StoredFile.objects.count() == 4, "the staged bytes are what is new"


@pytest.mark.parametrize("delimiter", [",", ";"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_commas_or_semicolons_with_or_without_a_mark(delimiter, mark):
    (row,) = read_table(mark + table_of(ERNA | {"question": "One, two; three?"}, delimiter=delimiter))
    assert row.refusals == []
    assert (row.number, row.entry.question, row.entry.skin_type) == (2, "One, two; three?", 2)


def test_template_is_a_table_without_a_row(cast):
    response = cast.alice.client.get("/imports/template.csv")
    assert response.content.decode("utf-8-sig").strip() == ",".join(NAMES)
    assert "has a header and no row" in refused_table(cast, response.content)


REFUSED_TABLES = {
    "nothing": (b"", "The table is empty"),
    "header_only": (table_of(), "a header and no row"),
    "blank_rows_only": (table_of() + b",,,\r\n\r\n", "a header and no row"),
    "missing_column": (table_of(ERNA, columns=tuple(NAMES[1:])), "This column is missing: file."),
    "missing_columns": (table_of(ERNA, columns=tuple(NAMES[2:])), "These columns are missing: file, record_number."),
    "unknown_column": (table_of(columns=(*NAMES, "Geburtstag")), "column 16 is none we know. The columns are: file,"),
    "column_twice": (table_of(columns=(*NAMES, "site")), "The column site is there twice"),
    "latin_1": (table_of(ERNA | {"family_name": "Müller"}).decode().encode("latin-1"), "not written in UTF-8"),
    "utf_16": (table_of(ERNA).decode().encode("utf-16"), "not written in UTF-8"),
    "nul": (table_of(ERNA) + b"\0", "This is no CSV"),
    "spreadsheet": (b"PK\x03\x04" + bytes(100), "a zip or a spreadsheet"),
    "open_quotation": (table_of(ERNA) + b'"never closed', "cannot be taken apart"),
    "too_large": (table_of(ERNA) + b"\n" * 2_000_000, "larger than 2 MB"),
    "too_many_rows": (table_of(*[ERNA] * (MOST_ROWS + 1)), "more than 2000 rows"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED_TABLES)
def test_table_is_refused_in_words(cast, name):
    table, sentence = REFUSED_TABLES[name]
    assert sentence in refused_table(cast, table)


TOMORROW = (timezone.now() + timedelta(days=2)).date().isoformat()
REFUSED_CELLS = {
    "file_missing": ({"file": ""}, "file: is empty."),
    "folder_for_a_file": ({"file": "photos/"}, "file: names a folder and no file."),
    "number_missing": ({"record_number": ""}, "record_number: is empty."),
    "site_unknown": ({"site": "bak"}, "site: is none of scalp, face,"),
    "site_missing": ({"site": ""}, "site: is empty."),
    "side_unknown": ({"laterality": "l"}, "laterality: is none of left, right, midline."),
    "forearm_in_the_middle": ({"site": "forearm", "laterality": "midline"}, "this site is left or right"),
    "date_bad": ({"date": "March 2024"}, "date: is no date"),
    "date_impossible": ({"date": "2024-02-30"}, "date: is no date"),
    "time_bad": ({"date": "2024-03-01 25:00"}, "date: has a time that is not written as 14:05."),
    "date_to_come": ({"date": TOMORROW}, "date: This day has not come yet."),
    "photographed_before_birth": ({"date": "1960-01-01"}, "the photograph is older than the patient"),
    "birth_date_bad": ({"birth_date": "30/04/1961"}, "birth_date: is no date"),
    "birth_date_to_come": ({"birth_date": TOMORROW}, "birth_date: This day has not come yet."),
    "sex_unknown": ({"sex": "w"}, "sex: is none of female, male"),
    "skin_type_unknown": ({"skin_type": "7"}, "skin_type: is none of 1 to 6"),
    "kind_unknown": ({"kind": "macro"}, "kind: is none of dermoscopic, overview."),
    "consent_unknown": ({"consent_reading": "yes"}, "consent_reading: is none of given, refused."),
    "consent_without_date": ({"consent_date": ""}, "consent_date: is empty. Say when"),
    "consent_date_alone": ({"consent_reading": ""}, "consent_reading: is empty beside its date."),
    "formula": ({"family_name": "=HYPERLINK(A1)"}, "family_name: begins with =, +, - or @"),
    "formula_in_question": ({"question": "@SUM(A1)"}, "question: begins with"),
    "hidden_character": ({"given_name": "Er\u202ena"}, "given_name: has characters that cannot be seen"),
    "too_long": ({"lesion": "A" * 101}, "lesion: longer than 100 characters."),
}


@pytest.mark.parametrize("name", REFUSED_CELLS)
def test_row_is_refused_in_words(cast, name):
    cells, sentence = REFUSED_CELLS[name]
    told = refusal_of(cast, **cells)
    assert sentence in told
    assert "Winterbottom" not in told


def test_every_wrong_cell_of_a_row_is_named(cast):
    told = refusal_of(cast, site="bak", date="soon", sex="w")
    assert all(name in told for name in ("site:", "date:", "sex:"))


def test_row_longer_than_its_header_is_refused(cast):
    (row,) = read_table(table_of(ERNA).rstrip() + b",more")
    assert "more cells than the header" in row.refusals[0]


def test_file_named_twice_is_refused_in_both_rows(cast):
    batch = begin(cast, ERNA | {"file": "a/One.JPG"}, JOSEF | {"file": "one.jpg"})
    assert said(cast, batch) == ["The same file is named in row 3.", "The same file is named in row 2."]


@pytest.mark.parametrize(
    ("cells", "sentence"),
    [
        ({"birth_date": "1962-04-30"}, "is another than in row 2"),
        ({"family_name": "Springbottom"}, "is another than in row 2"),
        ({"sex": "male"}, "is another than in row 2"),
        ({"consent_reading": "refused"}, "The consent is another than in row 2"),
        ({"site": "chest"}, "The lesion is at another site or side than in row 2"),
    ],
)
def test_rows_of_one_number_have_to_agree(cast, cells, sentence):
    batch = begin(cast, ERNA, ERNA | {"file": "erna-2.jpg"} | cells)
    assert verdicts(cast, batch) == ["waiting", "refused"]
    assert sentence in said(cast, batch)[1]


def test_consent_may_stand_in_one_row_alone(cast):
    batch = begin(cast, ERNA | {"consent_reading": "", "consent_date": ""}, ERNA | {"file": "erna-2.jpg"})
    assert verdicts(cast, batch) == ["waiting", "waiting"]


def numbered_chart(cast, number: str = "R-4711", **identity):
    chart = make_chart(cast.alice, **identity)
    with cast.alice.acting():
        add_identifier(patient=chart.patient, system=RECORD_NUMBER, value=number)
    return chart


def test_patient_is_found_by_her_number(cast):
    chart = numbered_chart(cast)
    batch = begin(cast, ERNA | {"family_name": " WINTERBOTTOM "}, JOSEF)
    found, new = lines_of(cast, batch)
    assert (found.row.patient_id, new.row.patient_id) == (chart.patient.pk, None)


def test_patient_is_found_in_the_record_that_hers_was_merged_into(cast):
    chart, other = numbered_chart(cast), make_chart(cast.alice)
    with cast.alice.acting():
        merge_patients(duplicate=chart.patient, into=other.patient)
    (line,) = lines_of(cast, begin(cast, ERNA))
    assert line.row.patient_id == other.patient.pk


@pytest.mark.parametrize("identity", [{"family_name": "Springbottom"}, {"birth_date": "1961-05-01"}])
def test_name_or_birth_date_that_disagrees_with_the_number_is_refused(cast, identity):
    numbered_chart(cast, **identity)
    assert "another name or birth date in the record" in refusal_of(cast)


def asked_on_the_page(cast, batch: ImportBatch) -> list[int]:
    """Of the numbers of those rows whose patients may be somebody else."""
    asked = cast.alice.client.get(f"/imports/{batch.pk}/").context["asked"]
    return [each["line"].row.number for each in asked]


def test_row_that_the_record_refuses_asks_nothing_more(cast):
    """Her number bears another name, and somebody else bears hers: that it is refused is all there is to say."""
    numbered_chart(cast, family_name="Springbottom")
    make_chart(cast.alice)
    batch = begin(cast, ERNA)
    assert verdicts(cast, batch) == ["refused"]
    assert asked_on_the_page(cast, batch) == []
    with cast.in_north():
        assert ImportRow.objects.get().likely_patients == []


def test_refused_row_asks_nothing_and_the_others_of_the_patient_do(cast):
    make_chart(cast.alice)
    batch = begin(cast, ERNA | {"file": ""}, ERNA | {"file": "erna-2.jpg"})
    assert verdicts(cast, batch) == ["refused", "asked"]
    assert asked_on_the_page(cast, batch) == [3]
    with cast.in_north():
        ImportRow.objects.filter(number=3).update(photograph_refusal="The file is damaged.")
    assert asked_on_the_page(cast, batch) == []


def test_patient_who_refuses_photographs_is_refused(cast):
    chart = numbered_chart(cast)
    with cast.alice.acting() as actor:
        note_consent(actor=actor, patient=chart.patient, kind="photograph", decision="refused", decided_on="2024-01-01")
    assert "The patient refuses photographs" in refusal_of(cast)


@pytest.mark.parametrize("resembling", [{}, {"family_name": "Winterbotom"}, {"birth_date": "1970-01-01"}])
def test_new_patient_who_resembles_another_is_asked_about(cast, random_photograph, resembling):
    other = make_chart(cast.alice, **resembling)
    batch = begin(cast, ERNA, ERNA | {"file": "erna-2.jpg"}, JOSEF)
    send_all(cast, batch, random_photograph)
    assert verdicts(cast, batch) == ["asked", "asked", "ready"]
    page = cast.alice.client.get(f"/imports/{batch.pk}/").content.decode()
    assert "Are these somebody else?" in page
    assert f"/patients/{other.patient.pk}/" in page
    post(cast, batch, "answer", asked=["2"], another=["2"])
    assert verdicts(cast, batch) == ["ready", "ready", "ready"]
    post(cast, batch, "answer", asked=["2"])
    assert verdicts(cast, batch) == ["asked", "asked", "ready"]


def test_same_person_under_two_numbers_is_asked_about(cast):
    batch = begin(cast, ERNA, ERNA | {"file": "erna-2.jpg", "record_number": "R-4799"})
    assert verdicts(cast, batch) == ["asked", "asked"]


def test_file_that_no_row_names_is_not_kept(cast, photograph_bytes):
    batch = begin(cast, ERNA)
    response = send_photograph(cast, batch, "other.jpg", photograph_bytes)
    assert response.status_code == 422
    assert "No row of the table names this file" in response.json()["photographs"][0]["refused"]
    with cast.in_north():
        assert not StoredFile.objects.exists()


def test_what_is_no_photograph_is_said_in_its_row_until_a_better_one_comes(cast, photograph_bytes):
    batch = begin(cast, ERNA)
    assert send_photograph(cast, batch, "erna-1.jpg", b"no photograph").status_code == 422
    assert verdicts(cast, batch) == ["refused"]
    assert "This is no JPEG" in said(cast, batch)[0]
    assert cast.alice.client.get(f"/imports/{batch.pk}/needed/").json() == {"names": ["erna-1.jpg"]}
    assert send_photograph(cast, batch, "ERNA-1.JPG", photograph_bytes).status_code == 201
    assert verdicts(cast, batch) == ["ready"]
    assert cast.alice.client.get(f"/imports/{batch.pk}/needed/").json() == {"names": []}


def test_photograph_sent_again_is_kept_once_and_another_takes_its_place(cast, random_photograph):
    batch, first, second = begin(cast, ERNA), random_photograph(), random_photograph()
    for data in (first, first, second):
        assert send_photograph(cast, batch, "erna-1.jpg", data).status_code == 201
    with cast.in_north():
        assert StoredFile.objects.count() == 2
        row = ImportRow.objects.get()
        assert len(row.photograph.read()) > 0
    assert row.upload_sha256 == hashlib.sha256(second).hexdigest()


def test_place_and_names_in_a_photograph_do_not_wait_with_it(cast, random_photograph):
    batch = begin(cast, ERNA)
    send_photograph(cast, batch, "erna-1.jpg", random_photograph() + b"appended WINTERBOTTOM")
    with cast.in_north():
        assert b"WINTERBOTTOM" not in ImportRow.objects.get().photograph.read()


def test_one_photograph_under_two_names_is_refused_in_both_rows(cast, photograph_bytes):
    batch = begin(cast, ERNA, JOSEF)
    for name in ("erna-1.jpg", "josef-1.jpg"):
        send_photograph(cast, batch, name, photograph_bytes)
    assert verdicts(cast, batch) == ["refused", "refused"]
    assert "Row 3 has the same photograph" in said(cast, batch)[0]


def test_photograph_that_her_record_has_is_not_added_again(cast, photograph_bytes):
    chart = numbered_chart(cast)
    make_screening(cast.alice, chart, photograph_bytes)
    batch = begin(cast, ERNA)
    send_photograph(cast, batch, "erna-1.jpg", photograph_bytes)
    assert verdicts(cast, batch) == ["present"]


def test_photograph_of_another_patient_is_refused(cast, photograph_bytes):
    make_screening(cast.alice, numbered_chart(cast), photograph_bytes)
    batch = begin(cast, JOSEF)
    send_photograph(cast, batch, "josef-1.jpg", photograph_bytes)
    assert "Another patient's record has the same photograph" in said(cast, batch)[0]


def test_faulty_row_holds_back_her_others_and_nobody_elses(cast, random_photograph):
    batch = begin(cast, ERNA, ERNA | {"file": "erna-2.jpg", "site": "bak"}, JOSEF)
    send_all(cast, batch, random_photograph)
    assert verdicts(cast, batch) == ["held", "refused", "ready"]
    assert said(cast, batch)[0].startswith("Row 3 of the same patient")


def test_page_can_show_only_problems(cast):
    batch = begin(cast, ERNA, JOSEF | {"site": "bak"})
    page = cast.alice.client.get(f"/imports/{batch.pk}/", {"show": "problems"}).content.decode()
    assert ("Autumnbottom" in page, "Winterbottom" in page) == (True, False)
    assert "No such row" in cast.alice.client.get(f"/imports/{begin(cast, ERNA).pk}/?show=problems").content.decode()


def test_report_runs_nothing_in_a_spreadsheet(cast):
    batch = begin(cast, ERNA, JOSEF | {"family_name": "=1+1"})
    response = cast.alice.client.get(f"/imports/{batch.pk}/report.csv")
    first, second = csv.DictReader(io.StringIO(response.content.decode()))
    assert (first["row"], first["file"], first["patient"], first["outcome"]) == (
        "2", "erna-1.jpg", "Winterbottom, Erna", "Not sent yet",
    )  # fmt: skip
    assert second["patient"] == "'=1+1, Josef"
    assert "begins with" in second["why"]
    assert rows(cast, AuditEvent, action="import_report_taken")


def test_table_sent_twice_is_one_import(cast):
    submission = str(uuid4())
    first, second = (send_table(cast.alice, table_of(ERNA), submission=submission) for _ in range(2))
    assert first["Location"] == second["Location"]
    the_only(cast, ImportBatch)


def test_page_of_a_long_table_asks_no_more_than_that_of_a_short_one(cast, django_assert_max_num_queries):
    many = [ERNA | {"file": f"{n}.jpg", "record_number": f"{n}", "given_name": f"E{n}"} for n in range(MOST_ROWS)]
    batch = begin(cast, *many)
    client = cast.alice.client
    with django_assert_max_num_queries(13 + 3):  # and three of the test's own transaction
        page = client.get(f"/imports/{batch.pk}/").content.decode()
    assert "Page 1 of 20" in page


def test_every_site_has_its_place_on_its_side():
    for site in SITES:
        left, right, middle = (place_of(site, side) for side in ("left", "right", "midline"))
        assert left.x + right.x == pytest.approx(1)
        assert (left.x > 0.5) == (left.view == "front"), "seen from the front, her left is on the right"
        assert middle is None or middle.x == 0.5


def test_names_of_files_are_compared_without_folders_capitals_and_accents():
    assert file_key("C:\\fotos\\Strauße  1.JPG") == file_key("fotos/Strau\u00dfe 1.jpg") == "strauße 1.jpg"
    assert file_key("Mu\u0308ller.jpg") == file_key("M\u00fcller.jpg")


@pytest.mark.parametrize("site", BodySite)
@pytest.mark.parametrize("laterality", Laterality)
def test_place_that_an_import_gives_a_site_is_on_the_body_and_its_own(site, laterality):
    if place := place_of(site, laterality):
        assert is_on_body(place.x, place.y)
        assert fits(site=site, laterality=laterality, **vars(place))
        assert site in sites_at(place.view, place.x, place.y)


def page_of(cast, batch) -> str:
    return " ".join(cast.alice.client.get(f"/imports/{batch.pk}/").content.decode().split())


def test_photograph_that_is_there_already_is_not_said_to_be_added(cast, chart, screening, photograph_bytes):
    with cast.alice.acting():
        add_identifier(patient=chart.patient, system=RECORD_NUMBER, value="R-4711")
    batch = begin(cast, ERNA, ERNA | {"file": "erna-2.jpg"})
    page = page_of(cast, batch)
    assert page.count("new lesion") == page.count("photograph added") == 1
    send_photograph(cast, batch, "erna-1.jpg", photograph_bytes)
    assert "it is not added again" in said(cast, batch)[0]
    row = page_of(cast, batch).split("erna-1.jpg")[1].split("</tr>")[0]
    assert "photograph added" not in row
    assert "new lesion" not in row


def test_number_that_the_record_has_is_nobody_new(cast, chart):
    with cast.alice.acting():
        add_identifier(patient=chart.patient, system=RECORD_NUMBER, value="R-4711")
    page = page_of(cast, begin(cast, ERNA | {"family_name": "Somebody"}, JOSEF))
    assert 'Somebody, Erna<span class="second">R-4711</span>' in page
    assert 'Autumnbottom, Josef<span class="second">new, R-4712</span>' in page
