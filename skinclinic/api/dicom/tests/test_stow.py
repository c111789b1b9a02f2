"""STOW-RS: what is stored and where, what is refused and why, and that a second sending changes nothing."""

from io import BytesIO

import pytest
import requests
from hypothesis import HealthCheck, given
from hypothesis import settings as tries
from hypothesis import strategies as st
from PIL import Image
from pydicom import Dataset
from pydicom.uid import generate_uid

from conftest import make_chart, with_another_lesion
from patients.models import Lesion, Patient, Visit
from patients.services import add_identifier, note_consent
from screening.dicom.models import DicomInstance
from screening.dicom.tests.objects import ISSUER, as_bytes, dicom_object, region
from screening.dicom.uids import uid_of
from screening.models import LesionImage, Screening
from screening.services.photographs import move_screening, withdraw_screening
from screening.tests.conftest import rows, the_only
from skinclinic.api.dicom import storing
from skinclinic.api.dicom.tests.conftest import Dicom, body_of, numbered, reasons
from skinclinic.api.tests.together import at_the_same_moment, meeting
from skinclinic.audit.models import AuditEvent

FOREARM = {"AnatomicRegionSequence": region("70559009")}
NOWHERE = {"AnatomicRegionSequence": None, "ImageLaterality": None}


def test_it_works(real_cast, portal, photograph_bytes):
    """A client of others' making, by HTTP, to the server that clinics run: once whole, once in chunks."""
    chart, client = numbered(real_cast), Dicom(real_cast.north).at(portal)
    small, large = dicom_object(photograph_bytes), dicom_object(photograph_bytes)
    large.private_block(0x0011, "padding", create=True).add_new(0x01, "OB", bytes(2_000_000))
    for told in (small, large):
        answer = client.store_instances([told])
        assert [item.ReferencedSOPInstanceUID for item in answer.ReferencedSOPSequence] == [told.SOPInstanceUID]
    assert "FailedSOPSequence" not in client.store_instances([small, large], study_instance_uid=None)
    screenings = rows(real_cast, Screening)
    assert [(each.reading_status, each.patient_id) for each in screenings] == [("queued", chart.patient.pk)] * 2
    assert {image.lesion_id for image in rows(real_cast, LesionImage)} == {chart.lesion.pk}
    strange = dicom_object(photograph_bytes, PatientID="0")
    with pytest.raises(requests.HTTPError, match="409"):
        client.store_instances([strange])


def test_all_some_or_none_are_stored(api, erna, photograph_bytes):
    good, wrong = dicom_object(photograph_bytes), dicom_object(photograph_bytes, PatientID="0")
    answers = [api.store(*told) for told in ((good,), (good, wrong), (wrong,))]
    assert [answer.status_code for answer in answers] == [200, 202, 409]
    assert {answer["Content-Type"] for answer in answers} == {"application/dicom+json"}
    told = Dataset.from_json(answers[1].json())
    (stored,), (failed,) = told.ReferencedSOPSequence, told.FailedSOPSequence
    assert (stored.ReferencedSOPInstanceUID, stored.ReferencedSOPClassUID) == (good.SOPInstanceUID, good.SOPClassUID)
    assert (failed.ReferencedSOPInstanceUID, failed.FailureReason) == (wrong.SOPInstanceUID, 0xC010)
    assert failed.ErrorComment == "No patient here has this number from this issuer."


def test_a_second_sending_changes_nothing(cast, api, erna, photograph_bytes):
    told = dicom_object(photograph_bytes)
    assert [api.store(told).status_code for _ in range(2)] == [200, 200]
    the_only(cast, Screening)


def test_eight_at_the_same_moment_make_one(real_cast, photograph_bytes):
    numbered(real_cast)
    api = Dicom(real_cast.north)
    told = as_bytes(dicom_object(photograph_bytes))

    answers = at_the_same_moment(8, lambda: api.store(told).status_code)
    assert answers == [200] * 8
    the_only(real_cast, Screening)


