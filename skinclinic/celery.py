"""The Celery application: the web sends with it, the workers and the beat run it."""

import logging
import os
import socket
import sys

from celery import Celery, states
from celery.signals import (
    beat_init,
    heartbeat_sent,
    task_postrun,
    task_prerun,
    worker_init,
    worker_process_init,
    worker_ready,
)
from django.db import close_old_connections, connections

from skinclinic.broker import forgive

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "skinclinic.settings")

app = Celery("skinclinic")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
forgive()
logger = logging.getLogger(__name__)
app.reads_with = ""  # the model that this worker has tried


@worker_init.connect
def refuse_to_start_without_a_model(**kwargs) -> None:
    """A worker that cannot read says so in one sentence and ends, before it takes any message.

    The model is tried and dropped again: what a parent holds, its children would share across the fork.
    """
    from ml.contract import ModelError
    from screening.reader import load_predictor
    from skinclinic.workers import say_refused

    try:
        app.reads_with = load_predictor().manifest.version
    except ModelError as error:
        say_refused(socket.gethostname(), str(error))
        print(f"The worker does not start: {error}", file=sys.stderr, flush=True)
        raise SystemExit(78) from None  # EX_CONFIG


@heartbeat_sent.connect
def answer_the_roll(**kwargs) -> None:
    from skinclinic.workers import say_alive

    say_alive(socket.gethostname(), os.getpid(), app.reads_with)


@beat_init.connect
def start_the_watch(**kwargs) -> None:
    from screening.watch import Watch

    Watch().start()


@worker_process_init.connect
def load_model(**kwargs) -> None:
    from screening.reader import register_installed, the_reader

    the_reader()
    register_installed()


@task_prerun.connect
def drop_old_connection(**kwargs) -> None:
    """As before a request: one that is too old is closed, and the next query asks first whether it still answers."""
    close_old_connections()


@task_postrun.connect
def drop_old_or_doubtful_connection(state: str, **kwargs) -> None:
    """As after a request; but a task that its time limit cut short may have left a query half answered."""
    if state == states.SUCCESS:
        close_old_connections()
    else:
        connections.close_all()


@worker_ready.connect
def say_ready(**kwargs) -> None:
    logger.info("The worker is ready.")
