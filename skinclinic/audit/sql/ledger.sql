-- The two writers of the ledger. They run as the owner of the tables, so the application needs no right to write there.
-- `search_path` is fixed, so that nobody can put a table of her own in front of ours.

CREATE FUNCTION audit_append(
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

CREATE FUNCTION audit_record(
    action text, subject_type text, subject_id text, patient uuid, changes jsonb
) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT audit_append(action, subject_type, subject_id,
                        nullif(current_setting('skinclinic.clinic', true), '')::uuid, patient, changes)
$$;

-- Arguments of the trigger: the private columns (that they changed is told, never their text) and the skipped ones.
CREATE FUNCTION audit_row() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    private text[] := string_to_array(TG_ARGV[0], ',');
    skipped text[] := string_to_array(TG_ARGV[1], ',');
    before jsonb := CASE WHEN TG_OP = 'INSERT' THEN '{}'::jsonb ELSE to_jsonb(OLD) - skipped END;
    after jsonb := CASE WHEN TG_OP = 'DELETE' THEN '{}'::jsonb ELSE to_jsonb(NEW) - skipped END;
    whole jsonb := before || after;
    -- A table's key: its id; the patient's, of her identity; the version, of a model.
    key text := coalesce(whole ->> 'id', whole ->> 'patient_id', whole ->> 'version');
    clinic uuid := coalesce(whole ->> 'clinic_id', CASE TG_TABLE_NAME WHEN 'accounts_clinic' THEN whole ->> 'id' END);
    patient uuid := coalesce(whole ->> 'patient_id', CASE TG_TABLE_NAME WHEN 'patients_patient' THEN whole ->> 'id' END);
    changes jsonb;
    event bigint;
BEGIN
    SELECT coalesce(jsonb_object_agg(
        name,
        CASE WHEN name = ANY (private) THEN to_jsonb('private'::text)
             WHEN TG_OP = 'INSERT' THEN after -> name
             ELSE jsonb_build_array(before -> name, after -> name) END
    ), '{}'::jsonb)
    INTO changes
    FROM jsonb_object_keys(whole) AS name
    WHERE before -> name IS DISTINCT FROM after -> name
      -- What a new row leaves empty is not worth a word.
      AND NOT (TG_OP = 'INSERT' AND coalesce(after ->> name, '') IN ('', '[]', '{}'));

    IF TG_OP = 'UPDATE' AND changes = '{}'::jsonb THEN
        RETURN NULL;
    END IF;

    event := audit_append(lower(TG_OP), TG_TABLE_NAME, key, clinic, patient, changes);

    IF TG_OP <> 'INSERT' THEN
        INSERT INTO audit_privatevalue (event_id, at, clinic_id, patient_id, subject_type, subject_id, "column", value)
        SELECT event, clock_timestamp(), clinic, patient, TG_TABLE_NAME, key, name, before -> name
        FROM unnest(private) AS name
        WHERE changes ? name AND coalesce(before ->> name, '') <> '';
    END IF;
    RETURN NULL;
END
$$;

REVOKE ALL ON FUNCTION audit_append(text, text, text, uuid, uuid, jsonb) FROM PUBLIC;
REVOKE ALL ON FUNCTION audit_row() FROM PUBLIC;
REVOKE ALL ON FUNCTION audit_record(text, text, text, uuid, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION audit_record(text, text, text, uuid, jsonb) TO skinclinic_app;

REVOKE ALL ON audit_auditevent, audit_privatevalue FROM PUBLIC, skinclinic_app;
REVOKE ALL ON SEQUENCE audit_auditevent_id_seq, audit_privatevalue_id_seq FROM PUBLIC, skinclinic_app;
GRANT SELECT ON audit_auditevent, audit_privatevalue TO skinclinic_app;
