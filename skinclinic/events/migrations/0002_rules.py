from django.db import migrations

from skinclinic.audit.operations import AppendOnly, ClinicScoped


class Migration(migrations.Migration):
    dependencies = [("events", "0001_initial"), ("audit", "0002_ledger")]

    operations = [ClinicScoped("events_event"), AppendOnly("events_event")]
