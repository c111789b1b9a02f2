from django.db import migrations

from skinclinic.audit.operations import AppendOnly, ClinicScoped, NeverDeleted, Recorded, Referable, SameClinic

TABLES = ("patient", "patientidentity", "patientidentifier", "consent", "visit", "lesion")


class Migration(migrations.Migration):
    dependencies = [("patients", "0001_initial"), ("audit", "0002_ledger")]

    operations = [
        *(ClinicScoped(f"patients_{table}") for table in TABLES),
        Recorded("patients_patient"),
        Recorded(
            "patients_patientidentity",
            private=["family_name", "given_name", "birth_date", "phone", "email", "address"],
        ),
        Recorded("patients_patientidentifier", private=["value"]),
        Recorded("patients_consent"),
        Recorded("patients_visit", private=["question"], skipped=["taken_until"]),
        Recorded("patients_lesion"),
        *(NeverDeleted(f"patients_{table}") for table in ("patient", "visit", "lesion")),
        AppendOnly("patients_consent", mutable=["ended_at"]),
        Referable("patients_patient", patient=False),
        Referable("patients_visit"),
        Referable("patients_lesion"),
        SameClinic("patients_patient", "merged_into_id", "patients_patient", patient=False),
        SameClinic("patients_patientidentity", "patient_id", "patients_patient", patient=False),
        SameClinic("patients_patientidentifier", "patient_id", "patients_patient", patient=False),
        SameClinic("patients_consent", "patient_id", "patients_patient", patient=False),
        SameClinic("patients_visit", "patient_id", "patients_patient", patient=False),
        SameClinic("patients_lesion", "patient_id", "patients_patient", patient=False),
    ]
