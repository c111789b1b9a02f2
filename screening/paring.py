"""What makes the picture, and nothing else of a file: a decoder is given no more.

Names, places, second pictures and what was appended are gone before anything is decoded. So is what costs Pillow time
or memory without end: millions of segments or chunks, profiles that come again and again, passes over a progressive
JPEG (each of a few bytes, and a walk over all pixels). Nothing here is decoded: the cost is one look at the bytes.
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from screening.refusals import not_a_photograph, too_laborious

MOST_PARTS = 20_000
MOST_PASSES = 50  # usual progressive files have ten
HEAVY = 64_000_000  # bytes, which the decoder keeps of a JPEG that comes in passes
MOST_EXIF = 64 * 1024
MOST_PROFILE = 4 * 1024 * 1024

PNG, RIFF, EXIF = b"\x89PNG\r\n\x1a\n", b"RIFF", b"Exif\0\0"
# But for markers that stand alone, without a length: TEM, RST and SOI.
MARKER, AFTER_SCAN = re.compile(rb"\xff[^\x00\x01\xd0-\xd8\xff]"), re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
EOI, SOS, APP1, APP2 = 0xD9, 0xDA, 0xE1, 0xE2
FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
TABLES = frozenset({0xC4, 0xCC, 0xDB, 0xDC, 0xDD})
APPLICATION = {0xE0: b"JFIF\0", APP2: b"ICC_PROFILE\0", 0xEE: b"Adobe"}
ONCE = frozenset({b"IHDR", b"PLTE", b"tRNS", b"iCCP", b"acTL", b"fcTL", b"IEND"})
OF_WEBP = frozenset({b"VP8X", b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF", b"ICCP"})


@dataclass(frozen=True)
class Pared:
    """`exif`: what the camera wrote, empty where that is longer than a camera's; `is_heavy`: to decode takes memory."""

    picture: bytes
    exif: bytes
    is_heavy: bool = False


def pare(data: bytes) -> Pared:
    """Raises PhotographRefused for what is no JPEG, PNG or WebP file, or would cost too much to decode."""
    if data.startswith(b"\xff\xd8\xff"):
        return pare_jpeg(data)
    if data.startswith(PNG):
        return pare_png(data)
    if data.startswith(RIFF) and data[8:12] == b"WEBP":
        return pare_webp(data)
    raise not_a_photograph()


@dataclass(frozen=True)
class Segment:
    """From a marker up to the next one."""

    marker: int
    whole: bytes

    @property
    def content(self) -> bytes:
        return self.whole[4:]

    @property
    def makes_the_picture(self) -> bool:
        if said := APPLICATION.get(self.marker):
            return self.content.startswith(said)
        return self.marker in FRAMES | TABLES | {SOS, EOI}


def pare_jpeg(data: bytes) -> Pared:
    exif, kept = b"", list[Segment]()
    for number, each in enumerate(segments(data)):
        if number > MOST_PARTS:
            raise too_laborious()
        if each.makes_the_picture:
            kept.append(each)
        elif each.marker == APP1 and each.content.startswith(EXIF):
            exif = exif or each.content
    refuse_passes(kept)
    refuse_profile(sum(len(each.whole) for each in kept if each.marker == APP2))
    return Pared(b"\xff\xd8" + b"".join(each.whole for each in kept), bounded(exif), coefficients(kept) > HEAVY)


def segments(data: bytes) -> Iterator[Segment]:
    """Up to the end of the picture, or of the file where it is cut off. What a decoder would skip is skipped."""
    place = 2
    while found := MARKER.search(data, place):
        marker, place = data[found.end() - 1], found.end()
        if marker == EOI:
            yield Segment(marker, b"\xff\xd9")
            return
        place += max(2, int.from_bytes(data[place : place + 2]))
        if marker == SOS:
            after = AFTER_SCAN.search(data, place)
            place = after.start() if after else len(data)
        yield Segment(marker, data[found.start() : place])


def refuse_passes(kept: list[Segment]) -> None:
    if sum(each.marker == SOS for each in kept) > MOST_PASSES:
        raise too_laborious()


def coefficients(kept: list[Segment]) -> int:
    """Bytes that the decoder holds until the last pass; none where one pass has all components."""
    frames = [each.content for each in kept if each.marker in FRAMES]
    in_passes = any(each.marker in PROGRESSIVE for each in kept) or any(
        each.content[:1] != frame[5:6] for each in kept if each.marker == SOS for frame in frames
    )
    return sum(map(samples, frames)) * 2 if in_passes else 0


def samples(frame: bytes) -> int:
    """Of all components, each of which may have fewer than the picture has pixels."""
    height, width = int.from_bytes(frame[1:3]), int.from_bytes(frame[3:5])
    factors = [(each >> 4, each & 15) for each in frame[7::3]]
    across, down = (max(column, default=1) for column in zip(*factors, strict=True)) if factors else (1, 1)
    return width * height * sum(x * y for x, y in factors) // max(1, across * down)


def refuse_profile(size: int) -> None:
    """A display's is some kB, a printer's up to 3 MB."""
    if size > MOST_PROFILE:
        raise too_laborious()


def bounded(exif: bytes) -> bytes:
    return exif if len(exif) <= MOST_EXIF else b""


def pare_png(data: bytes) -> Pared:
    """Of what may be there once, the first is taken. Text is left out, with the EXIF that old programs wrote there."""
    exif, kept, seen = b"", [PNG], set[bytes]()
    for number, (kind, whole) in enumerate(chunks(data, len(PNG), ">")):
        if number > MOST_PARTS:
            raise too_laborious()
        if kind == b"IDAT" or (kind in ONCE and kind not in seen):
            kept.append(whole)
        elif kind == b"eXIf":
            exif = exif or EXIF + whole[8:-4]
        seen.add(kind)
        if kind == b"iCCP":
            refuse_profile(len(whole))
    return Pared(b"".join(kept), bounded(exif))


def pare_webp(data: bytes) -> Pared:
    exif, kept = b"", list[bytes]()
    for number, (kind, whole) in enumerate(chunks(data, 12, "<", end=8 + int.from_bytes(data[4:8], "little"))):
        if number > MOST_PARTS:
            raise too_laborious()
        if kind in OF_WEBP:
            kept.append(whole)
        elif kind == b"EXIF":
            exif = exif or EXIF + whole[8:].removeprefix(EXIF)
    body = b"WEBP" + b"".join(kept)
    return Pared(RIFF + struct.pack("<I", len(body)) + body, bounded(exif))


def chunks(data: bytes, place: int, order: str, end: int | None = None) -> Iterator[tuple[bytes, bytes]]:
    """PNG's have length, kind and checksum; RIFF's kind, length and a byte to make it even. The last may be cut off.

    end: beyond which none begins.
    """
    of_png = order == ">"
    while place + 8 <= min(len(data), end or len(data)):
        first, second = data[place : place + 4], data[place + 4 : place + 8]
        kind, length = (second, int.from_bytes(first)) if of_png else (first, int.from_bytes(second, "little"))
        following = place + 8 + length + (4 if of_png else length % 2)
        yield kind, data[place:following]
        if kind == b"IEND":
            return
        place = following
