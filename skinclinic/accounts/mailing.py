"""Mails that are asked for by somebody who is not signed in: neither a page nor its time tells whether one goes out."""

import logging
import smtplib
from concurrent.futures import ThreadPoolExecutor

from django.core.mail import EmailMessage

logger = logging.getLogger(__name__)
# One at a time: who asks for many waits for her own. Its thread begins with the first mail, after gunicorn has forked.
postman = ThreadPoolExecutor(max_workers=1, thread_name_prefix="mail")


def send_beside(message: EmailMessage) -> None:
    """The request writes nothing that such a mail tells of, so it need not wait for a commit."""
    postman.submit(deliver, message)


def deliver(message: EmailMessage) -> None:
    """Whoever gets none asks again."""
    try:
        message.send()
    except (OSError, smtplib.SMTPException):
        logger.exception("A mail that was asked for at the sign-in could not be sent")
