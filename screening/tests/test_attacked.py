"""Somebody who got hold of the application's sign-in to the database, and tries what Postgres offers.

She can say that she acts in any clinic, as the application does. Nothing else gives her a row: not a value that is no
clinic, not a right that the role lacks, not a table put before ours, not what the planner knows.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg2
import pytest
from django.db import ProgrammingError, connection, connections

from conftest import Cast, make_chart, make_screening
from patients.models import Patient, Visit
from screening.models import Screening
from screening.services.readings import claim_reading, read_photograph
from screening.tests.conftest import fresh, wait_until
from screening.tests.test_isolation import clinic_tables
from skinclinic.audit.acting import acting, system
from skinclinic.audit.roles import DatabaseUnfit, end_idle_transactions
from skinclinic.testing import SHARED, TEMPLATE, servers

UNKNOWN = "6f1c1f0e-54a4-4f0f-9f07-3a6b9f3a2a11"
# Of her own row of these she is shown something before any clinic is chosen.
HERS = {"accounts_membership"}


@pytest.fixture
def north(real_cast: Cast, photograph_bytes: bytes) -> Cast:
    """With a patient, her photograph and their history."""
    make_screening(real_cast.alice, make_chart(real_cast.alice), photograph_bytes)
    return real_cast


@contextmanager
def connection_to(database: str) -> Iterator[psycopg2.extensions.cursor]:
    """Of the application's role, and of nothing that knows the application."""
    connected = psycopg2.connect(servers.postgres.app_url(database))
    connected.autocommit = True
    with connected.cursor() as cursor:
        yield cursor
    connected.close()


@pytest.fixture
def psql(north: Cast, real_db: str) -> Iterator[psycopg2.extensions.cursor]:
    with connection_to(real_db) as cursor:
        yield cursor


@pytest.fixture
def empty_psql(django_db_setup) -> Iterator[psycopg2.extensions.cursor]:
    """Where there are tables and no rows, for what is refused anyway."""
    with connection_to(SHARED) as cursor:
        yield cursor


def rows_of_north(cursor, north: Cast) -> dict[str, int]:
    found = {}
    for table in clinic_tables():
        cursor.execute(f"SELECT count(*) FROM {table} WHERE clinic_id = %s", [str(north.north.pk)])
        if count := cursor.fetchone()[0]:
            found[table] = count
    return found


def test_it_works(psql, north):
    """So that what follows is no empty table."""
    psql.execute("SET skinclinic.clinic = %s", [str(north.north.pk)])
    assert {"patients_patientidentity", "screening_screening", "audit_auditevent"} <= set(rows_of_north(psql, north))


@pytest.mark.parametrize("clinic", ["", UNKNOWN, "00000000-0000-0000-0000-000000000000"])
@pytest.mark.parametrize("user", ["", UNKNOWN, "rita"])
def test_settings_that_name_no_clinic_of_ours_show_nothing(psql, north, clinic, user):
    person = str(north.rita.user.pk) if user == "rita" else user
    psql.execute("SELECT set_config('skinclinic.clinic', %s, false)", [clinic])
    psql.execute("SELECT set_config('skinclinic.user', %s, false)", [person])
    assert set(rows_of_north(psql, north)) - {"api_client"} <= (HERS if user == "rita" else set())


@pytest.mark.parametrize("forged", ["*", "null", "' OR true --", "%", "NORTH,SOUTH"])
def test_settings_that_are_no_id_are_an_error(psql, north, forged):
    """And not a policy that is left out."""
    value = forged.replace("NORTH", str(north.north.pk)).replace("SOUTH", str(north.south.pk))
    psql.execute("SET skinclinic.clinic = %s", [value])
    with pytest.raises(psycopg2.errors.InvalidTextRepresentation):
        psql.execute("SELECT count(*) FROM patients_patientidentity")


@pytest.mark.parametrize(
    "statement",
    [
        "SET row_security = off; SELECT count(*) FROM patients_patientidentity",
        "SET ROLE skinclinic_owner",
        "SET SESSION AUTHORIZATION skinclinic_owner",
        "ALTER ROLE skinclinic_web BYPASSRLS",
        "ALTER ROLE skinclinic_web SUPERUSER",
        "GRANT skinclinic_owner TO skinclinic_web",
        "CREATE ROLE another SUPERUSER",
        "ALTER TABLE patients_patient NO FORCE ROW LEVEL SECURITY",
        "DROP POLICY clinic_reads ON patients_patient",
        "CREATE POLICY all_read ON patients_patient USING (true)",
        "ALTER POLICY clinic_reads ON patients_patient USING (true)",
        "CREATE TABLE public.patients_copy (id int)",
        "CREATE FUNCTION public.audit_append() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "ALTER FUNCTION audit_record(text, text, text, uuid, jsonb) RESET search_path",
        "ALTER FUNCTION reading_backlog() SECURITY INVOKER",
        "CREATE TRIGGER mine BEFORE INSERT ON patients_visit EXECUTE FUNCTION audit_row()",
        "CREATE EXTENSION dblink",
        "CREATE RULE mine AS ON INSERT TO patients_visit DO INSTEAD NOTHING",
        "COPY patients_patientidentity TO PROGRAM 'cat'",
        "COPY accounts_user TO '/tmp/users'",
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT lo_import('/etc/passwd')",
        "SELECT * FROM pg_authid",
        "ALTER SYSTEM SET log_statement = 'all'",
        "SET log_statement = 'all'",
        "DROP DATABASE postgres",
        "BEGIN; LOCK TABLE audit_auditevent IN ACCESS EXCLUSIVE MODE",
        "REASSIGN OWNED BY skinclinic_owner TO skinclinic_web",
    ],
)
def test_rights_that_the_role_lacks(empty_psql, statement):
    with pytest.raises((psycopg2.errors.InsufficientPrivilege, psycopg2.errors.InvalidObjectDefinition)):
        empty_psql.execute(statement)


