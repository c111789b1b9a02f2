"""The supervisor in a process of its own, with small programs under it and real signals."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from skinclinic.embedded import processes
from skinclinic.env import ROOT

SCRIPT = textwrap.dedent(
    """
    import json, sys
    from pathlib import Path
    from skinclinic.embedded.supervisor import Program, Supervisor

    local, programs = Path(sys.argv[1]), json.loads(sys.argv[2])
    with Supervisor(lambda sentence: print(sentence, flush=True)) as supervisor:
        for name, code in programs.items():
            command = [sys.executable, "-c", code, str(local)]
            supervisor.start(name, Program(name, command, local=local, folder=local, environment={}, patience=3))
        print("watching", flush=True)
        supervisor.watch()
        print("ending", flush=True)
    print("ended", flush=True)
    """
)
SLEEPER = "import time; time.sleep(600)"
# Says when it ended, and takes a moment to do so.
POLITE = """
import pathlib, signal, sys, time
local = pathlib.Path(sys.argv[1])
def end(number, frame):
    time.sleep(0.2)
    with open(local / "ended", "a") as file:
        file.write("{name} ")
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
(local / "{name} is up").touch()
time.sleep(600)
"""
STUBBORN = """
import pathlib, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", sys.argv[1]])
(pathlib.Path(sys.argv[1]) / "stubborn is up").touch()
time.sleep(600)
"""


class Run:
    """A running supervisor; `said` is everything that it has printed so far."""

    def __init__(self, local: Path, programs: dict[str, str]) -> None:
        self.local = local
        self.output = local / "said"
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-c", SCRIPT, str(local), json.dumps(programs)],
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )
        wait_for(lambda: "watching" in self.said)

    @property
    def said(self) -> str:
        return self.output.read_text()

    def pid(self, name: str) -> int:
        return int((self.local / "run" / f"{name}.pid").read_text())

    def left_behind(self) -> list[int]:
        """Processes whose command line names our folder."""
        listing = subprocess.run(["ps", "-eo", "pid=,args=", "-ww"], check=True, capture_output=True, text=True).stdout
        return [int(line.split()[0]) for line in listing.splitlines() if str(self.local) in line]


def wait_for(condition: Callable[[], bool], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Callable[[dict[str, str]], Run]]:
    runs: list[Run] = []

    def begin(programs: dict[str, str]) -> Run:
        runs.append(Run(tmp_path, programs))
        return runs[-1]

    yield begin
    for each in runs:
        each.process.kill()
        each.process.wait()
        for pid in each.left_behind():
            os.kill(pid, signal.SIGKILL)


def test_a_killed_program_is_started_again_and_said_aloud(run: Callable[[dict[str, str]], Run]) -> None:
    running = run({"worker": SLEEPER, "web": SLEEPER})
    worker, web = running.pid("worker"), running.pid("web")
    os.kill(worker, signal.SIGKILL)
    wait_for(lambda: running.pid("worker") != worker)
    assert "worker was killed (signal 9); it starts again in 1 s." in running.said
    assert running.pid("web") == web
    assert processes.runs_with(running.pid("worker"), str(running.local))


def test_a_program_that_keeps_failing_is_tried_less_and_less_often(run: Callable[[dict[str, str]], Run]) -> None:
    running = run({"worker": "print('There is no model.'); raise SystemExit(78)"})
    wait_for(lambda: "in 4 s" in running.said)
    assert [line.rpartition(" in ")[2][:3] for line in running.said.splitlines() if "by itself" in line] == [
        "1 s",
        "2 s",
        "4 s",
    ]
    assert "ended by itself (There is no model.)" in running.said


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_everything_in_order(run: Callable[[dict[str, str]], Run], number: signal.Signals) -> None:
    names = ["worker", "beat", "web"]
    running = run({name: POLITE.replace("{name}", name) for name in names})
    wait_for(lambda: all((running.local / f"{name} is up").exists() for name in names))
    running.process.send_signal(number)
    assert running.process.wait(15) == 0
    assert (running.local / "ended").read_text().split() == ["web", "beat", "worker"]
    assert running.left_behind() == []
    assert running.said.split() == ["watching", "ending", "ended"]


def test_a_program_that_will_not_end_is_killed_with_its_children(run: Callable[[dict[str, str]], Run]) -> None:
    running = run({"stubborn": STUBBORN})
    wait_for((running.local / "stubborn is up").exists)
    assert len(running.left_behind()) == 3
    running.process.terminate()
    assert running.process.wait(15) == 0
    assert running.left_behind() == []


def test_asking_twice_hurries(run: Callable[[dict[str, str]], Run]) -> None:
    running = run({"stubborn": STUBBORN})
    wait_for((running.local / "stubborn is up").exists)
    running.process.terminate()
    wait_for(lambda: "ending" in running.said)
    began = time.monotonic()
    running.process.terminate()
    assert running.process.wait(15) == 0
    assert time.monotonic() - began < 2.5
    assert running.left_behind() == []


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children that their parent has died")
def test_a_killed_supervisor_leaves_nobody_behind(run: Callable[[dict[str, str]], Run]) -> None:
    running = run({"worker": SLEEPER, "web": SLEEPER})
    running.process.kill()
    running.process.wait()
    wait_for(lambda: running.left_behind() == [])


def test_a_program_left_behind_is_ended_at_the_next_start(run: Callable[[dict[str, str]], Run], tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    orphan = subprocess.Popen([sys.executable, "-c", SLEEPER, str(tmp_path)])
    (tmp_path / "run" / "worker.pid").write_text(str(orphan.pid))
    run({"worker": SLEEPER})
    assert orphan.wait(15) == -signal.SIGTERM


def test_a_stranger_with_the_number_of_a_program_is_left_alone(
    run: Callable[[dict[str, str]], Run], tmp_path: Path
) -> None:
    (tmp_path / "run").mkdir()
    stranger = subprocess.Popen(["sleep", "600"])
    try:
        (tmp_path / "run" / "worker.pid").write_text(str(stranger.pid))
        run({"worker": SLEEPER})
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()
