"""Mails where there is no mail server."""

import os

from django.core.mail.backends import filebased


class PrivateFolder(filebased.EmailBackend):
    """Mails hold links that let people in, so no other account of the machine may read them."""

    def open(self) -> bool:
        if self.stream is not None:
            return False
        self.stream = os.fdopen(os.open(self._get_filename(), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab")
        return True
