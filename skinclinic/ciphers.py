"""How secrets are kept: encrypted with keys made of SECRET_KEY, for each purpose another one."""

import base64
import hashlib

from cryptography.fernet import Fernet, MultiFernet
from django.conf import settings


def seal(purpose: str, secret: str) -> str:
    return cipher(purpose).encrypt(secret.encode()).decode()


def unseal(purpose: str, kept: str) -> str:
    """Raises cryptography.fernet.InvalidToken where SECRET_KEY is another one by now."""
    return cipher(purpose).decrypt(kept.encode()).decode()


def cipher(purpose: str) -> MultiFernet:
    keys = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    return MultiFernet([Fernet(key_from(purpose, key)) for key in keys])


def key_from(purpose: str, secret: str) -> bytes:
    """A key of its own, so that a leak of one use of SECRET_KEY is none of the other."""
    return base64.urlsafe_b64encode(hashlib.sha256(f"skinclinic.{purpose}:{secret}".encode()).digest())
