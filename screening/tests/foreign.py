"""Files of other kinds than photographs, and DICOM objects of all kinds."""

import gzip
import io
import warnings
import zlib
from functools import partial

from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless

from screening.dicom.tests.objects import as_bytes, dicom_object
from screening.tests.forging import (
    DAMAGED,
    LABORIOUS,
    NAME,
    NO_PHOTOGRAPH,
    PIXELS,
    SIDE,
    TAKEN,
    Make,
    Wanted,
    encoded,
    in_many_passes,
    jpeg,
    moving,
    noise,
    patched,
    picture,
    png,
    segment,
    with_segments,
    zipped,
)


def no_photographs() -> dict[str, Wanted]:
    page = b"<!doctype html><html><script>alert(1)</script></html>"
    svg = b"<svg xmlns='http://www.w3.org/2000/svg' width='300' height='300'><script>alert(1)</script></svg>"
    starts = {
        "heic": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
        "mp4": b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom",
        "psd": b"8BPS\0\1" + bytes(6) + b"\0\3\0\0\1\x2c\0\0\1\x2c\0\x08\0\3",
        "ico": b"\0\0\1\0\1\0\x40\x40\0\0\1\0\x20\0",
        "elf": b"\x7fELF\2\1\1",
        "program": b"MZ\x90\0",
        "class": b"\xca\xfe\xba\xbe\0\0\0\x34",
        "wasm": b"\0asm\1\0\0\0",
        "jxl": b"\xff\x0a",
        "mng": b"\x8aMNG\r\n\x1a\n",
        "rar": b"Rar!\x1a\7\1\0",
        "7z": b"7z\xbc\xaf\x27\x1c",
        "wav": b"RIFF\x24\x08\0\0WAVEfmt ",
        "ogg": b"OggS\0\2",
        "mp3": b"ID3\4\0\0",
        "dds": b"DDS \x7c\0\0\0",
        "sqlite": b"SQLite format 3\0",
        "pickle": b"\x80\4cos\nsystem\n",
        "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 300 300\n",
        "pdf": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n",
        "gif that is none": b"GIF89a\x2c\1\x2c\1\x80",
        "bmp that is none": b"BM" + bytes(50),
        "raw pixels": b"",
        "script": b"#!/bin/sh\nrm -rf /\n",
    }
    made: dict[str, bytes | Make] = {
        name: start + noise(2000, seed) for seed, (name, start) in enumerate(starts.items())
    }
    made |= {
        "svg": svg,
        "svgz": gzip.compress(svg),
        "page": page,
        "page in utf-16": page.decode().encode("utf-16"),
        "zip of a jpeg": partial(zipped, jpeg()),
        "text": b"a lesion on the back",
        "zeros": bytes(100_000),
        "jpeg in base64": b"/9j/4AAQSkZJRgABAQ" * 50,
        "moving gif": partial(moving, "GIF"),
    }
    kinds = ("GIF", "TIFF", "BMP", "ICO", "PPM", "TGA", "PCX", "AVIF", "JPEG2000", "PDF", "EPS", "ICNS", "DDS", "SGI")
    made |= {kind.lower(): partial(encoded, picture(), kind) for kind in kinds}
    return {name: (data, NO_PHOTOGRAPH) for name, data in made.items()}


def dicom(frame: bytes | None = None, **changes: object) -> bytes:
    """Of nobody that it names, so that it contradicts no record."""
    unsaid = {"PatientName": "", "PatientID": "", "IssuerOfPatientID": None, "PatientBirthDate": ""}
    pixels = {} if frame is None else {"PixelData": encapsulate([frame])}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what is wrong with them
        return as_bytes(dicom_object(jpeg(), **(unsaid | pixels | changes)))


def written_as(syntax: str) -> bytes:
    """Its head says so; the rest is as it was."""
    usual = b"1.2.840.10008.1.2.4.50"
    return dicom().replace(usual, syntax.encode().ljust(len(usual), b"\0"))


def jpeg_2000(side: int, frame: bytes | None = None) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (side, side), "tan").save(buffer, "JPEG2000", no_jp2=True)
    return dicom(frame or buffer.getvalue(), syntax=JPEG2000Lossless, Rows=side, Columns=side)


