"""The ledger: everything that happens is on it, nobody can change it, and no name is in it."""

import json

import psycopg2
import pytest
from django.apps import apps
from django.db import connection
from django.db.utils import ProgrammingError

from patients.models import PatientIdentity, Visit
from patients.services import correct_patient
from skinclinic.audit.acting import acting, current_actor, system
from skinclinic.audit.models import AuditEvent, PrivateValue
from skinclinic.audit.record import record

OUR_APPS = ("accounts", "audit", "events", "api", "fhir", "dicom", "patients", "screening")
# Tables that are no record of anything, each with its reason.
NOT_RECORDED = {
    "audit_auditevent": "the ledger itself",
    "api_storedanswer": "repeats what a create was answered",
    "audit_privatevalue": "written by the ledger's trigger",
    "audit_seal": "over the ledger",
    "audit_sealedevent": "over the ledger",
    "audit_toldhead": "over the ledger",
    "audit_unsealedevent": "lines that wait for their seal",
    "events_event": "the outbox only repeats what the ledger's rows say",
    "screening_notice": "repeats what the ledger's rows say; when it was seen and mailed stands in it",
    "screening_storedfile": "bytes; the photograph's row stands for them",
    "screening_countedpanel": "figures of the record, counted again and again",
    "screening_draft": "not said yet; the opinion that comes of it is",
    "screening_storedchunk": "bytes; the photograph's row stands for them",
}


def our_tables() -> set[str]:
    models = [model for label in OUR_APPS for model in apps.get_app_config(label).get_models(include_auto_created=True)]
    return {model._meta.db_table for model in models} - {"accounts_user_groups", "accounts_user_user_permissions"}


def tables_with_trigger() -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT tgrelid::regclass::text FROM pg_trigger WHERE tgname = 'audit_row' AND tgenabled = 'O'")
        return {name for (name,) in cursor.fetchall()}


def test_every_record_table_has_the_trigger(db):
    assert our_tables() - tables_with_trigger() == set(NOT_RECORDED)


def test_it_works(cast, chart):
    with cast.in_north():
        events = AuditEvent.objects.filter(subject_type="patients_visit", subject_id=str(chart.visit.pk))
        (event,) = events
    assert (event.action, event.actor, event.actor_name) == ("insert", str(cast.alice.user.pk), "Alice Alder")
    assert event.clinic_id == cast.north.pk
    assert event.patient_id == chart.patient.pk
    assert event.changes["urgency"] == "routine"
    assert event.changes["question"] == "private"


def test_change_names_before_and_after(cast, chart):
    with cast.alice.acting():
        Visit.objects.filter(pk=chart.visit.pk).update(urgency="urgent")
        event = AuditEvent.objects.filter(subject_id=str(chart.visit.pk), action="update").get()
    assert event.changes == {"urgency": ["routine", "urgent"]}


def test_private_text_is_kept_apart_when_it_changes(cast, chart):
    with cast.alice.acting():
        identity = {
            "family_name": "Summerbottom", "given_name": "Erna", "birth_date": "1961-04-30",
            "phone": "", "email": "", "address": "",
        }  # fmt: skip
        correct_patient(patient=chart.patient, version=1, identity=identity, sex="female", skin_type=3, risk_factors=[])
        event = AuditEvent.objects.filter(subject_type="patients_patientidentity", action="update").get()
        kept = dict(PrivateValue.objects.filter(event_id=event.pk).values_list("column", "value"))
    assert event.changes == {"family_name": "private", "phone": "private"}
    assert kept == {"family_name": "Winterbottom", "phone": "+43 660 5551234"}


def test_no_name_of_the_cast_is_in_it(cast, chart, screening):
    with cast.in_north():
        identity = PatientIdentity.objects.get(pk=chart.patient.pk)
        everything = json.dumps(list(AuditEvent.objects.values()), default=str)
    assert len(everything) > 1000
    for private in (
        identity.family_name,
        identity.given_name,
        str(identity.birth_date),
        identity.phone,
        "three months",
    ):
        assert private not in everything


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO audit_auditevent (at, actor) VALUES (now(), 'forged')",
        "UPDATE audit_auditevent SET actor = 'somebody else'",
        "DELETE FROM audit_auditevent",
        "TRUNCATE audit_auditevent",
        "DELETE FROM audit_privatevalue",
        "ALTER TABLE patients_visit DISABLE TRIGGER audit_row",
        "SET session_replication_role = 'replica'",
        "ALTER TABLE patients_visit DISABLE ROW LEVEL SECURITY",
        "SELECT audit_append('forged', '', '', NULL, NULL, '{}')",
        "DROP FUNCTION audit_row() CASCADE",
        "TRUNCATE patients_visit",
        "DELETE FROM patients_patient",
        "UPDATE screening_prediction SET malignancy = 0",
        "UPDATE screening_review SET suspicious = false",
    ],
)
def test_application_cannot_do_this(cast, statement):
    with pytest.raises(ProgrammingError, match=r"permission denied|must be owner"), connection.cursor() as cursor:
        cursor.execute(statement)


def test_raw_sql_is_on_it(cast, chart):
    with cast.alice.acting(), connection.cursor() as cursor:
        cursor.execute("UPDATE patients_lesion SET site = 'chest' WHERE id = %s", [str(chart.lesion.pk)])
        event = AuditEvent.objects.filter(subject_id=str(chart.lesion.pk), action="update").get()
    assert event.changes == {"site": ["back", "chest"]}


def test_without_a_context_it_is_the_process_and_never_nobody(real_cast, real_db):
    """Another program on the application's connection, which never heard of `acting`."""
    from skinclinic.testing import servers

    with psycopg2.connect(servers.postgres.app_url(real_db)) as other, other.cursor() as cursor:
        cursor.execute("SET application_name = 'psql'")
        cursor.execute("UPDATE accounts_user SET full_name = 'Alice Aldous' WHERE email = 'alice@example.org'")
    other.close()
    with psycopg2.connect(servers.postgres.owner_url(real_db)) as owner, owner.cursor() as cursor:
        cursor.execute("SELECT actor, actor_name FROM audit_auditevent ORDER BY id DESC LIMIT 1")
        assert cursor.fetchone() == ("system:psql", "skinclinic_web")
    owner.close()


def test_inner_act_ends_and_the_outer_one_goes_on(cast):
    with cast.alice.acting():
        with acting(system(clinic_id=cast.north.pk), reason="inner"):
            record("inner")
        record("outer")
        assert current_actor() == cast.alice.actor
        inner, outer = AuditEvent.objects.filter(action__in=["inner", "outer"]).order_by("id")
    assert (inner.actor, inner.reason) == ("system:tests", "inner")
    assert (outer.actor, outer.reason) == (str(cast.alice.user.pk), "")


def test_act_that_fails_leaves_nothing_but_the_outer_one_goes_on(cast):
    with cast.alice.acting():
        with pytest.raises(RuntimeError):  # noqa: PT012 (the act is what fails)
            with acting(system(clinic_id=cast.north.pk)):
                record("undone")
                raise RuntimeError
        record("kept")
        actions = AuditEvent.objects.filter(action__in=["undone", "kept"]).values_list("action", "actor")
        assert list(actions) == [("kept", str(cast.alice.user.pk))]


def test_clinic_reads_its_own_lines_only(cast, chart):
    with cast.bob.acting():
        assert not AuditEvent.objects.filter(subject_id=str(chart.visit.pk)).exists()
        assert AuditEvent.objects.filter(clinic_id=cast.south.pk).exists()
