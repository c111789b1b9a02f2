"""Everything about one patient in one file."""

import io
import json
import zipfile

from django.urls import reverse

from conftest import make_screening
from screening.images import clean_photograph
from screening.services.photographs import add_overview
from screening.tests.conftest import finish
from screening.tests.erasing import everything_of
from screening.tests.test_restricted import post
from skinclinic.accounts.models import Membership
from skinclinic.accounts.services import decide_reviewing
from skinclinic.api.fhir.tests.test_read import checked
from skinclinic.audit.models import AuditEvent


def taken(person, patient, reason: str = "she asks for it") -> dict[str, bytes]:
    """The files of the ZIP, without the folder they are in."""
    answer = post(person, "patient_export", patient.pk, reason=reason, follow=False)
    assert answer["Content-Type"] == "application/zip", answer.get("Location")
    with zipfile.ZipFile(io.BytesIO(b"".join(answer.streaming_content))) as pack:
        return {name.partition("/")[2]: pack.read(name) for name in pack.namelist()}


def test_it_works(cast, random_photograph):
    written = everything_of(cast, random_photograph)
    files = taken(cast.ada, written.patient)
    assert {name.partition("/")[0] for name in files} == {
        "summary.html", "record.fhir.json", "photographs.json", "ledger.csv", "photographs", "reports",
    }  # fmt: skip
    summary = files["summary.html"].decode()
    for text in ("Quillfeather", "23 Aug 1957", "ZQ-90817", "INS-5527-XK", "wordsalpha asked", "wordspi pathology"):
        assert text in summary, text
    assert "Stranger" not in summary
    record = checked(json.loads(files["record.fhir.json"]))
    assert {entry["resource"]["resourceType"] for entry in record["entry"]} >= {"Patient", "Media", "Observation"}
    photographs = json.loads(files["photographs.json"])
    assert {each["file"] for each in photographs} <= files.keys()
    assert {each["reading"]["band"] for each in photographs} == {"high", "low"}
    assert all(each["stored_at"][10] == "T" for each in photographs), "as ISO 8601 writes it"
    assert {each["taken_at"] for each in photographs} == {None}, "the file does not say"
    assert "wordszeta of the opinion" in files["photographs.json"].decode()
    pictures = [data for name, data in files.items() if name.startswith("photographs/")]
    assert len(pictures) == 4, "with the overview"
    assert all(data.startswith(b"\xff\xd8") for data in pictures)
    (report,) = [data for name, data in files.items() if name.startswith("reports/")]
    assert report.startswith(b"%PDF")
    ledger = files["ledger.csv"].decode()
    for text in ("Restricted chart opened", "Rita Rowan", "Photograph added"):
        assert text in ledger, text
    with cast.in_north():
        line = AuditEvent.objects.get(action="patient_exported")
    assert (line.reason, line.actor_name, line.patient_id) == ("she asks for it", "Ada Ash", written.patient.pk)
    assert line.changes == {"photographs": 4, "reports": 1}


def test_it_asks_for_a_reason_and_is_the_managers(cast, chart):
    address = reverse("patient_export", args=[chart.patient.pk])
    assert (
        "The reason is kept on the ledger"
        in post(cast.ada, "patient_export", chart.patient.pk, reason="").content.decode()
    )
    assert cast.alice.client.post(address, {"clinic": cast.north.pk, "reason": "x"}).status_code == 403
    assert cast.bob.client.post(address, {"clinic": cast.south.pk, "reason": "x"}).status_code == 404
    with cast.in_north():
        assert not AuditEvent.objects.filter(action="patient_exported").exists()


def test_restricted_chart_asks_first(cast, chart):
    post(cast.ada, "chart_restrict", chart.patient.pk, reason="a colleague")
    led = post(cast.ada, "patient_export", chart.patient.pk, follow=False)
    assert led["Location"].startswith(reverse("chart_open", args=[chart.patient.pk]))
    post(cast.ada, "chart_open", chart.patient.pk)
    assert "summary.html" in taken(cast.ada, chart.patient)


def test_what_shows_somebody_else_is_left_out(cast, chart, photograph_bytes):
    screening = make_screening(cast.alice, chart, photograph_bytes)
    finish(cast, screening, refer=True, band="high")
    assert f"photographs/{screening.image_id}.jpg" in taken(cast.ada, chart.patient)
    post(cast.alice, "screening_withdraw", screening.pk, reason="wrong_patient")
    files = taken(cast.ada, chart.patient)
    assert not [name for name in files if name.startswith("photographs/")]
    assert json.loads(files["photographs.json"]) == []


def test_overview_that_shows_somebody_else_is_left_out(cast, chart, photograph_bytes):
    clean = clean_photograph(io.BytesIO(photograph_bytes))
    with cast.alice.acting() as alice:
        overview = add_overview(actor=alice, visit=chart.visit, lesion=chart.lesion, clean=clean)
    assert f"photographs/{overview.image_id}.jpg" in taken(cast.ada, chart.patient)
    post(cast.alice, "overview_withdraw", overview.pk, reason="wrong_patient")
    files = taken(cast.ada, chart.patient)
    assert not [name for name in files if name.startswith("photographs/")]
    assert str(overview.image_id) not in files["record.fhir.json"].decode()


def test_what_she_is_to_judge_blind_is_not_hers_to_take(cast, chart, screening):
    finish(cast, screening, refer=True, band="high")
    with cast.ada.acting() as ada:
        decide_reviewing(actor=ada, blind_first_reading=True)
    with cast.in_north():
        Membership.objects.filter(user=cast.ada.user).update(roles=["manager", "reviewer"])
    refused = post(cast.ada, "patient_export", chart.patient.pk, reason="she asks for it")
    assert "A reading of this patient is kept from you until your opinion" in refused.content.decode()
    with cast.in_north():
        assert not AuditEvent.objects.filter(action="patient_exported").exists()
