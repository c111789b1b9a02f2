import ast
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from skinclinic.embedded import browser, install, packages
from skinclinic.embedded.install import InstallProblem
from skinclinic.env import ROOT

OURS = {"skinclinic", "patients", "screening", "ml"}
# Parts of the tree that the web, the worker and the beat never import.
NOT_SERVING = {"tests", "training", "testing.py", "migrations", "__main__.py", "benchmark.py", "catalogue.py"}


def pins(name: str) -> dict[tuple[str, str], str]:
    """(package, marker without the reason) -> version."""
    lines = (ROOT / name).read_text().replace("\\\n", " ").splitlines()
    found = (re.match(r"([A-Za-z0-9._-]+)==(\S+)\s*(?:;\s*(.*?))?\s+--hash", line) for line in lines)
    return {(match[1], match[3] or ""): match[2] for match in found if match}


def names(name: str) -> dict[str, set[str]]:
    versions: dict[str, set[str]] = {}
    for (package, _), version in pins(name).items():
        versions.setdefault(package, set()).add(version)
    return versions


def test_the_serving_list_is_part_of_the_whole_list_in_the_same_versions() -> None:
    whole, serving = names("requirements.txt"), names("requirements-serve.txt")
    assert {package: versions for package, versions in serving.items() if whole.get(package) != versions} == {}
    assert len(whole) > len(serving) > 20


def test_the_serving_list_has_no_tensorflow_and_no_test_tools() -> None:
    serving = names("requirements-serve.txt")
    assert {"tensorflow", "tensorflow-cpu", "keras", "pytest", "playwright", "mypy"}.isdisjoint(serving)
    assert {"django", "celery", "ai-edge-litert", "gunicorn"} <= set(serving)


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-serve.txt", "requirements-installer.txt"])
def test_every_package_is_pinned_with_hashes_and_no_registry_is_named(name: str) -> None:
    content = (ROOT / name).read_text()
    requirements = [line for line in content.splitlines() if re.match(r"[A-Za-z0-9]", line)]
    assert len(requirements) == len(pins(name))
    assert "://" not in content
    assert "--index" not in content
    assert "--find-links" not in content


def test_the_npm_lock_names_no_registry() -> None:
    assert '"resolved"' not in (ROOT / "package-lock.json").read_text()


def test_what_serves_imports_only_what_the_serving_list_has() -> None:
    serving = set(names("requirements-serve.txt"))
    distributions = metadata.packages_distributions()
    missing = {
        f"{path.relative_to(ROOT)}: {module}"
        for path in [path for top in OURS for path in (ROOT / top).rglob("*.py")]
        if NOT_SERVING.isdisjoint(path.relative_to(ROOT).parts)
        for module in imported(path)
        if module not in OURS
        and module not in sys.stdlib_module_names
        and not {re.sub(r"[-_.]+", "-", name).lower() for name in distributions.get(module, [])} & serving
    }
    assert missing == set()


def imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("error: failed to write: No space left on device (os error 28)", "The disk is full"),
        ("ERROR: No matching distribution found for tensorflow", "has no build for this machine"),
        (("Distribution `x==1 @ registry` can't be installed because it doesn't have a source distribution or wheel "
         "for the current platform"), "has no build for this machine"),
        ("error: Failed to fetch: `the index`", "registry could not be reached"),
        ("django.db.utils.OperationalError: connection\n\tIs it running?", "look at its address in DATABASE_URL"),
        ("npm error code EAI_AGAIN", "registry could not be reached"),
        ("Traceback …\nValueError: something new", "It said: something new (more in"),
    ],
)  # fmt: skip
def test_what_installers_say_becomes_one_sentence(said: str, told: str, tmp_path: Path) -> None:
    sentence = install.reason(said, tmp_path / "install.log")
    assert told in sentence
    assert "install.log" in sentence
    assert "\n" not in sentence


def test_a_failing_step_is_named_with_its_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = [sys.executable, "-c", "import sys; sys.exit('No space left on device')"]
    with pytest.raises(InstallProblem, match="The disk is full"):
        install.run_step("Installing", command, log=tmp_path / "log", folder=tmp_path)
    assert "Installing: failed" in capsys.readouterr().out


def test_a_step_returns_what_was_printed_and_logs_the_rest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = [sys.executable, "-c", "import sys; print('[1]'); print('progress', file=sys.stderr)"]
    assert install.run_step("Seeding", command, log=tmp_path / "log", folder=tmp_path) == "[1]\n"
    assert (tmp_path / "log").read_text() == "progress\n"
    assert re.fullmatch(r"  Seeding \(\d+\.\d s\)\n", capsys.readouterr().out)


def test_a_step_that_ended_while_others_ran_does_not_claim_their_seconds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    step = install.RunningStep("Collecting", [sys.executable, "-c", ""], log=tmp_path / "log", folder=tmp_path)
    step.process.wait()
    step.finish()
    assert capsys.readouterr().out == "  Collecting (meanwhile)\n"


