from django.db import migrations

from skinclinic.audit.operations import Recorded


class Migration(migrations.Migration):
    dependencies = [("api", "0001_initial"), ("audit", "0002_ledger")]

    operations = [Recorded("api_client", skipped=["client_secret"])]
