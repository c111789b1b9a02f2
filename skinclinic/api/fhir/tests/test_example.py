"""The example in the documentation, run as it says against a server on the wire."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

from conftest import Cast, make_chart, make_screening
from screening.models import Screening
from screening.tests.conftest import finish
from skinclinic.api.fhir.tests.conftest import SUSPECT, Fhir, signed
from skinclinic.api.tests.serving import serving

SCRIPT = Path(settings.BASE_DIR) / "docs" / "integrations" / "examples" / "fhir.sh"


@pytest.fixture
def address(real_cast: Cast) -> Iterator[str]:
    with serving() as place:
        yield place


@pytest.mark.skipif(shutil.which("curl") is None, reason="There is no curl on this machine.")
def test_it_works(real_cast, address, tmp_path, photograph_bytes, random_photograph):
    chart = make_chart(real_cast.alice)
    screening = make_screening(real_cast.alice, chart, random_photograph())
    finish(real_cast, screening, refer=True, band="high")
    signed(real_cast, screening, SUSPECT)
    (tmp_path / "lesion.jpg").write_bytes(photograph_bytes)
    client = Fhir(real_cast.north)
    environment = os.environ | {"CLINIC": address, "ID": client.client_row.client_id, "SECRET": client.secret}
    command = ["sh", str(SCRIPT), "lesion.jpg"]
    ran = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == 0, ran.stderr + ran.stdout
    told = ran.stdout.splitlines()
    assert told[0] == "FHIR 4.0.1 11 resources"
    assert {"Observation final", "Provenance ", "reports 1"} <= set(told)
    assert told[-1].startswith("page of")
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")
    with real_cast.in_north():
        assert Screening.objects.exclude(pk=screening.pk).get().reading_status == "queued"
