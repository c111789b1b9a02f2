"""A multipart/related body, part by part as it arrives: one object is in memory at a time, however many are sent.

Django's parser of forms cuts the stream at its boundaries; what a part is, a form says otherwise than STOW does.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from email.parser import BytesHeaderParser
from typing import Any

from django.http import HttpRequest
from django.http.multipartparser import ChunkIter, InterBoundaryIter, LazyStream
from django.utils.http import parse_header_parameters
from rest_framework.exceptions import ParseError, UnsupportedMediaType

from screening.images import MAX_BYTES
from skinclinic.api.fhir.errors import BodyTooLarge

DICOM = "application/dicom"
MOST_PARTS = 100
MOST_HEADERS = 4096
MOST = MOST_PARTS * (MAX_BYTES + 2 * MOST_HEADERS)


@dataclass(frozen=True)
class Part:
    """`data`: at most one byte more than an upload may have; what comes beyond is dropped."""

    content_type: str
    data: bytes


class Bounded:
    """Counts what is read, since a chunked body does not say how much will come."""

    def __init__(self, stream: Any):
        self.stream, self.left = stream, MOST

    def read(self, size: int) -> bytes:
        data = self.stream.read(size)
        self.left -= len(data)
        if self.left < 0:
            raise TooLarge
        return bytes(data)


class TooLarge(BodyTooLarge):
    default_detail = f"Send at most {MOST_PARTS} objects of at most 25 MB each at once."


def boundary_of(request: HttpRequest) -> bytes:
    """Raises UnsupportedMediaType, ParseError, TooLarge."""
    said = request.headers.get("Content-Type", "")
    kind, parameters = parse_header_parameters(said)
    if kind != "multipart/related" or parameters.get("type", DICOM).lower() != DICOM:
        raise UnsupportedMediaType(kind, f'Send multipart/related; type="{DICOM}".')
    boundary = parameters.get("boundary", "")
    if not 0 < len(boundary) <= 200 or not boundary.isascii():
        raise ParseError("The Content-Type names no boundary.")
    if int(request.META.get("CONTENT_LENGTH") or 0) > MOST:
        raise TooLarge
    return boundary.encode()


def stream_of(request: HttpRequest) -> Any:
    """Django reads no chunked body; the server ends it, where it says so."""
    is_chunked = "chunked" in request.headers.get("Transfer-Encoding", "").lower()
    return request.META["wsgi.input"] if is_chunked and request.META.get("wsgi.input_terminated") else request


def parts_of(request: HttpRequest) -> Iterator[Part]:
    """Raises UnsupportedMediaType, ParseError, TooLarge."""
    boundary = boundary_of(request)
    pieces = iter(InterBoundaryIter(LazyStream(ChunkIter(Bounded(stream_of(request)))), b"--" + boundary))
    drain(next(pieces, ()))  # what stands before the first boundary
    for piece in pieces:
        start = piece.read(MOST_HEADERS)
        if start.startswith(b"--"):  # the last boundary
            return
        yield part_of(piece, start)


def part_of(piece: LazyStream, start: bytes) -> Part:
    head, ends, rest = start.partition(b"\r\n\r\n")
    piece.unget(rest)
    data = piece.read(MAX_BYTES + 1) if ends else b""
    drain(piece)
    if not ends:
        return Part("", b"")
    headers = BytesHeaderParser().parsebytes(head.lstrip(b"\r\n"))
    return Part(headers.get_content_type() if headers.get("Content-Type") else DICOM, data)


def drain(piece: Iterable[bytes]) -> None:
    """What is left unread would be taken for the beginning of the next one."""
    for _beyond in piece:
        pass