def test_she_makes_no_table_of_her_own(empty_psql):
    """Not even a temporary one, where the database was prepared (the tests' own are copies, without its rights)."""
    empty_psql.execute("SELECT has_database_privilege(%s, 'TEMPORARY')", [TEMPLATE])
    assert empty_psql.fetchone() == (False,)


def test_what_the_planner_knows_of_the_rows_is_hidden(psql, north, real_db):
    """Statistics hold the commonest names; Postgres hides them where row-level security stands."""
    with psycopg2.connect(servers.postgres.owner_url(real_db)) as owner, owner.cursor() as cursor:
        cursor.execute("ANALYZE patients_patientidentity")
        cursor.execute("SELECT count(*) FROM pg_stats WHERE tablename = 'patients_patientidentity'")
        assert cursor.fetchone()[0] > 5
    owner.close()
    psql.execute("SELECT count(*) FROM pg_stats WHERE tablename = 'patients_patientidentity'")
    assert psql.fetchone()[0] == 0


def test_a_function_of_hers_is_asked_of_no_row_that_is_not_shown(psql, north):
    """A cheap one in a condition is asked before dearer conditions, but never before a policy."""
    psql.execute(
        "CREATE FUNCTION pg_temp.leak(value text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS"
        " $$ BEGIN RAISE NOTICE 'leaked %', value; RETURN true; END $$"
    )
    psql.execute("SELECT count(*) FROM patients_patientidentity WHERE pg_temp.leak(family_name)")
    assert psql.fetchone()[0] == 0
    assert not psql.connection.notices


def test_a_table_of_hers_before_ours_gets_no_line_of_the_ledger(psql, north):
    """The writers run as the owner with a fixed search path; what lies in front of it is not looked at."""
    psql.execute("SET skinclinic.clinic = %s", [str(north.north.pk)])
    psql.execute("CREATE TEMP TABLE audit_auditevent (LIKE public.audit_auditevent)")
    psql.execute("CREATE TEMP TABLE audit_unsealedevent (LIKE public.audit_unsealedevent)")
    psql.execute(
        "CREATE FUNCTION pg_temp.audit_append(text, text, text, uuid, uuid, jsonb) RETURNS bigint"
        " LANGUAGE sql AS 'SELECT 0::bigint'"
    )
    psql.execute("SET search_path = pg_temp, public")
    psql.execute("SELECT max(id) FROM public.audit_auditevent")
    before = psql.fetchone()[0]
    psql.execute("UPDATE public.patients_visit SET urgency = 'urgent'")
    psql.execute("SELECT count(*) FROM pg_temp.audit_auditevent")
    assert psql.fetchone()[0] == 0
    psql.execute("SELECT count(*), max(action) FROM public.audit_auditevent WHERE id > %s", [before])
    assert psql.fetchone() == (1, "update")


def test_a_guessed_id_of_another_clinic_cannot_be_pointed_at(psql, north):
    with north.in_north():
        patient = Patient.objects.get().pk
    psql.execute("SET skinclinic.clinic = %s", [str(north.south.pk)])
    with pytest.raises(psycopg2.errors.ForeignKeyViolation, match="same_clinic"):
        psql.execute(
            "INSERT INTO patients_lesion (id, created_at, clinic_id, patient_id, site, laterality, view, x, y, number)"
            " VALUES (gen_random_uuid(), now(), %s, %s, 'back', 'left', 'back', 0.5, 0.5, 99)",
            [str(north.south.pk), str(patient)],
        )


def test_a_connection_forgets_the_clinic_with_the_transaction(north):
    """What the next request finds on a kept connection."""
    with north.in_north():
        assert Patient.objects.count() == 1
    assert Patient.objects.count() == 0
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('skinclinic.clinic', true), current_setting('skinclinic.user', true)")
        assert cursor.fetchone() == ("", "")


def test_an_inner_transaction_of_another_clinic_leaves_nothing_open(north):
    with north.in_north():
        with north.bob.acting():
            assert Patient.objects.count() == 0
            with pytest.raises(ProgrammingError, match="row-level security"), acting(north.bob.actor):
                Patient.objects.create(clinic=north.north, sex="female")
        assert Patient.objects.count() == 1
        with pytest.raises(ProgrammingError, match="row-level security"), acting(north.alice.actor):
            Patient.objects.create(clinic=north.south, sex="female")
        assert Patient.objects.count() == 1


