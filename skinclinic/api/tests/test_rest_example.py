"""The walk that the documentation shows, run as it says against a server on the wire."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from django.conf import settings

from conftest import Cast
from patients.models import Patient
from screening.models import Screening
from screening.services.reviews import Opinion
from screening.tests.conftest import finish, give, sign
from skinclinic.api.services import create_client
from skinclinic.api.tests.serving import serving

SCRIPT = Path(settings.BASE_DIR) / "docs" / "integrations" / "examples" / "rest.sh"
SCOPES = ["patients:read", "patients:write", "screenings:read", "screenings:write", "reviews:read"]
pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="There is no curl on this machine.")


@pytest.fixture
def walk(real_cast: Cast, tmp_path: Path):
    row, secret = create_client(clinic=real_cast.north, name="Record system", scopes=SCOPES)
    with serving() as address:
        named = os.environ | {"CLINIC": address, "ID": row.client_id, "SECRET": secret}

        def run(*words: str) -> subprocess.Popen[str]:
            command = ["sh", str(SCRIPT), *words]
            pipe = subprocess.PIPE
            return subprocess.Popen(command, cwd=tmp_path, env=named, stdout=pipe, stderr=pipe, text=True)

        yield run


def told(process: subprocess.Popen[str]) -> list[str]:
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, out + err
    return out.splitlines()


def test_it_works(real_cast, walk, tmp_path, photograph_bytes):
    (tmp_path / "lesion.jpg").write_bytes(photograph_bytes)
    process = walk("lesion.jpg")
    patient, screening = process.stdout.readline(), process.stdout.readline()
    key = screening.removeprefix("screening ").strip()
    with real_cast.in_north():
        found = Screening.objects.select_related("visit").get(pk=key)
        assert f"patient {found.patient_id}\n" == patient
    finish(real_cast, found, refer=True, band="high")
    reading, *cautions, link, changes = told(process)
    assert reading == "reading predicted high · open"
    assert cautions
    assert all(line.startswith("! ") for line in cautions)
    assert link.endswith("/open")
    assert changes.startswith("screening.predicted ")
    early = walk("--signed", key)
    assert (early.communicate(timeout=60)[1], early.returncode) == ("It is not signed yet.\n", 1)
    give(real_cast, found, Opinion(suspicious=True, diagnosis="melanoma", recommendation="excise"))
    sign(real_cast, found.visit)
    assert told(walk("--signed", key)) == ["melanoma excise by Rita Rowan", "report.pdf"]
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")


def test_a_patient_who_is_known_is_not_made_again(real_cast, walk, tmp_path, photograph_bytes):
    (tmp_path / "lesion.jpg").write_bytes(b"no photograph")
    for _time in range(2):
        process = walk("lesion.jpg")
        assert "This is no JPEG" in process.communicate(timeout=60)[1]
        assert process.returncode != 0, "what is refused ends it"
    with real_cast.in_north():
        assert Patient.objects.count() == 1
