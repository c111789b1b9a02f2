from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("audit", "0007_misdated_lines"),
    ]

    operations = [
        # Of two that were asked for in the same moment, the later one goes on.
        migrations.RunSQL(
            [
                """
                DELETE FROM audit_verification AS one USING audit_verification AS other
                WHERE one.clinic_id = other.clinic_id AND one.finished_at IS NULL AND other.finished_at IS NULL
                  AND (one.asked_at, one.id) < (other.asked_at, other.id)
                """,
                "SET CONSTRAINTS ALL IMMEDIATE",
            ],
            migrations.RunSQL.noop,
        ),
        migrations.AddConstraint(
            model_name="verification",
            constraint=models.UniqueConstraint(
                condition=models.Q(("finished_at__isnull", True)),
                fields=("clinic_id",),
                name="verification_one_at_a_time",
            ),
        ),
    ]
