"""Files as nobody's camera writes them: pieces of JPEG, PNG, WebP and EXIF, put together by hand."""

import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from functools import cache, partial

import numpy as np
from PIL import Image, ImageCms

from ml.drawing import draw_photograph

TAKEN, UNSCORABLE = "taken", "unscorable"
NO_PHOTOGRAPH, DAMAGED, PIXELS, LABORIOUS = "not_a_photograph", "damaged", "too_many_pixels", "too_laborious"
Make = Callable[[], bytes]
Wanted = tuple[Make | bytes, str]

# What is hidden in files, under each name that it could survive by.
SECRETS = (
    b"WINTERBOTTOM",
    b"W\0I\0N\0T\0E\0R\0B\0",
    b"<script",
    b"xmpmeta",
    b"8BIM",
    b"<?php",
    b"PK\x03\x04",
    b"GPSLat",
)
NAME = b"WINTERBOTTOM, Erna <script>alert(1)</script>"
SIDE = 240
ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}


@cache
def picture(width: int = SIDE, height: int = SIDE) -> Image.Image:
    return draw_photograph(7).resize((width, height))


def encoded(image: Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@cache
def jpeg(**options: object) -> bytes:
    return encoded(picture(), **options)


def segment(marker: int, content: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content


def with_segments(data: bytes, *parts: bytes) -> bytes:
    return data[:2] + b"".join(parts) + data[2:]


def place_of(data: bytes, marker: int) -> int:
    return data.index(bytes([0xFF, marker]))


def cut_out(data: bytes, marker: int) -> bytes:
    """Without the segments of this kind."""
    while (place := data.find(bytes([0xFF, marker]), 0, data.index(b"\xff\xda"))) >= 0:
        data = data[:place] + data[place + 2 + int.from_bytes(data[place + 2 : place + 4]) :]
    return data


def doubled(data: bytes, marker: int) -> bytes:
    place = place_of(data, marker)
    whole = data[place : place + 2 + int.from_bytes(data[place + 2 : place + 4])]
    return data[:place] + whole + data[place:]


def patched(data: bytes, place: int, new: bytes) -> bytes:
    return data[:place] + new + data[place + len(new) :]


def with_size(data: bytes, width: int, height: int) -> bytes:
    """A JPEG whose header says another size."""
    frame = place_of(data, 0xC2 if b"\xff\xc2" in data else 0xC0)
    return patched(data, frame + 5, struct.pack(">HH", height, width))


def in_many_passes(side: int, passes: int) -> bytes:
    """The last pass of a progressive JPEG again and again: a few bytes each, and a walk over all its pixels."""
    data = encoded(Image.new("L", (side, side)), progressive=True)
    last = data[data.rindex(b"\xff\xda") : -2]
    return data[:-2] + last * passes + data[-2:]


def chunk(kind: bytes, data: bytes = b"", checksum: int | None = None) -> bytes:
    checksum = zlib.crc32(kind + data) if checksum is None else checksum
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)


def header(width: int, height: int, depth: int = 8, colour: int = 2, interlaced: int = 0) -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced))


def rows(width: int, height: int, bits: int) -> bytes:
    """Unfiltered rows, each another shade."""
    length = (width * bits + 7) // 8
    return b"".join(b"\0" + bytes([row % 251]) * length for row in range(height))


def pixels(width: int, height: int, bits: int, interlaced: int) -> bytes:
    if not interlaced:
        return rows(width, height, bits)
    passes = [(-(-(width - x) // dx), -(-(height - y) // dy)) for x, y, dx, dy in ADAM7]
    return b"".join(rows(*size, bits) for size in passes if all(side > 0 for side in size))


def png(side: int = SIDE, depth: int = 8, colour: int = 2, interlaced: int = 0, extra: bytes = b"") -> bytes:
    """extra: chunks before the pixels."""
    data = zlib.compress(pixels(side, side, depth * CHANNELS[colour], interlaced), 1)
    palette = chunk(b"PLTE", bytes(range(256)) * 3) if colour == 3 else b""
    return png_of(header(side, side, depth, colour, interlaced), palette, extra, chunk(b"IDAT", data))


def png_of(*parts: bytes) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts) + chunk(b"IEND")


def riff(*parts: tuple[bytes, bytes]) -> bytes:
    body = b"WEBP" + b"".join(kind + struct.pack("<I", len(data)) + data + bytes(len(data) % 2) for kind, data in parts)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def zipped(data: bytes = NAME) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("WINTERBOTTOM.txt", data)
    return buffer.getvalue()


def directory(*entries: tuple[int, int, int, int], following: int = 0, order: str = "<") -> bytes:
    """An EXIF of one directory at 8: tag, type, count, and value or place."""
    packed = b"".join(struct.pack(f"{order}HHII", *entry) for entry in entries)
    start = b"II*\0" if order == "<" else b"MM\0*"
    return start + struct.pack(f"{order}IH", 8, len(entries)) + packed + struct.pack(f"{order}I", following)


def named_exif(orientation: int = 1) -> bytes:
    exif = Image.Exif()
    exif[0x0112], exif[0x010E], exif[0x013B] = orientation, NAME.decode(), NAME.decode()
    exif[0x9C9F] = "WINTERBOTTOM".encode("utf-16-le")
    exif.get_ifd(0x8825)[1], exif.get_ifd(0x8825)[2] = "N", (48.0, 12.0, 30.0)
    exif.get_ifd(0x8825)[27] = b"GPSLat WINTERBOTTOM"
    exif.get_ifd(0x8769)[0x9286] = b"ASCII\0\0\0" + NAME
    return exif.tobytes()


def exif_segment(tiff: bytes) -> bytes:
    return segment(0xE1, b"Exif\0\0" + tiff)


@cache
def profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def profile_segments(data: bytes, *, said: int | None = None) -> list[bytes]:
    """said: how many segments there are said to be."""
    parts = [data[place : place + 60_000] for place in range(0, len(data), 60_000)]
    many = len(parts) if said is None else said
    return [segment(0xE2, b"ICC_PROFILE\0" + bytes([i + 1, many % 256]) + part) for i, part in enumerate(parts)]


def noise(length: int, seed: int = 1) -> bytes:
    return np.random.default_rng(seed).bytes(length)


def webp(**options: object) -> bytes:
    return encoded(picture(), "WEBP", **options)


def taken_forms() -> dict[str, Make]:
    return {
        "jpeg": jpeg,
        "progressive": partial(jpeg, progressive=True),
        "png": partial(encoded, picture(), "PNG"),
        "webp": webp,
        "lossless webp": partial(webp, lossless=True),
    }


def moving(kind: str) -> bytes:
    return encoded(picture(), kind, save_all=True, append_images=[picture().rotate(180)], duration=100)
