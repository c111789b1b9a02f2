from typing import Any

from django.utils.dateparse import parse_datetime
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.request import Request
from rest_framework.settings import api_settings


class NewestFirst(CursorPagination):
    """Keyset paging: `?cursor=` goes on where the last page ended, and no list is ever counted."""

    ordering: tuple[str, ...] = ("-created_at", "-id")
    page_size_query_param = "page_size"
    max_page_size = 200

    def get_page_size(self, request: Request) -> int:
        """Raises ValidationError: who asked for a thousand would take a shorter page for the last one."""
        return number_in(request, "page_size", without=api_settings.PAGE_SIZE, least=1, most=self.max_page_size)

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        told = super().get_schema_operation_parameters(view)
        bounds = {"minimum": 1, "maximum": self.max_page_size, "default": api_settings.PAGE_SIZE}
        for parameter in told:
            if parameter["name"] == self.page_size_query_param:
                parameter["schema"] |= bounds
        return told

    def decode_cursor(self, request: Request) -> Cursor | None:
        cursor: Cursor | None = super().decode_cursor(request)
        if cursor is not None and cursor.position is not None and not self.is_position(cursor.position):
            raise NotFound(self.invalid_cursor_message)
        return cursor

    def is_position(self, text: str) -> bool:
        """A cursor may have been made up: whether the database can compare with this."""
        try:
            return parse_datetime(text) is not None
        except ValueError:
            return False


class NewestLines(NewestFirst):
    """The ledger's lines, by their number."""

    ordering = ("-id",)

    def is_position(self, text: str) -> bool:
        return text.isdecimal() and len(text) < 19


def number_in(request: Request, name: str, *, without: int, least: int, most: int) -> int:
    """Of the query. Raises ValidationError."""
    said = request.query_params.get(name, "")
    if not said:
        return without
    if not (said.isascii() and said.isdecimal() and len(said) < 20 and least <= int(said) <= most):
        raise ValidationError({name: [f"Send a whole number from {least} to {most}."]})
    return int(said)
