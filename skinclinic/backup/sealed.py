"""How a back-up lies in its file: sealed with AES-256-GCM in chunks, so that it is written and read as a stream.

    MAGIC | salt (32 bytes) | key check (8) | length of the sealed notes (4) | sealed notes | sealed chunks

Each file has a key of its own (HKDF-SHA256 of the key and the salt). A nonce is a number (11 bytes) and whether this is
the last chunk (1 byte); the notes have number 0. What stands before the notes is authenticated with each. So nothing
opens that was changed, moved, left out or added, and a file that was cut short has no last chunk. (The STREAM
construction of Hoang, Reyhanitabar, Rogaway and Vizár, in the form that `age` gave it.)
"""

import hmac
import os
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from skinclinic.errors import ClinicError

MAGIC = b"skinclinic backup 1\n"
SALT, CHECK, LENGTH = 32, 8, 4
HEAD = len(MAGIC) + SALT + CHECK + LENGTH
CHUNK, TAG = 2**20, 16
MOST_NOTES = 2**20

Progress = Callable[[int], None]


class BackupUnreadable(ClinicError):
    """The file cannot be opened."""


class NoBackup(BackupUnreadable):
    def __init__(self) -> None:
        super().__init__("This file is no back-up of a clinic, or its first bytes were changed.")


class OtherKey(BackupUnreadable):
    def __init__(self) -> None:
        super().__init__("This back-up was sealed with another key than BACKUP_KEY, or its first bytes were changed.")


class Damaged(BackupUnreadable):
    """`offset`: of the first chunk that is not what was written."""

    def __init__(self, offset: int):
        super().__init__(f"This back-up was changed or cut short, at byte {offset} or after it. Use another copy.")


@dataclass(frozen=True)
class FileCipher:
    """The cipher of one file; `head` is what stands before its notes."""

    head: bytes
    aead: AESGCM

    def seal(self, number: int, data: bytes, *, last: bool = False) -> bytes:
        return self.aead.encrypt(nonce(number, last), data, self.head)

    def open(self, number: int, sealed: bytes, *, last: bool = False) -> bytes:
        return self.aead.decrypt(nonce(number, last), sealed, self.head)


def nonce(number: int, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([last])


def derived(key: bytes, salt: bytes, purpose: bytes, length: int) -> bytes:
    return HKDF(SHA256(), length, salt, b"skinclinic backup 1 " + purpose).derive(key)


def file_cipher(key: bytes, salt: bytes, head: bytes) -> FileCipher:
    return FileCipher(head, AESGCM(derived(key, salt, b"chunks", 32)))


def seal_parts(*, parts: Iterator[bytes], notes: bytes, key: bytes, target: BinaryIO) -> int:
    """How many bytes were written. `parts`: of CHUNK bytes each but for the last; where they raise there is no last."""
    salt = secrets.token_bytes(SALT)
    length = (len(notes) + TAG).to_bytes(LENGTH, "big")
    head = MAGIC + salt + derived(key, salt, b"check", CHECK) + length
    cipher = file_cipher(key, salt, head)
    written = target.write(head) + target.write(cipher.seal(0, notes))
    number, held = 1, next(parts, b"")
    for part in parts:
        written += target.write(cipher.seal(number, held))
        number, held = number + 1, part
    return written + target.write(cipher.seal(number, held, last=True))


class SealedFile:
    """A back-up that is read, as often as need be. Raises BackupUnreadable, at once or on the way."""

    def __init__(self, file: BinaryIO, key: bytes):
        self.file = file
        file.seek(0)
        head = file.read(HEAD)
        if len(head) < HEAD or not head.startswith(MAGIC):
            raise NoBackup
        salt, check = head[len(MAGIC) : -LENGTH - CHECK], head[-LENGTH - CHECK : -LENGTH]
        if not hmac.compare_digest(check, derived(key, salt, b"check", CHECK)):
            raise OtherKey
        self.cipher = file_cipher(key, salt, head)
        self.notes = self._opened(0, file.read(min(int.from_bytes(head[-LENGTH:], "big"), MOST_NOTES)), at=HEAD)
        self.begins = file.tell()
        self.size = file.seek(0, os.SEEK_END)

    def parts(self, progress: Progress = lambda _: None) -> Iterator[bytes]:
        """What was sealed, from its beginning; `progress` is told how many bytes of the file were opened with each."""
        self.file.seek(self.begins)
        number, at, sealed = 1, self.begins, self.file.read(CHUNK + TAG)
        while True:
            following = self.file.read(CHUNK + TAG)
            yield self._opened(number, sealed, at=at, last=not following)
            progress(len(sealed))
            if not following:
                return
            number, at, sealed = number + 1, at + len(sealed), following

    def _opened(self, number: int, sealed: bytes, *, at: int, last: bool = False) -> bytes:
        try:
            return self.cipher.open(number, sealed, last=last)
        except InvalidTag as error:
            raise Damaged(at) from error
