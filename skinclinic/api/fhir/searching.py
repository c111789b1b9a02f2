"""Search parameters: what they may say, and the query that comes of it."""

import calendar
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID

from django.db.models import Q
from django.http import QueryDict
from django.utils import timezone

from skinclinic.api.fhir.errors import BadSearch

MOST, PAGE = 100, 20
# What names a person stands in no address of ours and in no line of the ledger.
PERSONAL = {"name", "identifier", "birthdate"}
REFERENCES = {"patient", "target"}
# Of the answer's form, not of what is looked for.
IGNORED = {"_format", "_pretty", "_total"}
OWN = {"_count", "_page", "_revinclude"}
INSTANT = re.compile(r"\d{4}(-\d\d(-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+ -]\d\d:\d\d)?)?)?)?")
PREFIXES = ("eq", "ne", "gt", "ge", "lt", "le", "sa", "eb")


@dataclass(frozen=True)
class Asked:
    """One parameter as it was sent; several `values` mean any of them."""

    name: str
    modifier: str
    values: tuple[str, ...]

    @property
    def text(self) -> str:
        return ",".join(self.values)


Condition = Callable[[Asked], Q]


@dataclass(frozen=True)
class Search:
    asked: tuple[Asked, ...]
    count: int
    with_provenance: bool

    def of(self, name: str) -> list[Asked]:
        return [each for each in self.asked if each.name == name]

    def without_names(self) -> str:
        """The query as the ledger keeps it."""
        return "&".join(f"{each.name}={'*' if each.name in PERSONAL else each.text}" for each in self.asked)


def read_search(sent: QueryDict, known: set[str], *, revinclude: bool) -> Search:
    """Raises BadSearch also for a parameter that is not known: what is left out of a search would find others."""
    asked = []
    for full, texts in sent.lists():
        name, _, modifier = full.partition(":")
        if name in IGNORED | OWN:
            continue
        if name not in known:
            raise BadSearch(f"There is no search by {name} here. There is: {', '.join(sorted(known | OWN))}.")
        # Some clients send fields that were left blank.
        asked += [Asked(name, modifier, split(text)) for text in texts if text]
    return Search(tuple(asked), count_of(sent.get("_count")), wants_provenance(sent.getlist("_revinclude"), revinclude))


def refuse_elsewhere(search: Search, base: str) -> None:
    """base: the address of the FHIR side. Raises BadSearch: an id of another server's may be one of ours by chance."""
    for asked in search.asked:
        whole = [value for value in asked.values if "://" in value] if asked.name in REFERENCES else []
        if not all(value.startswith(f"{base}/") for value in whole):
            raise BadSearch(f"{asked.name} refers to another server. Here it is {base}.")


def split(text: str) -> tuple[str, ...]:
    """By commas, of which an escaped one is a part of the value. Postgres takes no NUL."""
    if "\0" in text:
        raise BadSearch("A search holds no NUL.")
    return tuple(re.sub(r"\\([,$|\\])", r"\1", part) for part in re.split(r"(?<!\\),", text) if part)


def count_of(text: str | None) -> int:
    if not text:
        return PAGE
    if not (text.isascii() and text.isdecimal() and len(text) < 9):
        raise BadSearch("_count is a whole number.")
    return max(1, min(int(text), MOST))


def wants_provenance(sent: list[str], possible: bool) -> bool:
    if any(each != "Provenance:target" for each in sent) or (sent and not possible):
        raise BadSearch("_revinclude=Provenance:target is known, of what has a Provenance; nothing else is.")
    return bool(sent)


def no_modifier(asked: Asked) -> None:
    if asked.modifier:
        raise BadSearch(f"{asked.name} has no modifier :{asked.modifier} here.")


def any_of(conditions: Iterator[Q]) -> Q:
    found = Q(pk__in=[])
    for condition in conditions:
        found |= condition
    return found


def by_id(column: str = "pk") -> Condition:
    def condition(asked: Asked) -> Q:
        no_modifier(asked)
        return Q(**{f"{column}__in": [key for key in map(as_uuid, asked.values) if key]})

    return condition


