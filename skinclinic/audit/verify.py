"""Holding the ledger against its seals, line by line and link by link."""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from skinclinic.audit.models import Fault, head_of
from skinclinic.audit.writers import missing_writers
from skinclinic.errors import ClinicError

FETCHED_AT_ONCE = 5000
HEAD = re.compile(r"([1-9]\d{0,17}):([0-9a-f]{64})")
# The fields of a line in the order of `audit_digest` (sql/seals.sql).
LINES = """
    SELECT sealed.seal, sealed.event, sealed.digest, line.id, (extract(epoch FROM line.at) * 1000000)::bigint,
        line.transaction, line.clinic_id::text, line.actor, line.actor_name, line.action, line.subject_type,
        line.subject_id, line.patient_id::text, line.changes::text, line.request_id, line.reason
    FROM audit_sealedevent sealed LEFT JOIN audit_auditevent line ON line.id = sealed.event
    ORDER BY sealed.seal, sealed.position
"""
LINKS = """
    SELECT number, (extract(epoch FROM at) * 1000000)::bigint, lines, digest
    FROM audit_seal WHERE number BETWEEN %s AND %s ORDER BY number
"""
STRAY = """
    SELECT line.id FROM audit_auditevent line
    WHERE NOT EXISTS (SELECT 1 FROM audit_sealedevent sealed WHERE sealed.event = line.id)
      AND NOT EXISTS (SELECT 1 FROM audit_unsealedevent waiting WHERE waiting.event = line.id)
    ORDER BY line.id LIMIT 1
"""
# A line is sealed within seconds, or as soon as sealing goes on; no transaction and no clock is a day late.
MISDATED = """
    SELECT line.id FROM audit_auditevent line JOIN audit_sealedevent sealed ON sealed.event = line.id
    JOIN audit_seal seal ON seal.number = sealed.seal LEFT JOIN audit_seal before ON before.number = seal.number - 1
    WHERE line.at > seal.at + interval '1 day' OR line.at < before.at - interval '1 day'
    ORDER BY line.id LIMIT 1
"""
ALL_SEALS = (0, 2**62)


class LedgerBroken(ClinicError):
    """The ledger is not what was sealed. `named`: the number of the first bad line or seal, the table or function."""

    def __init__(self, fault: Fault, **named: object):
        super().__init__(str(fault.label) % named)
        self.fault, self.named = fault, named


class NoSuchHead(ClinicError):
    """What was given as a head is none."""


@dataclass(frozen=True)
class SealedLine:
    """digest: when it was sealed; digest_now: of the line as it stands today, None where there is none."""

    seal: int
    event: int
    digest: bytes
    digest_now: bytes | None


@dataclass(frozen=True)
class Link:
    """A seal; `microseconds` since 1970 when it was set."""

    number: int
    microseconds: int
    lines: int
    digest: bytes


@dataclass(frozen=True)
class Verified:
    """How far the chain was walked without a fault."""

    seals: int = 0
    lines: int = 0
    digest: bytes = b""

    @property
    def head(self) -> str:
        return head_of(self.seals, self.digest) if self.seals else ""


NOTHING_YET = Verified()


def digest_of(fields: Iterable[object]) -> bytes:
    """SHA-256 over each field with its length in bytes, as `audit_digest` in sql/seals.sql has it."""
    return hashlib.sha256(b"".join(map(part_of, fields))).digest()


def part_of(field: object) -> bytes:
    if field is None:
        return b"-,"
    said = str(field).encode()
    return b"%d:%b," % (len(said), said)


def walk_chain(links: Iterable[Link], lines: Iterable[SealedLine], before: Verified) -> Iterator[Verified]:
    """What is verified after each link; `before` is where the walk goes on from.

    Raises LedgerBroken at the first line or link that is not as it was sealed.
    """
    groups = groupby(lines, key=lambda line: line.seal)
    seal, group = next(groups, (None, iter(())))
    for link in links:
        if link.number != before.seals + 1:
            raise LedgerBroken(Fault.SEAL_GONE, seal=before.seals + 1)
        digests: list[bytes] = []
        if seal == link.number:
            digests = [sealed_digest(line) for line in group]
            seal, group = next(groups, (None, iter(())))
        if len(digests) != link.lines:
            raise LedgerBroken(Fault.SEAL_SHORT, seal=link.number)
        itself = b"".join(map(part_of, (link.number, link.microseconds, link.lines)))
        if hashlib.sha256(before.digest + itself + b"".join(digests)).digest() != link.digest:
            raise LedgerBroken(Fault.SEAL_REWRITTEN, seal=link.number)
        before = Verified(link.number, before.lines + link.lines, link.digest)
        yield before
    if seal is not None:
        raise LedgerBroken(Fault.SEAL_GONE, seal=seal)


def sealed_digest(line: SealedLine) -> bytes:
    if line.digest_now is None:
        raise LedgerBroken(Fault.LINE_DELETED, event=line.event)
    if line.digest_now != line.digest:
        raise LedgerBroken(Fault.LINE_CHANGED, event=line.event)
    return line.digest


def verify_ledger(
    owner: BaseDatabaseWrapper, *, head: str = "", progress: Callable[[Verified], None] = lambda _: None
) -> Verified:
    """The whole ledger, read as its owner in one snapshot and reckoned here: no function of the database is believed.

    head: as it was kept elsewhere. Raises LedgerBroken, NoSuchHead.
    """
    kept = parsed(head) if head else NOTHING_YET
    verified = NOTHING_YET
    with one_snapshot(owner):
        for verified in walk_chain(links(owner, *ALL_SEALS), lines(owner), NOTHING_YET):
            if verified.seals == kept.seals and verified.digest != kept.digest:
                raise LedgerBroken(Fault.HEAD_DIFFERS, seal=kept.seals)
            progress(verified)
        if verified.seals < kept.seals:
            raise LedgerBroken(Fault.SEAL_GONE, seal=kept.seals)
        for (event,) in rows(owner, STRAY):
            raise LedgerBroken(Fault.LINE_STRAY, event=event)
        for (event,) in rows(owner, MISDATED):
            raise LedgerBroken(Fault.LINE_MISDATED, event=event)
        for fault, name in missing_writers(owner):
            raise LedgerBroken(fault, table=name)
    return verified


def parsed(head: str) -> Verified:
    if not (found := HEAD.fullmatch(head.strip())):
        raise NoSuchHead("A head is written as the seal's number, a colon and 64 hexadecimal digits.")
    return Verified(seals=int(found[1]), digest=bytes.fromhex(found[2]))


@contextmanager
def one_snapshot(database: BaseDatabaseWrapper) -> Iterator[None]:
    """What is written meanwhile is not seen; nothing is waited for."""
    with transaction.atomic(using=database.alias):
        with database.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield


def lines(owner: BaseDatabaseWrapper) -> Iterator[SealedLine]:
    for seal, event, digest, key, *others in rows(owner, LINES):
        now = None if key is None else digest_of((key, *others))
        yield SealedLine(seal, event, bytes(digest), now)


def links(database: BaseDatabaseWrapper, first: int, last: int) -> Iterator[Link]:
    for number, microseconds, count, digest in rows(database, LINKS, [first, last]):
        yield Link(number, microseconds, count, bytes(digest))


def rows(database: BaseDatabaseWrapper, query: str, values: list[Any] | None = None) -> Iterator[tuple[Any, ...]]:
    """Streamed: a ledger does not fit into memory."""
    with database.chunked_cursor() as cursor:
        cursor.execute(query, values or [])
        while found := cursor.fetchmany(FETCHED_AT_ONCE):
            yield from found
