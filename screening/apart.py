"""Decoding in a process of its own, for what takes hundreds of MB or cannot be stopped: WebP, JPEG 2000, heavy JPEG.

The kernel holds it to so much memory, so many seconds and so long an answer. It is no sandbox: files and the network
are open to it as they are to the web.
"""

import os
import resource
import signal
import subprocess
import sys
from io import BytesIO
from pathlib import Path

from PIL import Image

from screening.plain import flatten, halve

ROOT = Path(__file__).parent.parent
MOST_MEMORY = 768 * 1024 * 1024  # of addresses; 24 megapixels of WebP want about 600
SECONDS = 10  # of a core
MOST_OUTPUT = 64 * 1024 * 1024  # 16 megapixels of three bytes are 48
PATIENCE = 60  # for a core that others use
# What is decoded may be hostile: it finds no key and no address of a database in its surroundings.
NOTHING_SECRET = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}


def decode_apart(data: bytes, kind: str, *, halved: bool) -> Image.Image:
    """Flat pixels. Raises OSError, and TimeoutError where it took longer than the limits have it."""
    command = [sys.executable, "-m", "screening.apart", kind, "halved" if halved else "whole"]
    with os.fdopen(os.memfd_create("pixels"), "w+b") as told:  # a pipe would be read to its end, wherever that is
        try:
            done = subprocess.run(
                command, input=data, stdout=told, stderr=subprocess.DEVNULL, cwd=ROOT, timeout=PATIENCE, check=False,
                env=NOTHING_SECRET,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise TimeoutError from error
        if done.returncode == -signal.SIGXCPU:
            raise TimeoutError
        if done.returncode:
            raise OSError("It could not be decoded within the limits.")
        told.seek(0)
        mode, width, height = told.readline().decode().split()
        return Image.frombytes(mode, (int(width), int(height)), told.read())


def main(kind: str, size: str) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, 2 * SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (MOST_OUTPUT, MOST_OUTPUT))
    image = Image.open(BytesIO(sys.stdin.buffer.read()), formats=(kind,))
    width, height = image.size
    if size == "halved":
        image.draft(None, (width // 2, height // 2))
    image.load()
    plain = halve(image) if size == "halved" and image.size == (width, height) else flatten(image)
    sys.stdout.buffer.write(f"{plain.mode} {plain.width} {plain.height}\n".encode())
    sys.stdout.buffer.write(plain.tobytes())


if __name__ == "__main__":
    main(*sys.argv[1:])
