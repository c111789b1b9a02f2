from rest_framework.pagination import CursorPagination


class NewestFirst(CursorPagination):
    """Keyset paging: `?cursor=` goes on where the last page ended, and no list is ever counted."""

    ordering = ("-created_at", "-id")
    page_size_query_param = "page_size"
    max_page_size = 200
