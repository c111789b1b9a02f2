"""`bin/up`: the whole clinic on this machine, from servers to sign-ins."""

import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from rich.console import Console

from skinclinic import env
from skinclinic.embedded import place, ports, processes, screen
from skinclinic.embedded.install import InstallProblem, RunningStep, Step, run_step
from skinclinic.embedded.keeping import kept_secret, write_private
from skinclinic.embedded.packages import install_packages
from skinclinic.embedded.postgres import EmbeddedPostgres
from skinclinic.embedded.problems import DiskFull, EmbeddedProblem
from skinclinic.embedded.supervisor import Program, Supervisor, python_module
from skinclinic.embedded.valkey import EmbeddedValkey

ROOT = env.ROOT
LOCAL = Path(env.text("LOCAL_FOLDER", str(ROOT / ".local"))).expanduser().absolute()
STATIC = Path(env.text("STATIC_FOLDER", str(ROOT / "staticfiles"))).expanduser().absolute()
USUAL_PORT = 8000
LEAST_FREE_DISK = 300 * 2**20
SECONDS_FOR_WEB = 60.0
ENDING = ("web", "beat", "worker", "Valkey", "Postgres")
# Given with the command that wants it, rather than to the clinic as it starts.
HERS = ("BACKUP_KEY", "BACKUP_KEY_FILE")
PROGRAMS = (
    ("web", "8 threads; pages and API"),
    ("worker", "2 processes that read photographs"),
    ("beat", "sends what is due"),
)


@dataclass(frozen=True)
class Wishes:
    """What was asked for on the command line."""

    empty: bool = False
    demo: bool = False
    photos: Path | None = None
    port: int | None = None
    restore: Path | None = None
    erasures: Path | None = None


def up(wishes: Wishes, console: Console) -> None:
    """Start everything, show the screen, and stay until asked to end.

    Raises EmbeddedProblem, InstallProblem or EnvironmentProblem, with a sentence, when something stands in the way.
    """
    refuse_odd_addresses()
    refuse_full_disk()
    place.servers_folder(LOCAL)
    lock = place.FolderLock("The clinic", LOCAL)
    lock.acquire()
    try:
        begun = what_begins(wishes)
        with chosen_port(wishes.port) as listener, Supervisor(say, ENDING) as supervisor:
            run(supervisor, listener, begun, wishes, console)
    finally:
        (LOCAL / "running.json").unlink(missing_ok=True)
        lock.release()


def run(supervisor: Supervisor, listener: socket.socket, begun: str, wishes: Wishes, console: Console) -> None:
    environment = base_environment(listener.getsockname()[1], demo=begun == "demo")
    servers = place.servers_folder(LOCAL)
    parts = start_servers(supervisor, environment, servers)
    install_packages(ROOT, log=LOCAL / "logs" / "install.log")
    with collecting(environment):
        prepare_tables(environment, servers)
        sign_ins = seed(environment, wishes) if begun == "demo" else []
    write_private(beside_the_data() / "state.json", json.dumps({"begun": begun}))
    if wishes.restore:
        restore(wishes.restore, wishes.erasures, environment)
    start_programs(supervisor, environment, listener)
    write_private(LOCAL / "running.json", json.dumps({"pid": os.getpid(), "environment": environment}))
    screen.show(
        screen.Running(
            url=environment["SITE_URL"],
            parts=[*PROGRAMS, *parts],
            logs=LOCAL / "logs",
            mail=Path(environment.get("MAIL_FOLDER", LOCAL / "mail")),
            demo=begun == "demo",
            empty=begun == "empty" and answers(here(environment, "/welcome/")),
            sign_ins=sign_ins,
        ),
        console,
    )
    supervisor.watch()
    say("Ending: the web first, then the worker when it has finished what it is reading, then the servers.")
    supervisor.end()
    say("Everything has ended; the data stay. bin/up starts it again.")


def say(sentence: str) -> None:
    sys.stdout.write(f"{sentence}\n")
    sys.stdout.flush()


