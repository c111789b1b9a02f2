"""What can go wrong on one machine, said in sentences."""

import errno
from pathlib import Path

INSTEAD = "set DATABASE_URL and REDIS_URL to servers of your own"


class EmbeddedProblem(Exception):
    """Something on this machine stands in the way; the message says what, and what to do about it."""


class NoProgram(EmbeddedProblem):
    """There is no build of the server for this platform."""

    def __init__(self, server: str) -> None:
        super().__init__(f"There is no packaged {server} for this kind of machine; {INSTEAD}.")


class FolderTaken(EmbeddedProblem):
    """Another process runs a server on the same folder."""

    def __init__(self, server: str, folder: Path, holder: str) -> None:
        who = f"process {holder}" if holder else "another process"
        super().__init__(f"{server} is already running on {folder} ({who}); end that one first.")


class OtherVersion(EmbeddedProblem):
    """The data were made by a Postgres whose files this one cannot read."""

    def __init__(self, folder: Path, made_by: str, ours: str) -> None:
        super().__init__(
            f"The data in {folder} were made by Postgres {made_by} and this is Postgres {ours}; move that folder away "
            "to begin afresh, or run the version of this project that made it and take a back-up there."
        )


class ServerFailed(EmbeddedProblem):
    """The server ended, or did not answer in time."""

    def __init__(self, server: str, log: Path, reason: str = "") -> None:
        detail = f" ({reason})" if reason else ""
        super().__init__(f"{server} did not start{detail}; the end of {log} says why.")


class DiskFull(EmbeddedProblem):
    def __init__(self, folder: Path) -> None:
        super().__init__(f"The disk that holds {folder} is full; free some space and start again.")


def from_os_error(error: OSError, folder: Path) -> EmbeddedProblem:
    """The sentence for what the operating system refused."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return DiskFull(folder)
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        place = error.filename or folder
        return EmbeddedProblem(f"This user may not write to {place}; give it that right or use another folder.")
    return EmbeddedProblem(f"The operating system refused: {error.strerror or error} ({error.filename or folder}).")
