CREATE OR REPLACE FUNCTION audit_append(
    action text, subject_type text, subject_id text, clinic uuid, patient uuid, changes jsonb
) RETURNS bigint
LANGUAGE sql SET search_path = public, pg_temp AS $$
    INSERT INTO audit_auditevent
        (at, transaction, clinic_id, actor, actor_name, action, subject_type, subject_id, patient_id, changes,
         request_id, reason)
    VALUES (
        clock_timestamp(),
        pg_current_xact_id()::text::bigint,
        clinic,
        coalesce(nullif(current_setting('skinclinic.actor', true), ''),
                 'system:' || coalesce(nullif(current_setting('application_name', true), ''), 'sql')),
        coalesce(nullif(current_setting('skinclinic.actor_name', true), ''), session_user::text),
        action, subject_type, subject_id, patient, changes,
        coalesce(current_setting('skinclinic.request', true), ''),
        coalesce(current_setting('skinclinic.reason', true), '')
    ) RETURNING id
$$;
DROP FUNCTION audit_stray();
DROP FUNCTION audit_lines(bigint, bigint);
DROP FUNCTION audit_seal_lines(integer);
DROP FUNCTION audit_digest(audit_auditevent);
DROP FUNCTION audit_microseconds(timestamptz);
DROP FUNCTION audit_field(text);
