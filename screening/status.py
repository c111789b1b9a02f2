"""The states of a screening and the moves between them: one table, which the services and the tests read."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class ReadingStatus(models.TextChoices):
    """What became of the photograph's reading by the model."""

    QUEUED = "queued", _("Waiting to be read")
    RUNNING = "running", _("Being read")
    PREDICTED = "predicted", _("Read")
    UNSCORABLE = "unscorable", _("Not fit to be read")
    FAILED = "failed", _("Reading failed")
    NOT_WANTED = "not_wanted", _("Not to be read")


class ReviewStatus(models.TextChoices):
    """What the doctors have said; a screening may be reviewed whatever became of its reading."""

    OPEN = "open", _("To be reviewed")
    READ = "read", _("Opinion given")
    DISPUTED = "disputed", _("Readers disagree")
    SIGNED = "signed", _("Signed")
    AMENDED = "amended", _("Signed, amended")


R, V = ReadingStatus, ReviewStatus

READING_MOVES: dict[str, frozenset[str]] = {
    R.QUEUED: frozenset({R.RUNNING}),
    R.RUNNING: frozenset({R.PREDICTED, R.UNSCORABLE, R.FAILED, R.QUEUED, R.NOT_WANTED}),
    R.FAILED: frozenset({R.QUEUED}),
    R.PREDICTED: frozenset(),
    R.UNSCORABLE: frozenset(),
    R.NOT_WANTED: frozenset({R.QUEUED}),
}
REVIEW_MOVES: dict[str, frozenset[str]] = {
    V.OPEN: frozenset({V.READ}),
    V.READ: frozenset({V.READ, V.DISPUTED, V.SIGNED}),
    V.DISPUTED: frozenset({V.SIGNED}),
    V.SIGNED: frozenset({V.AMENDED}),
    V.AMENDED: frozenset({V.AMENDED}),
}

READING_IS_OPEN = frozenset({R.QUEUED, R.RUNNING})
REVIEW_IS_OPEN = frozenset({V.OPEN, V.READ, V.DISPUTED})
REVIEW_IS_SIGNED = frozenset({V.SIGNED, V.AMENDED})


def reading_sources(target: str) -> frozenset[str]:
    """The statuses from which a reading may move to `target`."""
    return frozenset(source for source, targets in READING_MOVES.items() if target in targets)


def review_sources(target: str) -> frozenset[str]:
    return frozenset(source for source, targets in REVIEW_MOVES.items() if target in targets)
