"""Names, places and programs within files that are photographs; EXIF and profiles that are none."""

import struct
import zlib
from functools import partial
from itertools import product

from PIL import ImageCms

from screening.tests.forging import (
    LABORIOUS,
    NAME,
    NO_PHOTOGRAPH,
    TAKEN,
    Wanted,
    chunk,
    directory,
    encoded,
    exif_segment,
    jpeg,
    named_exif,
    noise,
    patched,
    picture,
    png,
    profile,
    profile_segments,
    riff,
    segment,
    taken_forms,
    webp,
    with_segments,
    zipped,
)


def hidden() -> dict[str, Wanted]:
    """Names and programs within what is taken; none may be found in what is stored."""
    page = b"<html><script>alert('WINTERBOTTOM')</script>"
    appended = {
        "zip": zipped(),
        "page": page,
        "php": b"<?php system('WINTERBOTTOM') ?>",
        "jpeg": with_segments(jpeg(), segment(0xFE, NAME)),
        "program": b"MZ" + bytes(500) + NAME,
        "zeros": bytes(1_000_000) + NAME,
    }
    files: dict[str, Wanted] = {
        f"{what} after {form}": (make() + tail, TAKEN)
        for (form, make), (what, tail) in product(taken_forms().items(), appended.items())
    }
    xmp = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'>" + NAME + b"</x:xmpmeta>"
    parts = {
        "XMP": segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + xmp),
        "extended XMP": segment(0xE1, b"http://ns.adobe.com/xmp/extension/\0" + xmp),
        "IPTC": segment(0xED, b"Photoshop 3.0\x008BIM\x04\x04\0\0" + struct.pack(">I", len(NAME)) + NAME),
        "Photoshop that lies": segment(0xED, b"Photoshop 3.0\x008BIM\x04\x04\0\0\xff\xff\xff\xff" + NAME),
        "a comment": segment(0xFE, NAME),
        "a thumbnail of JFXX": segment(0xE0, b"JFXX\0\x10" + with_segments(jpeg(), segment(0xFE, NAME))[:20_000]),
        "an unknown segment": segment(0xEB, NAME),
        "a second picture (MPF)": segment(0xE2, b"MPF\0" + directory((45057, 4, 1, 2), (45058, 7, 32, 50))),
        "a thousand second pictures": segment(0xE2, b"MPF\0" + directory((45057, 4, 1, 65_535), (45058, 7, 60_000, 8))),
    }
    files |= {f"{what} in jpeg": (with_segments(jpeg(), part), TAKEN) for what, part in parts.items()}
    texts = {
        b"tEXt": b"Patient\0" + NAME,
        b"zTXt": b"Patient\0\0" + zlib.compress(NAME),
        b"iTXt": b"XML:com.adobe.xmp\0\0\0\0\0" + xmp,
        b"eXIf": named_exif()[6:],
        b"prVt": NAME,
    }
    files |= {f"{kind.decode()} in png": (png(extra=chunk(kind, text)), TAKEN) for kind, text in texts.items()}
    files |= {
        "EXIF in webp": (partial(webp, exif=named_exif()), TAKEN),
        "XMP in webp": (partial(webp, xmp=xmp), TAKEN),
        "an unknown chunk in webp": (riff((b"VP8 ", webp()[20:]), (b"NAME", NAME)), TAKEN),
        "page before jpeg": (page + jpeg(), NO_PHOTOGRAPH),
        "line before png": (b"\n" + png(), NO_PHOTOGRAPH),
        "zip before jpeg": (zipped() + jpeg(), NO_PHOTOGRAPH),
        "gif that is a script": (b"GIF89a/*" + page + b"*/=1;", NO_PHOTOGRAPH),
    }
    return files


