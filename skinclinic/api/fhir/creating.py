"""A create that is asked for only where nothing matches, also when two ask for it at the same moment."""

from typing import Any

from django.db import connection
from django.http import QueryDict

from skinclinic.api.fhir.errors import BadSearch, MoreThanOne
from skinclinic.api.fhir.resource import Resource
from skinclinic.api.fhir.searching import read_search
from skinclinic.audit.acting import Actor


def hold_creates(actor: Actor, kind: str) -> None:
    """For this transaction: who asks the same meanwhile waits, and then finds what was made."""
    with connection.cursor() as cursor:
        key = f"fhir {actor.own_clinic()} {kind}"
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [key])


def already_there(resource: Resource, actor: Actor, condition: str) -> Any | None:
    """condition: as If-None-Exist has it. Records of one person that were made one count once: the remaining one.

    Raises BadSearch, MoreThanOne.
    """
    search = read_search(QueryDict(condition.rpartition("?")[2]), resource.known, revinclude=False)
    if not search.asked:
        raise BadSearch("If-None-Exist says what to look for, such as identifier=urn:system|value.")
    rows = list(resource.narrowed(resource.rows(actor), search)[:3])
    keys = {getattr(row, "merged_into_id", None) or row.pk for row in rows}
    if len(keys) > 1:
        raise MoreThanOne
    return resource.rows(actor).get(pk=keys.pop()) if keys else None
