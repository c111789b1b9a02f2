"""Files that are at their place once they are whole, for their owner's eyes."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from skinclinic.errors import ClinicError


class FileThere(ClinicError):
    def __init__(self, path: Path):
        super().__init__(f"{path} is there already, and nothing is written over. Name another file.")


@contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """Raises FileThere, OSError."""
    refuse_existing(path)
    with whole_file(path) as file:
        yield file
        refuse_existing(path)


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """In the place of another one, which stays until this one is whole. Raises OSError."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    half_written = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        half_written.replace(path)
    except BaseException:
        half_written.unlink(missing_ok=True)
        raise


def refuse_existing(path: Path) -> None:
    if os.path.lexists(path):
        raise FileThere(path)
