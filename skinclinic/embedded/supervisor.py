"""Keeps servers and programs running, says aloud when one had to be started again, and ends them in order."""

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Protocol, Self

from skinclinic.embedded import processes
from skinclinic.embedded.keeping import write_private
from skinclinic.embedded.problems import EmbeddedProblem

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
LONGEST_QUOTE = 200
STEADY_AFTER = 60.0  # seconds of running after which an earlier crash is forgotten
ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Unit(Protocol):
    """A server or a program that can be looked after."""

    log: Path

    @property
    def running(self) -> bool: ...
    @property
    def exit_code(self) -> int | None: ...
    def start(self) -> None: ...
    def stop(self) -> None: ...
    def kill(self) -> None: ...


class Program:
    """A process of ours: web, worker or beat. `patience`: seconds it may take to end after SIGTERM."""

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        local: Path,
        folder: Path,
        environment: Mapping[str, str],
        patience: float = 15.0,
        pass_fds: Sequence[int] = (),
    ) -> None:
        self.name, self.command, self.folder = name, command, folder
        self.log = local / "logs" / f"{name}.log"
        self.environment = {**environment, "PROCESS_NAME": name}
        self.patience, self.pass_fds = patience, pass_fds
        self.process: subprocess.Popen[bytes] | None = None
        self._pid_file = local / "run" / f"{name}.pid"

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def exit_code(self) -> int | None:
        return self.process.poll() if self.process else None

    def start(self) -> None:
        self.kill()
        self._end_orphan()
        self.process = processes.spawn(
            self.command,
            log=self.log,
            folder=self.folder,
            environment=self.environment,
            pass_fds=self.pass_fds,
            signal_if_orphaned=signal.SIGTERM,
        )
        write_private(self._pid_file, f"{self.process.pid}")

    def stop(self) -> None:
        if self.process is not None:
            processes.end(self.process, (signal.SIGTERM, self.patience))
            processes.kill_session(self.process.pid)
            self.process = None
        self._pid_file.unlink(missing_ok=True)

    def kill(self) -> None:
        """At once, with its own children: those of a worker outlive it otherwise and go on taking tasks."""
        if self.process is not None:
            processes.kill_session(self.process.pid)
            self.process.wait()
            self.process = None

    def _end_orphan(self) -> None:
        self._pid_file.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError, ValueError):
            orphan = int(self._pid_file.read_text())
            processes.end_orphan(orphan, str(self.command[0]), signal.SIGTERM, self.patience)


@dataclass
class Watched:
    """One unit, and how it has fared."""

    name: str
    unit: Unit
    started_at: float = 0.0
    failures: int = 0
    start_again_at: float | None = None
    told_last_time: bool = False