def exifs() -> dict[str, Wanted]:
    files: dict[str, Wanted] = {
        f"orientation {n}": (partial(jpeg, exif=named_exif(n)), TAKEN) for n in (*range(10), 65_535)
    }
    directories = {
        "next directory is itself": directory((0x0112, 3, 1, 6), following=8),
        "details are itself": directory((0x8769, 4, 1, 8), (0x8825, 4, 1, 8)),
        "details are nowhere": directory((0x8769, 4, 1, 2**32 - 1)),
        "of 65,535 entries": directory((0x0132, 2, 20, 8))[:8] + b"\xff\xff" + noise(5000),
        "a value of 4 GB": directory((0x0132, 2, 2**32 - 1, 8)),
        "a time of numbers": directory((0x0132, 3, 9, 8)),
        "types that are none": directory((0x0132, 77, 1, 8), (0x010F, 0, 1, 8)),
        "fractions of nothing": directory((0x011A, 5, 1, 8), (0x0128, 3, 1, 2)) + bytes(8),
        "orientation as a text": directory((0x0112, 2, 4, 0x41414141)),
        "orientation of thousands": directory((0x0112, 3, 5000, 8)) + noise(10_000),
        "big endian": directory((0x0112, 3, 1, 6 << 16), order=">"),
        "values over each other": directory(*[(0x9000 + n, 3, 15_000, 8) for n in range(2000)]) + noise(30_000),
        "64 kB": directory((0x010E, 2, 65_000, 26)) + NAME * 1400,
        "noise": noise(3000),
        "empty": b"",
        "a time with a line end": directory((0x0132, 2, 20, 26)) + b"2026:11:02 09:30\n00\0",
    }
    files |= {name: (with_segments(jpeg(), exif_segment(tiff[:65_500])), TAKEN) for name, tiff in directories.items()}
    numbers = directory((0x0132, 3, 2_000_000, 26)) + noise(4_000_000)
    return files | {
        "4 MB in png": (png(extra=chunk(b"eXIf", numbers)), TAKEN),
        "4 MB in webp": (partial(webp, exif=numbers), TAKEN),
        "twice": (with_segments(jpeg(), *[exif_segment(named_exif()[6:])] * 2), TAKEN),
        "a hundred times": (with_segments(jpeg(), *[exif_segment(noise(60_000))] * 100), TAKEN),
        "as a text of png": (png(extra=chunk(b"tEXt", b"Raw profile type exif\0\nexif\n4\nzz")), TAKEN),
    }


def profiles() -> dict[str, Wanted]:
    plain = profile()
    cmyk_space, lab = patched(plain, 16, b"CMYK"), ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    lies = {
        "that says it is larger": patched(plain, 0, b"\x7f\xff\xff\xff"),
        "cut off": plain[:200],
        "of four thousand million tags": patched(plain, 128, b"\xff\xff\xff\xff"),
        "of another space": cmyk_space,
        "of Lab": lab,
        "of noise": noise(3000),
        "of a header alone": plain[:128],
        "empty": b"",
        "whose tags lie outside": patched(plain, 136, b"\xff\xff\xff\xf0"),
        "of a link": patched(plain, 12, b"link"),
        "for 250 kB": plain + bytes(250_000),
    }
    files: dict[str, Wanted] = {
        f"{name} in jpeg": (with_segments(jpeg(), *profile_segments(data)), TAKEN) for name, data in lies.items()
    }
    files |= {
        f"{name} in png": (png(extra=chunk(b"iCCP", b"p\0\0" + zlib.compress(data))), TAKEN)
        for name, data in lies.items()
    }
    return files | {
        "in grey jpeg": (partial(encoded, picture().convert("L"), icc_profile=plain), TAKEN),
        "in webp": (partial(webp, icc_profile=cmyk_space), TAKEN),
        "said to be in 9 parts": (with_segments(jpeg(), *profile_segments(plain, said=9)), TAKEN),
        "said to be in no part": (with_segments(jpeg(), *profile_segments(plain, said=0)), TAKEN),
        "that is not deflated": (png(extra=chunk(b"iCCP", b"p\0\0" + plain)), TAKEN),
        "in another way deflated": (png(extra=chunk(b"iCCP", b"p\0\7" + zlib.compress(plain))), NO_PHOTOGRAPH),
        "without a name's end": (png(extra=chunk(b"iCCP", b"p")), NO_PHOTOGRAPH),
        "of 15 MB": (with_segments(jpeg(), *profile_segments(noise(15_000_000))), LABORIOUS),
    }
