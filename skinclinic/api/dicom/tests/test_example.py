"""The example in the documentation, run as it says against the server that clinics run."""

import os
import subprocess
import sys
from pathlib import Path

from django.conf import settings

from patients.snomed import SITE_OF
from screening.dicom.tests.objects import as_bytes, dicom_object
from screening.models import Screening
from screening.tests.conftest import the_only
from skinclinic.api.dicom.answers import REASONS
from skinclinic.api.dicom.tests.conftest import Dicom, numbered

INTEGRATIONS = Path(settings.BASE_DIR) / "docs" / "integrations"


def test_it_works(real_cast, portal, tmp_path, photograph_bytes):
    numbered(real_cast)
    client = Dicom(real_cast.north, scopes=("dicom:write",))
    (tmp_path / "IM0001").write_bytes(as_bytes(dicom_object(photograph_bytes)))
    (tmp_path / "IM0002").write_bytes(as_bytes(dicom_object(photograph_bytes, PatientID="0")))
    (tmp_path / "notes.txt").write_bytes(b"no object, and in the same folder")
    for _again in range(2):
        ran = subprocess.run(
            [sys.executable, str(INTEGRATIONS / "examples" / "send_dicom.py"), "notes.txt", "IM0001", "IM0002"],
            cwd=tmp_path,
            env=os.environ | {"CLINIC": portal, "ID": client.client_row.client_id, "SECRET": client.secret},
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        unread, *told = ran.stdout.splitlines()
        assert unread.startswith("notes.txt: not sent: "), ran.stderr
        assert told == [
            "IM0001: stored",
            "IM0002: C010 No patient here has this number from this issuer.",
        ], ran.stderr
    the_only(real_cast, Screening)


def test_every_reason_and_site_is_documented_and_fits():
    page = (INTEGRATIONS / "dicom.md").read_text()
    assert [code for code, _ in REASONS.values() if f"{code:04X}" not in page] == []
    assert [code for code in SITE_OF if code not in page] == []
    assert [comment for _, comment in REASONS.values() if len(comment) > 64] == []