class Supervisor:
    """`start` units; they end in the order of the names in `ending`, the others after those, backwards.

    `watch` returns when Ctrl-C, SIGTERM or SIGHUP asks for the end; a second one makes `end` impatient.
    """

    def __init__(self, say: Callable[[str], None], ending: Sequence[str] = ()) -> None:
        self.say, self.ending = say, ending
        self.watched: list[Watched] = []
        self._phase = "starting"
        self._before: dict[signal.Signals, object] = {}
        self._bell, self._bell_rope = os.pipe()

    def __enter__(self) -> Self:
        os.set_blocking(self._bell, False)
        os.set_blocking(self._bell_rope, False)
        signal.set_wakeup_fd(self._bell_rope, warn_on_full_buffer=False)
        for number in ENDING_SIGNALS:
            self._before[number] = signal.signal(number, self._asked_to_end)
        # Only a signal with a handler rings the bell: so a death is noticed at once, without asking all the time.
        self._before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.end()
        finally:
            for number, handler in self._before.items():
                signal.signal(number, handler)  # type: ignore[arg-type]
            signal.set_wakeup_fd(-1)
            os.close(self._bell)
            os.close(self._bell_rope)

    def start(self, name: str, unit: Unit) -> None:
        """Start it and look after it from now on."""
        self.watched.append(Watched(name, unit, started_at=time.monotonic()))
        unit.start()

    def watch(self) -> None:
        if self._phase == "starting":
            self._phase = "watching"
        while self._phase == "watching":
            for watched in self.watched:
                self._look_after(watched)
            self._rest()

    def wait_until(self, ready: Callable[[], bool], seconds: float) -> bool:
        """Look after everything until `ready()`; False if it takes longer than that, or somebody asks for the end."""
        deadline = time.monotonic() + seconds
        while not ready():
            if time.monotonic() > deadline:
                return False
            for watched in self.watched:
                self._look_after(watched)
            time.sleep(0.1)
        return True

    def end(self) -> None:
        """Each while it can still reach what it stands on; the worker finishes what it is reading."""
        self._phase = "ending"
        places = {name: place for place, name in enumerate(self.ending)}
        backwards = list(reversed(self.watched))
        for watched in sorted(backwards, key=lambda watched: places.get(watched.name, len(places))):
            try:
                watched.unit.stop()
            except (EmbeddedProblem, OSError) as problem:
                self.say(f"{watched.name} could not be ended properly: {problem}")
        self.watched.clear()

    def _look_after(self, watched: Watched) -> None:
        now = time.monotonic()
        if watched.unit.running:
            if watched.failures and now - watched.started_at > STEADY_AFTER:
                watched.failures, watched.told_last_time = 0, False
                self.say(f"{watched.name} runs again.")
        elif watched.start_again_at is None:
            pause = min(FIRST_PAUSE * 2**watched.failures, LONGEST_PAUSE)
            watched.failures += 1
            watched.start_again_at = now + pause
            self._tell_of_failure(watched, pause)
        elif now >= watched.start_again_at:
            self._start_again(watched)

    def _tell_of_failure(self, watched: Watched, pause: float) -> None:
        """Once the pauses grow no longer, once is enough: the screen above should stay in sight."""
        ended = f"{watched.name} {how_it_ended(watched.unit)}"
        if pause < LONGEST_PAUSE:
            self.say(f"{ended}; it starts again in {pause:.0f} s. See {watched.unit.log}.")
        elif not watched.told_last_time:
            self.say(f"{ended}; from now on it is tried every {pause:.0f} s. See {watched.unit.log}.")
            watched.told_last_time = True

    def _start_again(self, watched: Watched) -> None:
        watched.start_again_at, watched.started_at = None, time.monotonic()
        try:
            watched.unit.start()
        except (EmbeddedProblem, OSError) as problem:
            self.say(str(problem))

    def _rest(self) -> None:
        """Until a signal rings, or a start is due."""
        due = [watched.start_again_at for watched in self.watched if watched.start_again_at is not None]
        patience = max(0.05, min([5.0, *(moment - time.monotonic() for moment in due)]))
        if select.select([self._bell], [], [], patience)[0]:
            with suppress(BlockingIOError):
                os.read(self._bell, 1024)

    def _asked_to_end(self, number: int, frame: FrameType | None) -> None:
        if self._phase == "starting":
            raise KeyboardInterrupt
        if self._phase == "ending":
            self._hurry()
        self._phase = "ending"

    def _hurry(self) -> None:
        """Asked twice: what is still running of the programs is killed; the servers end fast in any case."""
        for watched in self.watched:
            if isinstance(watched.unit, Program) and watched.unit.process is not None:
                processes.kill_session(watched.unit.process.pid)


def how_it_ended(unit: Unit) -> str:
    """In words; the last line of the log only where the unit itself gave up, for then it says why."""
    code = unit.exit_code or 0
    if code < 0:
        return f"was killed (signal {-code})"
    said = (processes.last_lines(unit.log, 1) or [""])[0].strip()[:LONGEST_QUOTE]
    return f"ended by itself ({said})" if code and said else "ended by itself"


def python_module(*arguments: str) -> list[str]:
    return [sys.executable, "-m", *arguments]
