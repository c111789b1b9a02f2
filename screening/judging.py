"""What an opinion is beside a reading, and beside the one before it: one definition each, for rows and for figures."""

from collections.abc import Sequence
from typing import NamedTuple


class Judgement(NamedTuple):
    """What is decided in an opinion, without its words."""

    suspicious: bool
    diagnosis: str
    recommendation: str
    follow_up_months: int | None


def says_something(*, refers: bool, cautions: Sequence[str]) -> bool:
    """A score below the threshold says nothing where it may be wrong either way."""
    return refers or not cautions


def differs_from(*, suspicious: bool, refers: bool, cautions: Sequence[str]) -> bool:
    """Whether the suspicion is another than that of a reading that says something."""
    return says_something(refers=refers, cautions=cautions) and refers != suspicious


def has_switched(before: Judgement | None, now: Judgement) -> bool:
    """`before`: her own, without the reading before her; None where there is none."""
    return before is not None and before != now
