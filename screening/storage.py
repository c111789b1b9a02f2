"""Where the bytes of photographs live: in Postgres beside the record, or in a private bucket.

Neither gives a URL: bytes leave through `media.py`, which asks whether and writes down that somebody looked.
"""

from collections.abc import Iterator
from io import BytesIO
from uuid import UUID

from django.core.files.base import ContentFile, File
from django.core.files.storage import Storage
from storages.backends.s3 import S3Storage

CHUNK = 1024 * 1024


class PrivateStorageHasNoUrl(NotImplementedError):
    def __init__(self) -> None:
        super().__init__("Photographs have no URL of their own; they are served by screening.media.")


class DatabaseStorage(Storage):
    """Files as rows of 1 MiB chunks: a single 25 MB value would cost 190 MB of memory on its way in.

    A name starts with the id of the clinic that owns the file: `<clinic>/<image>/photograph.jpg`.
    """

    def _open(self, name: str, mode: str = "rb") -> File:
        from screening.models import StoredChunk

        chunks = StoredChunk.objects.filter(file_id=name).order_by("position").values_list("data", flat=True)
        buffer = BytesIO()
        for data in chunks:
            buffer.write(data)
        if not buffer.tell():
            raise FileNotFoundError(f"There is no stored file of the name {name}.")
        return ContentFile(buffer.getvalue(), name=name)

    def _save(self, name: str, content: File) -> str:
        from screening.models import StoredChunk, StoredFile

        clinic_id = UUID(name.partition("/")[0])
        file = StoredFile.objects.create(name=name, clinic_id=clinic_id, size=content.size)
        for position, data in enumerate(parts(content)):
            StoredChunk.objects.create(file=file, clinic_id=clinic_id, position=position, data=data)
        return name

    def delete(self, name: str) -> None:
        from screening.models import StoredFile

        StoredFile.objects.filter(name=name).delete()

    def exists(self, name: str) -> bool:
        from screening.models import StoredFile

        return StoredFile.objects.filter(name=name).exists()

    def size(self, name: str) -> int:
        from screening.models import StoredFile

        found = StoredFile.objects.filter(name=name).values_list("size", flat=True).first()
        if found is None:
            raise FileNotFoundError(f"There is no stored file of the name {name}.")
        return int(found)

    def url(self, name: str | None) -> str:
        raise PrivateStorageHasNoUrl


class PrivateS3Storage(S3Storage):
    def url(self, *args, **kwargs) -> str:
        raise PrivateStorageHasNoUrl


def parts(content: File) -> Iterator[bytes]:
    content.seek(0)
    while data := content.read(CHUNK):
        yield data
