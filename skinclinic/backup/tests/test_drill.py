"""The drill: a clinic is backed up, restored on a server that knows none of its roles, and works on there."""

import hashlib
import os
from io import BytesIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, connections
from django.db.utils import ProgrammingError

from conftest import Cast, make_chart, make_screening
from ml.drawing import draw_photograph
from patients.models import Patient
from screening.models import LesionImage
from skinclinic.audit.acting import acting, system
from skinclinic.audit.models import AuditEvent
from skinclinic.audit.sealing import seal_ledger, seal_state
from skinclinic.audit.verify import LedgerBroken, verify_ledger
from skinclinic.backup.contents import table_counts
from skinclinic.backup.files import new_file
from skinclinic.backup.keys import backup_key, new_key
from skinclinic.backup.taking import take_backup
from skinclinic.backup.tests.conftest import FRONT, KEEPER, Manage, Place, here

# Who may do what with which table, index, column, sequence, function and schema; what is held of which rows.
RULES = """
    SELECT 'table', relname, concat(relkind, relrowsecurity, relforcerowsecurity),
        coalesce(relacl, acldefault(CASE relkind WHEN 'S' THEN 's'::"char" ELSE 'r' END, relowner))::text
        FROM pg_class WHERE relnamespace = 'public'::regnamespace
    UNION ALL SELECT 'column', attrelid::regclass::text, attname, attacl::text FROM pg_attribute
        WHERE attacl IS NOT NULL AND attrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace)
    UNION ALL SELECT 'function', oid::regprocedure::text, concat(prosecdef, prosrc, proconfig),
        concat(pg_get_userbyid(proowner), proacl) FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    UNION ALL SELECT 'policy', tablename, policyname, concat(roles, cmd, qual, with_check) FROM pg_policies
    UNION ALL SELECT 'trigger', tgrelid::regclass::text, tgname, concat(pg_get_triggerdef(oid), tgenabled)
        FROM pg_trigger WHERE NOT tgisinternal
    UNION ALL SELECT 'constraint', conrelid::regclass::text, conname, concat(contype, convalidated, condeferred)
        FROM pg_constraint WHERE connamespace = 'public'::regnamespace
    UNION ALL SELECT 'default', defaclrole::regrole::text, defaclobjtype::text, defaclacl::text FROM pg_default_acl
    UNION ALL SELECT 'schema', nspname, '', nspacl::text FROM pg_namespace WHERE nspname = 'public'
"""
HASHES = """
    SELECT image.id::text, image.sha256, string_agg(chunk.data, ''::bytea ORDER BY chunk.position)
    FROM screening_lesionimage image JOIN screening_storedchunk chunk ON chunk.file_id = image.photograph
    GROUP BY image.id
"""

REGISTERED = """
    INSERT INTO screening_modelversion (version, weights_sha256, preprocessing, manifest, thresholds, registered_at)
    VALUES ('2026.11.9', repeat('0', 64), '1', '{}', '', now())
"""


# Of commit 445053d, ten migrations and a note ago: one patient, one photograph, nobody real. A key is no secret here.
OLD_HEAD = "1:9a3c213d7c4cf039bd6ceecea7ea9289afba38bede42894123d61baa84083cd8"
OLD, OLD_KEY = Path(__file__).parent / "of-2026-11-28.backup", "1iMDOyEVkTLMiEwpoplccYO7uQkGnaawTlmQ4EnMmMs="


def rules_of(place: Place) -> set[tuple[str, ...]]:
    """With the owner's name taken out of them."""
    (name,) = place.ask("SELECT current_user")[0]
    return {tuple(str(part).replace(name, "OWNER") for part in rule) for rule in place.ask(RULES)}


def hashes_in(place: Place) -> dict[str, str]:
    hashes = {key: (told, hashlib.sha256(data).hexdigest()) for key, told, data in place.ask(HASHES)}
    assert all(told == is_now for told, is_now in hashes.values())
    return {key: is_now for key, (_told, is_now) in hashes.items()}


def counts_in(place: Place) -> dict[str, int]:
    with place.inside():
        return table_counts(connections["owner"])