def many_precincts(side: int) -> bytes:
    buffer = io.BytesIO()
    small = {"precinct_size": (2, 2), "codeblock_size": (4, 4)}
    Image.new("RGB", (side, side), "tan").save(buffer, "JPEG2000", no_jp2=True, **small)
    data = buffer.getvalue()
    return jpeg_2000(side, patched(data, data.index(b"\xff\x52") + 6, b"\xff\xff"))  # and 65,535 layers


def dicoms() -> dict[str, Wanted]:
    whole = dicom()
    deeper = b"\x11\x70\x01\x10SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    item = place_of_pixels(whole)
    syntaxes = {
        "deflated": "1.2.840.10008.1.2.1.99",
        "big endian": "1.2.840.10008.1.2.2",
        "RLE": "1.2.840.10008.1.2.5",
        "JPEG-LS": "1.2.840.10008.1.2.4.80",
        "MPEG": "1.2.840.10008.1.2.4.100",
        "nothing known": "1.2.3",
    }
    files: dict[str, Wanted] = {f"written as {name}": (written_as(s), "dicom_syntax") for name, s in syntaxes.items()}
    files |= {f"cut at {share} %": (whole[: len(whole) * share // 100], DAMAGED) for share in (10, 50, 95)}
    bomb = whole[: whole.index(b"\x08\x00\x05\x00CS")] + zlib.compress(bytes(100_000_000))
    return files | {
        "of nobody": (whole, TAKEN),
        "with names within": (dicom(ImageComments=NAME.decode(), PatientAddress=NAME.decode()), TAKEN),
        "with names within its frame": (dicom(with_segments(jpeg(), segment(0xFE, NAME)) + NAME), TAKEN),
        "swelling": (bomb, DAMAGED),
        "nested 1,000 deep": (dicom(PixelData=None) + deeper * 1000, DAMAGED),
        "of 65,535 frames": (dicom(NumberOfFrames=65_535), "dicom_frames"),
        "of 60,000 x 60,000": (dicom(Rows=60_000, Columns=60_000), PIXELS),
        "of another size than its frame": (dicom(Rows=SIDE + 1), DAMAGED),
        "of another kind": (dicom(SOPClassUID="1.2.840.10008.5.1.4.1.1.7"), "dicom_class"),
        "with words burned in": (dicom(BurnedInAnnotation="YES"), "burned_in"),
        "of 16 bits": (dicom(BitsAllocated=16, BitsStored=16, HighBit=15), "dicom_pixels"),
        "with a fragment that says it is 4 GB": (patched(whole, item + 4, b"\xf0\xff\xff\xff"), TAKEN),
        "with a fragment that says it is empty": (patched(whole, item + 4, bytes(4)), DAMAGED),
        "with fewer pixels than it says": (dicom(syntax=ExplicitVRLittleEndian, Rows=2000, Columns=2000), DAMAGED),
        "with a frame in 3,000 passes": (
            dicom(in_many_passes(SIDE, 3000), SamplesPerPixel=1, PhotometricInterpretation="MONOCHROME2"),
            LABORIOUS,
        ),
        "with a png for a frame": (dicom(png()), DAMAGED),
        "in JPEG 2000": (partial(jpeg_2000, SIDE), TAKEN),
        "in JPEG 2000 of noise": (partial(jpeg_2000, SIDE, b"\xff\x4f\xff\x51" + noise(3000)), DAMAGED),
        "in JPEG 2000 of 16 megapixels": (partial(jpeg_2000, 4000), TAKEN),
        "in JPEG 2000 of endless layers": (partial(many_precincts, 800), TAKEN),
        "a mark without an object": (bytes(128) + b"DICM" + noise(5000), "dicom_syntax"),
    }


def place_of_pixels(data: bytes) -> int:
    """Of the first fragment, behind the table of offsets."""
    table = data.index(b"\xfe\xff\x00\xe0", data.index(b"\xe0\x7f\x10\x00"))
    return data.index(b"\xfe\xff\x00\xe0", table + 4)
