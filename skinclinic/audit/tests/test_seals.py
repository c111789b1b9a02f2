"""The sealed ledger, attacked by the one who could: the owner of its tables."""

from collections.abc import Callable, Iterator
from io import StringIO
from threading import Thread

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, connections
from django.db.utils import ProgrammingError

from conftest import Cast, make_chart
from skinclinic.audit.acting import acting, system
from skinclinic.audit.models import AuditEvent, Seal, SealedEvent, UnsealedEvent, Verification
from skinclinic.audit.record import record
from skinclinic.audit.sealing import (
    AlreadyVerifying,
    ask_to_verify,
    last_of_piece,
    seal_ledger,
    seal_state,
    verify_as_asked,
)
from skinclinic.audit.verify import LedgerBroken, NoSuchHead, verify_ledger

Run = Callable[[str], None]


@pytest.fixture
def run_as_owner(real_cast: Cast, real_db: str) -> Iterator[Run]:
    """What the owner of the database could type into psql; `connections["owner"]` leads there too."""
    owner = connections["owner"]
    before = owner.settings_dict["NAME"]
    owner.close()
    owner.settings_dict["NAME"] = real_db

    def run(statement: str) -> None:
        with owner.cursor() as cursor:
            cursor.execute(statement)

    yield run
    owner.close()
    owner.settings_dict["NAME"] = before


@pytest.fixture
def sealed(real_cast: Cast, run_as_owner: Run) -> Run:
    """Three seals over what a clinic did."""
    seal_ledger()
    make_chart(real_cast.alice)
    seal_ledger()
    with real_cast.bob.acting():
        record("chart_seen", detail={"ids": ["ä", "ß"], "share": 0.1, "none": None})
    seal_ledger()
    return run_as_owner


def verify(head: str = "") -> str:
    """The head, or what is wrong."""
    try:
        return verify_ledger(connections["owner"], head=head).head
    except LedgerBroken as broken:
        return str(broken)


def verify_from_page(cast: Cast) -> Verification:
    with cast.ada.acting() as actor:
        asked = ask_to_verify(actor=actor)
    verify_as_asked(verification_id=asked.pk, clinic_id=cast.north.pk)
    with cast.ada.acting():
        return Verification.objects.get()


def middle_line() -> int:
    return SealedEvent.objects.filter(seal=2).order_by("position")[2].event


def test_it_works(real_cast, sealed):
    state = seal_state()
    assert (state.seals, state.waiting, state.oldest_waiting) == (3, 0, None)
    verified = verify_ledger(connections["owner"])
    assert verified.head == state.head
    assert verified.lines == state.lines == SealedEvent.objects.count()
    done = verify_from_page(real_cast)
    assert (done.fault, done.lines, done.head, done.percent) == ("", state.lines, state.head, 100)


def test_nothing_new_makes_no_seal(real_cast, sealed):
    assert seal_ledger() == 0
    assert Seal.objects.count() == 3


def test_digests_depend_on_no_setting_of_the_session(real_cast, sealed):
    with connections["owner"].cursor() as cursor:
        for setting in (
            "TimeZone = 'Pacific/Auckland'", "DateStyle = 'SQL, DMY'", "bytea_output = 'escape'",
            "extra_float_digits = -10", "IntervalStyle = 'iso_8601'", "lc_numeric = 'C'",
        ):  # fmt: skip
            cursor.execute(f"SET {setting}")
    assert verify() == seal_state().head


def test_line_committed_late_is_sealed_later(real_cast, run_as_owner, real_db):
    """A transaction that began before others were sealed, and ends after."""
    with real_cast.alice.acting():
        record("slow")
        other = Thread(target=record_and_seal, args=[real_cast])
        other.start()
        other.join()
        assert AuditEvent.objects.filter(action="slow").exists()
        assert UnsealedEvent.objects.count() == 1
    assert seal_ledger() == 1
    with real_cast.in_north():
        slow, quick = AuditEvent.objects.get(action="slow"), AuditEvent.objects.get(action="quick")
    seals = dict(SealedEvent.objects.values_list("event", "seal"))
    assert slow.pk < quick.pk
    assert seals[slow.pk] > seals[quick.pk]
    assert verify() == seal_state().head


