"""After an erasure nobody finds who she was: neither the application nor the owner of the tables."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from threading import Event

import psycopg2
import pytest
from django.apps import apps
from django.db import IntegrityError, connection, connections, models, transaction
from django.db.utils import ProgrammingError

from conftest import IDENTITY, SHARED, Person, make_chart, make_screening, owner_connection
from patients.erased import RecordErased
from patients.models import Erasure, Patient, PatientIdentity
from patients.services import (
    add_identifier,
    merge_patients,
    note_consent,
    open_visit,
    register_patient,
    unmerge_patient,
)
from screening.codes import Panel
from screening.models import FollowUp, ImportRow, LesionImage, Outcome, Review, Screening, StoredFile
from screening.services import erasing
from screening.services.erasing import agree_to_erasure, erase_files, sweep_erasures, take_back_erasure
from screening.services.errors import CannotErase, NotYours, ReasonMissing, StaleTransition
from screening.services.figures import COUNTS
from screening.services.holding import give_signature
from screening.services.holds import agree_to_lift, ask_to_lift, put_hold
from screening.services.reviews import Opinion
from screening.tasks import erase_files_task
from screening.tests.conftest import finish, give, hold, rows, the_only, wait_until
from screening.tests.erasing import asked, erase, everything_of, rows_with, stored_hashes
from skinclinic.audit.acting import Actor
from skinclinic.audit.sealing import seal_ledger
from skinclinic.audit.verify import verify_ledger
from skinclinic.backup.tests.conftest import here
from skinclinic.errors import NotAllowed
from skinclinic.testing import servers


@pytest.fixture
def written(real_cast, random_photograph):
    return everything_of(real_cast, random_photograph)


def statistics_of(cast) -> dict[str, object]:
    """All panels of the dashboard, and what of the record is counted elsewhere."""
    with cast.in_north() as actor:
        panels = {panel: reckon(read(actor)) for panel, (read, reckon) in COUNTS.items()}
        counted = {model: model.objects.count() for model in (Screening, Review, LesionImage, Outcome)}
    panels[Panel.AGREEMENT].pop("until", None)
    return panels | counted


def test_nothing_of_her_is_found_in_any_table(real_cast, real_db, written):
    before = rows_with(real_db, [*written.texts, *written.photographs])
    assert {text for _table, text in before} == {*written.texts, *written.photographs}, "so the search finds them"
    assert len(written.photographs) == 5
    assert written.photographs <= stored_hashes(real_db)
    statistics = statistics_of(real_cast)

    erasure = erase(real_cast, written.patient, reason="other", words="wordstau erasure")

    assert rows_with(real_db, [*written.texts, *written.photographs, "wordstau"]) == []
    assert not stored_hashes(real_db) & written.photographs
    assert not stored_hashes(real_db), "no thumbnail and no document either"
    assert statistics_of(real_cast) == statistics
    assert the_only(real_cast, ImportRow).status == "left_out"
    done = the_only(real_cast, Erasure, pk=erasure.pk)
    assert done.files_erased_at
    assert (set(done.records), done.counts["patients_patientidentity"]) == (
        {written.patient.pk, written.duplicate.pk},
        2,
    )
    the_stranger_stays_as_she_is(real_cast, real_db, written)
    seal_ledger()
    with here(real_db).inside():
        assert verify_ledger(connections["owner"]).lines > 100


def the_stranger_stays_as_she_is(cast, database: str, written) -> None:
    """In whose record a photograph of hers was by mistake."""
    assert {text for _table, text in rows_with(database, ["Stranger", "1980-02-02", "wordstranger stays"])} == {
        "Stranger", "1980-02-02", "wordstranger stays",
    }  # fmt: skip
    with cast.in_north():
        assert Patient.objects.current().get().pk == written.others.patient.pk


def test_it_takes_two_people(cast, chart):
    erasure = asked(cast, chart.patient)
    with cast.ada.acting() as ada, pytest.raises(NotYours):
        agree_to_erasure(actor=ada, erasure=erasure)
    with cast.alice.acting() as alice, pytest.raises(NotAllowed):
        agree_to_erasure(actor=alice, erasure=erasure)
    with cast.rita.acting() as rita:
        take_back_erasure(actor=rita, erasure=erasure)
        with pytest.raises(StaleTransition):
            agree_to_erasure(actor=rita, erasure=erasure)
        assert PatientIdentity.objects.get(pk=chart.patient.pk).family_name == "Winterbottom"
    erase(cast, chart.patient)
    with cast.rita.acting():
        assert PatientIdentity.objects.get(pk=chart.patient.pk).name == "Erased patient"


REPLAYED = """
    INSERT INTO patients_erasure (id, created_at, reason, words, despite_follow_ups, records, counts, replayed_at,
        clinic_id, patient_id)
    SELECT gen_random_uuid(), now(), 'request', '', false, '{{}}', '{{}}', now(), clinic_id, patient_id
    FROM patients_erasure
