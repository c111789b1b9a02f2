"""Keys of ours as DICOM's unique identifiers (PS3.5 B.2: a UUID as a whole number under 2.25)."""

from uuid import UUID

ROOT = "2.25."


def uid_of(key: UUID) -> str:
    return f"{ROOT}{key.int}"


def key_in(uid: str) -> UUID | None:
    """The key that was made this identifier, if it may be one of ours."""
    if not uid.startswith(ROOT):
        return None
    try:
        return UUID(int=int(uid.removeprefix(ROOT)))
    except ValueError:
        return None
