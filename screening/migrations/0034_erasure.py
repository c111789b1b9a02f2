from pathlib import Path

from django.db import migrations
from django.db.migrations.operations import RunSQL

from skinclinic.audit.operations import KeptErased, Recorded

SQL = Path(__file__).resolve().parent.parent / "sql"
IMAGES, FILES = "screening_lesionimage", ["photograph", "thumbnail"]
before = Recorded(IMAGES, private=["original_name"], skipped=FILES)
GUARDED = {
    "patients_patientidentity": ["family_name", "given_name", "birth_date", "phone", "email", "address"],
    "patients_patientidentifier": ["value"],
    "patients_visit": ["question"],
    "patients_chartopening": ["reason"],
    "screening_lesionimage": ["original_name", "sha256", "upload_sha256"],
    "screening_screening": ["withdrawn_words"],
    "screening_overview": ["withdrawn_words"],
    "screening_review": ["words"],
    "screening_outcome": ["words"],
    "screening_readingproblem": ["words", "answer"],
    "screening_heldsignature": ["refusal"],
    "screening_draft": ["fields"],
    "screening_lesionlabel": ["label"],
    "dicom_dicominstance": ["instance_uid", "series_uid", "study_uid", "tracking_uid", "serial_number"],
    "fhir_photographnumber": ["value"],
}


class Migration(migrations.Migration):
    dependencies = [
        ("patients", "0007_erasure"),
        ("screening", "0033_reading_outcomes"),
        ("dicom", "0001_initial"),
        ("fhir", "0001_initial"),
    ]

    operations = [
        RunSQL((SQL / "erasure.sql").read_text(), (SQL / "erasure_undo.sql").read_text()),
        *(KeptErased(table, private=columns) for table, columns in GUARDED.items()),
        # Who has a photograph could find it by its digest, and the ledger is never erased from.
        RunSQL(before.reverse_sql, before.sql),
        Recorded(IMAGES, private=["original_name", "sha256", "upload_sha256"], skipped=FILES),
    ]