"""


@pytest.mark.parametrize(
    ("statement", "refusal"),
    [
        ("SELECT erase_patient('{erasure}')", "takes two people"),
        ("UPDATE patients_erasure SET agreed_by_id = asked_by_id", "erasure_agreed_by_two"),
        ("UPDATE patients_erasure SET erased_at = now()", "permission denied"),
        ("UPDATE patients_erasure SET replayed_at = now()", "permission denied"),
        (REPLAYED, "row-level security"),
        ("SELECT erase_words(ARRAY['{patient}']::uuid[], '{clinic}')", "permission denied"),
        ("SELECT erasure_forget_files('{erasure}', '{{}}')", "takes two people"),
        ("DELETE FROM patients_erasure", "permission denied"),
    ],
)  # fmt: skip
def test_application_cannot_go_past_it(cast, chart, statement, refusal):
    """Whatever its code says: the database holds the two people itself."""
    erasure = asked(cast, chart.patient)
    filled = statement.format(erasure=erasure.pk, patient=chart.patient.pk, clinic=cast.north.pk)
    with (
        pytest.raises((ProgrammingError, IntegrityError), match=refusal),
        cast.in_north(),
        connection.cursor() as cursor,
    ):
        cursor.execute(filled)


def test_another_clinic_erases_nothing_here(cast, chart):
    erasure = asked(cast, chart.patient)
    with cast.rita.acting() as rita:
        Erasure.objects.filter(pk=erasure.pk).update(agreed_by=rita.person())
    with pytest.raises(ProgrammingError, match="in the clinic"), cast.bob.acting(), connection.cursor() as cursor:
        cursor.execute("SELECT erase_patient(%s)", [str(erasure.pk)])


def test_hold_stands_against_it(cast, chart):
    erasure = asked(cast, chart.patient)
    with cast.ada.acting() as ada:
        hold = put_hold(actor=ada, patient=chart.patient, words="a claim")
    with cast.rita.acting() as rita:
        with pytest.raises(CannotErase, match="legal hold"):
            agree_to_erasure(actor=rita, erasure=erasure)
        Erasure.objects.filter(pk=erasure.pk).update(agreed_by=rita.person())
    with pytest.raises(ProgrammingError, match="legal hold"), cast.in_north(), connection.cursor() as cursor:
        cursor.execute("SELECT erase_patient(%s)", [str(erasure.pk)])
    with cast.ada.acting() as ada:
        ask_to_lift(actor=ada, hold=hold)
        with pytest.raises(NotYours):
            agree_to_lift(actor=ada, hold=hold)
    with cast.alice.acting() as alice, pytest.raises(NotAllowed):
        agree_to_lift(actor=alice, hold=hold)
    with cast.rita.acting() as rita:
        agree_to_lift(actor=rita, hold=hold)
        agree_to_erasure(actor=rita, erasure=erasure)


def test_nothing_is_erased_while_something_is_under_way(cast, chart, screening):
    with pytest.raises(CannotErase, match="being read"):
        asked(cast, chart.patient)
    finish(cast, screening, refer=True, band="high")
    give(cast, screening, Opinion(suspicious=True, diagnosis="melanoma", recommendation="excise"))
    held = hold(cast, chart.visit)
    with pytest.raises(CannotErase, match="about to be signed"):
        asked(cast, chart.patient)
    with cast.rita.acting() as rita:
        give_signature(actor=rita, held=held)
    with pytest.raises(CannotErase, match="malignant"):
        asked(cast, chart.patient, despite_follow_ups=False)
    with pytest.raises(ReasonMissing):
        asked(cast, chart.patient, reason="other")
    erase(cast, chart.patient)
    (follow_up,) = rows(cast, FollowUp)
    assert follow_up.status == "withdrawn"


def test_erased_record_is_written_into_no_more(cast, chart, photograph_bytes):
    with cast.alice.acting() as alice:
        duplicate = register_patient(actor=alice, identity=IDENTITY, sex="female")
        merge_patients(duplicate=duplicate, into=chart.patient)
    erase(cast, chart.patient)
    with cast.alice.acting() as alice:
        for write in (
            lambda: open_visit(actor=alice, patient=chart.patient),
            lambda: unmerge_patient(duplicate=duplicate),
            lambda: put_hold(actor=alice, patient=chart.patient, words="too late"),
            lambda: add_identifier(patient=Patient.objects.get(pk=chart.patient.pk), system="urn:x", value="1"),
            lambda: note_consent(
                actor=alice, patient=chart.patient, kind="research", decision="given", decided_on="2026-11-22"
            ),
        ):
            with pytest.raises(RecordErased):
                write()
    with pytest.raises(RecordErased):
        make_screening(cast.alice, chart, photograph_bytes)
    with pytest.raises(RecordErased):
        asked(cast, chart.patient)


def test_files_follow_in_pieces_and_after_a_killed_worker(cast, chart, random_photograph, monkeypatch, settings):
    for _ in range(3):
        finish(cast, make_screening(cast.alice, chart, random_photograph()), refer=False, band="low")
    monkeypatch.setattr(erasing, "FILES_AT_ONCE", 4)
    erasure = asked(cast, chart.patient)
    with cast.rita.acting() as rita:
        agree_to_erasure(actor=rita, erasure=erasure)
    assert erase_files(erasure_id=erasure.pk, clinic_id=cast.north.pk), "there are more"
    with monkeypatch.context() as killed:
        killed.setattr(erasing, "forget_files", raises(RuntimeError))
        with pytest.raises(RuntimeError), transaction.atomic():
            erase_files(erasure_id=erasure.pk, clinic_id=cast.north.pk)
    assert len(rows(cast, LesionImage, photograph__gt="")) == 1

    settings.READING_RESEND_AFTER, sent = 0, []
    monkeypatch.setattr(erasing, "send", lambda *key, task: sent.append((*key, task)))
    sweep_erasures()
    assert sent == [(erasure.pk, cast.north.pk, "erase_files_task")]
    erase_files_task(str(erasure.pk), str(cast.north.pk))
    assert not rows(cast, LesionImage, photograph__gt="")
    assert not rows(cast, StoredFile)
    assert the_only(cast, Erasure).files_erased_at
    sweep_erasures()
    assert len(sent) == 1, "and nobody goes on"


def raises(error: type[Exception]):
    def do(*_):
        raise error

    return do


def test_what_comes_late_by_any_way_is_refused(cast, chart, screening):
    finish(cast, screening, refer=False, band="low")
    erase(cast, chart.patient)
    with pytest.raises(ProgrammingError, match="this patient was erased"):
        give(cast, screening)
    with pytest.raises(ProgrammingError, match="this patient was erased"), cast.in_north():
        PatientIdentity.objects.update(family_name="Winterbottom")


LATE = "ZQ-LATE-4711"


def test_what_is_written_at_the_same_moment_is_waited_for(real_cast, real_db):
    """A number that is being added when she is to be erased is erased as well."""
    patient, erasure = asked_for(real_cast)
    one_waits_for_the_other(
        (real_cast.alice, lambda _: add_identifier(patient=patient, system="urn:x", value=LATE)),
        (real_cast.rita, lambda rita: agree_to_erasure(actor=rita, erasure=erasure)),
    )
    assert rows_with(real_db, [LATE]) == []
    assert the_only(real_cast, Patient).erased_at


def test_who_writes_while_she_is_erased_waits_and_is_refused(real_cast, real_db):
    patient, erasure = asked_for(real_cast)
    with pytest.raises(ProgrammingError, match="this patient was erased"):
        one_waits_for_the_other(
            (real_cast.rita, lambda rita: agree_to_erasure(actor=rita, erasure=erasure)),
            (real_cast.alice, lambda _: add_identifier(patient=patient, system="urn:x", value=LATE)),
        )
    assert rows_with(real_db, [LATE]) == []


def test_record_that_is_merged_into_hers_at_the_same_moment_counts(real_cast):
    patient, erasure = asked_for(real_cast)
    duplicate = make_chart(real_cast.alice).patient
    with real_cast.ada.acting() as ada:
        put_hold(actor=ada, patient=duplicate, words="a claim")
    with pytest.raises(CannotErase, match="legal hold"):
        one_waits_for_the_other(
            (real_cast.alice, lambda _: merge_patients(duplicate=duplicate, into=patient)),
            (real_cast.rita, lambda rita: agree_to_erasure(actor=rita, erasure=erasure)),
        )


def asked_for(cast) -> tuple[Patient, Erasure]:
    patient = make_chart(cast.alice).patient
    return patient, asked(cast, patient)


Deed = tuple[Person, Callable[[Actor], object]]


def one_waits_for_the_other(first: Deed, second: Deed) -> None:
    """The first one's transaction is open until the second waits for it. Raises what the second does."""
    is_done, is_waited_for = Event(), Event()

    def do(deed: Deed, afterwards: Callable[[], object]) -> None:
        try:
            with deed[0].acting() as actor:
                deed[1](actor)
                afterwards()
        finally:
            connection.close()

    def stay() -> None:
        is_done.set()
        assert is_waited_for.wait(10)

    with ThreadPoolExecutor(2) as threads:
        before = threads.submit(do, first, stay)
        assert is_done.wait(5)
        after = threads.submit(do, second, lambda: None)
        wait_until(somebody_waits, seconds=5)
        is_waited_for.set()
        before.result(10)
        after.result(10)