def record_and_seal(cast: Cast) -> None:
    try:
        with cast.alice.acting():
            record("quick")
        seal_ledger()
    finally:
        connection.close()


def test_two_that_seal_at_once_make_one_chain(real_cast, run_as_owner):
    make_chart(real_cast.alice)
    threads = [Thread(target=record_and_seal, args=[real_cast]) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seal_ledger()
    assert verify() == seal_state().head
    assert SealedEvent.objects.count() == seal_state().lines


CHANGED, DELETED = "Line {line} was changed.", "Line {line} was deleted."
SHORT, REWRITTEN = (
    "Some of the lines of seal 2 are gone.",
    "Seal {seal} was rewritten: it does not follow from its lines.",
)
LINE, SEALED = "audit_auditevent", "audit_sealedevent"


@pytest.mark.parametrize(
    ("said", "statements"),
    [
        (CHANGED, [f"UPDATE {LINE} SET actor_name = 'Bob Beech' WHERE id = {{line}}"]),
        (CHANGED, [f"UPDATE {LINE} SET at = at - interval '1 microsecond' WHERE id = {{line}}"]),
        (CHANGED, [f"UPDATE {LINE} SET patient_id = NULL WHERE id = {{line}}"]),
        (CHANGED, [f"UPDATE {SEALED} SET digest = sha256('x') WHERE event = {{line}}"]),
        (DELETED, [f"DELETE FROM {LINE} WHERE id = {{line}}"]),
        (SHORT, [f"DELETE FROM {SEALED} WHERE event = {{line}}"]),
        (SHORT, [f"DELETE FROM {table} WHERE {{line}} = {key}" for table, key in ((LINE, "id"), (SEALED, "event"))]),
        ("Seal 2 is gone.", ["DELETE FROM audit_seal WHERE number = 2"]),
        ("Seal 3 is gone.", ["DELETE FROM audit_seal WHERE number = 3"]),
        (REWRITTEN.format(seal=1), ["UPDATE audit_seal SET at = at + interval '1 s' WHERE number = 1"]),
        (
            REWRITTEN.format(seal=2),
            [
                f"UPDATE {LINE} SET reason = 'x' WHERE id = {{line}}",
                f"UPDATE {SEALED} SET digest = audit_digest(e) FROM {LINE} e WHERE event = {{line}} AND id = event",
            ],
        ),
        (
            "Line 999999 was not written by the ledger itself.",
            [
                f"CREATE TEMPORARY TABLE forged AS SELECT * FROM {LINE} WHERE id = {{line}}",
                "UPDATE forged SET id = 999999",
                f"INSERT INTO {LINE} SELECT * FROM forged",
            ],
        ),
    ],
)
def test_owner_who_tampers_is_noticed(real_cast, sealed, said, statements):
    line = middle_line()
    for statement in statements:
        sealed(statement.format(line=line))
    assert verify() == said.format(line=line)
    done = verify_from_page(real_cast)
    assert done.sentence == said.format(line=line), "the page finds the same"
    assert done.finished_at


@pytest.mark.parametrize(
    ("away", "is_noticed"), [("- interval '2 years'", True), ("+ interval '2 days'", True), ("", False)]
)
def test_line_written_into_another_time_is_noticed(real_cast, sealed, away, is_noticed):
    """By the owner, and put on the queue, so that the next seal is over it as over any other."""
    sealed(
        f"CREATE TEMPORARY TABLE forged AS SELECT * FROM {LINE} WHERE id = {middle_line()};"
        f"UPDATE forged SET id = 999999, at = clock_timestamp() {away}; INSERT INTO {LINE} SELECT * FROM forged;"
        "INSERT INTO audit_unsealedevent SELECT id, at FROM forged"
    )
    seal_ledger()
    said = "Line 999999 bears another day than the one it was sealed on."
    assert verify() == (said if is_noticed else seal_state().head)
    assert verify_from_page(real_cast).sentence == (said if is_noticed else "")


def test_line_taken_away_before_it_is_sealed_is_noticed(real_cast, sealed):
    with real_cast.alice.acting():
        line = record("soon_gone")
    sealed(f"DELETE FROM audit_auditevent WHERE id = {line}")
    seal_ledger()
    assert verify() == f"Line {line} was deleted."


OFF = "patients_visit writes nothing on the ledger: its trigger is switched off or gone."
ANOTHER = "audit_row is not the function of the ledger that was installed."
ON_VISITS = "CREATE TRIGGER audit_row AFTER INSERT OR UPDATE OR DELETE ON patients_visit FOR EACH ROW"
SAYS_NOTHING = "AS $$ BEGIN RETURN NULL; END $$ LANGUAGE plpgsql"


@pytest.mark.parametrize(
    ("said", "statements"),
    [
        (OFF, ["ALTER TABLE patients_visit DISABLE TRIGGER audit_row"]),
        (OFF, ["ALTER TABLE patients_visit ENABLE REPLICA TRIGGER audit_row"]),
        (OFF, ["DROP TRIGGER audit_row ON patients_visit"]),
        (
            OFF,
            [
                "DROP TRIGGER audit_row ON patients_visit",
                f"{ON_VISITS} WHEN (pg_trigger_depth() < 0) EXECUTE FUNCTION audit_row('question', 'taken_until')",
            ],
        ),
        (
            OFF,
            [
                "DROP TRIGGER audit_row ON patients_visit",
                f"{ON_VISITS} EXECUTE FUNCTION audit_row('question', 'taken_until,urgency')",
            ],
        ),
        (
            OFF,
            [
                f"CREATE FUNCTION nothing() RETURNS trigger {SAYS_NOTHING}",
                "DROP TRIGGER audit_row ON patients_visit",
                f"{ON_VISITS} EXECUTE FUNCTION nothing('question', 'taken_until')",
            ],
        ),
        (ANOTHER, [f"CREATE OR REPLACE FUNCTION audit_row() RETURNS trigger {SAYS_NOTHING}"]),
    ],
)
def test_table_that_tells_the_ledger_nothing_is_noticed(real_cast, sealed, said, statements):
    for statement in statements:
        sealed(statement)
    assert verify() == said
    assert verify_from_page(real_cast).sentence == said, "the page finds the same"


def test_all_triggers_gone_at_once_are_noticed(sealed):
    sealed("DROP FUNCTION audit_row() CASCADE")
    assert verify() == "accounts_clinic writes nothing on the ledger: its trigger is switched off or gone."


def test_only_a_head_kept_elsewhere_shows_a_chain_cut_short(real_cast, sealed):
    head = seal_state().head
    sealed(
        "DELETE FROM audit_auditevent WHERE id IN (SELECT event FROM audit_sealedevent WHERE seal = 3);"
        "DELETE FROM audit_sealedevent WHERE seal = 3; DELETE FROM audit_seal WHERE number = 3"
    )
    assert verify() == seal_state().head
    assert verify(head) == "Seal 3 is gone."


def test_only_a_head_kept_elsewhere_shows_a_chain_rewritten(real_cast, sealed):
    head = seal_state().head
    sealed(
        "UPDATE audit_auditevent SET reason = 'x' WHERE id = 1; TRUNCATE audit_seal, audit_sealedevent;"
        "INSERT INTO audit_unsealedevent SELECT id, at FROM audit_auditevent"
    )
    for most in (2, 5, 5000):
        with connection.cursor() as cursor:
            cursor.execute("SELECT audit_seal_lines(%s)", [most])
    assert verify() == seal_state().head
    assert verify(head) == "Seal 3 is another one than the head that was kept says."
    for nothing in ("3", f"0:{'0' * 64}"):
        with pytest.raises(NoSuchHead, match="64 hexadecimal digits"):
            verify(nothing)


def test_truncated_ledger_is_noticed(real_cast, sealed):
    sealed("TRUNCATE audit_auditevent")
    assert verify() == "Line 1 was deleted."


def test_changed_function_of_the_database_hides_nothing(real_cast, sealed):
    line = middle_line()
    sealed(f"UPDATE audit_auditevent SET reason = 'x' WHERE id = {line}")
    sealed(
        "CREATE OR REPLACE FUNCTION audit_digest(line audit_auditevent) RETURNS bytea LANGUAGE sql AS"
        " 'SELECT digest FROM audit_sealedevent WHERE event = line.id'"
    )
    done = verify_from_page(real_cast)
    assert done.sentence == "audit_digest is not the function of the ledger that was installed.", (
        "it believed its lines"
    )
    assert verify() == f"Line {line} was changed."


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO audit_seal (number, at, lines, digest) VALUES (9, now(), 0, '')",
        "UPDATE audit_sealedevent SET digest = ''",
        "DELETE FROM audit_unsealedevent",
        "TRUNCATE audit_seal",
        "SELECT audit_digest(e) FROM audit_auditevent e",
        "DELETE FROM audit_verification",
        "UPDATE audit_verification SET asked_by = 'x'",
    ],
)
def test_application_cannot_do_this(cast, statement):
    with pytest.raises(ProgrammingError, match="permission denied"), connection.cursor() as cursor:
        cursor.execute(statement)


