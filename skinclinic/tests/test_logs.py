"""A log says what happened, by opaque keys, and quotes nobody."""

import json
import logging
import subprocess
import sys
from io import StringIO
from logging.config import dictConfig

import pytest
from django.conf import settings
from django.db import DataError, IntegrityError, connection, transaction
from django.test import Client

from skinclinic.accounts.models import User
from skinclinic.logs import Json, Lines, Plain, logging_settings

# Not one of the names for which the servers' logs are searched: Postgres itself quotes what it cannot cast.
NAME = "Josefa Sommerbottom"


@pytest.fixture(params=[Json, Lines])
def said(request):
    """What a logger of that name wrote, in either form."""
    stream = StringIO()
    handler = logging.StreamHandler(stream)
    handler.addFilter(Plain("tests"))
    handler.setFormatter(request.param())
    logging.getLogger().addHandler(handler)
    yield stream.getvalue
    logging.getLogger().removeHandler(handler)


def test_line_is_an_object_with_the_request_that_it_belongs_to(db, monkeypatch):
    stream = StringIO()
    handler = logging.StreamHandler(stream)
    handler.addFilter(Plain("web"))
    handler.setFormatter(Json())
    logger = logging.getLogger("skinclinic.tests")
    logger.addHandler(handler)
    monkeypatch.setattr("skinclinic.health.answer", lambda *args, **kwargs: logger.warning("Slow") or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        Client().get("/readyz", headers={"X-Request-Id": "given-by-the-proxy"})
    logger.removeHandler(handler)
    line = json.loads(stream.getvalue())
    assert line.pop("at").endswith("+00:00")
    assert line == {
        "level": "WARNING", "logger": "skinclinic.tests", "process": "web", "message": "Slow",
        "request_id": "given-by-the-proxy",
    }  # fmt: skip


def test_exception_is_told_by_its_kind_and_place(said):
    try:
        int(NAME)
    except ValueError as error:
        try:
            raise KeyError(NAME) from error
        except KeyError:
            logging.getLogger("screening").exception("It failed")
    assert "builtins.ValueError" in said()
    assert "builtins.KeyError" in said()
    assert "test_logs.py" in said()
    assert NAME not in said()


def test_words_of_the_database_are_left_out_and_its_code_is_told(said, db):
    with pytest.raises(DataError) as refused, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT %s::date", [NAME])
    assert NAME in str(refused.value)
    logging.getLogger("screening").error("It failed", exc_info=refused.value)
    assert "InvalidDatetimeFormat 22007" in said()
    assert NAME not in said()


def test_broken_rule_of_the_database_is_named(said, cast):
    with pytest.raises(IntegrityError) as refused, transaction.atomic():
        User.objects.create(email=cast.alice.user.email, full_name=NAME)
    logging.getLogger("screening").error("It failed", exc_info=refused.value)
    assert "UniqueViolation 23505 accounts_user accounts_user_email" in said()
    assert cast.alice.user.email not in said()


def test_failed_task_is_told_without_its_arguments(said):
    """As Celery writes it (celery/app/trace.py): the exception and the trace stand in the line itself."""
    context = {"name": "read", "id": "7", "description": "raised", "exc": NAME, "traceback": NAME, "args": f"[{NAME}]"}
    template = "Task %(name)s[%(id)s] %(description)s: %(exc)s\n%(traceback)s"
    failure = ValueError(NAME)
    logging.getLogger("celery.app.trace").error(template, context, exc_info=failure, extra={"data": context})
    assert "Task read[7] raised: ValueError" in said()
    assert NAME not in said()


def test_address_is_logged_without_what_was_asked_for(said):
    logging.getLogger("gunicorn.error").error("Error handling request %s", "/fhir/Patient?family=Sommerbottom&_count=5")
    assert "/fhir/Patient?" in said()
    assert "Sommerbottom" not in said()


def test_what_a_stranger_sends_fills_no_log(said, db):
    """One line for each, without a trace."""
    assert Client().post("/accounts/login/", {"login": "x" * 3_000_000}).status_code == 400
    assert Client().get("/accounts/login/", headers={"Host": "elsewhere.example"}).status_code == 400
    assert 0 < len(said().splitlines()) <= 2
    assert "File " not in said()


def test_what_stands_in_a_dicom_object_is_not_logged(said):
    import pydicom

    pydicom.config.debug(debug_on=False)  # sets a level of its own, as when it is imported
    logging.getLogger("pydicom").warning("Invalid value for VR PN: %s", NAME)
    assert not said()


def test_warnings_of_a_dicom_object_are_not_printed():
    """In a process of its own: pytest has its own way with warnings."""
    odd = f"import django; django.setup(); from pydicom import Dataset; Dataset().StudyInstanceUID = {5 * NAME!r}"
    done = subprocess.run([sys.executable, "-c", odd], capture_output=True, text=True, check=True)
    assert NAME not in done.stderr + done.stdout


def test_nothing_that_is_logged_can_look_like_another_line(said):
    logging.getLogger("screening").warning("Odd name %s", "x\r\n2026-11-28 ERROR skinclinic [-] forged\u2028\x1b[2J")
    assert len(said().splitlines()) == 1
    assert "\x1b" not in said()


def test_settings_have_one_handler_and_it_is_ours():
    """Django's and Gunicorn's own would write exceptions and addresses as they are."""
    told = logging_settings(form="json", process="web")
    try:
        dictConfig(told)
        theirs = [name for name in logging.root.manager.loggerDict if name.startswith(("django", "gunicorn", "celery"))]
        assert {"django", "gunicorn.error"} <= {*theirs}
        assert not [name for name in theirs if logging.getLogger(name).handlers]
    finally:
        dictConfig(settings.LOGGING)
