"""What is read from an object, what is refused, and that nothing which is sent is a fault of ours."""

import warnings
from contextlib import suppress
from datetime import UTC, datetime
from io import BytesIO
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as tries
from hypothesis import strategies as st
from PIL import Image
from pydicom import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
)

from ml.drawing import draw_photograph
from patients.codes import BodySite
from patients.snomed import SITE_OF, SITES
from screening.dicom.reading import MOST_READS, read_object
from screening.dicom.sent import PHOTOGRAPHIC
from screening.dicom.tests.objects import as_bytes, dicom_object, native, region
from screening.images import PhotographRefused, clean_photograph

VIENNA = ZoneInfo("Europe/Vienna")


@pytest.fixture(scope="module")
def photograph() -> bytes:
    buffer = BytesIO()
    draw_photograph(7).resize((96, 80)).save(buffer, "JPEG", quality=95, subsampling=1)
    return buffer.getvalue()


def cleaned(data: bytes):
    return clean_photograph(BytesIO(data), zone=VIENNA, takes_dicom=True)


def shade(clean) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(clean.photograph)).convert("RGB")).astype(int)


def code_of(data: bytes) -> str:
    with pytest.raises(PhotographRefused) as refused:
        cleaned(data)
    return refused.value.code


def test_it_works(photograph):
    clean = cleaned(as_bytes(dicom_object(photograph)))
    assert (clean.width, clean.height, clean.camera) == (96, 80, "Looking Glass 3")
    assert clean.captured_at == datetime(2026, 11, 22, 13, 5, tzinfo=UTC)
    sent = clean.sent
    assert (sent.site, sent.laterality) == ("back", "left")
    assert (sent.patient.numbers, sent.patient.family_name) == ((("urn:his", "4711"),), "Winterbottom")
    assert np.abs(shade(clean) - np.asarray(Image.open(BytesIO(photograph)))).mean() < 2


def test_a_dicom_object_is_taken_only_where_it_is_wanted(photograph):
    with pytest.raises(PhotographRefused, match="no JPEG"):
        clean_photograph(BytesIO(as_bytes(dicom_object(photograph))))


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, JPEG2000Lossless])
def test_each_way_to_write_it_gives_the_same_picture(photograph, syntax):
    clean = cleaned(as_bytes(dicom_object(photograph, syntax=syntax)))
    assert np.abs(shade(clean) - np.asarray(Image.open(BytesIO(photograph)))).mean() < 2


@pytest.mark.parametrize(
    ("photometric", "planar"), [("RGB", 1), ("YBR_FULL", 0), ("YBR_FULL_422", 0), ("MONOCHROME2", None)]
)
def test_each_kind_of_pixels_is_turned_to_colours(photograph, photometric, planar):
    clean = cleaned(as_bytes(native(photograph, photometric, PlanarConfiguration=planar or 0)))
    picture = Image.open(BytesIO(photograph)).convert("L" if photometric == "MONOCHROME2" else "RGB").convert("RGB")
    assert np.abs(shade(clean) - np.asarray(picture)).mean() < 3


def test_a_jpeg_whose_components_are_rgb_keeps_its_colours(photograph):
    picture, buffer = Image.open(BytesIO(photograph)).convert("RGB"), BytesIO()
    Image.frombytes("YCbCr", picture.size, picture.tobytes()).save(buffer, "JPEG", quality=95, subsampling=0)
    unmarked = without_segment(buffer.getvalue(), 0xE0)
    told = dicom_object(photograph, PhotometricInterpretation="RGB", PixelData=encapsulate([unmarked]))
    assert np.abs(shade(cleaned(as_bytes(told))) - np.asarray(picture)).mean() < 3


def without_segment(jpeg: bytes, marker: int) -> bytes:
    place = jpeg.index(bytes([0xFF, marker]))
    return jpeg[:place] + jpeg[place + 2 + int.from_bytes(jpeg[place + 2 : place + 4]) :]


