"""Every row of the table of uploads, through the page that clinicians use; looked at on the stored bytes."""

import hashlib
import io
import struct
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import numpy as np
import psutil
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from PIL import Image, ImageCms, PngImagePlugin

from conftest import make_chart
from screening.images import MAX_BYTES, clean_photograph, file_name
from screening.models import LesionImage, Overview, Screening, StoredFile
from screening.tests.conftest import give, rows, sign, the_only
from skinclinic.audit.models import AuditEvent

SECRETS = (b"GPSLatitude", b"WINTERBOTTOM", b"<script>", b"xmpmeta", b"8BIM", b"appended", b"stray comment")


def picture(width: int = 320, height: int = 240) -> Image.Image:
    """Red left, blue right, so that turning it shows."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[:, : width // 2] = (200, 40, 40)
    pixels[:, width // 2 :] = (40, 40, 200)
    return Image.fromarray(pixels)


def encoded(image: Image.Image, kind: str = "JPEG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def upload(cast, chart, data: bytes, name: str = "lesion.jpg", content_type: str = "image/jpeg"):
    return cast.alice.client.post(
        f"/visits/{chart.visit.pk}/photographs/",
        {
            "photographs": SimpleUploadedFile(name, data, content_type),
            "lesion": str(chart.lesion.pk),
            "clinic": str(cast.north.pk),
        },
        headers={"Accept": "application/json"},
    )


def stored(cast) -> LesionImage:
    with cast.in_north():
        image = LesionImage.objects.latest("created_at")
        image.bytes = image.photograph.read()
    return image


def pixels(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    assert image.format == "JPEG"
    assert image.mode == "RGB"
    return image


def assert_refused(cast, chart, response, code: str) -> None:
    assert response.status_code == 422, response.content
    (outcome,) = response.json()["photographs"]
    assert outcome["refused"].endswith(".")
    with cast.in_north():
        assert not LesionImage.objects.exists()
        assert not Screening.objects.exists()
        assert not StoredFile.objects.exists()
        event = AuditEvent.objects.get(action="upload_refused")
    assert event.changes == {"reason": code}
    assert event.actor == str(cast.alice.user.pk)


def assert_taken(cast, response) -> LesionImage:
    assert response.status_code == 201, response.content
    image = stored(cast)
    assert image.sha256 == hashlib.sha256(image.bytes).hexdigest()
    assert (image.width, image.height) == pixels(image.bytes).size
    return image


def gif() -> bytes:
    return encoded(picture(), "GIF")


def animated_webp() -> bytes:
    return encoded(picture(), "WEBP", save_all=True, append_images=[picture().rotate(180)], duration=100)


def animated_png() -> bytes:
    return encoded(picture(), "PNG", save_all=True, append_images=[picture().rotate(180)], duration=100)


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("lesion.jpg", encoded(picture()))
    return buffer.getvalue()


def huge_png(side: int = 50_000) -> bytes:
    """A valid header of side x side pixels over a few kB of data."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(4000))) + chunk(b"IEND", b"")
    )


