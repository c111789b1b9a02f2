"""Text that people typed or machines sent, where it is shown in one line."""

import unicodedata
from collections.abc import Iterable
from uuid import UUID

from django.core.exceptions import ValidationError
from django.utils.formats import get_format
from django.utils.translation import get_language, gettext

# Marks that turn the writing direction: in a list, one name could put another's characters in a different order.
TURNING = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
LINE_ENDS = frozenset("\u2028\u2029")
# Where nouns keep their capital, so does the name of a choice in the middle of a sentence.
WITH_CAPITAL_NOUNS = frozenset({"de"})


def is_hidden(char: str) -> bool:
    return unicodedata.category(char) == "Cc" or char in TURNING or char in LINE_ENDS


def one_line(text: str, limit: int = 100) -> str:
    """What can be seen of `text`, in one line; for showing only."""
    kept = (char for char in text if unicodedata.category(char)[0] != "C" and char not in LINE_ENDS)
    return " ".join("".join(kept).split())[:limit]


def validate_one_line(text: str) -> None:
    if any(is_hidden(char) for char in text):
        raise ValidationError(
            gettext(
                "This has characters that cannot be seen, such as a line end or a mark that turns the writing "
                "direction. Type it again instead of pasting it."
            )
        )


def in_sentence(label: str) -> str:
    """The name of a choice as it stands in the middle of a sentence."""
    return str(label) if get_language() in WITH_CAPITAL_NOUNS else str(label).lower()


def decimal(value: float, shape: str) -> str:
    """A figure for people, such as `decimal(0.125, ".2f")`, with the mark that their language writes."""
    return format(value, shape).replace(".", get_format("DECIMAL_SEPARATOR"))


def uuid_or_none(text: str | None) -> UUID | None:
    try:
        return UUID(text or "")
    except ValueError:
        return None


def uuids(texts: Iterable[str]) -> list[UUID]:
    """Of a form's boxes that were ticked; what is no key is left out."""
    return [key for key in map(uuid_or_none, texts) if key]
