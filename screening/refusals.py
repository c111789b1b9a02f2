"""Why bytes are not taken as a photograph, in sentences for who sent them."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from django.utils.translation import gettext as _

from skinclinic.errors import ClinicError


class PhotographRefused(ClinicError):
    """These bytes are not taken as a photograph. `code` names the reason for programs."""

    def __init__(self, code: str, sentence: str):
        super().__init__(sentence)
        self.code = code


@contextmanager
def trusting_nothing() -> Iterator[None]:
    """Pillow and pydicom raise anything on damaged bytes, and warn of what does not matter here."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except PhotographRefused:
        raise
    except (MemoryError, TimeoutError) as error:
        raise too_laborious() from error
    except Exception as error:
        raise damaged() from error


def damaged() -> PhotographRefused:
    return PhotographRefused(
        "damaged", _("The file is damaged or cut off. Copy it from the camera again and send that.")
    )


def not_a_photograph() -> PhotographRefused:
    return PhotographRefused(
        "not_a_photograph", _("This is no JPEG, PNG or WebP photograph. Export it as JPEG and send that.")
    )


def too_many_pixels() -> PhotographRefused:
    return PhotographRefused(
        "too_many_pixels",
        _("The photograph has more than 60 megapixels (24 for PNG and WebP). Send it in a smaller size."),
    )


def too_laborious() -> PhotographRefused:
    return PhotographRefused(
        "too_laborious",
        _("This file takes more time or memory to open than a photograph should. Save it as an ordinary JPEG."),
    )
