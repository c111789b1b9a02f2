"""Sealing the ledger, and verifying it for somebody who asked on a page."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import IntegrityError, connection, transaction
from django.db.models import Count, Max, Min, Sum
from django.utils import timezone
from django.utils.translation import gettext as _

from skinclinic.audit.acting import Actor, acting, system
from skinclinic.audit.models import Seal, SealedEvent, UnsealedEvent, Verification
from skinclinic.audit.verify import NOTHING_YET, Fault, LedgerBroken, SealedLine, Verified, links, rows, walk_chain
from skinclinic.audit.writers import missing_writers
from skinclinic.errors import ClinicError

LINES_IN_A_SEAL = 5000
LINES_AT_ONCE = 20_000


class AlreadyVerifying(ClinicError):
    """One verification of the ledger at a time."""


@dataclass(frozen=True)
class SealState:
    """oldest_waiting: of the lines that no seal is over yet."""

    seals: int
    lines: int
    last_at: datetime | None
    head: str
    waiting: int
    oldest_waiting: datetime | None


@dataclass(frozen=True)
class Unsealed:
    """Lines that no seal is over yet."""

    lines: int
    oldest: datetime | None


def seal_ledger() -> int:
    """Seal every line that is there, and say how many those were."""
    sealed = 0
    with connection.cursor() as cursor:
        while True:
            cursor.execute("SELECT audit_seal_lines(%s)", [LINES_IN_A_SEAL])
            count = cursor.fetchone()[0]
            sealed += count
            if count < LINES_IN_A_SEAL:
                return sealed


def unsealed() -> Unsealed:
    return Unsealed(**UnsealedEvent.objects.aggregate(lines=Count("pk"), oldest=Min("at")))


def seal_state() -> SealState:
    last, waiting = Seal.objects.order_by("-number").first(), unsealed()
    lines = Seal.objects.aggregate(lines=Sum("lines"))["lines"] or 0
    number, last_at, head = (last.number, last.at, str(last)) if last else (0, None, "")
    return SealState(number, lines, last_at, head, waiting.lines, waiting.oldest)


def ask_to_verify(*, actor: Actor) -> Verification:
    """The row is the message: a sweep takes what is not finished. Raises AlreadyVerifying."""
    lines = Seal.objects.aggregate(lines=Sum("lines"))["lines"] or 0
    try:
        with transaction.atomic():
            return Verification.objects.create(clinic_id=actor.own_clinic(), asked_by=actor.name, lines_in_all=lines)
    except IntegrityError as error:
        raise AlreadyVerifying(_("The ledger is being verified already; wait until that is done.")) from error


def verify_as_asked(*, verification_id: UUID, clinic_id: UUID) -> None:
    """The whole chain as the application sees it, piece by piece; after each it is noted how far it is."""
    last = last_seal()
    verified = NOTHING_YET
    while verified.seals < last:
        with acting(system(clinic_id=clinic_id)):
            try:
                verified = verify_next(verified, last)
            except LedgerBroken as broken:
                note(verification_id, verified, fault=broken.fault, named=broken.named, finished_at=timezone.now())
                return
            note(verification_id, verified)
    with acting(system(clinic_id=clinic_id)):
        note(verification_id, verified, finished_at=timezone.now(), **fault_beside_the_chain())


def fault_beside_the_chain() -> dict[str, object]:
    """What no link shows: a line past the seals, one sealed under a false day, a table or function that writes none."""
    for fault, function in ((Fault.LINE_STRAY, "audit_stray"), (Fault.LINE_MISDATED, "audit_misdated")):
        for (event,) in rows(connection, f"SELECT event FROM {function}()"):
            return {"fault": fault, "named": {"event": event}}
    for fault, name in missing_writers(connection):
        return {"fault": fault, "named": {"table": name}}
    return {}


def last_seal() -> int:
    """Of which there is a link or a line: both would have to be gone for it not to be missed."""
    link, line = Seal.objects.aggregate(last=Max("number")), SealedEvent.objects.aggregate(last=Max("seal"))
    return max(link["last"] or 0, line["last"] or 0)


def verify_next(verified: Verified, last: int) -> Verified:
    """Walk on by as many seals as hold about LINES_AT_ONCE lines."""
    until = last_of_piece(verified.seals, last)
    piece = links(connection, verified.seals + 1, until)
    *_walked, at = [verified, *walk_chain(piece, lines_now(verified.seals + 1, until), verified)]
    if at.seals < until:
        raise LedgerBroken(Fault.SEAL_GONE, seal=at.seals + 1)
    return at


def last_of_piece(walked: int, last: int) -> int:
    """Each seal is over a line at least, so no more of them need be read: a year has more than a million."""
    lines = 0
    following = Seal.objects.filter(number__gt=walked).order_by("number")[:LINES_AT_ONCE]
    for number, count in following.values_list("number", "lines"):
        lines += count
        if lines >= LINES_AT_ONCE:
            return number
    return last


def lines_now(first: int, last: int) -> Iterator[SealedLine]:
    """As the database reckons them: the application may not read what other clinics' lines say."""
    for seal, event, digest, now in rows(connection, "SELECT * FROM audit_lines(%s, %s)", [first, last]):
        yield SealedLine(seal, event, bytes(digest), None if now is None else bytes(now))


def note(verification_id: UUID, verified: Verified, **found: object) -> None:
    Verification.objects.filter(pk=verification_id).update(lines=verified.lines, head=verified.head, **found)
