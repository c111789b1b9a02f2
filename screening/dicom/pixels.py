"""The pixels of a DICOM object: one frame of 8 bits, held to the bounds of any upload before it is decoded."""

import numpy as np
from django.utils.translation import gettext as _
from PIL import Image
from pydicom import Dataset
from pydicom.encaps import get_frame

from screening.apart import decode_apart
from screening.images import DECODED_PIXELS, MAX_JPEG_PIXELS, MAX_OTHER_PIXELS, Timed, refuse_size
from screening.paring import Pared, pare_jpeg
from screening.refusals import PhotographRefused, damaged, too_laborious

IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
JPEG = frozenset({"1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51"})
JPEG_2000 = frozenset({"1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91"})
SYNTAXES = frozenset({IMPLICIT, EXPLICIT}) | JPEG | JPEG_2000
# How many bytes two pixels take where nothing is compressed.
NATIVE = {"RGB": 6, "YBR_FULL": 6, "YBR_FULL_422": 4, "MONOCHROME2": 2}
COMPRESSED = {"RGB", "YBR_FULL", "YBR_FULL_422", "YBR_PARTIAL_420", "YBR_RCT", "YBR_ICT", "MONOCHROME2"}


def picture_of(told: Dataset, syntax: str) -> Image.Image:
    """Pixels alone: of an encapsulated file nothing else is left, not the turn that its EXIF asks for either."""
    photometric = str(told.get("PhotometricInterpretation") or "")
    refuse_other_pixels(told, photometric, COMPRESSED if syntax in JPEG | JPEG_2000 else NATIVE.keys())
    size = (int(told.Columns), int(told.Rows))
    refuse_size(size, MAX_JPEG_PIXELS if syntax in JPEG else MAX_OTHER_PIXELS)
    if syntax in JPEG | JPEG_2000:
        image = decoded(get_frame(told.PixelData, 0, number_of_frames=1), size, syntax, photometric)
    else:
        image = native(told, size, photometric)
    profile = told.get("ICCProfile") or image.info.get("icc_profile")
    image.info = {"icc_profile": bytes(profile)} if profile else {}
    return image


def refuse_other_pixels(told: Dataset, photometric: str, known: object) -> None:
    if int(told.get("NumberOfFrames") or 1) != 1:
        raise PhotographRefused(
            "dicom_frames", _("This DICOM object holds several pictures. Send a single photograph.")
        )
    depth = [told.get(name) for name in ("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation")]
    samples = 1 if photometric == "MONOCHROME2" else 3
    if photometric not in known or depth != [8, 8, 7, 0] or told.get("SamplesPerPixel") != samples:  # type: ignore[operator]
        raise PhotographRefused(
            "dicom_pixels", _("The pixels of this DICOM object are no colours of 8 bits. Export it as JPEG.")
        )


def decoded(frame: bytes, size: tuple[int, int], syntax: str, photometric: str) -> Image.Image:
    """What is in the frame is told by the transfer syntax, and its size is what the object says."""
    is_jpeg, (width, height) = syntax in JPEG, size
    pared = pare_jpeg(frame) if is_jpeg else Pared(frame, b"")
    if pared.is_heavy:
        raise too_laborious()
    image = Image.open(Timed(pared.picture), formats=("JPEG" if is_jpeg else "JPEG2000",))
    if image.size != size:
        raise damaged()
    halved = width * height > DECODED_PIXELS
    plain = decoded_jpeg(image, halved, photometric) if is_jpeg else decode_apart(frame, "JPEG2000", halved=halved)
    if plain.mode not in ("RGB", "L", "YCbCr"):
        raise damaged()
    plain.info = {"icc_profile": image.info.get("icc_profile")}
    return plain


def decoded_jpeg(image: Image.Image, halved: bool, photometric: str) -> Image.Image:
    # Without Adobe's mark Pillow takes three components for YCbCr, whatever the object says that they are.
    is_plain_rgb = photometric == "RGB" and not {"adobe_transform", "jfif"} & image.info.keys()
    width, height = image.size
    if halved or is_plain_rgb:
        size = (width // 2, height // 2) if halved else image.size
        image.draft("YCbCr" if is_plain_rgb else None, size)
    image.load()
    return Image.frombytes("RGB" if is_plain_rgb else image.mode, image.size, image.tobytes())


def native(told: Dataset, size: tuple[int, int], photometric: str) -> Image.Image:
    columns, rows = size
    wanted = columns * rows * NATIVE[photometric] // 2
    data = bytes(told.PixelData[:wanted])
    if len(data) < wanted or (photometric == "YBR_FULL_422" and columns % 2):
        raise damaged()
    if photometric == "MONOCHROME2":
        return Image.frombytes("L", size, data)
    if photometric == "YBR_FULL_422":
        data = widened(data)
    elif told.get("PlanarConfiguration") == 1:
        data = np.frombuffer(data, np.uint8).reshape(3, -1).T.tobytes()
    return Image.frombytes("RGB" if photometric == "RGB" else "YCbCr", size, data).convert("RGB")


def widened(data: bytes) -> bytes:
    """Two luminances share a pair of chrominances (PS3.3 C.7.6.3.1.2)."""
    pairs = np.frombuffer(data, np.uint8).reshape(-1, 4)
    return pairs[:, [0, 2, 3, 1, 2, 3]].tobytes()
