"""A photograph of ours as a DICOM object: what PS3.3 asks for, and nothing that the record does not know.

A VL Photographic Image, or what it was when it came as an object: a Dermoscopic Photography Image names its equipment
to the serial number, which nobody types in. No reading, score or opinion stands in it.
"""

from datetime import datetime
from io import BytesIO

from django.utils import timezone
from PIL import Image
from pydicom import Dataset, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID, JPEGBaseline8Bit

from patients import snomed
from patients.codes import Laterality, Sex
from patients.models import Lesion, Patient, PatientIdentifier
from patients.services import RECORD_NUMBER
from screening.dicom.models import DicomInstance
from screening.dicom.sent import DERMOSCOPIC, PHOTOGRAPHIC
from screening.dicom.uids import uid_of
from screening.images import SRGB_PROFILE, one_decode
from screening.models import LesionImage, Screening

IMPLEMENTATION = UID("2.25.59509307826137730829503487387746279576")
MODIFYING = ("109103", "Modifying Equipment")  # as pydicom.sr.codedict has it, which would cost 16 MB
LONGEST = 64  # of DICOM's short texts
SEXES = {Sex.FEMALE: "F", Sex.MALE: "M", Sex.OTHER: "O"}
SIDES = {Laterality.LEFT: "L", Laterality.RIGHT: "R", Laterality.MIDLINE: "U"}
OID = "urn:oid:"


def as_dicom(screening: Screening) -> bytes:
    """In a transaction of the clinic, whose zone is the current one."""
    told = object_of(screening)
    told.file_meta = FileMetaDataset()
    told.file_meta.MediaStorageSOPClassUID = told.SOPClassUID
    told.file_meta.MediaStorageSOPInstanceUID = told.SOPInstanceUID
    told.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    told.file_meta.ImplementationClassUID = IMPLEMENTATION
    buffer = BytesIO()
    dcmwrite(buffer, told, enforce_file_format=True)
    return buffer.getvalue()


def object_of(screening: Screening) -> Dataset:
    image, told = screening.image, Dataset()
    came = origin_of(image)
    told.SpecificCharacterSet = "ISO_IR 192"
    put_patient(told, image.patient.merged_into or image.patient)
    put_study(told, screening, came)
    put_equipment(told, image, came)
    put_times(told, image)
    put_place(told, image.lesion, came)
    put_picture(told, image)
    if came and came.sop_class == DERMOSCOPIC:
        put_dermoscopy(told, came)
    return told


def origin_of(image: LesionImage) -> DicomInstance | None:
    """The object it came from, where it can be told again as what it was."""
    came = DicomInstance.objects.filter(image=image).first()
    if came is None or came.sop_class == PHOTOGRAPHIC:
        return came
    named = (came.manufacturer, came.model_name, came.serial_number, came.software_versions, came.recognizable)
    return came if all(named) else None


def put_patient(told: Dataset, patient: Patient) -> None:
    identity, number = patient.identity, number_of(patient)
    told.PatientName = "^".join(map(plain, (identity.family_name, identity.given_name)))[:LONGEST]
    told.PatientBirthDate = identity.birth_date.strftime("%Y%m%d")
    told.PatientSex = SEXES.get(Sex(patient.sex), "")
    told.PatientID = number.value if number else ""
    if number and number.system.startswith(OID):
        issuer = Dataset()
        issuer.UniversalEntityID, issuer.UniversalEntityIDType = number.system.removeprefix(OID), "ISO"
        told.IssuerOfPatientIDQualifiersSequence = [issuer]
    elif number:
        told.IssuerOfPatientID = number.system


def plain(name: str) -> str:
    """Without what parts a name in DICOM."""
    return name.translate(str.maketrans("^=\\", "   "))


def number_of(patient: Patient) -> PatientIdentifier | None:
    """One that others know her by goes before the clinic's own record number."""
    numbers = [each for each in patient.identifiers.order_by("created_at") if fits(each)]
    return min(numbers, key=lambda each: each.system == RECORD_NUMBER, default=None)


def fits(number: PatientIdentifier) -> bool:
    system = number.system.removeprefix(OID)
    return all(len(said) <= LONGEST and "\\" not in said for said in (system, number.value))