REFUSED = {
    "zero_bytes": (lambda: b"", "empty"),
    "truncated_jpeg": (lambda: encoded(picture(600, 450))[:2000], "damaged"),
    "truncated_png": (lambda: encoded(Image.effect_noise((300, 300), 60), "PNG")[:4000], "damaged"),
    "random_bytes": (lambda: np.random.default_rng(1).bytes(50_000), "not_a_photograph"),
    "svg": (lambda: b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>", "not_a_photograph"),
    "eps": (lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 300 300\n", "not_a_photograph"),
    "pdf": (lambda: b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<<>>\nendobj\n", "not_a_photograph"),
    "html": (lambda: b"<!doctype html><html><body>photo</body></html>", "not_a_photograph"),
    "gif": (gif, "not_a_photograph"),
    "animated_webp": (animated_webp, "animated"),
    "animated_png": (animated_png, "animated"),
    "tiff": (lambda: encoded(picture(), "TIFF"), "not_a_photograph"),
    "heic": (lambda: b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + bytes(2000), "not_a_photograph"),
    "zip": (zipped, "not_a_photograph"),
    "png_bomb": (huge_png, "too_many_pixels"),
    "png_over_24_megapixels": (lambda: huge_png(5000), "too_many_pixels"),
    "under_64_pixels": (lambda: encoded(picture(63, 400)), "too_small"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(cast, chart, name):
    make, code = REFUSED[name]
    assert_refused(cast, chart, upload(cast, chart, make()), code)


def test_jpeg_over_60_megapixels_is_refused_from_its_header(cast, chart):
    data = bytearray(encoded(picture()))
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = struct.pack(">HH", 9000, 9000)
    assert_refused(cast, chart, upload(cast, chart, bytes(data)), "too_many_pixels")


def test_over_25_megabytes_is_refused_and_memory_stays_bounded(cast, chart):
    data = encoded(picture()) + bytes(MAX_BYTES * 2)
    before = psutil.Process().memory_info().rss
    response = upload(cast, chart, data)
    assert_refused(cast, chart, response, "too_large")
    # The test's own client holds the body twice; the server's side adds no third copy of it.
    assert psutil.Process().memory_info().rss - before < 2.5 * len(data)


def test_bomb_is_refused_without_decoding(cast):
    before = psutil.Process().memory_info().rss
    with pytest.raises(Exception, match="megapixels"):
        clean_photograph(io.BytesIO(huge_png()))
    assert psutil.Process().memory_info().rss - before < 20_000_000


@pytest.mark.parametrize("side", [64, 223])
def test_small_but_not_tiny_is_taken(cast, chart, side):
    assert assert_taken(cast, upload(cast, chart, encoded(picture(side, side)))).width == side


@pytest.mark.parametrize(
    ("name", "content_type"), [("a.png", "image/png"), ("a.pdf", "application/pdf"), ("a", "text/html")]
)
def test_content_decides_not_the_name_or_the_declared_type(cast, chart, name, content_type):
    assert_taken(cast, upload(cast, chart, encoded(picture()), name, content_type))


ODD_PIXELS = {
    "cmyk": lambda: encoded(picture().convert("CMYK")),
    "grey_jpeg": lambda: encoded(picture().convert("L")),
    "palette": lambda: encoded(picture().convert("P", palette=Image.Palette.ADAPTIVE), "PNG"),
    "alpha": lambda: encoded(picture().convert("RGBA"), "PNG"),
    "grey_alpha": lambda: encoded(picture().convert("LA"), "PNG"),
    "sixteen_bits": lambda: encoded(Image.fromarray(np.full((240, 320), 40_000, np.uint16)), "PNG"),
    "one_bit": lambda: encoded(picture().convert("1"), "PNG"),
    "webp": lambda: encoded(picture(), "WEBP", quality=95),
    "webp_alpha": lambda: encoded(picture().convert("RGBA"), "WEBP", lossless=True),
    "transparent_palette": lambda: encoded(
        picture().convert("P", palette=Image.Palette.ADAPTIVE), "PNG", transparency=0
    ),
}


@pytest.mark.parametrize("name", ODD_PIXELS)
def test_odd_pixels_become_eight_bit_srgb(cast, chart, name):
    image = assert_taken(cast, upload(cast, chart, ODD_PIXELS[name]()))
    red, _, blue = pixels(image.bytes).getpixel((80, 120))
    if name in ("cmyk", "palette", "alpha", "webp", "webp_alpha"):
        assert red > blue + 80
    if name == "sixteen_bits":
        assert abs(red - (40_000 >> 8)) <= 2


def test_wide_gamut_profile_is_converted_to_srgb(cast, chart):
    """A profile with red and blue swapped: only a converted picture shows the colours the other way round."""
    swapped = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    red_at, blue_at = swapped.index(b"rXYZ"), swapped.index(b"bXYZ")
    tags = bytearray(swapped)
    tags[red_at : red_at + 4], tags[blue_at : blue_at + 4] = b"bXYZ", b"rXYZ"
    image = assert_taken(cast, upload(cast, chart, encoded(picture(), icc_profile=bytes(tags), quality=95)))
    red, _, blue = pixels(image.bytes).getpixel((80, 120))
    assert blue > red + 80
    assert "icc_profile" not in pixels(image.bytes).info


def test_broken_profile_does_not_refuse_the_photograph(cast, chart):
    assert_taken(cast, upload(cast, chart, encoded(picture(), icc_profile=b"no profile at all")))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_turned_upright(cast, chart, orientation):
    upright = picture()
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    lying = upright.transpose(undo[orientation]) if orientation in undo else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = assert_taken(cast, upload(cast, chart, encoded(lying, exif=exif, quality=95)))
    assert (image.width, image.height) == (320, 240)
    red, _, blue = pixels(image.bytes).getpixel((80, 120))
    assert red > blue + 80


def exif_with_secrets() -> Image.Exif:
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "Dermlite\n", "DL4"
    exif[0x010E] = "WINTERBOTTOM, Erna"
    exif.get_ifd(0x8769)[0x9003] = "2026:11:02 09:30:00"
    exif.get_ifd(0x8769)[0x9011] = "+01:00"
    exif.get_ifd(0x8825)[1] = "N"
    return exif


def with_segment(jpeg: bytes, marker: int, content: bytes) -> bytes:
    return jpeg[:2] + bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content + jpeg[2:]


HIDDEN = {
    "exif_gps_and_name": lambda: encoded(picture(), exif=exif_with_secrets()),
    "xmp": lambda: with_segment(
        encoded(picture()), 0xE1, b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta>WINTERBOTTOM</x:xmpmeta>"
    ),
    "iptc": lambda: with_segment(encoded(picture()), 0xED, b"Photoshop 3.0\x008BIM WINTERBOTTOM"),
    "comment": lambda: encoded(picture(), comment=b"stray comment WINTERBOTTOM"),
    "appended": lambda: encoded(picture()) + b"appended WINTERBOTTOM" + zipped(),
    "polyglot": lambda: with_segment(encoded(picture()), 0xFE, b"<html><script>alert('WINTERBOTTOM')</script>"),
}


@pytest.mark.parametrize("name", HIDDEN)
def test_what_hides_in_the_file_does_not_survive(cast, chart, name):
    data = HIDDEN[name]()
    assert any(secret in data for secret in SECRETS), "the test's own file holds nothing to hide"
    image = assert_taken(cast, upload(cast, chart, data))
    with cast.in_north():
        kept = image.bytes + LesionImage.objects.get(pk=image.pk).thumbnail.read()
    assert not [secret for secret in SECRETS if secret in kept]
    assert not pixels(image.bytes).getexif()
    assert "comment" not in pixels(image.bytes).info


def test_text_chunks_of_a_png_do_not_survive(cast, chart):
    info = PngImagePlugin.PngInfo()
    info.add_text("Patient", "WINTERBOTTOM")
    assert b"WINTERBOTTOM" not in assert_taken(cast, upload(cast, chart, encoded(picture(), "PNG", pnginfo=info))).bytes


def test_time_and_camera_are_kept_as_columns(cast, chart):
    image = assert_taken(cast, upload(cast, chart, encoded(picture(), exif=exif_with_secrets())))
    assert image.captured_at.isoformat() == "2026-11-02T08:30:00+00:00"
    assert image.camera == "Dermlite DL4"


@pytest.mark.parametrize("offset", ["+99:00", "+24:00", "nonsense", "+01:77"])
def test_odd_offset_of_the_camera_is_left_out(cast, chart, offset):
    exif = exif_with_secrets()
    exif.get_ifd(0x8769)[0x9011] = offset
    image = assert_taken(cast, upload(cast, chart, encoded(picture(), exif=exif)))
    assert image.captured_at.isoformat() == "2026-11-02T09:30:00+00:00"


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow says what it could not read
@pytest.mark.parametrize("cut", range(16, 120, 8))
def test_damaged_exif_does_not_refuse_the_photograph(cast, cut):
    exif = exif_with_secrets()
    exif[0x0112] = 6
    whole = exif.tobytes()
    broken = whole[:cut] + bytes(255 - byte for byte in whole[cut:])
    assert clean_photograph(io.BytesIO(encoded(picture(), exif=broken))).width in (240, 320)


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\photos\\lesion.jpg", "lesion.jpg"),
        ("a\x00b\x1b[31mc.jpg", "ab[31mc.jpg"),
        ("x" * 5000 + ".jpg", "x" * 100),
        ("photo\u202egpj.exe", "photogpj.exe"),
        ("", ""),
    ],
)
def test_file_name_is_only_text(name, kept):
    assert file_name(name) == kept


def test_upload_from_a_page_of_another_clinic_is_refused(cast, chart):
    response = cast.alice.client.post(
        f"/visits/{chart.visit.pk}/photographs/",
        {"photographs": SimpleUploadedFile("a.jpg", encoded(picture())), "lesion": str(chart.lesion.pk)},
    )
    assert response.status_code == 409
    with cast.in_north():
        assert not LesionImage.objects.exists()


def test_file_name_never_names_the_stored_file(cast, chart):
    image = assert_taken(cast, upload(cast, chart, encoded(picture()), "..\\..\\WINTERBOTTOM.jpg"))
    assert image.original_name == "WINTERBOTTOM.jpg"
    assert image.photograph.name == f"{cast.north.pk}/{image.pk}/photograph.jpg"


def test_same_photograph_twice_in_one_patient_is_shown_as_a_duplicate(cast, chart):
    data = encoded(picture())
    first, second = upload(cast, chart, data).json(), upload(cast, chart, data).json()
    assert [answer["photographs"][0]["duplicate"] for answer in (first, second)] == [False, True]


def test_same_photograph_in_another_clinic_is_no_duplicate(cast, chart):
    data = encoded(picture())
    upload(cast, chart, data)
    theirs = make_chart(cast.bob)
    answer = cast.bob.client.post(
        f"/visits/{theirs.visit.pk}/photographs/",
        {
            "photographs": SimpleUploadedFile("a.jpg", data),
            "lesion": str(theirs.lesion.pk),
            "clinic": str(cast.south.pk),
        },
        headers={"Accept": "application/json"},
    )
    assert answer.json()["photographs"][0]["duplicate"] is False


def test_one_refused_does_not_hold_up_the_others(cast, chart):
    files = [SimpleUploadedFile("a.jpg", encoded(picture())), SimpleUploadedFile("b.jpg", b"nothing of the kind")]
    response = cast.alice.client.post(
        f"/visits/{chart.visit.pk}/photographs/",
        {"photographs": files, "lesion": str(chart.lesion.pk), "clinic": str(cast.north.pk)},
        headers={"Accept": "application/json"},
    )
    assert [sorted(outcome) for outcome in response.json()["photographs"]] == [
        ["duplicate", "name", "said", "url"],
        ["name", "refused"],
    ]


@pytest.mark.parametrize(
    ("sent", "kept"), [((4000, 3000), (4000, 3000)), ((4600, 3400), (4096, 3027)), ((6000, 4500), (3000, 2250))]
)
def test_large_photographs_are_stored_within_4096_pixels(cast, chart, sent, kept):
    """Above 16 megapixels a JPEG is read at half its size, as decoding it in full costs the memory of the web."""
    noise = np.random.default_rng(2).integers(0, 255, (30, 40, 3), dtype=np.uint8)
    image = assert_taken(cast, upload(cast, chart, encoded(Image.fromarray(noise).resize(sent), quality=80)))
    assert (image.width, image.height) == kept
    with cast.in_north():
        assert max(pixels(LesionImage.objects.get(pk=image.pk).thumbnail.read()).size) == 320


def overview_of(cast, chart, data: bytes, **fields):
    return cast.alice.client.post(
        f"/visits/{chart.visit.pk}/photographs/",
        {
            "photographs": SimpleUploadedFile("where.jpg", data),
            "lesion": str(chart.lesion.pk),
            "clinic": str(cast.north.pk),
            "kind": "overview",
            **fields,
        },
        headers={"Accept": "application/json"},
    )


def test_overview_photograph_is_stored_cleaned_and_never_read(cast, chart):
    response = overview_of(cast, chart, encoded(picture(), exif=b"Exif\0\0GPSLatitude"), findings="ulcerated")
    image = assert_taken(cast, response)
    assert b"GPSLatitude" not in image.bytes
    assert response.json()["photographs"][0]["said"] == "Stored as an overview photograph."
    with cast.in_north():
        overview = Overview.objects.get()
        assert (overview.visit_id, overview.image_id, overview.patient_id) == (
            chart.visit.pk,
            image.pk,
            chart.patient.pk,
        )
        assert not Screening.objects.exists()
        assert image.findings == []
    page = cast.rita.client.get(f"/visits/{chart.visit.pk}/").content.decode()
    assert f"/overviews/{overview.pk}/" in page
    assert (
        f"/photographs/{image.pk}/photograph.jpg" in cast.rita.client.get(f"/overviews/{overview.pk}/").content.decode()
    )


def test_overview_photograph_holds_up_no_signature(cast, chart, screening):
    overview_of(cast, chart, encoded(picture()))
    give(cast, screening)
    assert sign(cast, chart.visit).visit_id == chart.visit.pk


def test_overview_photograph_is_withdrawn_once_with_a_reason(cast, chart):
    assert_taken(cast, overview_of(cast, chart, encoded(picture())))
    overview = the_only(cast, Overview)
    client, address = cast.alice.client, f"/overviews/{overview.pk}/withdraw/"
    client.post(address, {"clinic": str(cast.north.pk), "reason": "other"})
    assert not the_only(cast, Overview).is_withdrawn
    client.post(address, {"clinic": str(cast.north.pk), "reason": "wrong_patient"})
    overview = the_only(cast, Overview)
    assert (overview.withdrawn_reason, overview.withdrawn_by_id) == ("wrong_patient", cast.alice.user.pk)
    assert "/overviews/" not in client.get(f"/visits/{chart.visit.pk}/").content.decode()
    again = client.post(address, {"clinic": str(cast.north.pk), "reason": "wrong_lesion"}, follow=True)
    assert "withdrawn already" in again.content.decode()
    assert the_only(cast, Overview).withdrawn_reason == "wrong_patient"


def numbered(cast, chart, data: bytes, submission: str, **fields):
    return cast.alice.client.post(
        f"/visits/{chart.visit.pk}/photographs/",
        {
            "photographs": SimpleUploadedFile("a.jpg", data),
            "lesion": str(chart.lesion.pk),
            "clinic": str(cast.north.pk),
            "submission": submission,
            **fields,
        },
        headers={"Accept": "application/json"},
    )


@pytest.mark.parametrize("kind", ["dermoscopic", "overview"])
def test_photograph_sent_again_after_its_answer_was_lost_is_stored_once(cast, chart, kind):
    data, submission = encoded(picture()), str(uuid4())
    first, second = (numbered(cast, chart, data, submission, kind=kind) for _ in range(2))
    assert first.json() == second.json()
    assert second.status_code == 201
    the_only(cast, LesionImage)
    assert len(rows(cast, Screening)) + len(rows(cast, Overview)) == 1


def test_another_photograph_under_the_same_number_is_refused(cast, chart):
    submission = str(uuid4())
    numbered(cast, chart, encoded(picture()), submission)
    refused = numbered(cast, chart, encoded(picture(400)), submission)
    assert refused.status_code == 422
    assert "under this one's number" in refused.json()["photographs"][0]["refused"]
    the_only(cast, LesionImage)


@pytest.mark.parametrize(("first", "second"), [("overview", "dermoscopic"), ("dermoscopic", "overview")])
def test_photograph_sent_again_as_another_kind_is_refused(cast, chart, first, second):
    data, submission = encoded(picture()), str(uuid4())
    numbered(cast, chart, data, submission, kind=first)
    assert numbered(cast, chart, data, submission, kind=second).status_code == 422
    assert (len(rows(cast, Screening)), len(rows(cast, Overview))) == ((0, 1) if first == "overview" else (1, 0))


def test_photograph_sent_twice_at_the_same_time_is_stored_once(real_cast, real_db):
    chart, data, submission = make_chart(real_cast.alice), encoded(picture()), str(uuid4())

    def send(_: int):
        try:
            return numbered(real_cast, chart, data, submission).json()
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(send, range(4)))
    assert all(answer == answers[0] for answer in answers)
    assert "url" in answers[0]["photographs"][0]
    the_only(real_cast, LesionImage)
