"""Reading a DICOM object: any bytes may be sent, and none may cost more than a photograph does.

pydicom reads what is asked for and skips the rest. It makes an object of each element and item, so that few bytes can
become much memory: their number is bounded by counting its reads, and a deflated object is refused before it swells.
"""

import re
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from io import BytesIO

from django.utils.translation import gettext as _
from PIL import Image
from pydicom import Dataset
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.filereader import read_dataset
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag

from patients.services import RECORD_NUMBER
from patients.snomed import SIDE_OF, SITE_OF
from screening.dicom import pixels
from screening.dicom.sent import CLASSES, MARK, PREAMBLE, Equipment, Number, SentObject, SentPatient, is_dicom
from screening.refusals import PhotographRefused, damaged, trusting_nothing
from skinclinic.text import one_line

MOST_READS = 30_000
MOST_IN_SEQUENCE = 64 * 1024  # bytes
MOST_ITEMS = 50
SHORT, LONGEST = 64, 250  # characters: of DICOM's short texts, and of what is looked at
PIXEL_DATA = 0x7FE00010
WANTED = [
    "SpecificCharacterSet", "SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "PatientName",
    "PatientID", "IssuerOfPatientID", "IssuerOfPatientIDQualifiersSequence", "OtherPatientIDsSequence",
    "PatientBirthDate", "Manufacturer", "ManufacturerModelName", "DeviceSerialNumber", "SoftwareVersions",
    "AnatomicRegionSequence", "ImageLaterality", "Laterality", "TrackingUID", "AcquisitionDateTime",
    "AcquisitionDate", "AcquisitionTime", "ContentDate", "ContentTime", "TimezoneOffsetFromUTC", "BurnedInAnnotation",
    "RecognizableVisualFeatures", "NumberOfFrames", "SamplesPerPixel", "PhotometricInterpretation",
    "PlanarConfiguration", "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation",
    "ICCProfile", "PixelData",
]  # fmt: skip
WANTED_TAGS: list[BaseTag | int] = [tag for keyword in WANTED if (tag := tag_for_keyword(keyword)) is not None]
UID = re.compile(r"(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))*", re.ASCII)
MOMENT = re.compile(r"(\d{8})(\d{4})(\d{2})?(?:\.\d{1,6})?([+-]\d{4})?")
SIDES = {"L": "left", "R": "right", "U": "midline"}


class Metered(BytesIO):
    """As many reads as an object of a camera needs, many times over, and no more."""

    reads = 0

    def read(self, size: int | None = -1) -> bytes:
        self.reads += 1
        if self.reads > MOST_READS:
            raise PhotographRefused("dicom_elements", _("This DICOM object has too many parts. Export it anew."))
        return super().read(size)


def read_object(data: bytes, zone: tzinfo = UTC) -> SentObject:
    """What the object says, without its pixels being decoded. Raises PhotographRefused."""
    with trusting_nothing():
        return said_by(parse(data)[0], zone)


def read_photograph(data: bytes, zone: tzinfo = UTC) -> tuple[Image.Image, SentObject]:
    """Raises PhotographRefused."""
    with trusting_nothing():
        told, syntax = parse(data)
        sent = said_by(told, zone)
        refuse_written_over(told)
        return pixels.picture_of(told, syntax), sent


def sent_uids(data: bytes) -> tuple[str, str]:
    """SOP class and instance as the file's own head has them, for naming what is refused; empty where there is none."""
    try:
        with trusting_nothing():
            head = read_head(Metered(data)) if is_dicom(data) else Dataset()
            return uid(head, "MediaStorageSOPClassUID"), uid(head, "MediaStorageSOPInstanceUID")
    except PhotographRefused:
        return "", ""


def parse(data: bytes) -> tuple[Dataset, str]:
    """The wanted elements, and the transfer syntax."""
    if not is_dicom(data):
        raise PhotographRefused("not_dicom", _("This is no DICOM object."))
    stream = Metered(data)
    head = read_head(stream)
    syntax = text(head, "TransferSyntaxUID")
    if syntax not in pixels.SYNTAXES:
        raise PhotographRefused(
            "dicom_syntax",
            _("The pixels of this DICOM object are written in a way that is not read here. Export it as JPEG."),
        )
    told = read_dataset(
        stream, syntax == pixels.IMPLICIT, True, stop_when=lambda tag, vr, length: tag > PIXEL_DATA,
        specific_tags=WANTED_TAGS,
    )  # fmt: skip
    refuse_class(head, told)
    return told, syntax


def read_head(stream: Metered) -> Dataset:
    stream.seek(PREAMBLE + len(MARK))
    return read_dataset(stream, False, True, stop_when=lambda tag, vr, length: tag.group != 2)


def refuse_class(head: Dataset, told: Dataset) -> None:
    said = text(told, "SOPClassUID")
    if not said:
        raise damaged()  # pydicom gives nothing back where an element is cut off
    if said not in CLASSES:
        raise PhotographRefused(
            "dicom_class",
            _("Of DICOM, dermoscopic photographs and VL photographs are taken. Export this one as one of them."),
        )
    if text(head, "MediaStorageSOPInstanceUID") not in ("", text(told, "SOPInstanceUID")):
        raise damaged()


def refuse_written_over(told: Dataset) -> None:
    """What stands in the pixels themselves is not taken out: a name would stay readable in the photograph."""
    if text(told, "BurnedInAnnotation").upper() == "YES":
        raise PhotographRefused(
            "burned_in", _("Words are burned into this photograph, a name perhaps. Export it without them.")
        )


