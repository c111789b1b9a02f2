from django.utils.dateparse import parse_datetime
from rest_framework.exceptions import NotFound
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.request import Request


class NewestFirst(CursorPagination):
    """Keyset paging: `?cursor=` goes on where the last page ended, and no list is ever counted."""

    ordering: tuple[str, ...] = ("-created_at", "-id")
    page_size_query_param = "page_size"
    max_page_size = 200

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
