"""Where servers live and as whom they run.

Postgres refuses to run as root, so root starts the servers as `nobody`; that user must be able to reach the programs
and the data, neither of which it can inside a home folder that is closed to others.
"""

import fcntl
import os
import pwd
import secrets
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from skinclinic.embedded.problems import EmbeddedProblem, FolderTaken

SYSTEM_FOLDER = Path("/var/lib/skinclinic")
UNPRIVILEGED = "nobody"
MEMORY, ROOM = Path("/dev/shm"), 4_000_000_000  # noqa: S108
OWNER_ONLY, TRAVERSABLE, READABLE = 0o700, 0o711, 0o755


@dataclass(frozen=True)
class ServiceUser:
    """The unprivileged user that root starts servers as."""

    uid: int
    gid: int

    def popen_options(self) -> dict[str, Any]:
        return {"user": self.uid, "group": self.gid, "extra_groups": []}


def service_user() -> ServiceUser | None:
    """None for an ordinary user, who runs the servers herself."""
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam(UNPRIVILEGED)
    except KeyError as error:
        raise EmbeddedProblem(
            f"Postgres does not run as root and this machine has no user named {UNPRIVILEGED}; start as another user."
        ) from error
    return ServiceUser(entry.pw_uid, entry.pw_gid)


def reachable(path: Path, user: ServiceUser | None) -> bool:
    """Can the service user enter the folder (or run the program)? Asked of the system, as that user."""
    if user is None:
        return os.access(path, os.X_OK)
    return subprocess.run(["test", "-x", str(path)], check=False, cwd="/", **user.popen_options()).returncode == 0


def refuse_unreachable(folder: Path, user: ServiceUser | None) -> None:
    if not reachable(folder, user):
        raise EmbeddedProblem(
            f"Servers started by root run as {UNPRIVILEGED}, who cannot reach {folder}; use a folder outside of a "
            "closed home folder."
        )


def make_folder(folder: Path, user: ServiceUser | None, mode: int = OWNER_ONLY) -> Path:
    """A folder that belongs to the service user."""
    folder.mkdir(parents=True, exist_ok=True)
    if user is not None:
        hand_over(folder, user)
    folder.chmod(mode)
    return folder


def make_private_folder(folder: Path, user: ServiceUser | None) -> Path:
    """The same, where everybody may write: one that a stranger made first is refused."""
    try:
        folder.mkdir(mode=OWNER_ONLY)
    except FileExistsError:
        found, owners = folder.lstat(), {os.geteuid()} | ({user.uid} if user else set())
        if not stat.S_ISDIR(found.st_mode) or found.st_uid not in owners:
            raise EmbeddedProblem(f"{folder} belongs to somebody else; remove it and start again.") from None
    return make_folder(folder, user)


def hand_over(path: Path, user: ServiceUser) -> None:
    os.chown(path, user.uid, user.gid)


def servers_folder(local: Path) -> Path:
    """The folder for the servers' data: inside `local`, or, for root in a closed checkout, one that it links to.

    The link is part of the checkout: a second clone in the same place begins afresh, a moved one keeps its data.
    """
    user, folder = service_user(), local / "servers"
    local.mkdir(parents=True, exist_ok=True)
    local.chmod(OWNER_ONLY if user is None else TRAVERSABLE)
    if folder.is_symlink() and not folder.exists():
        raise EmbeddedProblem(f"{folder} points at {folder.readlink()}, which is gone; put that back or remove both.")
    if not folder.exists() and not reachable(local, user):
        elsewhere = SYSTEM_FOLDER / f"{local.resolve().parent.name}-{secrets.token_hex(4)}"
        elsewhere.mkdir(parents=True, mode=READABLE)
        folder.symlink_to(elsewhere)
    folder.mkdir(exist_ok=True)
    folder.chmod(OWNER_ONLY if user is None else TRAVERSABLE)
    return folder.resolve()


def has_room(folder: Path) -> bool:
    """A container's has 64 MB, unless it is told otherwise."""
    return folder.is_dir() and shutil.disk_usage(folder).free > ROOM


@contextmanager
def temporary_folder(*, in_memory: bool = False) -> Iterator[Path]:
    """A throw-away folder that the service user can reach; pytest's `tmp_path` of root is closed to it.

    in_memory: where the machine has room for it there; a database for each test writes a lot.
    """
    folder = Path(tempfile.mkdtemp(prefix="skinclinic-", dir=MEMORY if in_memory and has_room(MEMORY) else None))
    folder.chmod(TRAVERSABLE)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def programs(sources: list[Path], label: str) -> Path:
    """The folder that holds `sources` side by side, where the service user can run them: a copy if need be.

    `label` names the version, so that a new one gets a copy of its own. The programs look for their libraries
    beside themselves, so what belongs together is copied together.
    """
    user = service_user()
    if user is None:
        return sources[0].parent
    copy = SYSTEM_FOLDER / "programs" / label
    if not copy.is_dir():
        copy.parent.mkdir(parents=True, exist_ok=True, mode=READABLE)
        half_made = Path(tempfile.mkdtemp(dir=copy.parent))
        for source in sources:
            shutil.copytree(
                source,
                half_made / source.name,
                ignore=shutil.ignore_patterns("include", "*.a", "*.pyc"),
            )
        open_to_all(half_made)
        move_unless_there(half_made, copy)
    refuse_unreachable(copy, user)
    return copy


def open_to_all(folder: Path) -> None:
    for path in [folder, *folder.rglob("*")]:
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | (0o555 if path.is_dir() else 0o444))


def move_unless_there(source: Path, target: Path) -> None:
    """Two starters may copy at once; whoever comes second throws hers away."""
    try:
        source.rename(target)
    except OSError:
        shutil.rmtree(source)
        if not target.is_dir():
            raise


class FolderLock:
    """One server a folder. The lock ends with the process that holds it, however that ends."""

    def __init__(self, server: str, folder: Path) -> None:
        self.server, self.folder = server, folder
        self._file: IO[str] | None = None

    def acquire(self) -> None:
        file = (self.folder / "lock").open("a+", encoding="utf-8")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            holder = file.read().strip()
            file.close()
            raise FolderTaken(self.server, self.folder, holder) from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        self._file = file

    def release(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