def test_one_verification_at_a_time(cast):
    with cast.ada.acting() as actor:
        ask_to_verify(actor=actor)
        with pytest.raises(AlreadyVerifying):
            ask_to_verify(actor=actor)
    with cast.bob.acting() as actor:
        assert not Verification.objects.visible_to(actor).exists()
        ask_to_verify(actor=actor)


def test_two_who_ask_in_the_same_moment_get_one_verification(real_cast):
    found = []

    def ask() -> None:
        try:
            with real_cast.ada.acting() as actor:
                found.append(ask_to_verify(actor=actor))
        except AlreadyVerifying:
            found.append(None)
        finally:
            connection.close()

    threads = [Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(each is not None for each in found) == 1
    with real_cast.ada.acting():
        assert Verification.objects.count() == 1


def test_long_chain_is_verified_in_pieces(real_cast, run_as_owner, monkeypatch):
    monkeypatch.setattr("skinclinic.audit.sealing.LINES_AT_ONCE", 3)
    for _ in range(5):
        with acting(system(clinic_id=real_cast.north.pk)):
            record("one")
            record("two")
        seal_ledger()
    assert verify_from_page(real_cast).lines == seal_state().lines
    run_as_owner("DELETE FROM audit_sealedevent WHERE seal = 4; DELETE FROM audit_seal WHERE number = 4")
    with real_cast.ada.acting() as actor:
        asked = ask_to_verify(actor=actor)
    verify_as_asked(verification_id=asked.pk, clinic_id=real_cast.north.pk)
    with real_cast.ada.acting():
        assert Verification.objects.get(pk=asked.pk).sentence == "Seal 4 is gone."


def test_a_piece_is_found_without_reading_all_that_follows(real_cast, sealed, monkeypatch, django_assert_num_queries):
    monkeypatch.setattr("skinclinic.audit.sealing.LINES_AT_ONCE", 2)
    with django_assert_num_queries(1) as asked:
        assert last_of_piece(1, 3) == 2
    assert asked.captured_queries[0]["sql"].endswith("LIMIT 2")


def run_command(*words: str) -> str:
    out = StringIO()
    call_command("audit", *words, stdout=out)
    return out.getvalue()


def test_command_seals_says_the_head_and_verifies(real_cast, run_as_owner):
    assert run_command("head") == "Nothing is sealed yet.\n"
    assert run_command("seal").endswith("lines sealed.\n")
    head = run_command("head").strip()
    assert f"Head: {head}" in run_command("verify", "--head", head)
    run_as_owner("UPDATE audit_auditevent SET action = 'x' WHERE id = 2")
    with pytest.raises(CommandError, match=r"Line 2 was changed\."):
        run_command("verify")
