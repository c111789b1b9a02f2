"""Starting and ending processes so that none is left behind."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from skinclinic.embedded.place import ServiceUser

LONGEST_LOG = 10 * 2**20
PR_SET_PDEATHSIG = 1


def spawn(
    command: Sequence[str | Path],
    *,
    log: Path,
    folder: Path,
    user: ServiceUser | None = None,
    environment: Mapping[str, str] | None = None,
    signal_if_orphaned: signal.Signals | None = None,
    pass_fds: Sequence[int] = (),
) -> "subprocess.Popen[bytes]":
    """Start a process in a session of its own (Ctrl-C reaches only us) with its output in `log`.

    With `signal_if_orphaned` the kernel sends it that signal when we die; ask for it only in the main thread of a
    process without other threads, since it is tied to the thread and needs a step between fork and exec.
    """
    options: dict[str, Any] = user.popen_options() if user else {}
    if signal_if_orphaned and sys.platform == "linux":
        options["preexec_fn"] = orphan_signal(signal_if_orphaned)
    make_room_in(log)
    with log.open("ab") as output:
        return subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env=dict(environment) if environment is not None else None,
            start_new_session=True,
            pass_fds=pass_fds,
            **options,
        )


def orphan_signal(number: signal.Signals) -> Callable[[], None]:
    prctl = ctypes.CDLL(None).prctl
    parent = os.getpid()

    def ask_the_kernel() -> None:
        prctl(PR_SET_PDEATHSIG, int(number), 0, 0, 0)
        if os.getppid() != parent:
            os.kill(os.getpid(), number)

    return ask_the_kernel


def make_room_in(log: Path) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists() and log.stat().st_size > LONGEST_LOG:
        log.replace(log.with_suffix(".old.log"))
    if not log.exists():
        os.close(os.open(log, os.O_CREAT | os.O_WRONLY, 0o600))


def last_lines(log: Path, count: int = 10) -> list[str]:
    if not log.exists():
        return []
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 16_384))
        return file.read().decode(errors="replace").splitlines()[-count:]


def end(process: "subprocess.Popen[bytes]", *steps: tuple[signal.Signals, float]) -> int:
    """Send each signal in turn and wait that many seconds for it; SIGKILL to the whole session is the last word."""
    for number, patience in steps:
        if process.poll() is None:
            process.send_signal(number)
            try:
                return process.wait(patience)
            except subprocess.TimeoutExpired:
                continue
    kill_session(process.pid)
    return process.wait()


def kill_session(leader: int) -> None:
    """SIGKILL for whatever is left of the group that `spawn` made for this process."""
    try:
        os.killpg(leader, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def runs_with(pid: int, mark: str) -> bool:
    """Is this process alive, and does its command line contain `mark`? A number may have gone to another program."""
    if not Path("/proc/self").exists():
        listing = subprocess.run(
            ["ps", "-o", "stat=,args=", "-ww", "-p", str(pid)],
            check=False,
            capture_output=True,
            text=True,
        ).stdout.strip()
        return bool(listing) and not listing.startswith("Z") and mark in listing
    try:
        # A zombie's command line is empty.
        return mark.encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def end_orphan(pid: int, mark: str, number: signal.Signals, patience: float = 20.0) -> None:
    """End a server that outlived the process which had started it."""
    deadline = time.monotonic() + patience
    asked = False
    while runs_with(pid, mark):
        late = time.monotonic() > deadline
        if not asked or late:
            os.kill(pid, signal.SIGKILL if late else number)
            asked = True
        time.sleep(0.1)
