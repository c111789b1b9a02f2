"""What `manage.py check --database default` holds against the running installation."""

from collections.abc import Sequence
from typing import Any

from django.core.checks import CheckMessage, Error, Tags, register
from django.db import connections


@register(Tags.database)
def application_role_is_bound(databases: Sequence[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """The role of the web and the workers must be under the row-level security, not above it."""
    if "default" not in (databases or []):
        return []
    with connections["default"].cursor() as cursor:
        cursor.execute(
            "SELECT rolsuper OR rolbypassrls OR EXISTS (SELECT FROM pg_tables WHERE schemaname = 'public' "
            "AND tableowner = current_user) FROM pg_roles WHERE rolname = current_user"
        )
        (unbound,) = cursor.fetchone()
    if not unbound:
        return []
    return [
        Error(
            "DATABASE_URL signs in as a role that row-level security does not bind.",
            hint="Give DATABASE_URL a role of its own and run manage.py prepare_database, which makes it.",
            id="skinclinic.E001",
        )
    ]
