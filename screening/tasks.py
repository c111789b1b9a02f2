"""Celery's side: names, limits and ids. What is done stands in the services."""

from uuid import UUID

from celery import shared_task

from screening.services import erasing, figures, holding, importing, ledger, notices, queue, readings
from skinclinic.locks import do_alone, only_one


@shared_task
def read_photograph_task(screening_id: str, clinic_id: str) -> None:
    readings.read_photograph(screening_id=UUID(screening_id), clinic_id=UUID(clinic_id))


@shared_task
def sweep_readings_task() -> None:
    do_alone("sweep-readings", readings.sweep_readings)


@shared_task
def sweep_signatures_task() -> None:
    do_alone("sweep-signatures", holding.sweep_signatures)


@shared_task
def sweep_notices_task() -> None:
    do_alone("sweep-notices", notices.sweep_notices)


@shared_task(soft_time_limit=300, time_limit=330)
def import_patient_task(batch_id: str, clinic_id: str) -> None:
    """One patient, then a message for the next: readings of the day come in between."""
    batch, clinic = UUID(batch_id), UUID(clinic_id)
    with only_one(f"import-{batch}") as mine:
        goes_on = mine and importing.import_next(batch_id=batch, clinic_id=clinic)
    if goes_on:
        queue.send(batch, clinic, task=queue.IMPORT)


@shared_task
def sweep_imports_task() -> None:
    do_alone("sweep-imports", importing.sweep_imports)


@shared_task(soft_time_limit=300, time_limit=330)
def sweep_figures_task() -> None:
    do_alone("sweep-figures", figures.sweep_figures)


@shared_task(soft_time_limit=1800, time_limit=1830)
def sweep_ledger_task() -> None:
    do_alone("sweep-ledger", ledger.sweep_verifications)


@shared_task(soft_time_limit=300, time_limit=330)
def erase_files_task(erasure_id: str, clinic_id: str) -> None:
    """Some of them, then a message for the next."""
    erasure, clinic = UUID(erasure_id), UUID(clinic_id)
    with only_one(f"erasure-{erasure}") as mine:
        goes_on = mine and erasing.erase_files(erasure_id=erasure, clinic_id=clinic)
    if goes_on:
        queue.send(erasure, clinic, task=queue.ERASE)


@shared_task
def sweep_erasures_task() -> None:
    do_alone("sweep-erasures", erasing.sweep_erasures)