def test_different_ones_of_a_new_lesion_at_the_same_moment_make_one_of_it(real_cast, photograph_bytes, monkeypatch):
    numbered(real_cast)
    api = Dicom(real_cast.north)
    new = FOREARM | {"TrackingUID": generate_uid()}
    waiting = [as_bytes(dicom_object(photograph_bytes, **new)) for _ in range(4)]
    monkeypatch.setattr(storing, "clean_photograph", meeting(4, storing.clean_photograph))
    assert at_the_same_moment(4, lambda: api.store(waiting.pop()).status_code) == [200] * 4
    assert len(rows(real_cast, Screening)) == 4
    assert len(rows(real_cast, Lesion)) == 2
    assert len([visit for visit in rows(real_cast, Visit) if visit.clinician_id is None]) == 1


def test_one_identifier_for_two_patients_photographs_is_refused(cast, api, erna, photograph_bytes):
    told = dicom_object(photograph_bytes)
    api.store(told)
    emma = make_chart(cast.alice, given_name="Emma", family_name="Karg")
    with cast.alice.acting():
        add_identifier(patient=emma.patient, system=ISSUER, value="1")
    told.PatientID, told.PatientName = "1", "Karg^Emma"
    assert reasons(api.store(told)) == [0x0111]


CONTRADICTED = {
    "birth date": ({"PatientBirthDate": "19610501"}, 0xC011),
    "name": ({"PatientName": "Sommerfeld^Karl"}, 0xC011),
    "unknown number": ({"PatientID": "4712"}, 0xC010),
    "other issuer": ({"IssuerOfPatientID": "urn:other"}, 0xC010),
    "no number": ({"PatientID": ""}, 0xC010),
    "no issuer": ({"IssuerOfPatientID": None}, 0xC010),
    "no issuer and no name": ({"IssuerOfPatientID": None, "PatientName": ""}, 0xC012),
    "record number, without a name": (
        {"IssuerOfPatientID": "urn:skinclinic:record-number", "PatientName": ""},
        0xC012,
    ),
    "burned in": ({"BurnedInAnnotation": "YES"}, 0xC004),
    "other class": ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"}, 0x0122),
    "no place": (NOWHERE, 0xC020),
    "two meanings": ({"AnatomicRegionSequence": region("371311000")}, 0xC020),
    "forearm in the middle": (FOREARM | {"ImageLaterality": "U"}, 0xC020),
    "no side": (FOREARM | {"ImageLaterality": None}, 0xC020),
}


def test_what_is_refused_leaves_nothing(cast, api, erna, photograph_bytes):
    for what, (changes, reason) in CONTRADICTED.items():
        answer = api.store(dicom_object(photograph_bytes, **changes))
        assert (answer.status_code, reasons(answer)) == (409, [reason]), what
    assert rows(cast, LesionImage) == []
    assert len(rows(cast, Patient)) == 1
    lines = rows(cast, AuditEvent, action="upload_refused")
    assert [line.actor_name for line in lines] == ["Record system"] * len(CONTRADICTED)


def test_a_patient_who_refuses_photographs_is_heard(cast, api, erna, photograph_bytes):
    with cast.alice.acting() as actor:
        note_consent(actor=actor, patient=erna.patient, kind="photograph", decision="refused", decided_on="2026-11-22")
    assert reasons(api.store(dicom_object(photograph_bytes))) == [0xC013]


def test_another_clinics_number_is_an_unknown_one(cast, erna, photograph_bytes):
    assert reasons(Dicom(cast.south).store(dicom_object(photograph_bytes))) == [0xC010]


def test_another_clinics_object_is_no_second_sending(cast, api, erna, photograph_bytes):
    told = dicom_object(photograph_bytes)
    api.store(told)
    theirs = make_chart(cast.bob)
    with cast.bob.acting():
        add_identifier(patient=theirs.patient, system=ISSUER, value="4711")
    assert Dicom(cast.south).store(told).status_code == 200
    with cast.bob.acting():
        assert DicomInstance.objects.get().instance_uid == told.SOPInstanceUID


def test_without_an_issuer_name_and_birth_date_carry_the_record_number(cast, api, erna, photograph_bytes):
    with cast.alice.acting():
        add_identifier(patient=erna.patient, system="urn:skinclinic:record-number", value="77")
    assert api.store(dicom_object(photograph_bytes, IssuerOfPatientID=None, PatientID="77")).status_code == 200


