"""How files of a request are received: to disk, and never more of one than a photograph may have."""

from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import TemporaryFileUploadHandler
from django.http import multipartparser

from screening.images import MAX_BYTES

# A file's name is among them: Django's own 1,024 bytes refuse the whole request for one of some hundred characters.
multipartparser.MAX_TOTAL_HEADER_SIZE = 32 * 1024


class CappedUploadHandler(TemporaryFileUploadHandler):
    """Writes a file to disk up to the limit; what comes beyond is counted and dropped.

    A file that was too large arrives with one byte more than allowed: it is refused by its own reason, while the other
    files of the request are taken.
    """

    received = 0

    def new_file(self, *args, **kwargs) -> None:
        super().new_file(*args, **kwargs)
        self.received = 0

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        room = MAX_BYTES + 1 - self.received
        self.received += len(raw_data)
        if room > 0:
            super().receive_data_chunk(raw_data[:room], start)

    def file_complete(self, file_size: int) -> UploadedFile | None:
        return super().file_complete(min(file_size, MAX_BYTES + 1))
