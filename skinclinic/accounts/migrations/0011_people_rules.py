from django.db import migrations

from skinclinic.audit.operations import ACTING_CLINIC, ACTING_USER, ClinicScoped, NeverDeleted, Recorded

KEEPS_A_MANAGER = f"""
CREATE FUNCTION membership_keeps_a_manager() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF NEW.user_id = {ACTING_USER} AND (NEW.roles, NEW.is_active) IS DISTINCT FROM (OLD.roles, OLD.is_active) THEN
        RAISE EXCEPTION 'Nobody changes her own membership.'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'membership_of_another';
    END IF;
    IF OLD.is_active AND 'manager' = ANY (OLD.roles) AND NOT (NEW.is_active AND 'manager' = ANY (NEW.roles)) THEN
        -- Two at once wait for each other here, and the second sees what the first has done.
        PERFORM 1 FROM accounts_clinic WHERE id = NEW.clinic_id FOR NO KEY UPDATE;
        IF NOT EXISTS (
            SELECT FROM accounts_membership AS other JOIN accounts_user ON accounts_user.id = other.user_id
            WHERE other.clinic_id = NEW.clinic_id AND other.id <> NEW.id
              AND other.is_active AND accounts_user.is_active AND 'manager' = ANY (other.roles)
        ) THEN
            RAISE EXCEPTION 'A clinic keeps a manager.'
                USING ERRCODE = 'check_violation', CONSTRAINT = 'membership_keeps_a_manager';
        END IF;
    END IF;
    RETURN NULL;
END
$$"""


def of_people(table: str) -> migrations.RunSQL:
    """A person's rows are hers to read and write; her clinic may see them, for her manager, and take them away."""
    hers = f"user_id = {ACTING_USER}"
    clinics = (
        f"{hers} OR EXISTS (SELECT FROM accounts_membership AS member"
        f" WHERE member.user_id = {table}.user_id AND member.clinic_id = {ACTING_CLINIC})"
    )
    return migrations.RunSQL(
        [
            f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
            f"CREATE POLICY person_reads ON {table} FOR SELECT USING ({clinics})",
            f"CREATE POLICY person_adds ON {table} FOR INSERT WITH CHECK ({hers})",
            f"CREATE POLICY person_changes ON {table} FOR UPDATE USING ({hers}) WITH CHECK ({hers})",
            f"CREATE POLICY person_ends ON {table} FOR DELETE USING ({clinics})",
        ],
        [
            *(f"DROP POLICY person_{does} ON {table}" for does in ("reads", "adds", "changes", "ends")),
            f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY",
        ],
    )


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0010_people"),
        ("audit", "0002_ledger"),
        ("mfa", "0003_authenticator_type_uniq"),
        ("usersessions", "0001_initial"),
    ]

    operations = [
        Recorded("accounts_invitation", private=["email"], skipped=["token_hash"]),
        ClinicScoped("accounts_invitation"),
        NeverDeleted("accounts_invitation"),
        Recorded("mfa_authenticator", skipped=["data", "last_used_at"]),
        of_people("mfa_authenticator"),
        of_people("usersessions_usersession"),
        migrations.RunSQL(
            [
                KEEPS_A_MANAGER,
                (
                    "CREATE TRIGGER keeps_a_manager AFTER UPDATE ON accounts_membership FOR EACH ROW"
                    " EXECUTE FUNCTION membership_keeps_a_manager()"
                ),
            ],
            [
                "DROP TRIGGER keeps_a_manager ON accounts_membership",
                "DROP FUNCTION membership_keeps_a_manager()",
            ],
        ),
        migrations.RunSQL(
            "ALTER TABLE accounts_clinic ADD CONSTRAINT clinic_approver_is_a_member FOREIGN KEY (approver_id, id)"
            " REFERENCES accounts_membership (user_id, clinic_id) DEFERRABLE INITIALLY DEFERRED",
            "ALTER TABLE accounts_clinic DROP CONSTRAINT clinic_approver_is_a_member",
        ),
        # As Django's `createcachetable` makes it, which is not for the application's role.
        migrations.RunSQL(
            [
                (
                    "CREATE TABLE accounts_tries (cache_key varchar(255) PRIMARY KEY, value text NOT NULL,"
                    " expires timestamptz NOT NULL)"
                ),
                "CREATE INDEX accounts_tries_expires ON accounts_tries (expires)",
            ],
            "DROP TABLE accounts_tries",
        ),
    ]
