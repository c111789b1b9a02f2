"""The tables in which the private storage keeps its files."""

from django.db import models


class StoredFile(models.Model):
    """A file of the private storage in Postgres; its bytes are the chunks, in order."""

    name = models.CharField(max_length=200, primary_key=True)
    clinic_id = models.UUIDField()
    size = models.PositiveIntegerField()
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.name


class StoredChunk(models.Model):
    file = models.ForeignKey(StoredFile, on_delete=models.CASCADE, related_name="chunks")
    clinic_id = models.UUIDField()
    position = models.PositiveIntegerField()
    data = models.BinaryField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["file", "position"], name="chunk_once_per_position")]

    def __str__(self) -> str:
        return f"{self.file_id} {self.position}"
