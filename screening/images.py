"""From the bytes that somebody uploaded to a clean photograph: upright 8-bit sRGB pixels and nothing else.

Whatever else the file held (place, names, comments, appended bytes) is gone, since the photograph is rebuilt from its
pixels. Refusals are made from the header where they can be, before anything is decoded.
"""

import ctypes
import hashlib
import re
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from io import BytesIO
from typing import Any, BinaryIO

from django.utils.translation import gettext as _
from PIL import ExifTags, Image, ImageCms, UnidentifiedImageError

from ml.preprocess import upright
from screening.apart import decode_apart
from screening.dicom.sent import SentObject, is_dicom
from screening.paring import pare
from screening.plain import flatten, halve
from screening.refusals import PhotographRefused, not_a_photograph, too_laborious, too_many_pixels, trusting_nothing
from skinclinic.text import one_line

MAX_BYTES = 25 * 1024 * 1024
MAX_JPEG_PIXELS = 60_000_000
MAX_OTHER_PIXELS = 24_000_000
DECODED_PIXELS = 16_000_000
APART_PIXELS = 8_000_000  # of WebP, whose decoder holds twelve bytes for each
MOST_SECONDS = 10  # of a core; 60 megapixels take one
MIN_SIDE = 64
STORED_SIDE = 4096
THUMBNAIL_SIDE = 320
FORMATS = ("JPEG", "PNG", "WEBP")
SRGB = ImageCms.createProfile("sRGB")
SRGB_PROFILE = ImageCms.ImageCmsProfile(SRGB).tobytes()
# A 60-megapixel decode takes hundreds of MB: one at a time in a web process.
one_decode = threading.Lock()


@dataclass(frozen=True)
class CleanPhotograph:
    """JPEG bytes of the photograph and of its thumbnail, and what the file said of its making.

    `sent`: what a DICOM object said of patient and lesion, which whoever stores it holds against the record.
    """

    photograph: bytes
    thumbnail: bytes
    width: int
    height: int
    sha256: str
    upload_sha256: str
    captured_at: datetime | None
    camera: str
    sent: SentObject | None = None


def clean_photograph(upload: BinaryIO, *, zone: tzinfo = UTC, takes_dicom: bool = False) -> CleanPhotograph:
    """Read, check and rebuild one photograph; `zone` is where the camera's clock is taken to be.

    Raises PhotographRefused for anything that is not one readable JPEG, PNG or WebP photograph within the limits, or a
    DICOM object of one where those are taken.
    """
    with one_decode:  # whoever waits holds nothing of his upload in memory
        data = upload.read(MAX_BYTES + 1)
        refuse_length(data)
        digest = hashlib.sha256(data).hexdigest()
        with trusting_nothing():
            image, captured_at, camera, sent = open_upload(data, zone, takes_dicom)
            del data
            image = decode(image)
        photograph = as_jpeg(image, quality=95)
        width, height = image.size
        image.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.LANCZOS)
        thumbnail = as_jpeg(image, quality=85)
        del image
        give_memory_back()
    return CleanPhotograph(
        photograph=photograph,
        thumbnail=thumbnail,
        width=width,
        height=height,
        sha256=hashlib.sha256(photograph).hexdigest(),
        upload_sha256=digest,
        captured_at=captured_at,
        camera=camera,
        sent=sent,
    )


def open_upload(
    data: bytes, zone: tzinfo, takes_dicom: bool
) -> tuple[Image.Image, datetime | None, str, SentObject | None]:
    """The image, when and with what it was taken, and what a DICOM object said beside."""
    if takes_dicom and is_dicom(data):
        # It stands on this module, and brings pydicom: 20 MB that a process which sees no such object is spared.
        from screening.dicom.reading import read_photograph

        image, sent = read_photograph(data, zone)
        return image, sent.captured_at, sent.camera, sent
    opened = open_photograph(data)
    return opened, *read_making(opened.info.get("exif", b""), zone), None


def refuse_length(data: bytes) -> None:
    if not data:
        raise PhotographRefused("empty", _("The file is empty. Choose it again."))
    if len(data) > MAX_BYTES:
        raise PhotographRefused("too_large", _("The file is larger than 25 MB. Send the photograph in a smaller size."))


def give_memory_back() -> None:
    """glibc keeps what a large photograph took; without this a web process stayed 60 MB larger for ever."""
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
        trim(0)


class Timed(BytesIO):
    """Decoders read bit by bit, and are asked at each how long they have been at it."""

    def __init__(self, data: bytes):
        super().__init__(data)
        self.began = time.thread_time()

    def read(self, size: int | None = -1) -> bytes:
        if time.thread_time() - self.began > MOST_SECONDS:
            raise too_laborious()
        return super().read(size)