def refuse_odd_addresses() -> None:
    for name in ("DATABASE_URL", "DATABASE_OWNER_URL"):
        if address := env.text(name):
            env.database(address, name)
    env.url("REDIS_URL", schemes=env.REDIS_SCHEMES)


def refuse_full_disk() -> None:
    if shutil.disk_usage(ROOT).free < LEAST_FREE_DISK:
        raise DiskFull(ROOT)


def what_begins(wishes: Wishes) -> str:
    """ "demo", "empty" or "theirs" (servers of their own, which are never filled with a demo unasked).

    What began as one stays that: a demo is never put into a clinic, nor a clinic into a demo.
    """
    path = beside_the_data() / "state.json"
    before = json.loads(path.read_text())["begun"] if path.exists() else None
    begins_empty = wishes.empty or wishes.restore is not None
    if before == "demo" and begins_empty:
        raise EmbeddedProblem(
            f"There is a demo clinic here already; to begin an empty one, remove {LOCAL} with everything in it first."
        )
    if before in {"empty", "theirs"} and (wishes.demo or wishes.photos):
        raise EmbeddedProblem(
            "This clinic did not begin as a demo, and a demo is never put into it; use another clone."
        )
    if before:
        return cast("str", before)
    if begins_empty:
        return "empty"
    return "theirs" if env.text("DATABASE_URL") and not (wishes.demo or wishes.photos) else "demo"


def beside_the_data() -> Path:
    """The folder for what is known about a clinic: another database is another clinic."""
    address = env.text("DATABASE_URL")
    if address is None:
        return place.servers_folder(LOCAL)
    folder = LOCAL / f"database-{hashlib.sha256(where(address).encode()).hexdigest()[:12]}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def chosen_port(wanted: int | None) -> Iterator[socket.socket]:
    """The socket is held from now on, so that nobody takes the port during the slow steps."""
    asked_for = wanted or env.integer("PORT", 0, maximum=65_535)
    listener = ports.exactly(asked_for) if asked_for else ports.first_free(USUAL_PORT)
    with listener:
        port = listener.getsockname()[1]
        if not asked_for and port != USUAL_PORT:
            say(f"  Port {USUAL_PORT} is taken, so the portal is on port {port}.")
        listener.set_inheritable(True)
        yield listener


def base_environment(port: int, *, demo: bool) -> dict[str, str]:
    """What web, worker and beat are started with; whatever is set already stays as it is."""
    env.load_dotenv_once()
    address = f"http://{ports.LOOPBACK}:{port}"
    environment = {
        "SITE_URL": address,
        "ALLOWED_HOSTS": f"{ports.LOOPBACK},localhost",
        "MAIL_FOLDER": str(LOCAL / "mail"),
        "LOG_FORMAT": "lines",
        **os.environ,
        "PORT": str(port),
        "DEMO": "1" if demo else "0",
        "DJANGO_SETTINGS_MODULE": "skinclinic.settings",
        "PYTHONUNBUFFERED": "1",
    }
    if not env.text("SECRET_KEY"):
        environment["SECRET_KEY"] = kept_secret(LOCAL, "SECRET_KEY") + kept_secret(LOCAL, "SECRET_KEY_2")
    return environment


def start_servers(supervisor: Supervisor, environment: dict[str, str], folder: Path) -> list[tuple[str, str]]:
    """Ours, unless DATABASE_URL or REDIS_URL name others; their addresses go into `environment`."""
    parts = []
    if env.text("DATABASE_URL"):
        parts.append(("database", f"as DATABASE_URL says, at {where(env.secret('DATABASE_URL'))}"))
    else:
        postgres = EmbeddedPostgres(folder / "postgres", log=LOCAL / "logs" / "postgres.log")
        postgres.signal_if_orphaned = signal.SIGINT
        first = not postgres.data.exists()
        with announced("Making the database" if first else "Starting Postgres"):
            supervisor.start("Postgres", postgres)
        environment["DATABASE_URL"] = postgres.app_url()
        environment["DATABASE_OWNER_URL"] = postgres.owner_url()
        parts.append(("database", f"Postgres, its data in {postgres.data}"))
    if env.text("REDIS_URL"):
        parts.append(("queue", f"as REDIS_URL says, at {where(env.secret('REDIS_URL'))}"))
        return parts
    valkey = EmbeddedValkey(folder / "valkey", log=LOCAL / "logs" / "valkey.log")
    valkey.signal_if_orphaned = signal.SIGTERM
    with announced("Starting Valkey"):
        supervisor.start("Valkey", valkey)
    environment["REDIS_URL"] = valkey.url
    parts.append(("queue", f"Valkey on port {valkey.port} of this machine, its data in {valkey.data}"))
    return parts


