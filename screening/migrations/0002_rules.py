from django.db import migrations

from skinclinic.audit.operations import (
    APP_ROLE,
    AppendOnly,
    ClinicScoped,
    NeverDeleted,
    Recorded,
    Referable,
    SameClinic,
)

PATIENT_TABLES = ("lesionimage", "screening", "prediction", "review", "signature", "followup", "outcome")

# Runs as the owner, past the policies: the sweeper and the health page ask across clinics, and learn no more than this.
BACKLOG = """
CREATE FUNCTION reading_backlog() RETURNS TABLE (clinic uuid, open_readings bigint, oldest_seconds double precision)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT clinic_id, count(*), extract(epoch FROM clock_timestamp() - min(created_at))::double precision
    FROM screening_screening
    WHERE reading_status IN ('queued', 'running') AND withdrawn_at IS NULL
    GROUP BY clinic_id ORDER BY min(created_at)
$$;
REVOKE ALL ON FUNCTION reading_backlog() FROM PUBLIC;
"""


class Migration(migrations.Migration):
    dependencies = [("screening", "0001_initial"), ("patients", "0002_rules")]

    operations = [
        *(ClinicScoped(f"screening_{table}") for table in (*PATIENT_TABLES, "storedfile", "storedchunk")),
        *(
            SameClinic(f"screening_{table}", "patient_id", "patients_patient", patient=False)
            for table in PATIENT_TABLES
        ),
        *(
            Referable(f"screening_{table}")
            for table in ("lesionimage", "screening", "prediction", "review", "signature")
        ),
        migrations.RunSQL(
            "ALTER TABLE screening_screening ADD CONSTRAINT screening_of_clinic UNIQUE (id, clinic_id)",
            "ALTER TABLE screening_screening DROP CONSTRAINT screening_of_clinic",
        ),
        SameClinic("screening_lesionimage", "lesion_id", "patients_lesion"),
        SameClinic("screening_screening", "visit_id", "patients_visit"),
        SameClinic("screening_screening", "image_id", "screening_lesionimage"),
        SameClinic("screening_screening", "prediction_id", "screening_prediction"),
        SameClinic("screening_screening", "signed_review_id", "screening_review"),
        SameClinic("screening_screening", "signature_id", "screening_signature"),
        # A photograph is moved between patients, never between clinics.
        SameClinic("screening_screening", "moved_to_id", "screening_screening", patient=False),
        SameClinic("screening_prediction", "screening_id", "screening_screening"),
        SameClinic("screening_review", "screening_id", "screening_screening"),
        SameClinic("screening_review", "reading_shown_id", "screening_prediction"),
        SameClinic("screening_review", "supersedes_id", "screening_review"),
        SameClinic("screening_signature", "visit_id", "patients_visit"),
        SameClinic("screening_signature", "amends_id", "screening_signature"),
        SameClinic("screening_followup", "lesion_id", "patients_lesion"),
        SameClinic("screening_followup", "review_id", "screening_review"),
        SameClinic("screening_outcome", "lesion_id", "patients_lesion"),
        Recorded("screening_lesionimage", private=["original_name"], skipped=["photograph", "thumbnail"]),
        Recorded("screening_screening", private=["withdrawn_words"], skipped=["sent_at", "times_sent", "lease_until"]),
        Recorded("screening_prediction", skipped=["activation_map", "probabilities", "quality"]),
        Recorded("screening_review", private=["words"]),
        Recorded("screening_signature"),
        Recorded("screening_followup"),
        Recorded("screening_outcome", private=["words"]),
        Recorded("screening_modelversion", skipped=["manifest"]),
        *(
            AppendOnly(f"screening_{table}")
            for table in ("lesionimage", "prediction", "review", "outcome", "modelversion")
        ),
        AppendOnly("screening_signature", mutable=["acknowledged_by_id", "acknowledged_at"]),
        *(NeverDeleted(f"screening_{table}") for table in ("screening", "followup")),
        migrations.RunSQL(BACKLOG, "DROP FUNCTION reading_backlog()"),
        migrations.RunSQL(f"GRANT EXECUTE ON FUNCTION reading_backlog() TO {APP_ROLE}", migrations.RunSQL.noop),
    ]