def test_the_turn_that_exif_asks_for_is_not_made(photograph):
    buffer = BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(BytesIO(photograph)).save(buffer, "JPEG", exif=exif)
    clean = cleaned(as_bytes(dicom_object(photograph, PixelData=encapsulate([buffer.getvalue()]))))
    assert (clean.width, clean.height) == (96, 80)


@pytest.mark.parametrize(
    ("changes", "moment"),
    [
        ({"AcquisitionDateTime": "20261122140500"}, datetime(2026, 11, 22, 13, 5, tzinfo=UTC)),
        (
            {"AcquisitionDateTime": "202611221405", "TimezoneOffsetFromUTC": "-0500"},
            datetime(2026, 11, 22, 19, 5, tzinfo=UTC),
        ),
        (
            {"AcquisitionDateTime": None, "ContentDate": "20261122", "ContentTime": "140500.5"},
            datetime(2026, 11, 22, 13, 5, tzinfo=UTC),
        ),
        ({"AcquisitionDateTime": "20261122"}, None),
        ({"AcquisitionDateTime": "00010101000000"}, None),
    ],
)
def test_when_it_was_taken_is_read_in_its_zone(photograph, changes, moment):
    assert cleaned(as_bytes(dicom_object(photograph, **changes))).captured_at == moment


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"AnatomicRegionSequence": region("66643007", "24028007"), "ImageLaterality": "U"}, ("back", "right")),
        ({"AnatomicRegionSequence": region("66643007"), "ImageLaterality": "U"}, ("back", "midline")),
        ({"AnatomicRegionSequence": region("66643007", "24028007")}, ("back", "")),  # the modifier contradicts
        ({"AnatomicRegionSequence": region("66643007"), "ImageLaterality": "B"}, ("back", "")),
        ({"AnatomicRegionSequence": region("371311000")}, ("", "left")),
        ({"AnatomicRegionSequence": region("70559009")}, ("forearm", "left")),
        ({"AnatomicRegionSequence": None}, ("", "left")),
        ({"ImageLaterality": None, "AnatomicRegionSequence": region("66643007"), "Laterality": "R"}, ("back", "right")),
    ],
)
def test_a_site_is_taken_only_where_it_has_one_meaning(photograph, changes, place):
    sent = read_object(as_bytes(dicom_object(photograph, **changes)))
    assert (sent.site, sent.laterality) == place


def test_no_code_stands_for_two_sites():
    assert "33712006" not in SITE_OF
    assert all(SITE_OF.get(code) in (None, site) for site, (code, _) in SITES.items())
    assert set(SITE_OF.values()) == set(BodySite) - {BodySite.FOOT}


REFUSED = {
    "dicom_class": {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"},
    "burned_in": {"BurnedInAnnotation": "YES"},
    "dicom_frames": {"NumberOfFrames": 2},
    "dicom_pixels": {"BitsAllocated": 16, "BitsStored": 12, "HighBit": 11},
    "damaged": {"Rows": 81},
    "too_small": {"Rows": 1},
    "too_many_pixels": {"Rows": 60_000, "Columns": 60_000},
}


@pytest.mark.parametrize("code", REFUSED)
def test_what_is_not_taken_says_why(photograph, code):
    assert code_of(as_bytes(dicom_object(photograph, **REFUSED[code]))) == code


@pytest.mark.parametrize(
    "changes", [{"PatientID": ["4711", "4712"]}, {"StudyInstanceUID": "1" * 65}, {"PatientID": "4" * 300}]
)
def test_what_says_whose_it_is_is_one_and_whole(photograph, changes):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = as_bytes(dicom_object(photograph, **changes))
    assert code_of(data) == "damaged"


def test_palette_and_inverted_grey_are_not_taken(photograph):
    for photometric in ("PALETTE COLOR", "MONOCHROME1"):
        told = dicom_object(photograph, syntax=ExplicitVRLittleEndian, PhotometricInterpretation=photometric)
        told.SamplesPerPixel = 1
        assert code_of(as_bytes(told)) == "dicom_pixels"


@pytest.mark.parametrize("syntax", [DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, RLELossless])
def test_another_way_to_write_it_is_refused_before_it_is_read(photograph, syntax):
    data = as_bytes(dicom_object(photograph, syntax=ExplicitVRLittleEndian))
    assert code_of(data.replace(b"1.2.840.10008.1.2.1\0", (syntax + "\0").encode()[:20].ljust(20, b"\0"))) == (
        "dicom_syntax"
    )


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, "1.2.840.10008.1.2.4.50", JPEG2000Lossless])
def test_truncated_pixels_are_refused(photograph, syntax):
    data = as_bytes(dicom_object(photograph, syntax=syntax))
    assert code_of(data[:-1500]) == "damaged"
    assert code_of(data[:600]) == "damaged"


