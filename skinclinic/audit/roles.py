"""The two sides of the database: the owner, who migrates, and the application, who can change no rule."""

from typing import Any

from django.db import ProgrammingError, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg2 import sql

from skinclinic.audit.operations import APP_ROLE
from skinclinic.errors import ClinicError

LOWEST_POSTGRES = 15
IDLE, IDLE_AFTER = "idle_in_transaction_session_timeout", "60s"


class DatabaseUnfit(ClinicError):
    """The database server cannot hold a clinic as it stands."""


def prepare_roles(owner: BaseDatabaseWrapper, application: dict[str, Any]) -> None:
    """Make the application's role and its sign-in, as the owner; nothing happens where they are there already.

    `application` is the DATABASES entry the web and the workers connect with.
    """
    with owner.cursor() as cursor:
        refuse_old_server(cursor)
        refuse_one_role(cursor, application["USER"])
        if not role_exists(cursor, APP_ROLE):
            cursor.execute(f"CREATE ROLE {APP_ROLE} NOLOGIN")
        if not role_exists(cursor, application["USER"]):
            cursor.execute(
                sql.SQL("CREATE ROLE {} LOGIN PASSWORD %s").format(sql.Identifier(application["USER"])),
                [application["PASSWORD"]],
            )
        cursor.execute("SELECT pg_has_role(%s, %s, 'MEMBER')", [application["USER"], APP_ROLE])
        if not cursor.fetchone()[0]:
            cursor.execute(sql.SQL("GRANT {} TO {}").format(*map(sql.Identifier, (APP_ROLE, application["USER"]))))
        end_idle_transactions(cursor, application["USER"])
        # Nothing here makes temporary tables; they are what an attacker would put her own triggers on.
        cursor.execute(
            sql.SQL("REVOKE TEMPORARY ON DATABASE {} FROM PUBLIC").format(sql.Identifier(owner.settings_dict["NAME"]))
        )
        # Tables made from here on; the migrations take away again what the application must not have.
        cursor.execute(f"GRANT USAGE ON SCHEMA public TO {APP_ROLE}")
        cursor.execute(
            f"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {APP_ROLE}"
        )
        cursor.execute(f"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE ON SEQUENCES TO {APP_ROLE}")


def end_idle_transactions(cursor, application_user: str) -> None:
    """A transaction that a hung process leaves open holds locks, and keeps lines of the ledger from being sealed."""
    cursor.execute(
        "SELECT coalesce(array_to_string(rolconfig, ','), '') FROM pg_roles WHERE rolname = %s", [application_user]
    )
    if IDLE in cursor.fetchone()[0]:
        return
    statement = sql.SQL("ALTER ROLE {} SET " + IDLE + " = {}").format(
        sql.Identifier(application_user), sql.Literal(IDLE_AFTER)
    )
    try:
        with transaction.atomic(using=cursor.db.alias):
            cursor.execute(statement)
    except ProgrammingError as error:
        raise DatabaseUnfit(
            f"The role of DATABASE_URL is not the owner's to change. Have who made it say, and start again: "
            f"ALTER ROLE {application_user} SET {IDLE} = '{IDLE_AFTER}'"
        ) from error


def refuse_old_server(cursor) -> None:
    cursor.execute("SELECT current_setting('server_version_num')::int / 10000")
    (version,) = cursor.fetchone()
    if version < LOWEST_POSTGRES:
        raise DatabaseUnfit(f"This is Postgres {version}; the clinic needs {LOWEST_POSTGRES} or newer.")


def refuse_one_role(cursor, application_user: str) -> None:
    cursor.execute("SELECT current_user")
    if cursor.fetchone()[0] == application_user:
        raise DatabaseUnfit(
            "DATABASE_URL and DATABASE_OWNER_URL sign in as the same role, so that nothing would keep clinics apart. "
            "Give DATABASE_URL a role name and password of its own; it is made if it is not there."
        )


def role_exists(cursor, name: str) -> bool:
    cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [name])
    return cursor.fetchone() is not None