def test_a_cancelled_step_is_ended(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    step = install.RunningStep("Collecting", command, log=tmp_path / "log", folder=tmp_path)
    step.cancel()
    assert step.process.returncode == -15


def test_a_python_that_is_too_old_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install.sys, "version_info", (3, 10, 4))
    with pytest.raises(InstallProblem, match=r"needs Python 3\.11, 3\.12 or 3\.13, and this is 3\.10"):
        install.refuse_other_python()


def test_bin_up_without_a_python_says_so_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "up").write_text((ROOT / "bin" / "up").read_text())
    done = subprocess.run(
        ["/bin/bash", str(tmp_path / "bin" / "up")],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "needs Python 3.11, 3.12 or 3.13" in done.stderr.splitlines()[-1]


def test_what_is_installed_already_is_not_installed_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in install.LISTS.values():
        (tmp_path / name).write_text("django==5.2 --hash=x\n")
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "python").symlink_to(sys.executable)
    commands: list[str] = []
    monkeypatch.setattr(install, "ROOT", tmp_path)
    monkeypatch.setattr(install, "usable_uv", lambda: "uv")
    monkeypatch.setattr(install, "run_step", lambda title, command, **_: commands.append(title))
    install.install("serve")
    install.install("serve")
    assert commands == ["Installing 1 Python packages"]
    (tmp_path / "requirements-serve.txt").write_text("django==5.3 --hash=x\n")
    install.install("serve")
    assert len(commands) == 2
    install.install("all")
    (tmp_path / "requirements-serve.txt").write_text("django==5.4 --hash=x\n")
    install.install("serve")
    assert len(commands) == 3  # the whole set is there, and the serving one is part of it


@pytest.mark.parametrize(("working", "tried"), [(1, 1), (2, 2), (3, 3)])
def test_installing_goes_on_with_the_systems_certificates_and_then_with_pip(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, working: int, tried: int
) -> None:
    (tmp_path / "list").write_text("django==5.2 --hash=x\n")
    ran: list[tuple[str, bool]] = []

    def run(title: str, command: list[object], environment: dict[str, str] | None = None) -> str:
        ran.append((str(command[0]), "UV_SYSTEM_CERTS" in (environment or {})))
        if len(ran) < working:
            raise InstallProblem(install.reason("invalid peer certificate: UnknownIssuer", tmp_path))
        return title

    monkeypatch.delenv("UV_SYSTEM_CERTS", raising=False)
    monkeypatch.setattr(install, "run_step", run)
    monkeypatch.setattr(install, "pip_command", lambda _: ["pip"])
    install.fill(tmp_path / ".venv", "uv", tmp_path / "list")
    assert ran == [("uv", False), ("uv", True), ("pip", False)][:tried]


def test_a_full_disk_is_not_tried_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "list").write_text("django==5.2 --hash=x\n")
    ran: list[str] = []

    def run(title: str, command: list[object], environment: dict[str, str] | None = None) -> str:
        ran.append(title)
        raise InstallProblem(install.reason("No space left on device", tmp_path))

    monkeypatch.setattr(install, "run_step", run)
    monkeypatch.setattr(install, "pip_command", lambda _: ["pip"])
    with pytest.raises(InstallProblem, match="The disk is full"):
        install.fill(tmp_path / ".venv", "uv", tmp_path / "list")
    assert len(ran) == 1


def test_npm_packages_fall_back_to_the_wheel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "package-lock.json").write_text("{}")
    (tmp_path / "node_modules").mkdir()
    ran: list[str] = []

    def broken_first(title: str, command: list[str], **_: object) -> str:
        ran.append(command[0])
        if command[0] == "npm":
            raise InstallProblem("it is too old")
        return ""

    monkeypatch.setattr(packages, "run_step", broken_first)
    monkeypatch.setattr(packages, "npm_commands", lambda: [["npm"], ["wheel", "npm-cli.js"]])
    packages.install_packages(tmp_path)
    assert ran == ["npm", "wheel"]
    packages.install_packages(tmp_path)
    assert len(ran) == 2
    packages.install_packages(tmp_path, for_tests=True)
    assert len(ran) == 4
    packages.install_packages(tmp_path)
    assert len(ran) == 4


def test_the_wheel_brings_an_npm_that_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages.shutil, "which", lambda _: None)
    [command] = packages.npm_commands()
    done = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
    assert re.match(r"\d+\.\d+", done.stdout)


def test_a_browser_that_does_not_run_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shim = tmp_path / "chromium"
    shim.write_text("#!/bin/sh\nexit 127\n")
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CHROMIUM", raising=False)
    monkeypatch.setattr(browser, "PACKAGED", tmp_path / "none")
    assert browser.find() is None
    shim.write_text("#!/bin/sh\nexit 0\n")
    found = browser.find()
    assert found is not None
    assert found.path == str(shim)
    assert browser.exports(browser.Browser("/a b", ("--x", "--y"))) == (
        "export CHROMIUM='/a b'\nexport CHROMIUM_ARGUMENTS='--x --y'"
    )
