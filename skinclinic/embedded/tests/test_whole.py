"""The whole of `bin/up`, less the installing: real servers, web, worker and beat, and real signals."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from skinclinic.embedded import ports
from skinclinic.env import ROOT

NOT_PASSED_ON = {"DATABASE_URL", "DATABASE_OWNER_URL", "REDIS_URL", "SECRET_KEY", "DEBUG", "PORT", "MAIL_FOLDER"}

PUT_A_CLINIC = "from skinclinic.accounts.models import Clinic; Clinic.objects.create(name='North')"
COUNT_CLINICS = "from skinclinic.accounts.models import Clinic; print(Clinic.objects.count())"


class Clinic:
    """One run of `bin/up` on a folder of its own."""

    def __init__(self, local: Path, port: int, *wishes: str, **given: str) -> None:
        self.local, self.address = local, f"http://127.0.0.1:{port}"
        self.output = local.parent / "said"
        kept = {name: value for name, value in os.environ.items() if name not in NOT_PASSED_ON}
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "skinclinic.embedded", *(wishes or ["--empty"]), "--port", str(port)],
                cwd=ROOT,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**kept, "LOCAL_FOLDER": str(local), "PREDICTOR": "ml.fake.load", "COLUMNS": "100", **given},
            )

    @property
    def said(self) -> str:
        return self.output.read_text()

    def wait_until_up(self) -> None:
        deadline = time.monotonic() + 180
        while "Ctrl-C ends everything" not in self.said:
            assert self.process.poll() is None, self.said
            assert time.monotonic() < deadline, self.said
            time.sleep(0.1)

    def answer(self, path: str) -> int:
        with urllib.request.urlopen(f"{self.address}{path}", timeout=10) as response:  # noqa: S310
            return int(response.status)

    def manage(self, *arguments: str, **given: str) -> str:
        return subprocess.run(
            [sys.executable, "-m", "skinclinic.embedded", "manage", *arguments],
            cwd=ROOT,
            env={**os.environ, "LOCAL_FOLDER": str(self.local), **given},
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    def left_behind(self) -> list[str]:
        listing = subprocess.run(["ps", "-eo", "args=", "-ww"], check=True, capture_output=True, text=True).stdout
        return [line for line in listing.splitlines() if str(self.local) in line]


@pytest.fixture
def local(folder: Path) -> Path:
    return folder / "local"


def a_free_port() -> int:
    with ports.first_free(26_000) as holder:
        return int(holder.getsockname()[1])


def test_it_comes_up_keeps_its_data_ends_cleanly_and_outlives_a_kill(local: Path) -> None:
    port = a_free_port()
    clinic = Clinic(local, port)
    try:
        clinic.wait_until_up()
        assert clinic.answer("/healthz") == 200
        assert clinic.answer("/readyz") == 200
        assert "to make the first one" in clinic.said
        settings = json.loads((local / "running.json").read_text())["environment"]
        assert (local / "running.json").stat().st_mode & 0o777 == 0o600
        for name in ("worker", "web", "beat"):
            environment = Path(f"/proc/{(local / 'run' / f'{name}.pid').read_text()}/environ")
            if environment.exists():
                assert "DATABASE_OWNER_URL" not in environment.read_text()
                assert f"DATABASE_URL={settings['DATABASE_URL']}" in environment.read_text()
        key = clinic.manage("backup", "--new-key").strip()
        clinic.manage("shell", "-c", PUT_A_CLINIC)
        taken = clinic.manage("backup", str(local.parent / "clinic.backup"), BACKUP_KEY=key)
        assert "In it: clinics 1, people 0" in taken
        second = subprocess.run(
            [sys.executable, "-m", "skinclinic.embedded"],
            cwd=ROOT,
            env={**os.environ, "LOCAL_FOLDER": str(local)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert second.returncode == 1
        assert second.stderr.endswith("end that one first.\n")
        clinic.process.send_signal(signal.SIGINT)
        assert clinic.process.wait(60) == 0
        assert clinic.said.splitlines()[-1] == "Everything has ended; the data stay. bin/up starts it again."
        assert "Traceback" not in clinic.said
        assert clinic.left_behind() == []

        clinic = Clinic(local, port)
        clinic.wait_until_up()
        assert "Preparing the tables" not in clinic.said
        assert "to make the first one" not in clinic.said
        assert clinic.manage("shell", "-c", COUNT_CLINICS).strip().endswith("1")
        clinic.process.kill()
        clinic.process.wait()

        clinic = Clinic(local, port)
        clinic.wait_until_up()
        assert clinic.answer("/readyz") == 200
        assert clinic.manage("shell", "-c", COUNT_CLINICS).strip().endswith("1")
        clinic.process.send_signal(signal.SIGTERM)
        assert clinic.process.wait(60) == 0
        assert clinic.left_behind() == []

        elsewhere, other_key = local.parent / "elsewhere", key[::-1]
        clinic = Clinic(elsewhere, port, "--restore", str(local.parent / "clinic.backup"), BACKUP_KEY=other_key)
        assert clinic.process.wait(180) == 1
        assert "The portal was not started" in clinic.said
        assert "Starting the portal" not in clinic.said
        clinic = Clinic(elsewhere, port, "--restore", str(local.parent / "clinic.backup"), BACKUP_KEY=key)
        clinic.wait_until_up()
        assert clinic.said.index("Restored.") < clinic.said.index("Starting the portal")
        assert "to make the first one" not in clinic.said
        assert clinic.manage("shell", "-c", COUNT_CLINICS).strip().endswith("1")
        clinic.process.send_signal(signal.SIGTERM)
        assert clinic.process.wait(60) == 0
    finally:
        clinic.process.kill()
        clinic.process.wait()