def said_by(told: Dataset, zone: tzinfo) -> SentObject:
    site, laterality = place_of(told)
    return SentObject(
        sop_class=text(told, "SOPClassUID"),
        instance_uid=uid(told, "SOPInstanceUID"),
        series_uid=uid(told, "SeriesInstanceUID"),
        study_uid=uid(told, "StudyInstanceUID"),
        patient=patient_of(told),
        site=site,
        laterality=laterality,
        tracking_uid=uid(told, "TrackingUID") if text(told, "TrackingUID") else "",
        captured_at=captured_at(told, zone),
        equipment=Equipment(
            manufacturer=text(told, "Manufacturer")[:SHORT],
            model_name=text(told, "ManufacturerModelName")[:SHORT],
            serial_number=text(told, "DeviceSerialNumber")[:SHORT],
            software_versions=text(told, "SoftwareVersions")[:SHORT],
        ),
        recognizable=text(told, "RecognizableVisualFeatures").upper()[:3],
    )


def text(told: Dataset, keyword: str) -> str:
    """The first value, in one line."""
    found = told.get(keyword)
    if isinstance(found, MultiValue):
        found = next(iter(found), "")
    return one_line(str(found if found is not None else ""), LONGEST)


def single(told: Dataset, keyword: str) -> str:
    """Of what says who or which it is, there is one value, and it is whole."""
    found = text(told, keyword)
    if isinstance(told.get(keyword), MultiValue) or len(found) == LONGEST:
        raise damaged()
    return found


def uid(told: Dataset, keyword: str) -> str:
    found = single(told, keyword)
    if not UID.fullmatch(found) or len(found) > SHORT:
        raise damaged()
    return found


def items(told: Dataset, keyword: str) -> list[Dataset]:
    """Of a sequence, which pydicom takes apart when it is asked for."""
    found = told.get_item(keyword) if keyword in told else None
    if isinstance(found, RawDataElement) and len(found.value or b"") > MOST_IN_SEQUENCE:
        raise damaged()
    taken_apart = list(told.get(keyword) or [])
    if len(taken_apart) > MOST_ITEMS:
        raise damaged()
    return taken_apart


def first(told: Dataset, keyword: str) -> Dataset:
    return next(iter(items(told, keyword)), Dataset())


def patient_of(told: Dataset) -> SentPatient:
    name = told.get("PatientName") or ""
    numbers = numbers_of(told)
    return SentPatient(
        numbers=numbers,
        others=tuple(number for each in items(told, "OtherPatientIDsSequence") for number in numbers_of(each)),
        has_issuer=any(system != RECORD_NUMBER for system, _value in numbers),
        family_name=one_line(str(getattr(name, "family_name", ""))),
        given_name=one_line(str(getattr(name, "given_name", ""))),
        birth_date=day_of(text(told, "PatientBirthDate")),
    )


def numbers_of(told: Dataset) -> tuple[Number, ...]:
    """An issuer is the system of ours that is written the same; by its universal entity, an OID or a UUID, as a URN."""
    value = single(told, "PatientID")
    entity = first(told, "IssuerOfPatientIDQualifiersSequence")
    shape = {"ISO": "urn:oid:{}", "UUID": "urn:uuid:{}", "URI": "{}"}.get(text(entity, "UniversalEntityIDType"), "")
    systems = [single(told, "IssuerOfPatientID"), shape.format(single(entity, "UniversalEntityID")) if shape else ""]
    return tuple((system, value) for system in (list(filter(None, systems)) or [RECORD_NUMBER]) if value)


def day_of(said: str) -> date | None:
    """A day that cannot be read would not contradict any record: it is no day that is not said."""
    if not said:
        return None
    if not re.fullmatch(r"\d{8}", said):
        raise damaged()
    return date(int(said[:4]), int(said[4:6]), int(said[6:]))


def place_of(told: Dataset) -> tuple[str, str]:
    region = first(told, "AnatomicRegionSequence")
    modifiers = items(region, "AnatomicRegionModifierSequence")
    sides = {SIDE_OF[code] for each in modifiers if (code := snomed_code(each)) in SIDE_OF}
    for keyword in ("ImageLaterality", "Laterality"):
        if side := SIDES.get(text(told, keyword).upper()):
            sides.add(side)
            break
    # An unpaired region has a left and a right half, which the modifier then tells.
    named = sides - {"midline"} or sides
    return SITE_OF.get(snomed_code(region), ""), named.pop() if len(named) == 1 else ""


def snomed_code(item: Dataset) -> str:
    return text(item, "CodeValue") if text(item, "CodingSchemeDesignator") == "SCT" else ""


def captured_at(told: Dataset, zone: tzinfo) -> datetime | None:
    """The object's own offset goes before its zone, and both before the clinic's."""
    zone = offset_of(text(told, "TimezoneOffsetFromUTC")) or zone
    moments = [text(told, "AcquisitionDateTime")]
    moments += [text(told, f"{what}Date") + text(told, f"{what}Time") for what in ("Acquisition", "Content")]
    return next((found for said in moments if (found := moment_of(said, zone))), None)


def moment_of(said: str, zone: tzinfo) -> datetime | None:
    match = MOMENT.fullmatch(said)
    try:
        when = datetime.strptime(f"{match[1]}{match[2]}{match[3] or '00'}", "%Y%m%d%H%M%S") if match else None  # noqa: DTZ007 (given its zone below)
    except ValueError:
        return None
    if match is None or when is None or not 1990 <= when.year <= 2100:
        return None
    return when.replace(tzinfo=offset_of(match[4] or "") or zone)


def offset_of(said: str) -> tzinfo | None:
    if not re.fullmatch(r"[+-](0\d|1[0-4])[0-5]\d", said):
        return None
    shift = timedelta(hours=int(said[1:3]), minutes=int(said[3:]))
    return timezone(shift if said[0] == "+" else -shift)