def somebody_waits() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")
        return cursor.rowcount == 1


# Columns about a patient that are text, neither private nor one of a few codes, each with what becomes of it.
KEPT_TEXT = {
    ("patients_patient", "risk_factors"): "codes",
    ("patients_patientidentifier", "system"): "who gives the number",
    ("patients_visit", "history"): "codes",
    ("patients_erasure", "counts"): "rows of each table",
    ("screening_lesionimage", "photograph"): "forgotten with the file",
    ("screening_lesionimage", "thumbnail"): "forgotten with the file",
    ("screening_lesionimage", "camera"): "make and model",
    ("screening_lesionimage", "findings"): "codes",
    ("screening_prediction", "model_version_id"): "which model read it",
    ("screening_prediction", "probabilities"): "what the model said",
    ("screening_prediction", "activation_map"): "what the model said, in 7x7 cells",
    ("screening_prediction", "unscorable_reasons"): "codes",
    ("screening_prediction", "cautions"): "codes",
    ("screening_prediction", "quality"): "measures",
    ("screening_prediction", "weights_sha256"): "which model read it",
    ("screening_prediction", "preprocessing"): "which model read it",
    ("screening_prediction", "thresholds"): "which model read it",
    ("screening_draft", "fields"): "the row is deleted",
    ("screening_importrow", "cells"): "emptied",
    ("screening_importrow", "file_key"): "emptied",
    ("screening_importrow", "refusal"): "our words, none of a cell",
    ("screening_importrow", "photograph"): "forgotten with the file",
    ("screening_importrow", "thumbnail"): "forgotten with the file",
    ("screening_importrow", "photograph_refusal"): "our words",
    ("screening_importrow", "sha256"): "emptied",
    ("screening_importrow", "upload_sha256"): "emptied",
    ("screening_importrow", "camera"): "emptied",
    ("api_chartlink", "token_hash"): "good for ten minutes",
    ("fhir_signeddocument", "of"): "digest of keys",
    ("fhir_signeddocument", "pdf"): "forgotten with the file",
    ("fhir_signeddocument", "sha1"): "of a document that is gone",
    ("fhir_signeddocument", "sha256"): "of a document that is gone",
    ("fhir_photographnumber", "system"): "who gives the number",
    ("dicom_dicominstance", "sop_class"): "what kind of object it was",
    ("dicom_dicominstance", "manufacturer"): "of the camera",
    ("dicom_dicominstance", "model_name"): "of the camera",
    ("dicom_dicominstance", "software_versions"): "of the camera",
    ("dicom_dicominstance", "recognizable"): "a code",
    ("audit_auditevent", None): "the ledger, which is not erased from",
    ("audit_privatevalue", None): "the row is deleted",
}
TEXT_OF_PATIENTS = """
    SELECT relname, attname, attname = ANY (private) FROM (
        SELECT pg_class.oid, relname,
            coalesce(string_to_array(split_part(encode(tgargs, 'escape'), E'\\\\000', 1), ','), '{}') AS private
        FROM pg_class LEFT JOIN pg_trigger ON tgrelid = pg_class.oid AND tgname = 'audit_row'
        WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
    ) place JOIN pg_attribute ON attrelid = oid AND attnum > 0 AND NOT attisdropped
    WHERE replace(atttypid::regtype::text, '[]', '') IN ('text', 'character varying', 'jsonb', 'bytea', 'date')
      AND (relname = 'patients_patient' OR EXISTS (
          SELECT FROM pg_attribute own WHERE own.attrelid = oid AND own.attname IN ('patient_id', 'incident_id')))
"""


