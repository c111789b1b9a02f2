"""Verifying the ledger for those who asked on a page, and telling its head where nobody of this machine can write."""

import logging
import smtplib
from datetime import UTC, datetime

from django.conf import settings
from django.core.mail import send_mail
from django.db import IntegrityError, transaction
from django.template.loader import render_to_string
from django.utils import timezone

from skinclinic.accounts.models import Clinic, User
from skinclinic.audit.acting import acting, system
from skinclinic.audit.models import Seal, ToldHead, Verification
from skinclinic.audit.sealing import verify_as_asked
from skinclinic.events.models import EventType
from skinclinic.events.publish import publish
from skinclinic.locks import next_in_spite_of_it

logger = logging.getLogger(__name__)


def sweep_verifications() -> None:
    """What is not finished, whether nobody began it or its worker was lost."""
    with acting(system()):
        clinics = list(Clinic.objects.all())
    for clinic in clinics:
        with next_in_spite_of_it("verification of the ledger", clinic):
            with acting(system(clinic_id=clinic.pk)):
                asked = list(Verification.objects.running().values_list("pk", flat=True))
            for verification_id in asked:
                verify_as_asked(verification_id=verification_id, clinic_id=clinic.pk)


def tell_head() -> None:
    """Once a day (UTC), by the outbox of each clinic and by mail: only a head that is kept elsewhere shows a chain that
    was rewritten as a whole."""
    today = datetime.now(UTC).date()
    with acting(system()):
        told = ToldHead.objects.filter(day=today).first()
    if told is None and (last := Seal.objects.order_by("-number").first()):
        told = note_told(ToldHead(day=today, head=str(last)))
    if told and told.mailed_at is None and mail_head(told):
        with acting(system()):
            ToldHead.objects.filter(pk=told.pk).update(mailed_at=timezone.now())


def note_told(told: ToldHead) -> ToldHead | None:
    """With an event for each clinic in the same transaction. None where another process was first."""
    try:
        with transaction.atomic(), acting(system()):
            told.save(force_insert=True)
            for clinic in Clinic.objects.all():
                with acting(system(clinic_id=clinic.pk)):
                    publish(EventType.LEDGER_HEAD, clinic_id=clinic.pk, head=told.head)
    except IntegrityError:
        return None
    return told


def mail_head(told: ToldHead) -> bool:
    """To LEDGER_HEAD_TO and the operators. Whether that is done with: a mail server that is away is asked again, one
    that refuses is not. One mail to all, so that nobody has it twice where the server goes away meanwhile."""
    with acting(system()):
        operators = User.objects.filter(is_superuser=True, is_active=True).values_list("email", flat=True)
        recipients = sorted({*settings.LEDGER_HEAD_TO, *operators})
    text = render_to_string("audit/head_mail.txt", {"told": told, "address": settings.SITE_URL})
    try:
        send_mail(f"skinclinic: head of the ledger, {told.day}", text, settings.DEFAULT_FROM_EMAIL, recipients)
    except (smtplib.SMTPRecipientsRefused, smtplib.SMTPDataError, smtplib.SMTPSenderRefused) as refusal:
        logger.warning("The mail server refuses the ledger's head: %s", type(refusal).__name__)
    except (OSError, smtplib.SMTPException) as error:
        logger.warning("The head of the ledger could not be mailed: %s", type(error).__name__)
        return False
    return True
