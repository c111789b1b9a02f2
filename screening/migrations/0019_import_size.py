from django.db import migrations, models
from django.db.migrations.operations import RunSQL

from skinclinic.audit.operations import Recorded

NOT_TOLD = [
    "cells", "file_key", "refusal", "likely_patients", "likely_rows", "attempts", "photograph", "thumbnail",
    "photograph_refusal", "width", "height", "sha256", "upload_sha256", "captured_at", "camera",
]  # fmt: skip
before = Recorded("screening_importrow", skipped=NOT_TOLD)


class Migration(migrations.Migration):
    dependencies = [("screening", "0018_retakes")]

    operations = [
        migrations.AddField(
            model_name="importrow",
            name="size",
            field=models.PositiveIntegerField(
                default=0, help_text="Bytes that are kept of its photograph until it is in."
            ),
        ),
        RunSQL(before.reverse_sql, before.sql),
        Recorded("screening_importrow", skipped=[*NOT_TOLD, "size"]),
    ]
