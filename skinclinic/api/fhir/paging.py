"""Searchset Bundles, page after page: a page begins where the last one ended, and nothing is ever counted.

The address of the next page holds a sealed token and no words of the search: what is looked for may be a name.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from cryptography.fernet import InvalidToken
from django.http import QueryDict

from skinclinic.api.fhir.elements import Dict
from skinclinic.api.fhir.errors import BadSearch
from skinclinic.api.fhir.resource import Resource
from skinclinic.ciphers import seal, unseal

PURPOSE = "fhir.pages"


@dataclass(frozen=True)
class Cursor:
    """Where a page begins: with this row, less what was shown of it. `part` counts the kinds of a patient's all."""

    at: str
    key: str
    skip: int = 0
    part: int = 0

    @classmethod
    def of(cls, told: list[Any] | None) -> "Cursor | None":
        return cls(*told) if told else None


@dataclass(frozen=True)
class Entry:
    row: Any
    told: Dict
    mode: str = "match"


def token_of(place: str, query: str, cursor: Cursor | None) -> str:
    told = [place, query, [cursor.at, cursor.key, cursor.skip, cursor.part] if cursor else None]
    return seal(PURPOSE, json.dumps(told))


def open_token(token: str, place: str) -> tuple[QueryDict, Cursor | None]:
    """Raises BadSearch for one that was made up, or is of another search."""
    try:
        of, query, cursor = json.loads(unseal(PURPOSE, token))
    except (InvalidToken, ValueError) as error:
        raise BadSearch("This page is none of ours. Search again from the start.") from error
    if of != place:
        raise BadSearch("This page is of another search. Search again from the start.")
    return QueryDict(query), Cursor.of(cursor)


def entries_from(resource: Resource, rows: Any, cursor: Cursor | None, count: int) -> Iterator[Entry | Cursor]:
    """Up to `count` entries; last comes the cursor of what follows, if anything does."""
    if cursor and cursor.key:
        rows = resource.from_position(rows, cursor.at, cursor.key)
    left = count
    # Every row gives at least one, unless it was begun on the page before.
    for row in resource.in_order(rows)[: count + 2]:
        at, key = resource.position(row)
        shown = cursor.skip if cursor and key == cursor.key else 0
        for number, told in enumerate(resource.build(row)[shown:], shown):
            if not left:
                yield Cursor(at, key, number)
                return
            left -= 1
            yield Entry(row, told)


def parted(found: Iterable[Entry | Cursor]) -> tuple[list[Entry], Cursor | None]:
    entries, after = [], None
    for each in found:
        if isinstance(each, Cursor):
            after = each
        else:
            entries.append(each)
    return entries, after


def bundle(base: str, entries: list[Entry], links: dict[str, str]) -> Dict:
    """base: the address of the FHIR side."""
    return {
        "resourceType": "Bundle",
        "type": "searchset",
        "link": [{"relation": relation, "url": url} for relation, url in links.items()],
    } | (
        {
            "entry": [
                {
                    "fullUrl": f"{base}/{entry.told['resourceType']}/{entry.told['id']}",
                    "resource": entry.told,
                    "search": {"mode": entry.mode},
                }
                for entry in entries
            ]
        }
        if entries
        else {}
    )


def with_addresses(told: Any, base: str) -> Any:
    """Attachments by their whole address: not every client resolves one that is relative."""
    if isinstance(told, dict):
        return {
            name: f"{base}/{inner}"
            if name == "url" and isinstance(inner, str) and inner.startswith("Binary/")
            else with_addresses(inner, base)
            for name, inner in told.items()
        }
    return [with_addresses(inner, base) for inner in told] if isinstance(told, list) else told
