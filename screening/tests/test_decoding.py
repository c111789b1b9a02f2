"""What a decoder is given, and how much time and memory it may take for it."""

import subprocess
import time
from io import BytesIO

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from PIL import Image

from ml.preprocess import SIDE
from screening import apart, images
from screening.apart import decode_apart
from screening.images import clean_photograph
from screening.models import LesionImage
from screening.paring import MOST_PARTS, MOST_PASSES, pare
from screening.refusals import PhotographRefused
from screening.tests.conftest import the_only
from screening.tests.forging import (
    NAME,
    chunk,
    directory,
    encoded,
    exif_segment,
    in_many_passes,
    jpeg,
    named_exif,
    picture,
    png,
    segment,
    webp,
    with_segments,
    zipped,
)


def cleaned(data: bytes):
    return clean_photograph(BytesIO(data))


def code_of(data: bytes) -> str:
    with pytest.raises(PhotographRefused) as refused:
        cleaned(data)
    return refused.value.code


def test_damaged_interlaced_png_is_refused():
    """Pillow's second try at one raises what its first does not."""
    assert code_of(png(interlaced=1)[:-400]) == "damaged"


def test_progressive_jpeg_of_many_passes_is_refused_before_it_is_decoded():
    began = time.thread_time()
    assert code_of(in_many_passes(2000, MOST_PARTS // 2)) == "too_laborious"
    assert time.thread_time() - began < 1  # it would be minutes
    assert code_of(in_many_passes(300, MOST_PASSES)) == "too_laborious"
    assert cleaned(in_many_passes(300, MOST_PASSES - 6)).width == 300


@pytest.mark.parametrize(
    "data",
    [
        with_segments(jpeg(), segment(0xFE, b"") * (MOST_PARTS + 1)),
        png(extra=chunk(b"abCd") * (MOST_PARTS + 1)),
        with_segments(jpeg(), segment(0xE2, b"ICC_PROFILE\0" + bytes(60_000)) * 100),
    ],
    ids=["segments", "chunks", "profiles"],
)
def test_too_many_parts_are_refused(data):
    assert code_of(data) == "too_laborious"


@pytest.mark.parametrize("make", [jpeg, webp, png], ids=["jpeg", "webp", "png"])
def test_decoder_is_given_nothing_but_the_picture(make):
    hiding = {
        jpeg: lambda: with_segments(jpeg(), exif_segment(named_exif()[6:]), segment(0xFE, NAME)) + zipped(),
        webp: lambda: webp(exif=named_exif(), xmp=NAME) + zipped(),
        png: lambda: png(extra=chunk(b"eXIf", named_exif()[6:]) + chunk(b"tEXt", b"a\0" + NAME)) + zipped(),
    }[make]()
    pared = pare(hiding)
    assert b"WINTERBOTTOM" in hiding
    assert b"WINTERBOTTOM" not in pared.picture
    assert b"WINTERBOTTOM" in pared.exif
    assert Image.open(BytesIO(pared.picture)).tobytes() == Image.open(BytesIO(make())).tobytes()


def test_exif_that_no_camera_writes_is_left_out():
    long = directory((0x0110, 2, 70_000, 26)) + b"x" * 80_000
    assert cleaned(png(extra=chunk(b"eXIf", long))).camera == ""
    assert cleaned(png(extra=chunk(b"eXIf", long[:26] + b"x" * 60_000))).camera == ""  # its value is cut off


def test_first_of_the_pictures_in_a_phones_jpeg_is_taken():
    directories = directory((45057, 4, 1, 2), (45058, 7, 32, 50)) + bytes(32)
    phone = with_segments(jpeg(), segment(0xE2, b"MPF\0" + directories)) + encoded(picture(64, 64))
    assert cleaned(phone).width == picture().width


@pytest.mark.parametrize(
    "data",
    [
        encoded(Image.new("RGB", (3500, 3500)), progressive=True, subsampling=0),
        encoded(Image.new("RGB", (3000, 3000)), "WEBP", method=0),
    ],
    ids=["progressive", "webp"],
)
def test_what_takes_much_memory_is_decoded_in_a_process_of_its_own(data, monkeypatch):
    kinds = []

    def seen(data: bytes, kind: str, **options: bool) -> Image.Image:
        kinds.append(kind)
        return decode_apart(data, kind, **options)

    monkeypatch.setattr(images, "decode_apart", seen)
    assert cleaned(data).width in (3500, 3000)
    assert len(kinds) == 1
    assert cleaned(jpeg(progressive=True)).width == picture().width
    assert len(kinds) == 1


@pytest.mark.parametrize(("limit", "small"), [("MOST_MEMORY", 20_000_000), ("SECONDS", 0), ("MOST_OUTPUT", 1000)])
def test_process_apart_is_held_to_its_limits(limit, small, monkeypatch):
    """A process that is started so has a hundredth of what it may have."""
    run, given = subprocess.run, []

    def limited(command: list[str], **options: object):
        given.append((command[1:3], options.get("env")))
        program = f"from screening import apart; apart.{limit} = {small}; apart.main(*{command[3:]})"
        return run([command[0], "-c", program], **options)

    monkeypatch.setattr(apart.subprocess, "run", limited)
    data = encoded(picture(3000, 3000), "WEBP", method=0)
    assert code_of(data) in ("damaged", "too_laborious")
    assert given == [(["-m", "screening.apart"], apart.NOTHING_SECRET)]
    assert not {"SECRET_KEY", "DATABASE_URL"} & apart.NOTHING_SECRET.keys()


def test_process_that_does_not_end_is_ended(monkeypatch):
    monkeypatch.setattr(apart, "PATIENCE", 0.01)
    assert code_of(encoded(Image.new("RGB", (3000, 3000)), "WEBP", method=0)) == "too_laborious"


def test_decoder_that_takes_too_long_is_stopped(monkeypatch):
    monkeypatch.setattr(images, "MOST_SECONDS", 0)
    assert code_of(jpeg()) == "too_laborious"


@pytest.mark.parametrize("mode", ["RGBA", "LA", "I;16", "P", "L", "1"])
def test_large_png_is_halved_as_a_large_jpeg_is(mode, monkeypatch):
    monkeypatch.setattr(images, "DECODED_PIXELS", 50_000)
    image = picture(301, 257)
    image = Image.new("I;16", image.size, 40_000) if mode == "I;16" else image.convert(mode)
    clean = cleaned(encoded(image, "PNG"))
    assert (clean.width, clean.height) == (151, 129)


def test_transparent_becomes_white_when_halved(monkeypatch):
    monkeypatch.setattr(images, "DECODED_PIXELS", 50_000)
    image = picture(300, 300).convert("RGBA")
    image.paste((0, 0, 0, 0), (0, 0, 300, 150))
    photograph = Image.open(BytesIO(cleaned(encoded(image, "PNG")).photograph))
    assert min(photograph.getpixel((75, 20))) > 250
    assert max(photograph.getpixel((75, 140))) < 250


def test_small_photograph_stays_as_large_as_it_is():
    assert cleaned(encoded(picture(SIDE - 1, SIDE - 1), "PNG")).width == SIDE - 1


@pytest.mark.parametrize("name", ["x" * 5000 + ".jpg", "../" * 300 + "x.jpg", "\u202e" + "\u00e9" * 3000])
def test_photograph_with_a_long_name_is_taken(cast, chart, name):
    file = SimpleUploadedFile("a.jpg", jpeg(), "image/jpeg")
    file._name = name  # past the test client's own cleaning
    response = cast.alice.client.post(
        f"/visits/{chart.visit.pk}/photographs/",
        {"photographs": file, "lesion": str(chart.lesion.pk), "clinic": str(cast.north.pk)},
        headers={"Accept": "application/json"},
    )
    assert response.status_code == 201
    kept = the_only(cast, LesionImage).original_name
    assert 0 < len(kept) <= 100
    assert not set(kept) & set("/\\\u202e")
