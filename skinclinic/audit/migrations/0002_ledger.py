from pathlib import Path

from django.db import migrations

from skinclinic.audit.operations import ACTING_CLINIC

SQL = Path(__file__).resolve().parent.parent / "sql"


class Migration(migrations.Migration):
    dependencies = [("audit", "0001_initial")]

    operations = [
        migrations.RunSQL((SQL / "ledger.sql").read_text(), (SQL / "ledger_undo.sql").read_text()),
        # What belongs to no clinic (a failed sign-in, an unknown address) is the operator's, who reads as the owner.
        *(
            migrations.RunSQL(
                [
                    f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
                    f"CREATE POLICY clinic_reads ON {table} FOR SELECT USING (clinic_id = {ACTING_CLINIC})",
                ],
                [f"DROP POLICY clinic_reads ON {table}", f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY"],
            )
            for table in ("audit_auditevent", "audit_privatevalue")
        ),
    ]
