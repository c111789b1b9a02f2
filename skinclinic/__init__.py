"""The clinic: wiring, and what the apps of patients and screenings stand on."""

from skinclinic.celery import app as celery_app

__all__ = ["celery_app"]
