from django.db import migrations, models

# As `MISDATED` in verify.py, for the page, which may not read other clinics' lines.
MISDATED = """
CREATE FUNCTION audit_misdated() RETURNS TABLE (event bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT line.id FROM audit_auditevent line JOIN audit_sealedevent sealed ON sealed.event = line.id
    JOIN audit_seal seal ON seal.number = sealed.seal LEFT JOIN audit_seal before ON before.number = seal.number - 1
    WHERE line.at > seal.at + interval '1 day' OR line.at < before.at - interval '1 day'
    ORDER BY line.id LIMIT 1
$$;
REVOKE ALL ON FUNCTION audit_misdated() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION audit_misdated() TO skinclinic_app;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("audit", "0006_rare_lines"),
    ]

    operations = [
        migrations.RunSQL(MISDATED, "DROP FUNCTION audit_misdated()"),
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