def test_an_issuer_may_be_an_oid(cast, api, erna, photograph_bytes):
    with cast.alice.acting():
        add_identifier(patient=erna.patient, system="urn:oid:1.2.3", value="5")
    issuer = Dataset()
    issuer.UniversalEntityID, issuer.UniversalEntityIDType = "1.2.3", "ISO"
    changes = {"IssuerOfPatientID": None, "IssuerOfPatientIDQualifiersSequence": [issuer], "PatientID": "5"}
    assert api.store(dicom_object(photograph_bytes, **changes)).status_code == 200


def lesion_of_last(cast) -> Lesion:
    with cast.in_north():
        return LesionImage.objects.select_related("lesion").latest("created_at").lesion


def test_a_new_lesion_is_made_where_site_and_side_are_known(cast, api, erna, photograph_bytes):
    assert api.store(dicom_object(photograph_bytes, **FOREARM)).status_code == 200
    made = lesion_of_last(cast)
    assert (made.site, made.laterality, made.number) == ("forearm", "left", 2)


def test_of_two_lesions_in_one_place_none_is_guessed(cast, api, erna, photograph_bytes):
    with_another_lesion(cast.alice, erna)
    api.store(dicom_object(photograph_bytes, AnatomicRegionSequence=region("73897004")))
    assert lesion_of_last(cast).site == "face"
    with_another_lesion(cast.alice, erna)
    api.store(dicom_object(photograph_bytes, AnatomicRegionSequence=region("73897004")))
    assert lesion_of_last(cast).number == 4


def test_a_lesions_own_identifier_is_followed(cast, api, erna, photograph_bytes):
    mine = {"TrackingUID": uid_of(erna.lesion.pk)}
    assert api.store(dicom_object(photograph_bytes, **NOWHERE, **mine)).status_code == 200
    assert lesion_of_last(cast) == erna.lesion
    elsewhere = {"ImageLaterality": "R", "AnatomicRegionSequence": region("66643007")}
    assert reasons(api.store(dicom_object(photograph_bytes, **elsewhere, **mine))) == [0xC021]


def test_another_patients_lesion_is_not_followed(cast, api, erna, photograph_bytes):
    other = make_chart(cast.alice, given_name="Emma", family_name="Karg")
    answer = api.store(dicom_object(photograph_bytes, **NOWHERE, TrackingUID=uid_of(other.lesion.pk)))
    assert reasons(answer) == [0xC020]


def test_two_names_of_the_sender_are_two_lesions(cast, api, erna, photograph_bytes):
    first, second = generate_uid(), generate_uid()
    found = []
    for tracking in (first, second, first, second):
        assert api.store(dicom_object(photograph_bytes, TrackingUID=tracking)).status_code == 200
        found.append(lesion_of_last(cast).number)
    assert found == [1, 2, 1, 2]


def test_a_moved_photograph_takes_its_tracking_along(cast, api, erna, photograph_bytes):
    tracking = {"TrackingUID": generate_uid()}
    api.store(dicom_object(photograph_bytes, **tracking))
    screening, there = the_only(cast, Screening), with_another_lesion(cast.alice, erna)
    with cast.alice.acting() as actor:
        visit = Visit.objects.get(pk=screening.visit_id)
        moved = move_screening(
            actor=actor, screening=screening, visit=visit, lesion=there.lesion, reason="wrong_lesion"
        )
    api.store(dicom_object(photograph_bytes, **NOWHERE, **tracking))
    assert lesion_of_last(cast) == there.lesion
    with cast.alice.acting() as actor:
        withdraw_screening(actor=actor, screening=moved, reason="wrong_lesion")


def test_the_study_of_the_address_is_the_objects(api, erna, photograph_bytes):
    told = dicom_object(photograph_bytes)
    assert reasons(api.store(told, study="1.2.3")) == [0xC030]
    assert api.store(told, study=told.StudyInstanceUID).status_code == 200


def test_what_is_no_object_is_counted_among_other_failures(api, erna, photograph_bytes):
    answer = api.store(b"", b"DICM", dicom_object(photograph_bytes))
    assert (answer.status_code, reasons(answer)) == (202, [0xC000, 0xC000])
    assert len(Dataset.from_json(answer.json()).OtherFailuresSequence) == 2
    for body in (body_of(b"{}", kind="application/dicom+json"), b"--a-boundary\r\nContent-Type: x"):
        answer = api.post_body(body)
        assert (answer.status_code, reasons(answer)) == (409, [0xC000])


