"""A photograph as a DICOM object, read by others' eyes: whole by the standard's list, and honest."""

from datetime import UTC, datetime
from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.pixels import pixel_array
from pydicom.uid import JPEGBaseline8Bit

from conftest import make_chart, make_screening
from patients.restricted import restrict
from patients.services import add_identifier, merge_patients
from screening.dicom.sent import DERMOSCOPIC, PHOTOGRAPHIC
from screening.dicom.tests.objects import ISSUER, as_bytes, dicom_object
from screening.dicom.uids import uid_of
from screening.models import LesionImage, Screening
from screening.tests.conftest import finish, rows, the_only
from skinclinic.api.dicom.tests.conftest import Dicom, reasons
from skinclinic.audit.models import AuditEvent

# Of PS3.3 2026, Table A.32.4-1 and those of its mandatory modules: what must be there, and what must say something.
TYPE_1 = {
    "C.7.2.1 General Study": "StudyInstanceUID",
    "C.7.3.1 General Series": "Modality SeriesInstanceUID",
    "C.7.6.3 Image Pixel": "SamplesPerPixel PhotometricInterpretation Rows Columns BitsAllocated BitsStored HighBit "
    "PixelRepresentation PlanarConfiguration PixelData",
    "C.8.12.1 VL Image": "ImageType",
    "C.12.1 SOP Common": "SOPClassUID SOPInstanceUID SpecificCharacterSet",
}
TYPE_2 = {
    "C.7.1.1 Patient": "PatientName PatientID PatientBirthDate PatientSex",
    "C.7.2.1 General Study": "StudyDate StudyTime AccessionNumber ReferringPhysicianName StudyID",
    "C.7.3.1 General Series": "SeriesNumber",
    "C.7.5.1 General Equipment": "Manufacturer",
    "C.7.6.1 General Image": "InstanceNumber PatientOrientation ContentDate ContentTime",
    "C.7.6.14 Acquisition Context": "AcquisitionContextSequence",
    "C.8.12.1 VL Image": "LossyImageCompression",
}
# Table A.32.11-1 asks for these beside: Enhanced General Equipment (C.7.5.2), and Dermoscopic Image.
DERMOSCOPIC_1 = "Manufacturer ManufacturerModelName DeviceSerialNumber SoftwareVersions RecognizableVisualFeatures "
DERMOSCOPIC_1 += "TrackingID TrackingUID"
DERMOSCOPIC_2 = "LightSourcePolarization EmitterColorTemperature ContactMethod OpticalMagnificationFactor"


def fetched(api: Dicom, screening: Screening, **headers: str) -> Dataset:
    answer = api.get(f"screenings/{screening.pk}/dicom/", **headers)
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/dicom")
    return dcmread(BytesIO(answer.content))


def assert_whole(told: Dataset, filled: str, there: str) -> None:
    assert [name for name in filled.split() if not told.get(name) and told.get(name) != 0] == []
    assert [name for name in there.split() if name not in told] == []


@pytest.fixture
def screening(cast, erna, photograph_bytes) -> Screening:
    return make_screening(cast.alice, erna, photograph_bytes)


def test_it_works(cast, api, erna, screening):
    told = fetched(api, screening)
    assert_whole(told, " ".join(TYPE_1.values()), " ".join(TYPE_2.values()))
    assert (told.SOPClassUID, told.file_meta.TransferSyntaxUID) == (PHOTOGRAPHIC, JPEGBaseline8Bit)
    assert (told.SOPInstanceUID, told.StudyInstanceUID) == (uid_of(screening.image_id), uid_of(erna.visit.pk))
    assert (str(told.PatientName), told.PatientBirthDate, told.PatientSex) == ("Winterbottom^Erna", "19610430", "F")
    assert (told.PatientID, told.IssuerOfPatientID) == ("4711", ISSUER)
    (region,) = told.AnatomicRegionSequence
    assert (region.CodeValue, region.AnatomicRegionModifierSequence[0].CodeValue) == ("66643007", "7771000")
    assert (told.ImageLaterality, told.TrackingUID) == ("L", uid_of(erna.lesion.pk))


def test_the_pixels_are_those_of_the_photograph(cast, api, screening):
    told = fetched(api, screening)
    with cast.in_north():
        stored = Image.open(BytesIO(LesionImage.objects.get().photograph.read()))
    assert (told.Rows, told.Columns) == (stored.height, stored.width)
    assert np.abs(pixel_array(told).astype(int) - np.asarray(stored)).mean() < 2
    assert (told.LossyImageCompression, told.LossyImageCompressionMethod) == ("01", ["ISO_10918_1", "ISO_10918_1"])
    assert all(ratio > 1 for ratio in told.LossyImageCompressionRatio)
    assert list(told.ImageType) == ["DERIVED", "PRIMARY"]


def test_when_it_was_taken_is_told_with_its_zone(cast, api, erna, photograph_bytes):
    screening = make_screening(cast.alice, erna, photograph_bytes)
    assert "AcquisitionDateTime" not in fetched(api, screening)
    api.store(dicom_object(photograph_bytes))
    told = fetched(api, rows(cast, Screening)[-1])
    moment = datetime.strptime(told.AcquisitionDateTime, "%Y%m%d%H%M%S%z")
    assert moment == datetime(2026, 11, 22, 13, 5, tzinfo=UTC)
    assert told.TimezoneOffsetFromUTC == moment.strftime("%z")


def test_no_reading_stands_in_it(cast, api, screening):
    before = api.get(f"screenings/{screening.pk}/dicom/").content
    finish(cast, screening, malignancy=0.737373, refer=True, band="high")
    assert api.get(f"screenings/{screening.pk}/dicom/").content == before


