"""What can be checked of the deployment's files without a container engine or a host."""

import os
import re
import subprocess
import sys
from typing import Any

import pytest
import yaml

from skinclinic import env
from skinclinic.env import ROOT

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")


def test_every_secret_of_compose_has_no_default_and_a_sentence() -> None:
    found = {match[1]: (match[2], match[3]) for match in VARIABLE.finditer((ROOT / "docker-compose.yml").read_text())}
    secrets = {name for name in found if re.search("SECRET|PASSWORD", name) and not name.startswith("S3_")}
    assert secrets == {
        "SECRET_KEY",
        "DATABASE_PASSWORD",
        "DATABASE_OWNER_PASSWORD",
        "POSTGRES_PASSWORD",
        "REDIS_PASSWORD",
    }
    for name in secrets:
        kind, sentence = found[name]
        assert kind == "?", name
        assert sentence.startswith(f"Set {name} in .env to"), name
        assert sentence.endswith("."), name


def test_compose_scales_and_keeps_the_owner_to_the_preparing_service() -> None:
    services = COMPOSE["services"]
    assert set(services) == {"postgres", "redis", "prepare", "web", "worker", "beat"}
    for name in ("prepare", "web", "worker", "beat"):
        assert services[name]["image"] == "skinclinic"
        assert ("DATABASE_OWNER_URL" in services[name]["environment"]) == (name == "prepare"), name
    assert "container_name" not in services["worker"]
    assert "ports" not in services["worker"]
    assert all("healthcheck" in services[name] for name in services if name != "prepare")


def test_compose_addresses_can_be_read() -> None:
    def filled(text: str) -> str:
        return VARIABLE.sub(lambda match: match[3] if match[2] == "-" else "abc123", text)

    entry = env.database(filled(COMPOSE["services"]["web"]["environment"]["DATABASE_URL"]))
    assert (entry["USER"], entry["HOST"], entry["NAME"]) == ("skinclinic_web", "postgres", "skinclinic")


def test_the_programs_are_the_same_everywhere() -> None:
    lines = dict(line.split(": ", 1) for line in (ROOT / "Procfile").read_text().splitlines())
    assert set(lines) == {"release", "web", "worker", "beat"}
    assert lines["worker"] == " ".join(COMPOSE["services"]["worker"]["command"])
    assert lines["beat"] == " ".join(COMPOSE["services"]["beat"]["command"])
    assert lines["release"] == " ".join(COMPOSE["services"]["prepare"]["command"])
    image = re.search(r"^CMD \[(.*)\]$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert image is not None
    assert lines["web"] == " ".join(yaml.safe_load(f"[{image[1]}]"))
    blueprint = (ROOT / "render.yaml").read_text()
    assert lines["web"] in blueprint
    assert "celery -A skinclinic worker -B" in blueprint


def test_the_example_names_every_setting() -> None:
    settings = (ROOT / "skinclinic" / "settings.py").read_text()
    read = set(re.findall(r'env\.(?:text|flag|integer|words|secret|url)\(\s*"(\w+)"', settings))
    # How the reading queue keeps time is for tests; the process's name is set by what starts it.
    named = set(re.findall(r"^#?(\w+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    untold = {name for name in read - named if not name.startswith(("READING_", "WORKER_"))}
    assert untold - {"PROCESS_NAME", "PREDICTOR"} == set()
    assert "SECRET_KEY" in read


def test_a_database_in_parts_becomes_one_address() -> None:
    done = subprocess.run(
        [sys.executable, "deploy/with-database-url.py", sys.executable, "-c",
         "import os; print(os.environ['DATABASE_URL'], 'DATABASE_OWNER_URL' in os.environ)"],
        cwd=ROOT, capture_output=True, text=True, check=True,
        env={**os.environ, "DATABASE_HOST": "db", "DATABASE_PORT": "5432", "DATABASE_NAME": "clinic",
             "DATABASE_PASSWORD": "a/b+c=@:#", "DATABASE_OWNER_URL": "postgresql://owner@db/clinic"},
    )  # fmt: skip
    address, has_owner = done.stdout.split()
    assert env.database(address)["PASSWORD"] == "a/b+c=@:#"
    assert has_owner == "False"


@pytest.mark.parametrize("missing", ["DATABASE_HOST", "DATABASE_PASSWORD"])
def test_a_missing_part_is_named(missing: str) -> None:
    parts = {f"DATABASE_{part}": "x" for part in ("HOST", "PORT", "NAME", "PASSWORD")}
    del parts[missing]
    done = subprocess.run(
        [sys.executable, "deploy/with-database-url.py", "true"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin", **parts},
    )
    assert done.returncode == 1
    assert done.stderr == f"{missing} is not set; set it, or set DATABASE_URL and leave this script out.\n"
