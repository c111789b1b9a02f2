"""The web's entry point for gunicorn."""

import ctypes
import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "skinclinic.settings")
M_ARENA_MAX = -8  # of glibc's mallopt(3)


def share_arena() -> None:
    """One arena for all threads: glibc gives each its own, and ten large photographs left 235 MB in place of 185."""
    if mallopt := getattr(ctypes.CDLL(None), "mallopt", None):
        mallopt(M_ARENA_MAX, 1)


share_arena()
application = get_wsgi_application()