def test_an_object_over_25_megabytes_is_refused(api, erna, photograph_bytes):
    told = as_bytes(dicom_object(photograph_bytes))
    answer = api.store(told + bytes(26 * 1024 * 1024), dicom_object(photograph_bytes))
    assert (answer.status_code, reasons(answer)) == (202, [0xA700])


def test_more_than_a_hundred_objects_are_not_read(cast, api):
    answer = api.store(*[b""] * 102)
    assert (answer.status_code, len(reasons(answer)), reasons(answer)[-1]) == (409, 101, 0xA700)


WRONG_KINDS = {
    "multipart/form-data; boundary=a-boundary": 415,
    'multipart/related; type="application/dicom+json"; boundary=a-boundary': 415,
    "application/dicom": 415,
    'multipart/related; type="application/dicom"': 400,
    "": 415,
}


def test_a_body_of_another_kind_is_refused(api):
    for kind, status in WRONG_KINDS.items():
        answer = api.post_body(body_of(b"x"), content_type=kind)
        assert (answer.status_code, answer["Content-Type"]) == (status, "application/problem+json"), kind


def test_a_body_without_an_object_is_refused(api):
    for body in (b"--a-boundary--", b"nothing", b"--a-boundary"):
        assert api.post_body(body).status_code == 400, body


def test_a_part_whose_head_has_no_end_is_one_outcome(cast, api, erna, photograph_bytes):
    """It is longer than what is looked through at once."""
    body = body_of(as_bytes(dicom_object(photograph_bytes)))
    answer = api.post_body(b"--a-boundary\r\nX-Long: " + b"x" * 200_000 + b"\r\n" + body)
    assert (answer.status_code, reasons(answer)) == (202, [0xC000])
    the_only(cast, Screening)


def test_what_is_too_large_is_refused_before_it_is_read(api):
    answer = api.post_body(b"x", CONTENT_LENGTH="9000000000")
    assert answer.status_code in (400, 413)


ACCEPTED = {"application/dicom+json": 200, "*/*": 200, "application/json": 200, "application/dicom+xml": 406}


def test_answers_are_json_or_none(cast, api, erna, photograph_bytes):
    for accept, status in ACCEPTED.items():
        assert api.store(dicom_object(photograph_bytes), Accept=accept).status_code == status, accept
    assert len(rows(cast, Screening)) == 3


def test_the_scope_is_asked_for(cast, photograph_bytes):
    told = dicom_object(photograph_bytes)
    assert Dicom(cast.north, scopes=("screenings:write",)).store(told).status_code == 403
    api = Dicom(cast.north)
    api.token = "wrong"
    assert api.store(told).status_code == 401
    assert Dicom(cast.north).browser.get("/dicomweb/studies", headers=Dicom(cast.north).bearer).status_code == 405


def test_one_that_breaks_off_stores_what_came_whole(cast, api, erna, photograph_bytes):
    whole, broken = (as_bytes(dicom_object(photograph_bytes)) for _ in range(2))
    body = body_of(whole, broken)
    answer = api.post_body(body[: len(body) - 3000])
    assert (answer.status_code, reasons(answer)) == (202, [0xC000])
    the_only(cast, Screening)


@pytest.fixture(scope="module")
def small_body() -> bytes:
    buffer = BytesIO()
    Image.new("RGB", (64, 64), "tan").save(buffer, "JPEG")
    return body_of(as_bytes(dicom_object(buffer.getvalue())))


@tries(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    places=st.lists(st.tuples(st.integers(0, 1400), st.binary(min_size=1, max_size=6)), min_size=1, max_size=4),
    cut=st.integers(0, 300),
)
def test_nothing_that_is_sent_is_a_fault_of_ours(api, erna, small_body, places, cut):
    body = bytearray(small_body)
    for place, wrong in places:
        body[place : place + len(wrong)] = wrong
    answer = api.post_body(bytes(body[: len(body) - cut]))
    # 202: where the last boundary is broken, a whole object is followed by what is none, and each has its outcome.
    assert answer.status_code in (200, 202, 400, 409), answer.content
