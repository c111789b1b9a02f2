"""Mails in the folder that stands in for a mail server."""

from pathlib import Path

from django.conf import settings as configured
from django.core.mail import get_connection, send_mail

BACKEND = configured.EMAIL_BACKEND  # pytest-django puts its own in its place


def test_no_other_account_of_the_machine_reads_a_mail(tmp_path: Path, settings):
    settings.EMAIL_FILE_PATH = str(tmp_path)
    with get_connection(BACKEND) as folder:
        for to in ("rita@example.org", "bob@example.org"):
            send_mail("Join", "https://clinic.example/join/secret/", None, [to], connection=folder)
    (mail,) = tmp_path.iterdir()
    assert mail.stat().st_mode & 0o777 == 0o600
    assert mail.read_text().count("/join/secret/") == 2
