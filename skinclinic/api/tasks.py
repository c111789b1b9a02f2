"""Celery's side of the API."""

from celery import shared_task

from skinclinic.accounts.models import Clinic
from skinclinic.api.idempotency import sweep_answers
from skinclinic.audit.acting import acting, system
from skinclinic.locks import next_in_spite_of_it, only_one


@shared_task
def sweep_answers_task() -> None:
    with only_one("sweep-answers") as mine:
        if not mine:
            return
        with acting(system()):
            clinics = list(Clinic.objects.all())
        for clinic in clinics:
            with next_in_spite_of_it("stored answers", clinic), acting(system(clinic_id=clinic.pk)) as actor:
                sweep_answers(actor)