def test_an_object_goes_out_as_what_it_came_as(cast, api, erna, photograph_bytes):
    sent = dicom_object(photograph_bytes, TrackingUID="1.2.3.4")
    api.store(sent)
    told = fetched(api, the_only(cast, Screening))
    assert_whole(told, " ".join([*TYPE_1.values(), DERMOSCOPIC_1]), " ".join([*TYPE_2.values(), DERMOSCOPIC_2]))
    same = ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "TrackingUID")
    assert {name: told[name].value for name in same} == {name: sent[name].value for name in same}
    assert (told.ManufacturerModelName, told.DeviceSerialNumber, told.Modality) == ("Looking Glass 3", "0042", "DMS")
    assert told.StudyDate == ""


def test_one_that_does_not_name_its_equipment_gets_identifiers_of_its_own(cast, api, erna, photograph_bytes):
    sent = dicom_object(photograph_bytes, DeviceSerialNumber="")
    api.store(sent)
    told = fetched(api, the_only(cast, Screening))
    assert (told.SOPClassUID, told.SOPInstanceUID) == (PHOTOGRAPHIC, uid_of(the_only(cast, LesionImage).pk))
    assert sent.SOPClassUID == DERMOSCOPIC


def test_it_comes_home_unchanged_and_once(cast, api, screening):
    """Sent back to where it is from, it is there already."""
    assert api.store(as_bytes(fetched(api, screening))).status_code == 200
    the_only(cast, Screening)


def test_another_clinic_takes_it_where_it_belongs(cast, api, screening):
    told = fetched(api, screening)
    theirs = make_chart(cast.bob)
    other = Dicom(cast.south)
    assert reasons(other.store(told)) == [0xC010], "nobody has the number there"
    with cast.bob.acting():
        add_identifier(patient=theirs.patient, system=ISSUER, value="4711")
    assert other.store(told).status_code == 200
    with cast.bob.acting():
        taken = LesionImage.objects.get()
        again = np.asarray(Image.open(BytesIO(taken.photograph.read()))).astype(int)
    assert taken.lesion_id == theirs.lesion.pk
    assert np.abs(again - pixel_array(told)).mean() < 2


@pytest.mark.parametrize("system", ["urn:" + "x" * 80, "urn:back\\slash", "urn:skinclinic:record-number"])
def test_a_number_of_an_issuer_goes_before_others(cast, api, screening, system):
    """The other one does not fit, or is the clinic's own."""
    with cast.alice.acting():
        number = add_identifier(patient=screening.patient, system=system, value="77")
        type(number).objects.filter(pk=number.pk).update(created_at=datetime(2020, 1, 1, tzinfo=UTC))
    told = fetched(api, screening)
    assert (told.PatientID, told.IssuerOfPatientID) == ("4711", ISSUER)


def test_an_issuer_that_is_an_oid_is_told_as_one(cast, photograph_bytes):
    chart = make_chart(cast.alice)
    with cast.alice.acting():
        add_identifier(patient=chart.patient, system="urn:oid:1.2.3", value="5")
    told = fetched(Dicom(cast.north), make_screening(cast.alice, chart, photograph_bytes))
    (issuer,) = told.IssuerOfPatientIDQualifiersSequence
    assert (told.PatientID, issuer.UniversalEntityID, issuer.UniversalEntityIDType) == ("5", "1.2.3", "ISO")


def test_without_a_number_none_is_made(cast, photograph_bytes):
    chart = make_chart(cast.alice)
    told = fetched(Dicom(cast.north), make_screening(cast.alice, chart, photograph_bytes))
    assert (told.PatientID, "IssuerOfPatientID" in told) == ("", False)


def test_of_a_merged_record_the_remaining_one_is_told(cast, api, screening):
    other = make_chart(cast.alice, given_name="Ernestine")
    with cast.ada.acting():
        merge_patients(duplicate=screening.patient, into=other.patient)
    assert str(fetched(api, screening).PatientName) == "Winterbottom^Ernestine"


def test_each_look_is_on_the_ledger(cast, api, screening):
    fetched(api, screening, Accept="application/dicom")
    cast.alice.client.get(f"/screenings/{screening.pk}/photograph.dcm")
    looks = rows(cast, AuditEvent, action="photograph_seen")
    assert [(look.subject_id, look.changes) for look in looks] == [(str(screening.image_id), {"as": "dicom"})] * 2
    assert [look.actor_name for look in looks] == ["Record system", "Alice Alder"]


def test_who_may_not_see_it_does_not_get_it(cast, api, screening):
    path, page = f"screenings/{screening.pk}/dicom/", f"/screenings/{screening.pk}/photograph.dcm"
    assert Dicom(cast.south).get(path).status_code == 404
    assert Dicom(cast.north, scopes=("dicom:write",)).get(path).status_code == 403
    assert cast.bob.client.get(page).status_code == 404
    with cast.ada.acting() as ada:
        restrict(actor=ada, patient=screening.patient, restricted=True)
    assert cast.rita.client.get(page).status_code == 302
    assert cast.rita.client.get(page)["Location"].startswith(f"/patients/{screening.patient_id}/open/")


def test_the_result_page_leads_to_it(cast, screening):
    page = cast.alice.client.get(f"/screenings/{screening.pk}/").content.decode()
    assert f'href="/screenings/{screening.pk}/photograph.dcm" download' in page
    answer = cast.alice.client.get(f"/screenings/{screening.pk}/photograph.dcm")
    assert dcmread(BytesIO(answer.content)).PatientID == "4711"
    assert answer["Content-Disposition"] == f'attachment; filename="{screening.image_id}.dcm"'
