"""DICOM photographs through the page and through the REST API: never into another person's record."""

from uuid import uuid4

import pytest
from pydicom import Dataset

from conftest import make_chart
from patients.services import add_identifier, merge_patients
from screening.dicom.models import DicomInstance
from screening.dicom.tests.objects import ISSUER, as_bytes, dicom_object, region
from screening.models import LesionImage, Screening
from screening.tests.conftest import rows, the_only
from screening.tests.test_uploads import upload
from skinclinic.api.tests.test_api import Api
from skinclinic.audit.models import AuditEvent


def number(cast, chart, value: str = "4711", system: str = ISSUER) -> None:
    with cast.alice.acting():
        add_identifier(patient=chart.patient, system=system, value=value)


def send(cast, chart, told: Dataset) -> dict:
    return upload(cast, chart, as_bytes(told), "IM0001", "application/octet-stream").json()["photographs"][0]


def test_it_works(cast, chart, photograph_bytes):
    number(cast, chart)
    told = dicom_object(photograph_bytes)
    assert send(cast, chart, told)["said"] == "Stored; it waits to be read."
    kept = the_only(cast, DicomInstance)
    assert (kept.instance_uid, kept.series_uid) == (told.SOPInstanceUID, told.SeriesInstanceUID)
    image = the_only(cast, LesionImage)
    assert (kept.image_id, image.camera, image.lesion_id) == (image.pk, "Looking Glass 3", chart.lesion.pk)
    with cast.in_north():
        assert b"DICM" not in image.photograph.read()


def test_the_ledger_keeps_no_uid(cast, chart, photograph_bytes):
    told = dicom_object(photograph_bytes)
    send(cast, chart, told)
    lines = [str(event.changes) for event in rows(cast, AuditEvent, subject_type="dicom_dicominstance")]
    assert len(lines) == 1
    assert told.SOPInstanceUID not in lines[0]


WRONG = {
    "birth date": {"PatientBirthDate": "19610501"},
    "name": {"PatientName": "Sommerfeld^Karl"},
    "number": {"PatientID": "4712"},
    "no number of hers from this issuer": {"PatientID": "9999"},
    "other number": {"OtherPatientIDsSequence": [Dataset()]},
    "record number, without an issuer": {"PatientID": "77", "IssuerOfPatientID": None},
}


def test_another_persons_photograph_is_refused(cast, chart, photograph_bytes):
    number(cast, chart)
    emma = make_chart(cast.alice, given_name="Emma", family_name="Karg")
    number(cast, emma, "4712")
    number(cast, emma, "77", "urn:skinclinic:record-number")
    (other,) = WRONG["other number"]["OtherPatientIDsSequence"]
    other.PatientID, other.IssuerOfPatientID, other.TypeOfPatientID = "4712", ISSUER, "TEXT"
    for what, changes in WRONG.items():
        answer = send(cast, chart, dicom_object(photograph_bytes, **changes))
        assert answer.get("refused", "").startswith("This photograph says it is of another person"), what
        assert "Karg" not in answer["refused"]
    assert rows(cast, LesionImage) == []
    lines = rows(cast, AuditEvent, action="upload_refused")
    assert [line.changes for line in lines] == [{"reason": "another_person"}] * len(WRONG)


UNSAID = {"PatientName": "", "PatientID": "", "IssuerOfPatientID": None, "PatientBirthDate": ""}


NOT_CONTRADICTING = [
    UNSAID,
    {"PatientID": "12", "IssuerOfPatientID": None},  # the camera's own count
    {"PatientID": "12", "IssuerOfPatientID": "Looking Glass"},
    {"PatientName": "WINTERBOTTOM^ERNA MARIA^^Dr"},
    {"PatientName": "Erna^Winterbottom"},
]


def test_what_does_not_contradict_is_taken(cast, chart, photograph_bytes):
    number(cast, chart)
    for changes in NOT_CONTRADICTING:
        assert "said" in send(cast, chart, dicom_object(photograph_bytes, **changes)), changes


ELSEWHERE = {
    "another site": {"AnatomicRegionSequence": region("73897004")},
    "the other side": {"AnatomicRegionSequence": region("66643007", "24028007"), "ImageLaterality": "R"},
    "the other side alone": {"AnatomicRegionSequence": None, "ImageLaterality": "R"},
}


def test_a_photograph_of_another_place_than_the_lesion_is_refused(cast, chart, photograph_bytes):
    for what, changes in ELSEWHERE.items():
        told = send(cast, chart, dicom_object(photograph_bytes, **changes))
        assert "of another place than this lesion" in told["refused"], what
    in_the_middle = {"AnatomicRegionSequence": region("66643007"), "ImageLaterality": "U"}
    assert "said" in send(cast, chart, dicom_object(photograph_bytes, **in_the_middle))
    assert len(rows(cast, LesionImage)) == 1


def test_a_merged_records_number_is_hers(cast, chart, photograph_bytes):
    double = make_chart(cast.alice)
    number(cast, double)
    with cast.ada.acting():
        merge_patients(duplicate=double.patient, into=chart.patient)
    assert "said" in send(cast, chart, dicom_object(photograph_bytes))


def test_another_clinics_number_says_nothing(cast, chart, photograph_bytes):
    theirs = make_chart(cast.bob, family_name="Karg")
    with cast.bob.acting():
        add_identifier(patient=theirs.patient, system=ISSUER, value="4711")
    assert "said" in send(cast, chart, dicom_object(photograph_bytes))


def test_the_same_object_twice_is_shown_as_a_duplicate(cast, chart, photograph_bytes):
    told = dicom_object(photograph_bytes)
    first, again = (send(cast, chart, told) for _ in range(2))
    assert (first["duplicate"], again["duplicate"]) == (False, True)
    assert len(rows(cast, DicomInstance)) == 1


@pytest.mark.parametrize("alone", [True, False])
def test_the_rest_api_takes_one(cast, chart, photograph_bytes, alone):
    api, told = Api(cast.north), as_bytes(dicom_object(photograph_bytes))
    ids = {"visit": str(chart.visit.pk), "lesion": str(chart.lesion.pk)}
    headers = api.bearer | {"Idempotency-Key": str(uuid4())}
    if alone:
        path = f"/api/v1/screenings/?visit={ids['visit']}&lesion={ids['lesion']}"
        answer = api.browser.generic("POST", path, told, content_type="application/dicom", headers=headers)
    else:
        answer = api.upload(told, **ids)
    assert (answer.status_code, answer.json()["reading_status"]) == (202, "queued")


def test_the_rest_api_refuses_another_persons(cast, chart, photograph_bytes):
    told = as_bytes(dicom_object(photograph_bytes, PatientBirthDate="19000101"))
    answer = Api(cast.north).upload(told, visit=str(chart.visit.pk), lesion=str(chart.lesion.pk))
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:skinclinic:problem:another_person")
    with cast.in_north():
        assert not Screening.objects.exists()


def test_the_page_says_that_they_are_taken(cast, chart):
    page = cast.alice.client.get(f"/visits/{chart.visit.pk}/").content.decode()
    assert "application/dicom,.dcm" in page
    assert "a DICOM photograph, up to 25 MB each" in page