def back_up_and_restore(manage: Manage, clinic: Place, place: Place, path) -> tuple[str, str]:
    key = new_key()
    taken = manage("backup", path, environment=clinic.environment(BACKUP_KEY=key))
    assert taken.returncode == 0, taken.stderr
    restored = manage("restore", path, environment=place.environment(BACKUP_KEY=key))
    assert restored.returncode == 0, restored.stderr
    return taken.stdout, restored.stdout


@pytest.fixture
def some_key(monkeypatch) -> None:
    monkeypatch.setenv("BACKUP_KEY", new_key())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "clinic.backup"


def test_backup_of_an_older_version_goes_into_this_one(real_db: str, place: Place, manage: Manage):
    restored = manage("restore", OLD, environment=place.environment(BACKUP_KEY=OLD_KEY))
    assert restored.returncode == 0, restored.stderr
    assert "clinics 1, people 1, patients 1, screenings 1, photographs 1, reviews 0" in restored.stdout
    assert f"lines of the ledger are as they were sealed. Head: {OLD_HEAD}" in restored.stdout
    assert len(hashes_in(place)) == 1
    assert rules_of(place) == rules_of(here(real_db)), "its tables are those of today"
    migrations = "SELECT app, name FROM django_migrations"
    assert set(place.ask(migrations)) == set(here(real_db).ask(migrations))


def test_restored_clinic_is_the_same_and_works_on(real_cast: Cast, clinic: Place, place: Place, manage: Manage, path):
    counts, hashes, head = counts_in(clinic), hashes_in(clinic), seal_state().head
    clinic.ask("INSERT INTO django_session VALUES ('a-key-that-is-as-good-as-a-password', '', now() + interval '1 h')")
    taken, restored = back_up_and_restore(manage, clinic, place, path)

    assert (path.stat().st_mode & 0o777, path.stat().st_uid) == (0o600, os.geteuid())
    assert [found.name for found in path.parent.iterdir()] == ["clinic.backup"], "nothing half-written is left"
    assert b"Winterbottom" not in path.read_bytes()
    assert f"Head of the ledger: {head}" in taken
    assert "clinics 2, people 6, patients 3, screenings 6, photographs 6, reviews 2" in taken
    assert "clinics 2, people 6, patients 3, screenings 6, photographs 6, reviews 2" in restored
    assert f"Head: {head}" in restored

    # Each clinic has a line that it was restored; that it was backed up is younger than the back-up.
    assert counts_in(place) == counts | {name: counts[name] + 2 for name in ("audit_auditevent", "audit_unsealedevent")}
    assert place.ask("SELECT count(*) FROM django_session") == [(0,)]
    assert hashes_in(place) == hashes
    assert len(hashes) == 6
    assert rules_of(place) == rules_of(clinic)
    assert place.ask(f"SELECT pg_has_role('{FRONT}', 'skinclinic_app', 'MEMBER')") == [(True,)]
    assert place.ask(f"SELECT count(*) FROM pg_class WHERE relowner <> '{KEEPER}'::regrole AND relkind = 'r' "
                     "AND relnamespace = 'public'::regnamespace") == [(0,)]  # fmt: skip
    with place.inside():
        it_is_still_two_clinics(real_cast)
        the_ledger_is_still_closed()
        call_command("audit", "verify", "--head", head)
        make_screening(real_cast.alice, make_chart(real_cast.alice), drawn())
        assert seal_ledger() > 5
        later = verify_ledger(connections["owner"], head=head).head
        assert int(later.partition(":")[0]) == int(head.partition(":")[0]) + 1
        place.ask("UPDATE audit_auditevent SET reason = 'x' WHERE id = (SELECT min(event) FROM audit_sealedevent)")
        with pytest.raises(LedgerBroken, match=r"Line \d+ was changed"):
            verify_ledger(connections["owner"], head=head)


def drawn() -> bytes:
    buffer = BytesIO()
    draw_photograph(3).save(buffer, "JPEG")
    return buffer.getvalue()


