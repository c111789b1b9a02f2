"""Who is acting, for the length of one transaction.

Every write and every recorded look happens inside `acting(…)`. It opens a transaction and tells Postgres, for that
transaction only, the person, the clinic, the request and the reason: the ledger's triggers and the row-level security
policies read nothing else.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction

CLINICIAN, REVIEWER, MANAGER, AUDITOR, INTEGRATION = "clinician", "reviewer", "manager", "auditor", "integration"
PROCESS = "system:"


@dataclass(frozen=True)
class Actor:
    """A person, an API client or a process of ours, in at most one clinic at a time."""

    id: str
    name: str
    clinic_id: UUID | None = None
    user_id: UUID | None = None
    roles: frozenset[str] = field(default_factory=frozenset)
    scopes: frozenset[str] = field(default_factory=frozenset)

    def in_clinic(self, clinic_id: UUID, roles: Iterable[str]) -> "Actor":
        return replace(self, clinic_id=clinic_id, roles=frozenset(roles))

    @property
    def is_member(self) -> bool:
        return self.clinic_id is not None

    @property
    def is_process(self) -> bool:
        """A program of ours that acts by itself."""
        return self.id.startswith(PROCESS)

    def own_clinic(self) -> UUID:
        """The clinic she acts in; asking somebody without one is a fault of the caller's."""
        if self.clinic_id is None:
            raise ValueError(f"{self.id} acts in no clinic.")
        return self.clinic_id

    def person(self) -> UUID:
        """The user behind the act; a process or an API client has none."""
        if self.user_id is None:
            raise ValueError(f"{self.id} is no person.")
        return self.user_id

    def has_role(self, *roles: str) -> bool:
        return bool(self.roles.intersection(roles))


@dataclass(frozen=True)
class Act:
    """What the transaction's settings say."""

    actor: Actor
    request_id: str = ""
    reason: str = ""

    def settings(self) -> dict[str, str]:
        return {
            "skinclinic.actor": self.actor.id,
            "skinclinic.actor_name": self.actor.name,
            "skinclinic.clinic": str(self.actor.clinic_id or ""),
            "skinclinic.user": str(self.actor.user_id or ""),
            "skinclinic.request": self.request_id,
            "skinclinic.reason": self.reason,
        }


ANONYMOUS = Actor(id="anonymous", name="not signed in")
NOBODY_YET = dict.fromkeys(Act(ANONYMOUS).settings(), "")
_act: ContextVar[Act | None] = ContextVar("act", default=None)


def system(*, clinic_id: UUID | None = None) -> Actor:
    """This process itself, in a clinic when its work belongs to one."""
    name = f"{PROCESS}{settings.PROCESS_NAME}"
    return Actor(id=name, name=name, clinic_id=clinic_id)


def current_actor() -> Actor:
    act = _act.get()
    return act.actor if act else system()


@contextmanager
def acting(actor: Actor, *, request_id: str | None = None, reason: str = "") -> Iterator[Actor]:
    """One transaction in which `actor` acts; the settings of an outer one are back when it ends.

    An exception rolls back, and with it the settings: Postgres undoes `set_config(…, true)` like a row.
    """
    outer = _act.get()
    act = Act(actor, request_id if request_id is not None else (outer.request_id if outer else ""), reason)
    token = _act.set(act)
    try:
        with transaction.atomic():
            tell_database(act.settings())
            yield actor
            if is_nested():
                tell_database(outer.settings() if outer else NOBODY_YET)
    finally:
        _act.reset(token)


def narrow_to(actor: Actor) -> None:
    """Inside a running act: from here on it is this actor, once the database has told which clinics are hers."""
    act = replace(_running(), actor=actor)
    _act.set(act)
    tell_database(act.settings())


def _running() -> Act:
    act = _act.get()
    if act is None:
        raise RuntimeError("narrow_to() is called inside acting().")
    return act


def is_nested() -> bool:
    """Whether a transaction goes on after the innermost block (in a test, the test's own)."""
    return len(connection.atomic_blocks) > 1


def tell_database(values: dict[str, str]) -> None:
    calls = ", ".join("set_config(%s, %s, true)" for _ in values)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {calls}", [part for pair in values.items() for part in pair])