def where(address: str) -> str:
    """Host and path of an address, without its password."""
    return address.rpartition("@")[2].rpartition("//")[2].partition("?")[0]


@contextmanager
def announced(title: str) -> Iterator[None]:
    step = Step(title)
    try:
        yield
    except BaseException:
        step.failed()
        raise
    step.done()


@contextmanager
def collecting(environment: Mapping[str, str]) -> Iterator[None]:
    """The pages' files are put together while the body does something else, unless they are as they were."""
    log = LOCAL / "logs" / "collect.log"
    command = [sys.executable, str(ROOT / "manage.py"), "collectstatic", "--noinput", "--clear", "-v0"]
    with done_once(STATIC / ".skinclinic-collected", static_files()) as to_do:
        step = RunningStep("Collecting the pages' files", command, log=log, environment=environment) if to_do else None
        try:
            yield
        except BaseException:
            if step:
                step.cancel()
            raise
        if step:
            step.finish()


def prepare_tables(environment: Mapping[str, str], servers: Path) -> None:
    """Roles and tables; nothing happens when nothing has changed."""
    log = LOCAL / "logs" / "prepare.log"
    if "DATABASE_OWNER_URL" not in environment:
        manage("Looking at the tables", ["migrate", "--check"], environment, log)
    elif env.text("DATABASE_URL"):
        manage("Preparing the tables", ["prepare_database", "-v0"], environment, log)
    else:
        # Beside our own data the note of what was done cannot be wrong: they go together.
        with done_once(servers / "postgres" / "prepared", table_files()) as to_do:
            if to_do:
                manage("Preparing the tables", ["prepare_database", "-v0"], environment, log)


@contextmanager
def done_once(stamp: Path, files: list[Path]) -> Iterator[bool]:
    """Is there anything to do? Not if these files are as they were when it was last done without an error."""
    digest = hashlib.sha256()
    for path in files:
        found = path.stat()
        digest.update(f"{path} {found.st_size} {found.st_mtime_ns}\n".encode())
    to_do = not stamp.exists() or stamp.read_text() != digest.hexdigest()
    yield to_do
    if to_do:
        stamp.write_text(digest.hexdigest())


def static_files() -> list[Path]:
    """Everything that `collectstatic` reads from the checkout, and the lists that pin the rest."""
    folders = [ROOT / "static", *(ROOT / app / "static" for app in ("skinclinic", "patients", "screening"))]
    own = sorted(path for folder in folders if folder.is_dir() for path in folder.rglob("*") if path.is_file())
    return [*own, ROOT / "package-lock.json", ROOT / "requirements-serve.txt", ROOT / "skinclinic" / "settings.py"]


def table_files() -> list[Path]:
    """Everything that says what the tables and roles are like."""
    apps = [ROOT / "skinclinic", ROOT / "patients", ROOT / "screening"]
    migrations = [path for app in apps for path in app.rglob("*.py") if "migrations" in path.parts]
    roles = [path for path in (ROOT / "skinclinic" / "audit").rglob("*") if path.suffix in {".py", ".sql"}]
    return sorted({*migrations, *roles, ROOT / "requirements-serve.txt"})


def manage(title: str, arguments: list[str], environment: Mapping[str, str], log: Path) -> str:
    """One of Django's commands as a step on the screen; what it prints is returned."""
    command = [sys.executable, str(ROOT / "manage.py"), *arguments]
    return run_step(title, command, log=log, environment={**environment, "PROCESS_NAME": "bin/up"})