def test_every_text_about_a_patient_is_erased_or_says_why_not(db):
    """A table that comes later names its private columns for the ledger, or fails here."""
    coded = {
        (model._meta.db_table, each.column)
        for model in apps.get_models()
        for each in model._meta.fields
        if each.choices or isinstance(each, models.DateField)
    }
    with connection.cursor() as cursor:
        cursor.execute(TEXT_OF_PATIENTS)
        kept = {(table, column) for table, column, is_private in cursor.fetchall() if not is_private} - coded
    ledger = {(table, column) for table, column in kept if (table, None) in KEPT_TEXT}
    assert kept - ledger == {(table, column) for table, column in KEPT_TEXT if column}


def test_every_private_table_of_patients_is_kept_erased(db):
    """`KeptErased`, in the table's migration. Of an incident, whose patient may be none, something is still found."""
    with closing(owner_connection(SHARED)) as owner, owner.cursor() as cursor:
        cursor.execute("""SELECT place::text FROM erasure_places() JOIN pg_attribute ON attrelid = place
            WHERE attname = 'patient_id' AND NOT EXISTS (
                SELECT FROM pg_trigger WHERE tgrelid = place AND tgname = 'erasure_guard')""")
        without = {name for (name,) in cursor.fetchall()}
    assert without == {"patients_erasure", "patients_legalhold", "screening_incident"}


