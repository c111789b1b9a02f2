from pathlib import Path

from django.db import migrations, models

SQL = Path(__file__).resolve().parent.parent / "sql"


class Migration(migrations.Migration):
    dependencies = [
        ("audit", "0006_rare_lines"),
    ]

    operations = [
        migrations.RunSQL((SQL / "misdated.sql").read_text(), "DROP FUNCTION audit_misdated()"),
        migrations.AlterField(
            model_name="verification",
            name="fault",
            field=models.TextField(
                blank=True,
                choices=[
                    ("line_changed", "Line %(event)s was changed."),
                    ("line_deleted", "Line %(event)s was deleted."),
                    ("line_stray", "Line %(event)s was not written by the ledger itself."),
                    ("line_misdated", "Line %(event)s bears another day than the one it was sealed on."),
                    ("seal_gone", "Seal %(seal)s is gone."),
                    ("seal_short", "Some of the lines of seal %(seal)s are gone."),
                    ("seal_rewritten", "Seal %(seal)s was rewritten: it does not follow from its lines."),
                    ("head_differs", "Seal %(seal)s is another one than the head that was kept says."),
                    ("trigger_off", "%(table)s writes nothing on the ledger: its trigger is switched off or gone."),
                ],
            ),
        ),
    ]