def test_a_task_that_forgot_its_clinic_finds_nothing_and_writes_nothing(north):
    with north.in_north():
        screening = Screening.objects.get()
    assert claim_reading(screening_id=screening.pk) is None
    assert Visit.objects.update(urgency="urgent") == 0
    with pytest.raises(ProgrammingError, match="row-level security"):
        Patient.objects.create(clinic=north.north, sex="female")
    assert fresh(screening).reading_status == "queued"


def test_a_task_that_names_another_clinic_reads_nothing(north):
    with north.in_north():
        screening = Screening.objects.get()
    read_photograph(screening_id=screening.pk, clinic_id=north.south.pk)
    assert (fresh(screening).reading_status, fresh(screening).attempt) == ("queued", 0)
    with acting(system(clinic_id=north.south.pk)):
        assert not Screening.objects.exists()


def test_a_transaction_that_is_left_open_is_ended(empty_psql):
    """Which would keep its locks, and lines of the ledger from their seal, for as long as a process hangs."""
    empty_psql.execute("SHOW idle_in_transaction_session_timeout")
    assert empty_psql.fetchone() == ("1min",)
    empty_psql.execute("SET idle_in_transaction_session_timeout = '50ms'")
    empty_psql.execute("BEGIN; SELECT pg_backend_pid()")
    pid = empty_psql.fetchone()
    with connection_to(SHARED) as another:
        wait_until(lambda: another.execute("SELECT FROM pg_stat_activity WHERE pid = %s", pid) or not another.rowcount)
    with pytest.raises(psycopg2.OperationalError):
        empty_psql.execute("SELECT 1")


def test_a_role_that_cannot_be_told_so_is_named(real_db):
    """Where somebody else made it: nothing goes on without the limit."""
    theirs = connections["owner"].settings_dict["USER"]
    with connection.cursor() as cursor, pytest.raises(DatabaseUnfit, match=f"ALTER ROLE {theirs} SET idle_in"):
        end_idle_transactions(cursor, theirs)


def test_a_table_of_hers_is_not_erased_from_as_the_owner(psql, north):
    """What is erased is found by its trigger's name: one of hers would be asked with the owner's rights."""
    with north.in_north():
        patient = Patient.objects.get().pk
    psql.execute("SELECT set_config('skinclinic.clinic', %s, false)", [str(north.north.pk)])
    psql.execute("CREATE TEMP TABLE trap (id uuid, patient_id uuid, words text)")
    psql.execute("INSERT INTO trap VALUES (gen_random_uuid(), %s, 'bait')", [str(patient)])
    psql.execute("GRANT ALL ON trap TO PUBLIC")
    psql.execute(
        "CREATE FUNCTION pg_temp.spring() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN DELETE FROM public.audit_auditevent; RETURN NEW; END $$"
    )
    psql.execute("GRANT EXECUTE ON FUNCTION pg_temp.spring() TO PUBLIC")
    psql.execute("CREATE TRIGGER audit_row BEFORE UPDATE ON trap FOR EACH ROW EXECUTE FUNCTION pg_temp.spring('words')")
    psql.execute(
        "INSERT INTO patients_erasure (id, created_at, clinic_id, patient_id, reason, words, despite_follow_ups,"
        " records, counts, asked_by_id) VALUES (%s, now(), %s, %s, 'other', '', false, '{}', '{}', %s)",
        [UNKNOWN, str(north.north.pk), str(patient), str(north.ada.user.pk)],
    )
    psql.execute("UPDATE patients_erasure SET agreed_by_id = %s WHERE id = %s", [str(north.rita.user.pk), UNKNOWN])
    psql.execute("SELECT count(*) FROM audit_auditevent")
    before = psql.fetchone()[0]
    psql.execute("SELECT erase_patient(%s)", [UNKNOWN])
    psql.execute("SELECT words FROM trap")
    assert psql.fetchone() == ("bait",)
    psql.execute("SELECT count(*) FROM audit_auditevent")
    assert psql.fetchone()[0] > before > 0


def test_whom_else_an_erasure_reaches_is_not_hers_to_say(psql, north):
    psql.execute("SELECT set_config('skinclinic.clinic', %s, false)", [str(north.north.pk)])
    with north.in_north():
        patient = Patient.objects.get().pk
    with pytest.raises(psycopg2.errors.InsufficientPrivilege, match="row-level security"):
        psql.execute(
            "INSERT INTO patients_erasure (id, created_at, clinic_id, patient_id, reason, words, despite_follow_ups,"
            " records, counts, asked_by_id) VALUES (%s, now(), %s, %s, 'other', '', false, %s::uuid[], '{}', %s)",
            [UNKNOWN, str(north.north.pk), str(patient), [UNKNOWN], str(north.ada.user.pk)],
        )
