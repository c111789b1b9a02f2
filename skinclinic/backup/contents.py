"""What is in a database: counted before it is backed up, held against that once it is restored."""

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Self

from django.conf import settings
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils import timezone
from psycopg2 import sql

from skinclinic.audit.models import head_of
from skinclinic.errors import ClinicError

TABLES = "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace"
SIZE = "SELECT sum(pg_total_relation_size(relid)) FROM pg_stat_user_tables WHERE schemaname = 'public'"
# Whoever reads a session's key is signed in as somebody, and what ended since would go on: all sign in again.
LEFT_OUT = frozenset({"django_session"})
# Who works there; no other row of a record can be without one of these.
FIRST_ROWS = ("accounts_clinic", "accounts_user")
TOLD = {
    "accounts_clinic": "clinics",
    "accounts_user": "people",
    "patients_patient": "patients",
    "screening_screening": "screenings",
    "screening_lesionimage": "photographs",
    "screening_review": "reviews",
    "audit_auditevent": "lines on the ledger",
}
# Of an erased patient a photograph has neither bytes nor hash.
UNLIKE = """
    SELECT image.id FROM screening_lesionimage image WHERE image.sha256 <> '' AND image.sha256 IS DISTINCT FROM (
        SELECT encode(sha256(string_agg(chunk.data, ''::bytea ORDER BY chunk.position)), 'hex')
        FROM screening_storedchunk chunk WHERE chunk.file_id = image.photograph
    )
"""


class NotEmpty(ClinicError):
    """A restore writes over nothing."""


class NothingThere(ClinicError):
    def __init__(self) -> None:
        super().__init__("There is no clinic in this database; look at DATABASE_OWNER_URL.")


@dataclass(frozen=True)
class Notes:
    """What a back-up says of itself, sealed with it.

    postgres, programs: the versions of the server and of what read it. counts: rows of each table in it.
    head: of the ledger's chain. photographs: where they are kept. migrations: what made the tables.
    secret_key: tells one SECRET_KEY from another, and nothing else of it.
    """

    made_at: str
    postgres: int
    size: int
    counts: dict[str, int]
    head: str
    photographs: str
    secret_key: str
    migrations: list[str]
    programs: int = 0  # not said by the first ones

    def as_bytes(self) -> bytes:
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_bytes(cls, written: bytes) -> Self:
        """What other versions say besides is passed over: whether their tables will do, the migrations tell."""
        told = json.loads(written)
        return cls(**{each.name: told[each.name] for each in fields(cls) if each.name in told})

    @property
    def made(self) -> datetime:
        return datetime.fromisoformat(self.made_at)

    @property
    def told(self) -> str:
        return ", ".join(f"{name} {self.counts.get(table, 0):,}" for table, name in TOLD.items())


def notes_on(owner: BaseDatabaseWrapper, *, programs: int) -> Notes:
    """Raises NothingThere."""
    tables = tables_in(owner)
    if not tables.issuperset({*TOLD, "audit_seal", "django_migrations"}):
        raise NothingThere
    with owner.cursor() as cursor:
        cursor.execute(SIZE)
        (size,) = cursor.fetchone()
        cursor.execute("SELECT app || '.' || name FROM django_migrations ORDER BY 1")
        migrations = [name for (name,) in cursor.fetchall()]
    return Notes(
        made_at=timezone.now().isoformat(timespec="seconds"),
        postgres=server_version(owner),
        programs=programs,
        size=int(size),
        counts=table_counts(owner),
        head=head_in(owner),
        photographs=settings.PHOTOGRAPH_STORE,
        secret_key=fingerprint(settings.SECRET_KEY),
        migrations=migrations,
    )


def tables_in(database: BaseDatabaseWrapper) -> set[str]:
    with database.cursor() as cursor:
        cursor.execute(TABLES)
        return {name for (name,) in cursor.fetchall()}


def table_counts(database: BaseDatabaseWrapper) -> dict[str, int]:
    counts = {}
    with database.cursor() as cursor:
        for table in sorted(tables_in(database) - LEFT_OUT):
            cursor.execute(sql.SQL("SELECT count(*) FROM public.{}").format(sql.Identifier(table)))
            (counts[table],) = cursor.fetchone()
    return counts


def head_in(database: BaseDatabaseWrapper) -> str:
    with database.cursor() as cursor:
        cursor.execute("SELECT number, digest FROM audit_seal ORDER BY number DESC LIMIT 1")
        last = cursor.fetchone()
    return head_of(last[0], bytes(last[1])) if last else ""


def server_version(database: BaseDatabaseWrapper) -> int:
    with database.cursor() as cursor:
        cursor.execute("SELECT current_setting('server_version_num')::int / 10000")
        return int(cursor.fetchone()[0])


def fingerprint(secret: str | bytes) -> str:
    return hashlib.sha256(f"skinclinic.backup:{secret!s}".encode()).hexdigest()[:16]


def knows_secret_key(notes: Notes) -> bool:
    return notes.secret_key in map(fingerprint, (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS))


def refuse_unless_empty(owner: BaseDatabaseWrapper) -> None:
    """No tables, or those of `prepare_database` in which nobody works yet. Raises NotEmpty."""
    tables = tables_in(owner)
    ours = {*owner.introspection.django_table_names(), "django_migrations", settings.CACHES["default"]["LOCATION"]}
    if strange := sorted(tables - ours):
        raise NotEmpty(f"Something else has tables in this database, such as {strange[0]}. Restore into another.")
    for table in tables.intersection(FIRST_ROWS):
        if has_rows(owner, table):
            raise NotEmpty("There are people or clinics in this database already. Restore into an empty one.")


def has_rows(database: BaseDatabaseWrapper, table: str) -> bool:
    with database.cursor() as cursor:
        cursor.execute(sql.SQL("SELECT EXISTS (SELECT FROM public.{})").format(sql.Identifier(table)))
        return bool(cursor.fetchone()[0])


def photographs_unlike_their_hash(owner: BaseDatabaseWrapper) -> list[str]:
    """The keys of those whose stored bytes are not what they were when they were stored."""
    with owner.cursor() as cursor:
        cursor.execute(UNLIKE)
        return [str(key) for (key,) in cursor.fetchall()]
