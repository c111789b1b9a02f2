"""The key that back-ups are sealed with: 32 random bytes, written in base64."""

import base64
import binascii
import secrets

from skinclinic import env
from skinclinic.errors import ClinicError

LENGTH = 32
LEAST_DISTINCT = 16  # that 32 random bytes are so few different ones happens to nobody
HOW = "Make one with `manage.py backup --new-key`."


class KeyUnfit(ClinicError):
    """There is no key, or none that would keep anybody out."""


def new_key() -> str:
    return base64.b64encode(secrets.token_bytes(LENGTH)).decode()


def backup_key() -> bytes:
    """Raises KeyUnfit; the sentences never repeat the key."""
    written = env.text("BACKUP_KEY", "").strip()
    if not written:
        raise KeyUnfit(f"Back-ups want a key: set BACKUP_KEY, or BACKUP_KEY_FILE to a file with it. {HOW}")
    try:
        key = base64.b64decode(written, altchars=b"-_" if set(written) & set("-_") else None, validate=True)
    except (binascii.Error, ValueError) as error:
        raise KeyUnfit(f"BACKUP_KEY is not base64. {HOW}") from error
    if len(key) != LENGTH:
        raise KeyUnfit(f"BACKUP_KEY holds {len(key)} bytes and must hold {LENGTH} random ones. {HOW}")
    if key.isascii() or len(set(key)) < LEAST_DISTINCT:
        raise KeyUnfit(f"BACKUP_KEY is not random, so that it could be guessed. {HOW}")
    return key
