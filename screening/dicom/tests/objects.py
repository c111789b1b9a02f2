"""DICOM objects as a dermatoscope would send them, and what may be wrong with them."""

from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image
from pydicom import Dataset, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless, JPEGBaseline8Bit, generate_uid

from screening.dicom.sent import DERMOSCOPIC

ISSUER = "urn:his"


def coded(code: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code, "SCT", meaning
    return item


def region(code: str, side: str = "") -> list[Dataset]:
    """By the SNOMED codes of a site and of a side."""
    item = coded(code, "x")
    if side:
        item.AnatomicRegionModifierSequence = [coded(side, "x")]
    return [item]


def dicom_object(photograph: bytes, *, syntax: str = JPEGBaseline8Bit, **changes: Any) -> Dataset:
    """Of Erna Winterbottom, record 4711 of `ISSUER`, on the left half of her back. None takes an element away."""
    picture = Image.open(BytesIO(photograph))
    told = Dataset()
    told.preamble, told.file_meta = bytes(128), FileMetaDataset()
    told.file_meta.TransferSyntaxUID = syntax
    told.SOPClassUID = DERMOSCOPIC
    told.SOPInstanceUID, told.SeriesInstanceUID, told.StudyInstanceUID = (generate_uid() for _ in range(3))
    told.SpecificCharacterSet = "ISO_IR 192"
    told.PatientName, told.PatientID, told.IssuerOfPatientID = "Winterbottom^Erna", "4711", ISSUER
    told.PatientBirthDate, told.PatientSex, told.Modality = "19610430", "F", "DMS"
    told.Manufacturer, told.ManufacturerModelName = "Looking Glass", "Looking Glass 3"
    told.DeviceSerialNumber, told.SoftwareVersions = "0042", "1.2"
    told.RecognizableVisualFeatures = "NO"
    told.AcquisitionDateTime = "20261122140500+0100"
    region = coded("66643007", "Skin of back")
    region.AnatomicRegionModifierSequence = [coded("7771000", "Left")]
    told.AnatomicRegionSequence, told.ImageLaterality = [region], "L"
    told.Rows, told.Columns, told.SamplesPerPixel, told.PlanarConfiguration = picture.height, picture.width, 3, 0
    told.BitsAllocated, told.BitsStored, told.HighBit, told.PixelRepresentation = 8, 8, 7, 0
    put_pixels(told, photograph, syntax)
    for keyword, value in changes.items():
        if value is None:
            del told[keyword]
        else:
            setattr(told, keyword, value)
    told.file_meta.MediaStorageSOPClassUID = told.SOPClassUID
    told.file_meta.MediaStorageSOPInstanceUID = told.SOPInstanceUID
    return told


def put_pixels(told: Dataset, photograph: bytes, syntax: str) -> None:
    picture = Image.open(BytesIO(photograph)).convert("RGB")
    told.PhotometricInterpretation = "RGB"
    if syntax == JPEGBaseline8Bit:
        told.PhotometricInterpretation = "YBR_FULL_422"
        told.PixelData = encapsulate([photograph])
    elif syntax == JPEG2000Lossless:
        buffer = BytesIO()
        picture.save(buffer, "JPEG2000", no_jp2=True)
        told.PixelData = encapsulate([buffer.getvalue()])
    else:
        told.PixelData = picture.tobytes()
        told["PixelData"].VR = "OB"


def as_bytes(told: Dataset) -> bytes:
    buffer = BytesIO()
    dcmwrite(buffer, told, enforce_file_format=True)
    return buffer.getvalue()


def native(photograph: bytes, photometric: str, **changes: Any) -> Dataset:
    """Uncompressed, as `photometric` has it."""
    told = dicom_object(photograph, syntax=ExplicitVRLittleEndian, **changes)
    picture = Image.open(BytesIO(photograph)).convert("RGB")
    told.PhotometricInterpretation = photometric
    match photometric:
        case "MONOCHROME2":
            told.SamplesPerPixel = 1
            del told.PlanarConfiguration
            told.PixelData = picture.convert("L").tobytes()
        case "YBR_FULL":
            told.PixelData = picture.convert("YCbCr").tobytes()
        case "YBR_FULL_422":
            values = np.asarray(picture.convert("YCbCr"))
            left, right = values[:, ::2], values[:, 1::2]
            pairs = np.stack([left[..., 0], right[..., 0], left[..., 1], left[..., 2]], axis=-1)
            told.PixelData = pairs.tobytes()
    if told.get("PlanarConfiguration") == 1:
        told.PixelData = np.asarray(picture).transpose(2, 0, 1).tobytes()
    told["PixelData"].VR = "OB"
    return told
