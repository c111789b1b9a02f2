"""Files that should not have been sent, each with what is wanted of it: `corpus()`. All are made by code.

What is wanted is `TAKEN`, `UNSCORABLE` (taken, and judged unfit to be read), or the code of a refusal.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import product

from PIL import Image

from screening.tests.foreign import dicoms, no_photographs
from screening.tests.forging import (
    DAMAGED,
    LABORIOUS,
    NO_PHOTOGRAPH,
    PIXELS,
    SIDE,
    TAKEN,
    UNSCORABLE,
    Make,
    Wanted,
    chunk,
    cut_out,
    doubled,
    encoded,
    header,
    in_many_passes,
    jpeg,
    moving,
    noise,
    patched,
    picture,
    pixels,
    place_of,
    png,
    png_of,
    riff,
    segment,
    taken_forms,
    webp,
    with_segments,
    with_size,
)
from screening.tests.hiding import exifs, hidden, profiles


@dataclass(frozen=True)
class Hostile:
    name: str
    make: Make
    wanted: str
    file_name: str = "lesion.jpg"
    declared: str = "image/jpeg"

    @property
    def is_taken(self) -> bool:
        return self.wanted in (TAKEN, UNSCORABLE)


def corpus() -> list[Hostile]:
    groups = {
        "kind": kinds(),
        "jpeg": jpegs(),
        "png": pngs(),
        "webp": webps(),
        "cut": cut(),
        "hidden": hidden(),
        "exif": exifs(),
        "profile": profiles(),
        "size": sizes(),
        "no": no_photographs(),
        "dicom": dicoms(),
        "dear": dear(),
    }
    return [*named(groups), *oddly_named()]


def named(groups: dict[str, dict[str, Wanted]]) -> Iterator[Hostile]:
    for group, files in groups.items():
        for name, (data, wanted) in files.items():
            yield Hostile(f"{group}: {name}", data if callable(data) else partial(bytes, data), wanted)


def kinds() -> dict[str, Wanted]:
    """What is taken, in every way to write it."""
    ways = {f"jpeg {n}": partial(jpeg, subsampling=n, quality=q) for n, q in ((0, 100), (1, 50), (2, 1))}
    ways |= {f"jpeg of {mode}": partial(encoded, picture().convert(mode)) for mode in ("L", "CMYK")}
    ways |= {
        "jpeg of RGB components": partial(jpeg, keep_rgb=True),
        "jpeg with restarts": partial(jpeg, restart_marker_blocks=1),
        "progressive jpeg with restarts": partial(jpeg, progressive=True, restart_marker_rows=1),
        "webp with alpha": partial(encoded, picture().convert("RGBA"), "WEBP"),
        "webp of low quality": partial(webp, quality=0),
    }
    depths = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
    for colour, interlaced in product(depths, (0, 1)):
        for depth in depths[colour]:
            name = f"png of colour {colour} in {depth} bits{', interlaced' if interlaced else ''}"
            ways[name] = partial(png, depth=depth, colour=colour, interlaced=interlaced)
    ways |= {
        f"png of colour {colour} with tRNS": partial(png, colour=colour, extra=chunk(b"tRNS", bytes(length)))
        for colour, length in ((0, 2), (2, 6), (3, 256), (3, 1))
    }
    small = {f"of {side} pixels": (partial(encoded, picture(side, side)), UNSCORABLE) for side in (64, 65, 223)}
    return {name: (make, TAKEN) for name, make in ways.items()} | small


def jpegs() -> dict[str, Wanted]:
    plain, scan = jpeg(), place_of(jpeg(), 0xDA)
    frame, comment = place_of(plain, 0xC0), segment(0xFE, b"x" * 65_533)
    many = {f"{marker:x} twice": (doubled(plain, marker), TAKEN) for marker in (0xDB, 0xC4)}
    return (
        many
        | {
            "frame twice": (doubled(plain, 0xC0), DAMAGED),
            "without huffman tables": (cut_out(plain, 0xC4), TAKEN),  # the standard's own are taken then
            "without quantisation": (cut_out(plain, 0xDB), DAMAGED),
            "without a frame": (cut_out(plain, 0xC0), NO_PHOTOGRAPH),
            "without a scan": (plain[:scan] + b"\xff\xd9", DAMAGED),
            "without its end": (plain[:-2], DAMAGED),
            "of 12 bits": (patched(plain, frame + 4, b"\x0c"), NO_PHOTOGRAPH),
            "of 2 components": (patched(plain, frame + 9, b"\x02"), NO_PHOTOGRAPH),
            "of 255 components": (patched(plain, frame + 9, b"\xff"), NO_PHOTOGRAPH),
            "arithmetic by its frame alone": (patched(plain, frame + 1, b"\xc9"), TAKEN),
            "lossless by its frame alone": (patched(plain, frame + 1, b"\xc3"), DAMAGED),
            "hierarchical by its frame alone": (patched(plain, frame + 1, b"\xc5"), DAMAGED),
            "progressive by its frame alone": (patched(plain, frame + 1, b"\xc2"), DAMAGED),
            "sampled 15 by 15": (patched(plain, frame + 11, b"\xff"), DAMAGED),
            "sampled 0 by 0": (patched(plain, frame + 11, b"\x00"), DAMAGED),
            "start twice": (b"\xff\xd8" + plain, TAKEN),
            "with fill before markers": (plain[:2] + b"\xff" * 5000 + plain[2:], TAKEN),
            "with junk between segments": (plain[:2] + b"junk" * 50 + plain[2:], NO_PHOTOGRAPH),
            "with a segment longer than the file": (plain[:2] + b"\xff\xe5\xff\xff" + plain[2:2000], NO_PHOTOGRAPH),
            "with a segment of length 0": (plain[:2] + b"\xff\xe5\0\0" + plain[2:], TAKEN),
            "with 100 comments of 65,535 bytes": (with_segments(plain, *[comment] * 100), TAKEN),
            "with a storm of restarts": (plain[:-2] + b"\xff\xd0" * 500_000 + plain[-2:], TAKEN),
            "with restarts that are not": (patched(jpeg(restart_marker_blocks=1), scan + 40, b"\xff\xd7" * 20), TAKEN),
            "with zeros for its scan": (plain[: scan + 14] + bytes(20_000) + b"\xff\xd9", TAKEN),
            "with noise for its scan": (plain[: scan + 14] + noise(20_000).replace(b"\xff", b"") + b"\xff\xd9", TAKEN),
            "with a scan of ends": (plain[: scan + 14] + b"\xff\xd9" * 5000, TAKEN),
            "with a number of lines at its end": (
                with_size(plain, SIDE, 0)[:-2] + segment(0xDC, b"\0\xf0"),
                NO_PHOTOGRAPH,
            ),
        }
    )


def pngs() -> dict[str, Wanted]:
    data = zlib.compress(pixels(SIDE, SIDE, 24, 0))
    head, body = header(SIDE, SIDE), chunk(b"IDAT", data)
    half = len(data) // 2
    bomb = zlib.compress(bytes(100_000_000))
    wrong = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 2, 0, 0, 0)
    frame = struct.pack(">IIIIIHHBB", 0, SIDE, SIDE, 0, 0, 1, 10, 0, 0)
    return {
        "header with a wrong checksum": (png_of(chunk(b"IHDR", wrong, 1), body), NO_PHOTOGRAPH),
        "pixels with a wrong checksum": (png_of(head, chunk(b"IDAT", data, 1)), TAKEN),
        "pixels in two chunks": (png_of(head, chunk(b"IDAT", data[:half]), chunk(b"IDAT", data[half:])), TAKEN),
        "pixels in the wrong order": (png_of(head, chunk(b"IDAT", data[half:]), chunk(b"IDAT", data[:half])), DAMAGED),
        "pixels before the header": (png_of(body, head), DAMAGED),
        "without pixels": (png_of(head), DAMAGED),
        "without its end": (png_of(head, body)[:-12], TAKEN),
        "two headers": (png_of(head, header(60_000, 60_000), body), TAKEN),
        "of depth 3": (png_of(header(SIDE, SIDE, 3), body), NO_PHOTOGRAPH),
        "of colour 5": (png_of(header(SIDE, SIDE, 8, 5), body), NO_PHOTOGRAPH),
        "interlaced as it is not": (png_of(header(SIDE, SIDE, interlaced=1), body), DAMAGED),
        "with an unknown filter": (png_of(head, chunk(b"IDAT", zlib.compress(b"\x09" * 173_040))), DAMAGED),
        "with a negative size": (png_of(header(2**31 + 300, 2**31 + 300), body), PIXELS),
        "with a palette too short": (png_of(header(SIDE, SIDE, 8, 3), chunk(b"PLTE", b"abc"), body), DAMAGED),
        "without a palette": (png_of(header(SIDE, SIDE, 8, 3), body), DAMAGED),
        "with 100 MB too many pixels": (png_of(head, chunk(b"IDAT", bomb)), TAKEN),
        "with a text of 100 MB": (png(extra=chunk(b"zTXt", b"a\0\0" + bomb)), TAKEN),
        "with an international text of 100 MB": (png(extra=chunk(b"iTXt", b"a\0\1\0\0\0" + bomb)), TAKEN),
        "with a profile of 100 MB": (png(extra=chunk(b"iCCP", b"a\0\0" + bomb)), DAMAGED),
        "with an unknown critical chunk": (png(extra=chunk(b"ABCD", b"x")), TAKEN),
        "with a chunk longer than the file": (png_of(head, b"\x7f\xff\xff\xffabCd", body), NO_PHOTOGRAPH),
        "with a tRNS too long": (png(colour=3, extra=chunk(b"tRNS", bytes(5000))), DAMAGED),
        "with a tRNS too short": (png(extra=chunk(b"tRNS", b"\0")), DAMAGED),
        "animated": (partial(moving, "PNG"), "animated"),
        "said to be animated": (png(extra=chunk(b"acTL", struct.pack(">II", 2**31 - 1, 0))), "animated"),
        "animated with one picture": (
            png(extra=chunk(b"acTL", struct.pack(">II", 1, 0)) + chunk(b"fcTL", frame)),
            TAKEN,
        ),
    }


def webps() -> dict[str, Wanted]:
    plain = webp()
    frame = plain[20:]
    extended = bytes([0x10, 0, 0, 0]) + (SIDE - 1).to_bytes(3, "little") * 2
    flagged = bytes([0x2C]) + extended[1:]
    wide = (16_383).to_bytes(3, "little") * 2
    return {
        "animated": (partial(moving, "WEBP"), "animated"),
        "shorter than it says": (patched(plain, 4, struct.pack("<I", len(plain) * 2)), TAKEN),
        "longer than it says": (patched(plain, 4, struct.pack("<I", 100)), TAKEN),
        "without pixels": (riff((b"VP8X", extended)), DAMAGED),
        "with flags of what is not there": (riff((b"VP8X", flagged), (b"VP8 ", frame)), TAKEN),
        "on a canvas of another size": (riff((b"VP8X", extended[:4] + wide), (b"VP8 ", frame)), PIXELS),
        "with two pictures": (riff((b"VP8 ", frame), (b"VP8 ", frame)), TAKEN),
        "with noise for its picture": (riff((b"VP8 ", frame[:10] + noise(5000))), DAMAGED),
        "with an alpha of noise": (riff((b"VP8X", extended), (b"ALPH", noise(500)), (b"VP8 ", frame)), DAMAGED),
        "of another RIFF": (plain.replace(b"WEBP", b"AVI "), NO_PHOTOGRAPH),
    }


def cut() -> dict[str, Wanted]:
    """Of each form what is left after so many bytes, or so many hundredths."""
    files: dict[str, Wanted] = {}
    for name, make in taken_forms().items():
        whole = make()
        for share in (5, 30, 60, 95):
            files[f"{name} at {share} %"] = (whole[: len(whole) * share // 100], DAMAGED)
        for length in (1, 3, 7):
            files[f"{name} at {length} bytes"] = (whole[:length], NO_PHOTOGRAPH)
    return files


def sizes() -> dict[str, Wanted]:
    """What the header says, over a few kB of pixels."""
    body, progressive = chunk(b"IDAT", zlib.compress(bytes(4000))), jpeg(progressive=True)
    told = {
        (50_000, 50_000): PIXELS,
        (0, 300): NO_PHOTOGRAPH,
        (300, 0): NO_PHOTOGRAPH,
        (65_535, 1): "too_small",
        (63, 63): "too_small",
        (63, 5000): "too_small",
        (65_535, 65_535): PIXELS,
        (7746, 7746): PIXELS,
    }
    files: dict[str, Wanted] = {
        f"{form} of {width} x {height}": (with_size(data, width, height), wanted)
        for (form, data), ((width, height), wanted) in product(
            {"jpeg": jpeg(), "progressive": progressive}.items(), told.items()
        )
    }
    files |= {
        f"png of {width} x {height}": (png_of(header(width, height), body), wanted)
        for (width, height), wanted in (told | {(4900, 4900): PIXELS, (2**31 - 1, 2**31 - 1): PIXELS}).items()
    }
    lossless = webp(lossless=True)
    return files | {
        "jpeg that lacks most of 59 megapixels": (with_size(jpeg(), 7680, 7680), TAKEN),
        "progressive that lacks most of 59 megapixels": (with_size(progressive, 7680, 7680), TAKEN),
        "webp of 16,383 x 16,383": (patched(lossless, 21, b"\xff\xff\xff\x0f"), PIXELS),
        "webp of 1 x 1": (patched(lossless, 21, bytes(4)), "too_small"),
        "over 25 MB": (jpeg() + bytes(26 * 1024 * 1024), "too_large"),
        "nothing": (b"", "empty"),
    }


def dear() -> dict[str, Wanted]:
    """A few bytes, or not many, that would cost minutes or a GB."""
    flat = partial(Image.new, color="tan")
    side = 4890
    return {
        "jpeg in 3,000 passes": (partial(in_many_passes, 1000, 3000), LABORIOUS),
        "jpeg in 51 passes": (partial(in_many_passes, 300, 51), LABORIOUS),
        "jpeg in 40 passes": (partial(in_many_passes, 300, 34), TAKEN),
        "jpeg of a million segments": (with_segments(jpeg(), segment(0xFE, b"") * 1_000_000), LABORIOUS),
        "png of a million chunks": (png(extra=chunk(b"abCd") * 1_000_000), LABORIOUS),
        "png with 25,000 profiles": (png(extra=chunk(b"iCCP", b"p\0\0" + zlib.compress(bytes(9**6))) * 19_000), TAKEN),
        "png with a million empty chunks of pixels": (png(extra=chunk(b"IDAT") * 1_000_000), LABORIOUS),
        "webp of a million chunks": (riff(*[(b"abCd", b"")] * 1_000_000), LABORIOUS),
        "progressive of 58 megapixels": (
            lambda: encoded(flat("RGB", (7600, 7600)), progressive=True, subsampling=0),
            TAKEN,
        ),
        "progressive cmyk of 30 megapixels": (lambda: encoded(flat("CMYK", (5500, 5500)), progressive=True), TAKEN),
        "png of 24 megapixels with alpha": (partial(png, side, colour=6), TAKEN),
        "png of 24 megapixels in 16 bits of grey": (partial(png, side, 16, 0), TAKEN),
        "png of 24 megapixels that is cut off": (lambda: png(side, 8, 6, 1)[:-60_000], DAMAGED),
        "webp of 24 megapixels": (lambda: encoded(flat("RGB", (side, side)), "WEBP", method=0), TAKEN),
        "webp of 9 megapixels that is cut off": (
            lambda: encoded(picture(3000, 3000), "WEBP", method=0)[:-9000],
            DAMAGED,
        ),
    }


def oddly_named() -> Iterator[Hostile]:
    names = {
        "a path": "../../../etc/passwd",
        "a path of windows": "C:\\temp\\WINTERBOTTOM.exe",
        "many dots": "...jpg",
        "control characters": "a\x01\x1b[31mb.jpg",
        "5,000 characters": "x" * 5000 + ".jpg",
        "turned around": "a\u202egpj.exe",
        "markup": "<script>alert(1)</script>.jpg",
        "quotes": "a';DROP TABLE x--.jpg",
        "a space": " ",
        "a program": "lesion.jpg.exe",
        "emoji": "\U0001f4a9.jpg",
        "percents": "%00%0d%0aSet-Cookie:a.jpg",
        "5,000 emoji": "\U0001f4a9" * 5000,
        "lone accents": "e\u0301\u0301\u0301.jpg",
    }
    for what, name in names.items():
        yield Hostile(f"name: {what}", jpeg, TAKEN, file_name=name)
    for declared in (
        "text/html",
        "application/pdf",
        "image/svg+xml",
        "image/png",
        "application/x-msdownload",
        "a/b; c=d",
        "x" * 300,
    ):
        yield Hostile(f"declared: {declared[:30]}", jpeg, TAKEN, declared=declared)
