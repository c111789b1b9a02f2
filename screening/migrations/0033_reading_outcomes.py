from django.db import migrations

from skinclinic.audit.operations import APP_ROLE

# Runs as the owner, past the policies, for programs that watch the installation: they learn how many, and of nobody.
OUTCOMES = """
CREATE FUNCTION reading_outcomes(since interval)
RETURNS TABLE (status text, photographs bigint, typical_seconds double precision, slow_seconds double precision)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT reading_status, count(*),
        percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM recent.finished_at - recent.created_at)::double precision),
        percentile_cont(0.95) WITHIN GROUP (ORDER BY extract(epoch FROM recent.finished_at - recent.created_at)::double precision)
    FROM accounts_clinic AS clinic CROSS JOIN LATERAL (
        SELECT reading_status, finished_at, created_at FROM screening_screening
        WHERE clinic_id = clinic.id AND created_at > statement_timestamp() - since AND withdrawn_at IS NULL
    ) AS recent
    GROUP BY reading_status
$$;
REVOKE ALL ON FUNCTION reading_outcomes(interval) FROM PUBLIC;
"""


class Migration(migrations.Migration):
    dependencies = [("screening", "0032_webhook_notices")]

    operations = [
        migrations.RunSQL(OUTCOMES, "DROP FUNCTION reading_outcomes(interval)"),
        migrations.RunSQL(
            f"GRANT EXECUTE ON FUNCTION reading_outcomes(interval) TO {APP_ROLE}", migrations.RunSQL.noop
        ),
    ]
