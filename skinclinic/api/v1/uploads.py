"""Photographs as systems send them: a form, the bytes alone, or many forms in one."""

import json
from collections.abc import Iterator
from typing import Any

from django.http import QueryDict
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

MOST_AT_ONCE = 100
IDS = ("visit", "lesion")
BYTES_ALONE = ("image/", "application/dicom")

Fields = dict[str, Any]


def upload_of(request: Request) -> Fields:
    """The fields of one upload, in whichever of the two ways they were sent. Raises ValidationError for two."""
    if (request.content_type or "").startswith(BYTES_ALONE):
        return fields_of(request.query_params, request.data.get("file"))
    if len(request.FILES.getlist("photograph")) > 1:
        raise ValidationError({"photograph": ["Send one here; several at once go to screenings/bulk/."]})
    return fields_of(request.data, request.data.get("photograph"))


def fields_of(said: Any, photograph: Any) -> Fields:
    """said: of a form or a query, whose fields may have several values; of a body that is empty, a plain dict."""
    return {
        **{name: said[name] for name in IDS if name in said},
        "findings": said.getlist("findings") if isinstance(said, QueryDict) else [],
        **({"photograph": photograph} if photograph is not None else {}),
    }


def items_of(request: Request) -> Iterator[Fields]:
    """The fields of each upload in one form. Raises ValidationError before the first."""
    items = listed(request.data.get("items"))
    refuse_lost(request, items)
    for item in items:
        named = item.get("photograph")
        photograph = request.FILES.get(named) if isinstance(named, str) else None
        yield {
            **{name: item[name] for name in IDS if name in item},
            "findings": item.get("findings", []),
            **({"photograph": photograph} if photograph is not None else {}),
        }


def refuse_lost(request: Request, items: list[dict[str, Any]]) -> None:
    """A photograph that would be left out, while all that is answered is good. Raises ValidationError."""
    named = [item.get("photograph") for item in items]
    if any(name not in named or len(files) > 1 for name, files in request.FILES.lists()):
        raise ValidationError({"items": ["Name each file once, and send none that no item names."]})


def listed(said: Any) -> list[dict[str, Any]]:
    try:
        items = json.loads(said)
    except (TypeError, ValueError, RecursionError):
        items = None
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise ValidationError({"items": ["Send a JSON list of objects with visit, lesion, photograph and findings."]})
    if not 0 < len(items) <= MOST_AT_ONCE:
        raise ValidationError({"items": [f"Send 1 to {MOST_AT_ONCE} at once."]})
    return items
