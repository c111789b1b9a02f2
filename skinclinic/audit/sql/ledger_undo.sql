DROP FUNCTION audit_row();
DROP FUNCTION audit_record(text, text, text, uuid, jsonb);
DROP FUNCTION audit_append(text, text, text, uuid, uuid, jsonb);
