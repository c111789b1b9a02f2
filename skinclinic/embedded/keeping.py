"""Passwords made once and kept beside the data they open."""

import json
import os
import secrets
from pathlib import Path


def kept_secret(folder: Path, name: str) -> str:
    """The secret called `name` in this folder; made, and written for its owner's eyes only, when first asked for."""
    path = folder / "secrets.json"
    known: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    if name not in known:
        known[name] = secrets.token_urlsafe(32)
        write_private(path, json.dumps(known, indent=1))
    return known[name]


def write_private(path: Path, content: str) -> None:
    """Replace the file in one step, readable by its owner only: a crash leaves the old or the new one."""
    half_written = path.with_suffix(f".{os.getpid()}")
    with os.fdopen(os.open(half_written, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    half_written.replace(path)
