-- Sealing: each line's digest is kept, and the seals over them form a chain.

-- What is being written now, by the function as it was, is waited for: it would be on no queue.
LOCK TABLE audit_auditevent IN SHARE ROW EXCLUSIVE MODE;

-- A field with its length, so that no two lines can read the same.
CREATE FUNCTION audit_field(value text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = public, pg_temp AS $$
    SELECT coalesce(octet_length(value) || ':' || value, '-') || ','
$$;

-- Times as numbers: how a timestamp is written depends on the session.
CREATE FUNCTION audit_microseconds(moment timestamptz) RETURNS text
LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
    SELECT (extract(epoch FROM moment) * 1000000)::bigint::text
$$;

CREATE FUNCTION audit_digest(line audit_auditevent) RETURNS bytea
LANGUAGE sql STABLE STRICT SET search_path = public, pg_temp AS $$
    SELECT sha256(convert_to(
        audit_field(line.id::text) || audit_field(audit_microseconds(line.at)) || audit_field(line.transaction::text)
        || audit_field(line.clinic_id::text) || audit_field(line.actor) || audit_field(line.actor_name)
        || audit_field(line.action) || audit_field(line.subject_type) || audit_field(line.subject_id)
        || audit_field(line.patient_id::text) || audit_field(line.changes::text) || audit_field(line.request_id)
        || audit_field(line.reason), 'UTF8'))
$$;

CREATE OR REPLACE FUNCTION audit_append(
    action text, subject_type text, subject_id text, clinic uuid, patient uuid, changes jsonb
) RETURNS bigint
LANGUAGE sql SET search_path = public, pg_temp AS $$
    WITH line AS (
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
        ) RETURNING id, at
    )
    INSERT INTO audit_unsealedevent (event, at) SELECT id, at FROM line RETURNING event
$$;

-- Seals at most `most` of the lines that wait, the oldest first, and returns how many it sealed.
-- A line that was taken off the ledger while it waited is sealed with an empty digest, which no line has.
CREATE FUNCTION audit_seal_lines(most integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    before audit_seal;
    digests bytea;
    sealed integer;
    moment timestamptz := clock_timestamp();
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('audit-seal'));
    SELECT * INTO before FROM audit_seal ORDER BY number DESC LIMIT 1;
    before.number := coalesce(before.number, 0);

    WITH taken AS (
        DELETE FROM audit_unsealedevent
        WHERE event IN (SELECT event FROM audit_unsealedevent ORDER BY event LIMIT most)
        RETURNING event
    ), kept AS (
        INSERT INTO audit_sealedevent (event, seal, position, digest)
        SELECT taken.event, before.number + 1, row_number() OVER (ORDER BY taken.event),
               coalesce(audit_digest(line), ''::bytea)
        FROM taken LEFT JOIN audit_auditevent line ON line.id = taken.event
        RETURNING position, digest
    )
    SELECT count(*), string_agg(digest, ''::bytea ORDER BY position) INTO sealed, digests FROM kept;

    IF sealed > 0 THEN
        INSERT INTO audit_seal (number, at, lines, digest)
        VALUES (before.number + 1, moment, sealed, sha256(
            coalesce(before.digest, ''::bytea)
            || convert_to(audit_field((before.number + 1)::text) || audit_field(audit_microseconds(moment))
                          || audit_field(sealed::text), 'UTF8')
            || digests));
    END IF;
    RETURN sealed;
END
$$;

-- For the page, which may not read other clinics' lines: what was sealed, and the same reckoned from the lines of today.
CREATE FUNCTION audit_lines(first_seal bigint, last_seal bigint)
RETURNS TABLE (seal bigint, event bigint, digest bytea, digest_now bytea)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT sealed.seal, sealed.event, sealed.digest, audit_digest(line)
    FROM audit_sealedevent sealed LEFT JOIN audit_auditevent line ON line.id = sealed.event
    WHERE sealed.seal BETWEEN first_seal AND last_seal
    ORDER BY sealed.seal, sealed.position
$$;

-- A line that is neither sealed nor waits for it was put there by somebody else; none: no row.
CREATE FUNCTION audit_stray() RETURNS TABLE (event bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT line.id FROM audit_auditevent line
    WHERE NOT EXISTS (SELECT 1 FROM audit_sealedevent sealed WHERE sealed.event = line.id)
      AND NOT EXISTS (SELECT 1 FROM audit_unsealedevent waiting WHERE waiting.event = line.id)
    ORDER BY line.id LIMIT 1
$$;

REVOKE ALL ON FUNCTION audit_field(text), audit_microseconds(timestamptz), audit_digest(audit_auditevent),
    audit_seal_lines(integer), audit_lines(bigint, bigint), audit_stray() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION audit_seal_lines(integer), audit_lines(bigint, bigint), audit_stray() TO skinclinic_app;

REVOKE ALL ON audit_seal, audit_sealedevent, audit_unsealedevent FROM PUBLIC, skinclinic_app;
GRANT SELECT ON audit_seal, audit_sealedevent, audit_unsealedevent TO skinclinic_app;

INSERT INTO audit_unsealedevent (event, at) SELECT id, at FROM audit_auditevent;
