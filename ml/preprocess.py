"""From the bytes of a photograph to the network's input. Training and serving share this code.

Policy, version 1: the photograph is turned upright, made 8-bit RGB, its largest centred square is cut out
and resized to 224 x 224 (bilinear with antialiasing). The sides of a wide photograph are therefore not read.
"""

from __future__ import annotations

import io
import warnings

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from ml.contract import UnreadablePhotograph

PREPROCESSING = "1"
SIDE = 224
FORMATS = ("JPEG", "PNG", "WEBP")
# A square this much larger than wanted is cut to size: resizing it would only blur it.
NEARLY = 1.01
MAX_PIXELS = 60_000_000
# EXIF's orientation to the turn that undoes it.
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def open_photograph(data: bytes, *, full: bool = False) -> tuple[Image.Image, tuple[int, int]]:
    """Decode `data`; return the upright RGB photograph and its full (width, height).

    A large JPEG is decoded at a fraction of its size, enough for the network, unless `full` is asked for.
    Raises UnreadablePhotograph with a sentence for the user.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # such as of damaged EXIF
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            return _decode(data, full=full)
    except UnreadablePhotograph:
        raise
    except UnidentifiedImageError as error:
        raise UnreadablePhotograph("The file is not a JPEG, PNG or WebP photograph.") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UnreadablePhotograph("The photograph is larger than 60 megapixels. Send a smaller one.") from error
    except (OSError, SyntaxError, ValueError, MemoryError) as error:
        raise UnreadablePhotograph("The photograph is damaged and cannot be opened. Send it again.") from error


def _decode(data: bytes, *, full: bool) -> tuple[Image.Image, tuple[int, int]]:
    photograph = Image.open(io.BytesIO(data), formats=FORMATS)
    width, height = photograph.size
    if width * height > MAX_PIXELS:
        raise UnreadablePhotograph("The photograph is larger than 60 megapixels. Send a smaller one.")
    if photograph.format == "JPEG" and not full:
        # At 1/2, 1/4 or 1/8 of its size where that is enough: the decoder averages, as the resize would.
        photograph.draft("RGB", (SIDE, SIDE))
    photograph.load()  # before EXIF is looked for, where damaged pixels would pass for damaged EXIF
    turned = upright(photograph)
    return _to_rgb(turned), (width, height) if turned.size == photograph.size else (height, width)


def upright(photograph: Image.Image) -> Image.Image:
    """Turned as the camera was held; as it is where EXIF is missing or damaged. photograph: its pixels are loaded.

    A copy is made only where it has to be turned: one of a large photograph is tens of MB.
    """
    try:
        turn = TURNS.get(photograph.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # noqa: BLE001 - damaged EXIF makes Pillow raise anything; the photograph may be whole
        return photograph
    return photograph if turn is None else photograph.transpose(turn)


def _to_rgb(photograph: Image.Image) -> Image.Image:
    if photograph.mode.startswith("I"):  # 16-bit grey: Pillow's own conversion would clip to white
        photograph = Image.fromarray((np.asarray(photograph) >> 8).astype(np.uint8))
    if photograph.mode in ("RGBA", "LA", "PA") or "transparency" in photograph.info:
        rgba = photograph.convert("RGBA")
        photograph = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    photograph.load()
    return photograph if photograph.mode == "RGB" else photograph.convert("RGB")


def central_square(photograph: Image.Image) -> tuple[float, float, float, float]:
    """The box (left, top, right, bottom) of the largest centred square, in pixels, possibly halves of one."""
    width, height = photograph.size
    side = min(width, height)
    left, top = (width - side) / 2, (height - side) / 2
    return left, top, left + side, top + side


def resize_square(photograph: Image.Image, box: tuple[float, float, float, float], side: int = SIDE) -> np.ndarray:
    """Cut `box` out and resize it: (side, side, 3) uint8.

    The one resize of training and serving. Training reads photographs of 320 x 240; it reduces larger ones to that
    before, where serving reduces them once.
    """
    resized = photograph.resize((side, side), Image.Resampling.BILINEAR, box=box)
    return np.asarray(resized, dtype=np.uint8)


def to_square(photograph: Image.Image) -> np.ndarray:
    """The serving view: centred square, (224, 224, 3) uint8."""
    side = min(photograph.size)
    if SIDE <= side <= NEARLY * SIDE:
        left, top = (photograph.width - SIDE) // 2, (photograph.height - SIDE) // 2
        return np.asarray(photograph.crop((left, top, left + SIDE, top + SIDE)), dtype=np.uint8)
    return resize_square(photograph, central_square(photograph))


def to_input(square: np.ndarray) -> np.ndarray:
    """(…, 224, 224, 3) uint8 -> float32 in [-1, 1], as MobileNetV2 was trained."""
    return square.astype(np.float32) / np.float32(127.5) - np.float32(1)