def open_photograph(data: bytes) -> Image.Image:
    """The image with only its header read, once its kind and size are known to be within the limits."""
    pared = pare(data)
    try:
        image = Image.open(Timed(pared.picture), formats=FORMATS)
    except UnidentifiedImageError:
        raise not_a_photograph() from None
    except Image.DecompressionBombError:
        raise too_many_pixels() from None
    refuse_size(image.size, MAX_JPEG_PIXELS if image.format == "JPEG" else MAX_OTHER_PIXELS)
    if getattr(image, "is_animated", False):
        raise PhotographRefused("animated", _("This is a moving picture. Send a single photograph."))
    image.info["exif"] = pared.exif
    width, height = image.size
    if pared.is_heavy or (image.format == "WEBP" and width * height > APART_PIXELS):
        plain = decode_apart(pared.picture, str(image.format), halved=width * height > DECODED_PIXELS)
        plain.info = image.info
        return plain
    return image


def refuse_size(size: tuple[int, int], most: int) -> None:
    """most: pixels in all."""
    width, height = size
    if width * height > most:
        raise too_many_pixels()
    if min(width, height) < MIN_SIDE:
        raise PhotographRefused(
            "too_small",
            _("The photograph is under %(pixels)s pixels on a side. Send the original.") % {"pixels": MIN_SIDE},
        )


def decode(image: Image.Image) -> Image.Image:
    """Upright RGB pixels in sRGB, at most STORED_SIDE on the long side. `image` is used up."""
    width, height = image.size
    told = {name: image.info.get(name) for name in ("icc_profile", "exif")}
    if width * height > DECODED_PIXELS:
        image.draft(None, (width // 2, height // 2))
    image.load()
    plain = halve(image) if image.width * image.height > DECODED_PIXELS else flatten(image)
    if plain is not image:
        image.close()  # whoever opened it still has it, and with it a hundred MB
    plain = into_srgb(plain, told["icc_profile"])
    plain.thumbnail((STORED_SIDE, STORED_SIDE), Image.Resampling.LANCZOS, reducing_gap=2.0)
    plain.info = {"exif": told["exif"] or b""}
    return upright(plain)


def into_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(BytesIO(profile))
            converted = ImageCms.profileToProfile(image, source, SRGB, outputMode="RGB")
            if converted is not None:
                return converted
        except (ImageCms.PyCMSError, OSError, ValueError):
            # A broken profile, or one for another kind of pixels: the plain reading of the numbers is the better guess.
            pass
    return image if image.mode == "RGB" else image.convert("RGB")


def as_jpeg(image: Image.Image, *, quality: int) -> bytes:
    image.info = {}  # a comment or profile left here would be written into the file
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=quality, subsampling=0)
    return buffer.getvalue()


def read_exif(written: bytes) -> tuple[Image.Exif, dict[int, Any]]:
    """What the camera wrote, and its details; nothing of both where it is damaged."""
    exif = Image.Exif()
    try:
        exif.load(written)
        return exif, exif.get_ifd(ExifTags.IFD.Exif)
    except Exception:  # noqa: BLE001 (damaged EXIF makes Pillow raise anything; the photograph is taken without it)
        return Image.Exif(), {}


def read_making(written: bytes, zone: tzinfo) -> tuple[datetime | None, str]:
    """When and with what the photograph was taken, as far as its EXIF says so in a readable way."""
    exif, details = read_exif(written)
    taken = str(details.get(ExifTags.Base.DateTimeOriginal) or exif.get(ExifTags.Base.DateTime) or "")
    offset = str(details.get(ExifTags.Base.OffsetTimeOriginal) or "")
    maker, model = (one_line(str(exif.get(tag) or "")) for tag in (ExifTags.Base.Make, ExifTags.Base.Model))
    camera = model if model.startswith(maker) else f"{maker} {model}"
    return parse_taken(taken, offset, zone), camera.strip()[:100]


def parse_taken(taken: str, offset: str, zone: tzinfo) -> datetime | None:
    """EXIF writes 2026:11:22 14:05:00, and the offset from UTC, if at all, as +01:00."""
    try:
        moment = datetime.strptime(taken.strip("\x00 "), "%Y:%m:%d %H:%M:%S")  # noqa: DTZ007 (given its zone below)
    except ValueError:
        return None
    if match := re.fullmatch(r"([+-])([01]\d|2[0-3]):([0-5]\d)", offset):
        shift = timedelta(hours=int(match[2]), minutes=int(match[3]))
        zone = timezone(shift if match[1] == "+" else -shift)
    return moment.replace(tzinfo=zone) if 1990 <= moment.year <= 2100 else None


def file_name(name: str) -> str:
    """The last part of a file's name, for showing only: nothing is ever stored or opened under it."""
    return one_line(re.split(r"[/\\]", name)[-1])
