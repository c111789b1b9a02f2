"""Secrets of endpoints, and what messages are signed with (Standard Webhooks, symmetric)."""

import base64
import hashlib
import hmac
import secrets

from cryptography.fernet import Fernet, MultiFernet
from django.conf import settings

PREFIX = "whsec_"
SECRET_BYTES = 32  # the standard asks for 24 to 64


def make_secret() -> str:
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def encrypt(secret: str) -> str:
    return cipher().encrypt(secret.encode()).decode()


def decrypt(kept: str) -> str:
    """Raises cryptography.fernet.InvalidToken where SECRET_KEY is another one by now."""
    return cipher().decrypt(kept.encode()).decode()


def cipher() -> MultiFernet:
    return MultiFernet([Fernet(key_from(key)) for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)])


def key_from(secret: str) -> bytes:
    """A key of its own, so that a leak of one use of SECRET_KEY is none of the other."""
    return base64.urlsafe_b64encode(hashlib.sha256(b"skinclinic.webhooks:" + secret.encode()).digest())


def signature(secret: str, *, message_id: str, timestamp: int, body: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(PREFIX))
    digest = hmac.digest(key, f"{message_id}.{timestamp}.".encode() + body, "sha256")
    return f"v1,{base64.b64encode(digest).decode()}"
