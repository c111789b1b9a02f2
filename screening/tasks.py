"""Celery's side: names, limits and ids. What is done stands in the services."""

from uuid import UUID

from celery import shared_task

from screening.services import holding, notices, readings
from skinclinic.locks import only_one


@shared_task
def read_photograph_task(screening_id: str, clinic_id: str) -> None:
    readings.read_photograph(screening_id=UUID(screening_id), clinic_id=UUID(clinic_id))


@shared_task
def sweep_readings_task() -> None:
    with only_one("sweep-readings") as mine:
        if mine:
            readings.sweep_readings()


@shared_task
def sweep_signatures_task() -> None:
    with only_one("sweep-signatures") as mine:
        if mine:
            holding.sweep_signatures()


@shared_task
def sweep_notices_task() -> None:
    with only_one("sweep-notices") as mine:
        if mine:
            notices.sweep_notices()
