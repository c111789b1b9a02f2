"""Secrets of endpoints, and what messages are signed with (Standard Webhooks, symmetric)."""

import base64
import hmac
import secrets

from skinclinic.ciphers import seal, unseal

PURPOSE = "webhooks"
PREFIX = "whsec_"
SECRET_BYTES = 32  # the standard asks for 24 to 64


def make_secret() -> str:
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def encrypt(secret: str) -> str:
    return seal(PURPOSE, secret)


def decrypt(kept: str) -> str:
    """Raises cryptography.fernet.InvalidToken where SECRET_KEY is another one by now."""
    return unseal(PURPOSE, kept)


def signature(secret: str, *, message_id: str, timestamp: int, body: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(PREFIX))
    digest = hmac.digest(key, f"{message_id}.{timestamp}.".encode() + body, "sha256")
    return f"v1,{base64.b64encode(digest).decode()}"
