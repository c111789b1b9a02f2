from django.db import migrations

from skinclinic.audit.operations import ACTING_USER, ClinicScoped, NeverDeleted, Recorded


class Migration(migrations.Migration):
    dependencies = [("accounts", "0001_initial"), ("audit", "0002_ledger")]

    operations = [
        Recorded("accounts_user", skipped=["password", "last_login"]),
        NeverDeleted("accounts_user"),
        Recorded("accounts_clinic"),
        NeverDeleted("accounts_clinic"),
        Recorded("accounts_membership"),
        NeverDeleted("accounts_membership"),
        # A person reads her own memberships before she is in a clinic: they are how she gets into one.
        ClinicScoped("accounts_membership", seen_also=f"user_id = {ACTING_USER}"),
    ]