def seed(environment: Mapping[str, str], wishes: Wishes) -> list[dict[str, Any]]:
    """The demo clinic's sign-ins. They are kept, readable by this user only, to be shown at every start."""
    path = beside_the_data() / "sign-ins.json"
    if path.exists():
        return cast("list[dict[str, Any]]", json.loads(path.read_text()))
    arguments = ["seed_demo", "--json", *(["--photos", str(wishes.photos)] if wishes.photos else [])]
    said = json.loads(manage("Making the demo clinic", arguments, environment, LOCAL / "logs" / "seed.log"))
    sign_ins: list[dict[str, Any]] = said["sign_ins"] if isinstance(said, dict) else said
    write_private(path, json.dumps(sign_ins, indent=1))
    return sign_ins


def restore(file: Path, erasures: Path | None, environment: Mapping[str, str]) -> None:
    """A back-up, before anything runs that would send or show what is in it; it says itself how far it is."""
    command = [sys.executable, "manage.py", "restore", str(file), *(["--erasures", str(erasures)] if erasures else [])]
    try:
        done = subprocess.run(command, cwd=ROOT, env=environment, check=False)
    except KeyboardInterrupt:
        raise EmbeddedProblem(
            "Stopped. Unless it says above that all is restored, give --restore again; without, an empty clinic begins."
        ) from None
    if done.returncode:
        raise EmbeddedProblem("The portal was not started: the back-up was not restored, or is not as it should be.")


def start_programs(supervisor: Supervisor, environment: Mapping[str, str], listener: socket.socket) -> None:
    """The web, and once it answers worker and beat. None of them gets the owner's address, or reads back-ups."""
    serving = {name: value for name, value in environment.items() if name not in {"DATABASE_OWNER_URL", *HERS}}
    gunicorn = python_module("gunicorn", "--config", "deploy/gunicorn.conf.py", "skinclinic.wsgi:application")
    celery = python_module("celery", "-A", "skinclinic")
    worker = [*celery, "worker", "-c", "2", "--loglevel", "WARNING", "--without-gossip", "--without-mingle"]
    beat = [*celery, "beat", "--loglevel", "WARNING", "--schedule", str(LOCAL / "beat-schedule"), "--pidfile="]

    def start(name: str, command: list[str], patience: float, *descriptors: int) -> None:
        program = Program(
            name,
            command,
            local=LOCAL,
            folder=ROOT,
            environment=serving,
            patience=patience,
            pass_fds=descriptors,
        )
        supervisor.start(name, program)

    with announced("Starting the portal"):
        start("web", [*gunicorn, "--bind", f"fd://{listener.fileno()}"], 20, listener.fileno())
        address = here(environment, "/healthz")
        if not supervisor.wait_until(lambda: answers(address), SECONDS_FOR_WEB):
            log = LOCAL / "logs" / "web.log"
            said = (processes.last_lines(log, 1) or ["nothing"])[0]
            raise EmbeddedProblem(f"The portal did not answer within {SECONDS_FOR_WEB:.0f} s ({said}); see {log}.")
    start("worker", worker, 30)
    start("beat", beat, 5)


def here(environment: Mapping[str, str], path: str) -> str:
    return f"http://{ports.LOOPBACK}:{environment['PORT']}{path}"


def answers(address: str) -> bool:
    # No proxy of the environment's has a say on this machine's own address.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(address, timeout=2) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def manage_running(arguments: list[str]) -> None:
    """`bin/up manage …`: one of Django's commands on the clinic that runs here; does not return."""
    path = LOCAL / "running.json"
    if not path.exists():
        raise EmbeddedProblem("The clinic is not running in this folder; start it with bin/up, then ask again.")
    environment = json.loads(path.read_text())["environment"]
    hers = {name: os.environ[name] for name in HERS if name in os.environ}
    if hers:
        environment = {name: value for name, value in environment.items() if name not in HERS} | hers
    os.chdir(ROOT)
    os.execve(sys.executable, [sys.executable, "manage.py", *arguments], environment)  # noqa: S606 -- what she typed


PROBLEMS = (EmbeddedProblem, InstallProblem, env.EnvironmentProblem)
