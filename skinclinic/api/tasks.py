"""Celery's side of the API."""

from celery import shared_task
from oauth2_provider.models import clear_expired

from skinclinic.accounts.models import Clinic
from skinclinic.api.idempotency import sweep_answers
from skinclinic.api.webhooks.sending import send_due
from skinclinic.audit.acting import acting, system
from skinclinic.locks import do_alone, next_in_spite_of_it


@shared_task
def sweep_answers_task() -> None:
    do_alone("sweep-answers", sweep_answers_and_tokens)


def sweep_answers_and_tokens() -> None:
    """Of each clinic, and tokens that have ended: a system may fetch one for each thing it asks."""
    with acting(system()):
        clinics = list(Clinic.objects.all())
    for clinic in clinics:
        with next_in_spite_of_it("stored answers", clinic), acting(system(clinic_id=clinic.pk)) as actor:
            sweep_answers(actor)
    clear_expired()


# A message that is under way is waited for, so the limits are longer than a receiver may take.
@shared_task(soft_time_limit=60, time_limit=75)
def send_webhooks_task() -> None:
    do_alone("send-webhooks", send_due)
