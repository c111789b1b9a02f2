from __future__ import annotations

import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ml.contract import UnreadablePhotograph
from ml.drawing import draw_photograph
from ml.preprocess import central_square, open_photograph, to_input, to_square
from ml.tests.conftest import drawn_bytes, to_bytes
from ml.training import augment
from ml.training.data import CACHE_HEIGHT, CACHE_WIDTH, Photograph, load_cache


def test_training_and_serving_see_the_same_square(tmp_path: Path) -> None:
    data = drawn_bytes(3, width=320, height=240)
    path = tmp_path / "lesion.jpg"
    path.write_bytes(data)
    photograph = Photograph("lesion", "L1", "nv", "histo", None, "", "", "", path)
    cached = load_cache([photograph], tmp_path / "cache")
    trained = augment.centre_squares(cached, np.array([0]))[0]
    served = to_square(open_photograph(data)[0])
    assert np.array_equal(trained, served)


def test_training_and_serving_see_the_same_square_of_real_photographs(
    real_photographs: list[Path], tmp_path: Path
) -> None:
    chosen = real_photographs[::1001]
    if {open_photograph(path.read_bytes())[1] for path in chosen} != {(CACHE_WIDTH, CACHE_HEIGHT)}:
        pytest.skip("The photographs are no copies of 320 x 240.")
    rows = [Photograph(path.stem, path.stem, "nv", "", None, "", "", "", path) for path in chosen]
    trained = augment.centre_squares(load_cache(rows, tmp_path), np.arange(len(chosen)))
    served = np.stack([to_square(open_photograph(path.read_bytes())[0]) for path in chosen])
    assert np.array_equal(trained, served)


def test_the_square_is_the_middle_of_the_photograph() -> None:
    photograph = Image.new("RGB", (600, 400), "red")
    photograph.paste("blue", (100, 0, 500, 400))
    assert central_square(photograph) == (100, 0, 500, 400)
    square = to_square(photograph)
    assert square.shape == (224, 224, 3)
    assert (square[:, 2:-2] == [0, 0, 255]).all()  # the resize filter reaches a pixel or two over the cut


def test_the_input_runs_from_minus_one_to_one() -> None:
    levels = to_input(np.array([0, 255], dtype=np.uint8))
    assert levels.dtype == np.float32
    assert levels.tolist() == [-1.0, 1.0]


def test_a_twelve_megapixel_jpeg_is_decoded_small_and_looks_the_same() -> None:
    large = draw_photograph(2).resize((4000, 3000), Image.Resampling.BICUBIC)
    decoded, size = open_photograph(to_bytes(large))
    assert size == (4000, 3000)
    assert max(decoded.size) < 2000
    difference = np.abs(to_square(decoded).astype(int) - to_square(large))
    assert difference.mean() < 1.5


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_undone(orientation: int) -> None:
    upright = Image.new("RGB", (120, 80), "white")
    upright.paste("red", (0, 0, 60, 40))
    back = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = upright.transpose(back[orientation]) if orientation in back else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    opened, size = open_photograph(to_bytes(stored, exif=exif, subsampling=0))
    assert opened.size == size == (120, 80)
    red, green, blue = opened.getpixel((20, 20))
    assert red > 200
    assert green < 60
    assert blue < 60
    assert min(opened.getpixel((100, 60))) > 200


@settings(max_examples=200, deadline=None)
@given(noise=st.lists(st.tuples(st.integers(12, 95), st.integers(0, 255)), min_size=1, max_size=8))
def test_damaged_exif_refuses_no_photograph_and_says_nothing(noise: list[tuple[int, int]]) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "maker"
    exif.get_ifd(0x8769)[0x9003] = "2026:11:02 09:30:00"
    notes = bytearray(exif.tobytes())
    for place, value in noise:
        notes[place % len(notes)] = value
    lying = Image.new("RGB", (300, 240), "red")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        opened, size = open_photograph(to_bytes(lying, exif=bytes(notes)))
    assert opened.size == size
    assert sorted(size) == [240, 300]


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_damaged_pixels_are_refused_though_exif_may_be_damaged(form: str) -> None:
    """Pillow decodes a PNG when asked for its EXIF: what it says of the pixels then must not be taken for EXIF's."""
    whole = to_bytes(draw_photograph(1), form)
    middle = len(whole) // 2
    damaged = whole[:middle] + bytes(255 - byte for byte in whole[middle : middle + 400]) + whole[middle + 400 :]
    with pytest.raises(UnreadablePhotograph):
        open_photograph(damaged)


def test_sixteen_bit_grey_keeps_its_levels() -> None:
    grey = Image.fromarray(np.full((300, 300), 0x8000, dtype=np.uint16))
    opened, _ = open_photograph(to_bytes(grey, "PNG"))
    assert opened.getpixel((10, 10)) == (128, 128, 128)


def test_what_is_transparent_becomes_white() -> None:
    opened, _ = open_photograph(to_bytes(Image.new("RGBA", (300, 300), (200, 0, 0, 0)), "PNG"))
    assert opened.getpixel((10, 10)) == (255, 255, 255)


@pytest.mark.parametrize("form", ["PNG", "WEBP"])
def test_other_forms_are_read(form: str) -> None:
    opened, size = open_photograph(drawn_bytes(1, form=form))
    assert opened.mode == "RGB"
    assert size == (600, 450)


def _bomb() -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


def _truncated(form: str) -> bytes:
    whole = drawn_bytes(1, form=form)
    return whole[: len(whole) // 2]


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        pytest.param(b"", "not a JPEG, PNG or WebP", id="empty"),
        pytest.param(b"no photograph at all" * 50, "not a JPEG, PNG or WebP", id="text"),
        pytest.param(to_bytes(Image.new("P", (300, 300)), "GIF"), "not a JPEG, PNG or WebP", id="gif"),
        pytest.param(_truncated("JPEG"), "damaged", id="half-a-jpeg"),
        pytest.param(_truncated("PNG"), "damaged", id="half-a-png"),
        pytest.param(_bomb(), "larger than 60 megapixels", id="bomb"),
    ],
)
def test_what_is_no_photograph_is_refused(data: bytes, sentence: str) -> None:
    with pytest.raises(UnreadablePhotograph, match=sentence):
        open_photograph(data)
