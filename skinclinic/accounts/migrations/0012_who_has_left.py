from django.db import migrations

from skinclinic.audit.operations import ACTING_CLINIC, ACTING_USER


def of_members(table: str, condition: str) -> list[str]:
    """What a clinic's managers see and end of a person."""
    clinics = (
        f"user_id = {ACTING_USER} OR EXISTS (SELECT FROM accounts_membership AS member"
        f" WHERE member.user_id = {table}.user_id AND member.clinic_id = {ACTING_CLINIC}{condition})"
    )
    return [f"ALTER POLICY person_{does} ON {table} USING ({clinics})" for does in ("reads", "ends")]


class Migration(migrations.Migration):
    """Who is disabled in a clinic may work in another: her sessions and her second factor are nothing of this one's."""

    dependencies = [
        ("accounts", "0011_people_rules"),
    ]

    operations = [
        migrations.RunSQL(of_members(table, " AND member.is_active"), of_members(table, ""))
        for table in ("mfa_authenticator", "usersessions_usersession")
    ]
