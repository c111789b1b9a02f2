-- As `MISDATED` in verify.py, for the page, which may not read other clinics' lines.
CREATE FUNCTION audit_misdated() RETURNS TABLE (event bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT line.id FROM audit_auditevent line JOIN audit_sealedevent sealed ON sealed.event = line.id
    JOIN audit_seal seal ON seal.number = sealed.seal LEFT JOIN audit_seal before ON before.number = seal.number - 1
    WHERE line.at > seal.at + interval '1 day' OR line.at < before.at - interval '1 day'
    ORDER BY line.id LIMIT 1
$$;
REVOKE ALL ON FUNCTION audit_misdated() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION audit_misdated() TO skinclinic_app;
