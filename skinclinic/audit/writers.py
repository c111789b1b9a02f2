"""What writes the ledger, held against what the migrations installed: a trigger on each table, and the functions.

Whoever owns the database can take both away and put them back; this tells of it while they are away.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.loader import MigrationLoader

from skinclinic.audit.models import Fault
from skinclinic.audit.operations import Recorded

SQL = Path(__file__).resolve().parent / "sql"
# In the order in which migrations ran them: of a function that was replaced, the last one stands.
INSTALLED = ("ledger.sql", "seals.sql", "misdated.sql")
FUNCTION = re.compile(r"CREATE (?:OR REPLACE )?FUNCTION (\w+)\(.*?AS \$\$(.*?)\$\$", re.DOTALL)
AFTER_EACH_ROW = 29  # as pg_trigger.h counts: for each row (1), after insert (4), delete (8) or update (16)
TRIGGERS = """
    SELECT trigger.tgrelid::regclass::text, trigger.tgenabled, trigger.tgtype, trigger.tgqual IS NULL,
        called.proname = 'audit_row' AND called.pronamespace = 'public'::regnamespace, trigger.tgargs
    FROM pg_trigger trigger JOIN pg_proc called ON called.oid = trigger.tgfoid WHERE trigger.tgname = 'audit_row'
"""
TABLES = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
BODIES = "SELECT proname, prosrc FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND proname = ANY(%s)"


class Writer(NamedTuple):
    fault: Fault
    name: str


def missing_writers(database: BaseDatabaseWrapper) -> Iterator[Writer]:
    """Each table whose changes are not told as they should be, then each function that is another one by now."""
    installed = installed_functions()
    with database.cursor() as cursor:
        cursor.execute(TRIGGERS)
        found = {table: (*how, bytes(arguments)) for table, *how, arguments in cursor.fetchall()}
        cursor.execute(TABLES)
        tables = {table for (table,) in cursor.fetchall()}
        cursor.execute(BODIES, [list(installed)])
        bodies = dict(cursor.fetchall())
        cursor.execute("SELECT app, name FROM django_migrations")
        ran = set(cursor.fetchall())
    for table, arguments in sorted(recorded_tables(ran).items()):
        if table in tables and found.get(table) != ("O", AFTER_EACH_ROW, True, True, arguments):
            yield Writer(Fault.TRIGGER_OFF, table)
    for name, body in installed.items():
        if bodies.get(name) != body:
            yield Writer(Fault.FUNCTION_CHANGED, name)


def recorded_tables(ran: set[tuple[str, str]]) -> dict[str, bytes]:
    """The tables that these migrations put on the ledger, with their triggers' arguments as Postgres keeps them."""
    known = MigrationLoader(None).disk_migrations
    operations = (operation for key in sorted(ran & set(known)) for operation in known[key].operations)
    return {each.table: each.arguments for each in operations if isinstance(each, Recorded)}


def installed_functions() -> dict[str, str]:
    return dict(FUNCTION.findall("".join((SQL / name).read_text() for name in INSTALLED)))