def test_items_without_end_are_refused(photograph):
    data = as_bytes(dicom_object(photograph, PixelData=None))
    item = b"\xfe\xff\x00\xe0\x00\x00\x00\x00"
    endless = data + b"\x11\x70\x01\x10SQ\0\0\xff\xff\xff\xff" + item * MOST_READS
    assert code_of(endless) == "dicom_elements"


def test_a_sequence_that_is_taken_apart_is_short(photograph):
    data = as_bytes(dicom_object(photograph, AnatomicRegionSequence=None))
    place = data.index(b"\x20\x00\x0d\x00UI")
    many = b"\xfe\xff\x00\xe0\x00\x00\x00\x00" * 10_000
    long = b"\x08\x00\x18\x22SQ\0\0" + len(many).to_bytes(4, "little") + many
    assert code_of(data[:place] + long + data[place:]) == "damaged"


def test_more_numbers_than_anybody_has_are_not_looked_for(photograph):
    numbers = [Dataset() for _ in range(51)]
    assert code_of(as_bytes(dicom_object(photograph, OtherPatientIDsSequence=numbers))) == "damaged"
    assert cleaned(as_bytes(dicom_object(photograph, OtherPatientIDsSequence=numbers[:50])))


def test_nested_too_deep_is_refused(photograph):
    data = as_bytes(dicom_object(photograph, PixelData=None))
    deeper = b"\x11\x70\x01\x10SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    assert code_of(data + deeper * 5000) in ("damaged", "dicom_elements")


def test_nothing_hidden_survives(photograph):
    told = dicom_object(photograph, SOPClassUID=PHOTOGRAPHIC, ImageComments="Secretname", PatientAddress="Secretname")
    private = told.private_block(0x0011, "Secretname", create=True)
    private.add_new(0x01, "LT", "Secretname")
    told.add_new(0x60003000, "OB", b"Secretname" * 10)
    buffer = BytesIO()
    Image.open(BytesIO(photograph)).save(buffer, "JPEG", comment=b"Secretname")
    told.PixelData = encapsulate([buffer.getvalue() + b"Secretname"])
    data = as_bytes(told)
    clean = cleaned(data)
    assert b"Secretname" in data
    assert b"Secretname" not in clean.photograph + clean.thumbnail + repr(clean.sent).encode()


@pytest.fixture(scope="module")
def sample() -> bytes:
    buffer = BytesIO()
    Image.new("RGB", (64, 64), "tan").save(buffer, "JPEG")
    return as_bytes(dicom_object(buffer.getvalue()))


@tries(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    places=st.lists(st.tuples(st.integers(132, 1300), st.binary(min_size=1, max_size=8)), min_size=1, max_size=4),
    cut=st.integers(0, 400),
)
def test_a_corrupted_object_is_taken_or_refused(sample, places, cut):
    data = bytearray(sample)
    for place, wrong in places:
        data[place : place + len(wrong)] = wrong
    with suppress(PhotographRefused):
        cleaned(bytes(data[: len(data) - cut]))
