"""Celery's side of the accounts."""

from celery import shared_task

from skinclinic.accounts.oidc.ending import check_providers
from skinclinic.locks import do_alone


# A provider is waited for, so the limits are longer than it may take.
@shared_task(soft_time_limit=60, time_limit=75)
def check_providers_task() -> None:
    do_alone("check-providers", check_providers)
