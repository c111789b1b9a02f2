"""What the programs write to their logs: what happened, by opaque keys, and never what a person typed.

One JSON object a line (`LOG_FORMAT=json`) for programs that collect logs, or a line for people (`lines`).
"""

import json
import logging
import re
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

FORMS = ("json", "lines")
LINE = "%(asctime)s %(levelname)s %(name)s [%(request_id)s] %(message)s"
# Gunicorn names the address of a request that it could not answer; what was asked for may be a name.
QUERY = re.compile(r"\?\S+")
# Whatever would end a line, or move a terminal's cursor.
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
FAILED_TASK = "celery.app.trace"
# It says what stands in an object that it cannot read; its own level it sets anew when it is imported.
SILENT = "pydicom"

Raised = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


def describe_exception(error: BaseException) -> str:
    """Where it came from and of which kind each of its chain is. Its words are left out: they may quote a person's.

    Of an error of the database the SQLSTATE and the constraint are told, which are ours.
    """
    told: list[str] = []
    for each in chain(error):
        frames = traceback.StackSummary.extract(traceback.walk_tb(each.__traceback__), capture_locals=False)
        told.append("".join(frames.format()) + kind_of(each))
    return "\n\n".join(reversed(told))


def chain(error: BaseException | None) -> list[BaseException]:
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return found


def kind_of(error: BaseException) -> str:
    kind = f"{type(error).__module__}.{type(error).__qualname__}"
    found = getattr(error, "diag", None)
    named = [getattr(found, name, None) for name in ("sqlstate", "table_name", "constraint_name")]
    return " ".join([kind, *(name for name in named if name)])


class NoWords:
    """A formatter that tells of an exception without its words."""

    def formatException(self, ei: Raised) -> str:  # noqa: N802 (logging's name)
        return describe_exception(ei[1]) if ei[1] is not None else ""


class Lines(NoWords, logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        record.exc_text = None  # another handler's, with the words in it
        return super().format(record)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (logging's name)
        """A line stays a line, whatever is put into it."""
        record.message = CONTROL.sub(" ", record.message)
        return super().formatMessage(record)


class Json(NoWords, logging.Formatter):
    """Only the fields named here: what a library adds to its records may be a task's arguments."""

    def format(self, record: logging.LogRecord) -> str:
        said = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "process": record.process_name,
            "request_id": record.request_id,
            "message": record.getMessage(),
        }
        if record.exc_info:
            said["exception"] = self.formatException(record.exc_info)
        return json.dumps(said)


class Plain(logging.Filter):
    """Adds the request and the process, and takes out of other programs' records what may be a person's words."""

    def __init__(self, process: str = "python"):
        super().__init__()
        self.process = process

    def filter(self, record: logging.LogRecord) -> bool:
        from skinclinic.middleware import current_request_id

        if record.name.partition(".")[0] == SILENT:
            return False
        record.request_id, record.process_name = current_request_id(), self.process
        if record.name == FAILED_TASK and isinstance(record.args, Mapping):
            record.args = {**record.args, **without_words(record)}
        elif record.name.startswith("django.security"):
            record.exc_info = None  # anybody can send what Django refuses; where it did so is in its own code
        elif record.name.startswith("gunicorn"):
            record.msg, record.args = QUERY.sub("?…", record.getMessage()), ()
        return True


def without_words(record: logging.LogRecord) -> dict[str, str]:
    """Celery's line about a task that failed quotes the exception and the trace; both follow it anyway."""
    kind = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else "an exception"
    return {"exc": kind, "traceback": "", "args": "…", "kwargs": "…"}


def logging_settings(*, form: str, process: str) -> dict[str, Any]:
    """For `logging.config.dictConfig`."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"plain": {"()": "skinclinic.logs.Plain", "process": process}},
        "formatters": {
            "lines": {"()": "skinclinic.logs.Lines", "format": LINE},
            "json": {"()": "skinclinic.logs.Json"},
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": form, "filters": ["plain"]}},
        "root": {"handlers": ["stderr"], "level": "WARNING"},
        "loggers": {
            **{ours: {"level": "INFO"} for ours in ("skinclinic", "screening", "patients")},
            "django": {"handlers": [], "level": "WARNING"},  # Django's own handlers would write as they like
            "django.request": {"level": "ERROR"},
            "celery": {"level": "WARNING"},
            "gunicorn.error": {"handlers": [], "level": "WARNING", "propagate": True},
        },
    }