def it_is_still_two_clinics(cast: Cast) -> None:
    assert not Patient.objects.exists()
    with cast.bob.acting():
        (patient,) = Patient.objects.all()
        assert LesionImage.objects.count() == 2
    with cast.alice.acting():
        assert Patient.objects.count() == 2
        assert list(AuditEvent.objects.filter(subject_type="backup").values_list("action", flat=True)) == ["restored"]
        assert not Patient.objects.filter(pk=patient.pk).exists()


def the_ledger_is_still_closed() -> None:
    for statement in (
        "INSERT INTO audit_auditevent (id) VALUES (9)", "UPDATE audit_auditevent SET reason = 'x'",
        "DELETE FROM audit_seal", "UPDATE screening_review SET words = 'x'", "TRUNCATE patients_patient",
    ):  # fmt: skip
        with pytest.raises(ProgrammingError, match="permission denied"), connection.cursor() as cursor:
            cursor.execute(statement)
    with acting(system()):
        assert not AuditEvent.objects.exists(), "without a clinic"


def test_place_in_which_only_a_worker_was_is_as_empty(
    clinic: Place, prepared_place: Place, backup, monkeypatch, capsys
):
    prepared_place.ask(REGISTERED)
    assert prepared_place.ask("SELECT count(*) > 0 FROM audit_auditevent") == [(True,)]
    monkeypatch.setenv("BACKUP_KEY", backup.key)
    with prepared_place.inside():
        call_command("restore", str(backup.path))
    assert "SECRET_KEY" not in capsys.readouterr().err
    assert not prepared_place.ask("SELECT 1 FROM screening_modelversion WHERE version = '2026.11.9'")
    assert rules_of(prepared_place) == rules_of(clinic), "no table kept privileges of the place before"


@pytest.mark.usefixtures("some_key")
def test_what_is_written_meanwhile_is_in_the_next_one(real_cast: Cast, clinic: Place, place: Place, path):
    """What was counted is what is read out, although people work."""
    with clinic.inside(), new_file(path) as target:
        take_backup(
            owner=connections["owner"], key=backup_key(), target=target,
            begin=lambda notes: make_chart(real_cast.alice) and (lambda count: None),
        )  # fmt: skip
    assert clinic.ask("SELECT count(*) FROM patients_patient") == [(4,)]
    with place.inside():
        call_command("restore", str(path))
    assert place.ask("SELECT count(*) FROM patients_patient") == [(3,)]


def test_other_secret_key_is_told_of(place: Place, backup, monkeypatch, settings, capsys):
    monkeypatch.setenv("BACKUP_KEY", backup.key)
    settings.SECRET_KEY = "another-one-" * 5
    with place.inside():
        call_command("restore", str(backup.path))
    assert "everybody sets hers up anew" in capsys.readouterr().err


@pytest.mark.usefixtures("some_key")
def test_photographs_that_are_elsewhere_are_told_of(clinic: Place, place: Place, path, settings, capsys):
    settings.PHOTOGRAPH_STORE = "s3"
    with clinic.inside():
        call_command("backup", str(path))
    assert "are in the S3 bucket and not in this file" in capsys.readouterr().err
    with place.inside():
        call_command("restore", str(path))
    assert "are in the S3 bucket and not in this file" in capsys.readouterr().err


@pytest.mark.usefixtures("some_key")
def test_what_was_wrong_already_is_told_of(clinic: Place, place: Place, path):
    clinic.ask("UPDATE audit_auditevent SET reason = 'x' WHERE id = (SELECT min(event) FROM audit_sealedevent)")
    clinic.ask("UPDATE screening_storedchunk SET data = data || 'x' WHERE (file_id, position) IN "
               "(SELECT photograph, 0 FROM screening_lesionimage LIMIT 1)")  # fmt: skip
    with clinic.inside():
        call_command("backup", str(path))
    said = r"differ from their hash \(1\), such as .*\. Line \d+ was changed\."
    with place.inside(), pytest.raises(CommandError, match=said):
        call_command("restore", str(path))
    assert place.ask("SELECT count(*) FROM patients_patient") == [(3,)], "restored all the same"