def by_reference(column: str, kind: str = "Patient") -> Condition:
    """`Patient/<id>`, the id alone, or the whole address."""

    def condition(asked: Asked) -> Q:
        if asked.modifier not in ("", kind):
            raise BadSearch(f"{asked.name} refers to a {kind}.")
        keys = [as_uuid(referred(value, kind)) for value in asked.values]
        return Q(**{f"{column}__in": [key for key in keys if key]})

    return condition


def referred(value: str, kind: str) -> str:
    """The id in a reference to something of this kind; empty where it is to another kind."""
    *before, key = value.split("/")
    return key if not before or before[-1] == kind else ""


def as_uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def token(value: str) -> tuple[str | None, str]:
    """The system and the code; None where any system will do, empty where there must be none."""
    system, bar, code = value.rpartition("|")
    return (system if bar else None), code


def number(system: str | None, value: str) -> dict[str, str]:
    """What a token looks for among numbers; an empty system is one of its own."""
    return ({} if system is None else {"system": system}) | ({"value": value} if value else {})


def is_meant(asked: Asked, system: str, code: str) -> bool:
    """Whether this coding is among what was asked for."""
    no_modifier(asked)
    wanted = [token(value) for value in asked.values]
    return any(of in (None, system) and name in ("", code) for of, name in wanted)


def by_date(column: str, *, is_day: bool = False) -> Condition:
    """is_day: the column is a day, in no zone."""

    def condition(asked: Asked) -> Q:
        no_modifier(asked)
        return any_of(of_period(column, *period(value, is_day=is_day)) for value in asked.values)

    return condition


def of_period(column: str, prefix: str, start: object, end: object) -> Q:
    """The period is from `start` until before `end`, as long as what was sent is exact."""
    after, before = Q(**{f"{column}__gte": end}), Q(**{f"{column}__lt": start})
    match prefix:
        case "gt" | "sa":
            return after
        case "lt" | "eb":
            return before
        case "ge":
            return Q(**{f"{column}__gte": start})
        case "le":
            return Q(**{f"{column}__lt": end})
        case "ne":
            return after | before
    return Q(**{f"{column}__gte": start, f"{column}__lt": end})


def period(value: str, *, is_day: bool) -> tuple[str, date, date]:
    """Raises BadSearch."""
    prefix, text = (value[:2], value[2:]) if value[:2] in PREFIXES else ("eq", value)
    if not INSTANT.fullmatch(text):
        raise BadSearch("A date is written 2026, 2026-11, 2026-11-28 or 2026-11-28T09:30:00Z, a prefix before it.")
    try:
        start, end = days(text) if len(text) <= 10 else instants(text)
    except (ValueError, OverflowError) as error:
        raise BadSearch("There is no such date.") from error
    if not is_day:
        return prefix, start, end
    return prefix, start.date(), max(end.date(), start.date() + timedelta(days=1))


def days(text: str) -> tuple[datetime, datetime]:
    year, month, day = ([int(part) for part in text.split("-")] + [0, 0])[:3]
    first = date(year, month or 1, day or 1)
    last = date(year, month or 12, day or calendar.monthrange(year, month or 12)[1])
    midnight = time(tzinfo=timezone.get_current_timezone())
    return datetime.combine(first, midnight), datetime.combine(last + timedelta(days=1), midnight)


def instants(text: str) -> tuple[datetime, datetime]:
    """A plus that came as a space, as it does in forms, is one. In UTC: Postgres takes no zone of 23 hours."""
    at = datetime.fromisoformat(text.replace(" ", "+"))
    at = at if at.tzinfo else at.replace(tzinfo=timezone.get_current_timezone())
    at = at.astimezone(UTC)
    exact = re.search(r"\.(\d+)", text)
    if exact:
        step = timedelta(microseconds=10 ** max(0, 6 - len(exact[1])))
    else:
        step = timedelta(seconds=1) if text.count(":", 0, 19) == 2 else timedelta(minutes=1)
    return at, at + step