def put_study(told: Dataset, screening: Screening, came: DicomInstance | None) -> None:
    """Of a study that is another system's, its date is not known here."""
    visit = screening.visit
    told.SOPClassUID = came.sop_class if came else PHOTOGRAPHIC
    told.SOPInstanceUID = came.instance_uid if came else uid_of(screening.image_id)
    told.SeriesInstanceUID = came.series_uid if came else uid_of(screening.pk)
    told.StudyInstanceUID = came.study_uid if came else uid_of(visit.pk)
    told.StudyDate = "" if came else visit.day.strftime("%Y%m%d")
    told.StudyTime = "" if came or visit.is_imported else timezone.localtime(visit.created_at).strftime("%H%M%S")
    told.AccessionNumber = told.StudyID = told.ReferringPhysicianName = ""
    told.Modality = "DMS" if told.SOPClassUID == DERMOSCOPIC else "XC"
    told.SeriesNumber = told.InstanceNumber = 1


def put_equipment(told: Dataset, image: LesionImage, came: DicomInstance | None) -> None:
    told.Manufacturer = came.manufacturer if came else ""
    if model := came.model_name if came else image.camera:
        told.ManufacturerModelName = plain(model)[:LONGEST]
    if came and came.serial_number:
        told.DeviceSerialNumber = came.serial_number
    if came and came.software_versions:
        told.SoftwareVersions = came.software_versions
    ours = Dataset()
    ours.Manufacturer = "skinclinic"
    ours.PurposeOfReferenceCodeSequence = [coded("DCM", *MODIFYING)]
    told.ContributingEquipmentSequence = [ours]


def put_times(told: Dataset, image: LesionImage) -> None:
    taken = timezone.localtime(image.taken_at)
    told.TimezoneOffsetFromUTC = taken.strftime("%z")
    told.ContentDate, told.ContentTime = day_and_time(taken)
    if image.captured_at:
        told.AcquisitionDateTime = "".join(day_and_time(taken)) + taken.strftime("%z")


def day_and_time(moment: datetime) -> tuple[str, str]:
    return moment.strftime("%Y%m%d"), moment.strftime("%H%M%S")


def put_place(told: Dataset, lesion: Lesion, came: DicomInstance | None) -> None:
    region = coded("SCT", *snomed.SITES.get(lesion.site, snomed.SKIN))
    if lesion.laterality in snomed.LATERALITY:
        region.AnatomicRegionModifierSequence = [coded("SCT", *snomed.LATERALITY[lesion.laterality])]
    told.AnatomicRegionSequence = [region]
    told.ImageLaterality = SIDES[Laterality(lesion.laterality)]
    told.PatientOrientation = ""
    told.TrackingUID = (came.tracking_uid if came else "") or uid_of(lesion.pk)
    told.TrackingID = f"Lesion {lesion.number}"


def coded(scheme: str, value: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def put_picture(told: Dataset, image: LesionImage) -> None:
    """As it is kept, once more as JPEG: VL images know YCbCr with half the chrominances only (C.8.12.1.1.1)."""
    stored = image.photograph.read()
    frame = as_half_chrominances(stored)
    raw = image.width * image.height * 3
    told.ImageType = ["DERIVED", "PRIMARY"]
    told.DerivationDescription = "Rebuilt from its pixels as JPEG; upright, sRGB."
    told.AcquisitionContextSequence = []
    told.SamplesPerPixel, told.PhotometricInterpretation, told.PlanarConfiguration = 3, "YBR_FULL_422", 0
    told.Rows, told.Columns = image.height, image.width
    told.BitsAllocated, told.BitsStored, told.HighBit, told.PixelRepresentation = 8, 8, 7, 0
    told.LossyImageCompression = "01"
    told.LossyImageCompressionRatio = [f"{raw / len(data):.2f}" for data in (stored, frame)]
    told.LossyImageCompressionMethod = ["ISO_10918_1", "ISO_10918_1"]
    told.ColorSpace, told.ICCProfile = "SRGB", SRGB_PROFILE
    told.PixelData = encapsulate([frame])


def as_half_chrominances(jpeg: bytes) -> bytes:
    buffer = BytesIO()
    with one_decode, Image.open(BytesIO(jpeg), formats=("JPEG",)) as picture:
        picture.save(buffer, "JPEG", quality=95, subsampling=1)
    return buffer.getvalue()


def put_dermoscopy(told: Dataset, came: DicomInstance) -> None:
    """How it was lit is not kept here; empty says so."""
    told.LightSourcePolarization = told.ContactMethod = ""
    told.EmitterColorTemperature = told.OpticalMagnificationFactor = None
    told.RecognizableVisualFeatures = came.recognizable