def test_table_of_somebody_else_is_left_alone(real_cast, real_db):
    """What erases acts as the owner of the tables, so a trigger of somebody else's would do what it likes as her."""
    patient, erasure = asked_for(real_cast)
    with closing(psycopg2.connect(servers.postgres.superuser_url(real_db))) as somebody, somebody.cursor() as cursor:
        cursor.execute("""CREATE TABLE foreign_table (id uuid DEFAULT gen_random_uuid(), patient_id uuid, note text);
            GRANT ALL ON foreign_table TO PUBLIC;
            CREATE FUNCTION foreign_deed() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN RAISE EXCEPTION 'this was done as %', current_user; END $$;
            CREATE TRIGGER audit_row BEFORE UPDATE ON foreign_table FOR EACH ROW EXECUTE FUNCTION foreign_deed('note');
            """)
        cursor.execute("INSERT INTO foreign_table (patient_id, note) VALUES (%s, 'theirs')", [str(patient.pk)])
        somebody.commit()
    with real_cast.rita.acting() as rita:
        agree_to_erasure(actor=rita, erasure=erasure)
    assert the_only(real_cast, Erasure).erased_at


def test_every_file_of_a_patient_is_erased(db):
    files = {
        (model._meta.db_table, each.column)
        for model in apps.get_models()
        for each in model._meta.fields
        if isinstance(each, models.FileField)
    }
    assert files == {place for place, what in KEPT_TEXT.items() if what == "forgotten with the file"}
