"""An amended review supersedes its follow-up; a screening withdrawn while it is read still gives its lease back."""

from django.db import migrations, models

# As in 0002_rules, but with the withdrawn ones that a worker holds: the sweeper takes them back when the worker is lost.
BACKLOG = """
CREATE OR REPLACE FUNCTION reading_backlog()
RETURNS TABLE (clinic uuid, open_readings bigint, oldest_seconds double precision)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT clinic_id, count(*), extract(epoch FROM clock_timestamp() - min(created_at))::double precision
    FROM screening_screening
    WHERE reading_status = 'running' OR (reading_status = 'queued' AND withdrawn_at IS NULL)
    GROUP BY clinic_id ORDER BY min(created_at)
$$;
"""


class Migration(migrations.Migration):
    dependencies = [("screening", "0002_rules")]

    operations = [
        migrations.RunSQL(BACKLOG, migrations.RunSQL.noop),
        migrations.RemoveConstraint(model_name="modelversion", name="model_version_names_its_weights"),
        migrations.AlterField(
            model_name="followup",
            name="status",
            field=models.CharField(
                choices=[
                    ("open", "Open"),
                    ("done", "Done"),
                    ("declined", "Declined by the patient"),
                    ("lost", "Lost to follow-up"),
                    ("withdrawn", "Withdrawn with the photograph"),
                    ("superseded", "Replaced by an amended review"),
                ],
                default="open",
                max_length=12,
            ),
        ),
        migrations.AddConstraint(
            model_name="followup",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    status__in=["open", "done", "declined", "lost", "withdrawn", "superseded"],
                ),
                name="follow_up_status_known",
            ),
        ),
        migrations.AlterField(
            model_name="screening",
            name="failure_code",
            field=models.CharField(
                blank=True,
                choices=[
                    (
                        "worker_lost",
                        "The reading was cut off three times: the worker or the store of photographs was away. A manager should look.",
                    ),
                    ("too_slow", "The reading took too long and was stopped."),
                    ("model_error", "The model could not read this photograph because of a fault on our side."),
                    ("bytes_missing", "The stored photograph could not be fetched."),
                ],
                max_length=20,
            ),
        ),
    ]
