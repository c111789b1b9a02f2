"""Who may import, what others see of it, and the command that does the same."""

from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction
from django.db.utils import ProgrammingError
from django.test import Client

from patients.models import Patient
from patients.services import RECORD_NUMBER, add_identifier
from screening.importing import ImportBatch, ImportRow
from screening.models import LesionImage, LesionLabel
from screening.tests.conftest import rows, the_only
from screening.tests.importing import ERNA, JOSEF, begin, import_rows, status_of, table_of
from skinclinic.audit.acting import acting, system
from skinclinic.audit.models import AuditEvent

ADDRESSES = ("", "live/", "needed/", "report.csv")
ACTS = ("photographs", "answer", "confirm", "drop")


def test_other_clinic_finds_nothing(cast):
    batch = begin(cast, ERNA)
    for address in ADDRESSES:
        assert cast.bob.client.get(f"/imports/{batch.pk}/{address}").status_code == 404, address
    for act in ACTS:
        answer = cast.bob.client.post(f"/imports/{batch.pk}/{act}/", {"clinic": str(cast.south.pk)})
        assert answer.status_code == 404, act
    assert str(batch.pk) not in cast.bob.client.get("/imports/").content.decode()
    assert str(batch.pk) in cast.alice.client.get("/imports/").content.decode()


@pytest.mark.parametrize("who", ["rita", "ada", "otto"])
def test_who_is_no_clinician_may_not(cast, who):
    batch, client = begin(cast, ERNA), getattr(cast, who).client
    for address in ("/imports/", "/imports/template.csv", *(f"/imports/{batch.pk}/{address}" for address in ADDRESSES)):
        assert client.get(address).status_code == 403, address
    for act in ("start", *(f"{batch.pk}/{act}" for act in ACTS)):
        assert client.post(f"/imports/{act}/", {"clinic": str(cast.north.pk)}).status_code == 403, act
    assert "Import photographs" not in client.get("/patients/").content.decode()
    assert "Import photographs" in cast.alice.client.get("/patients/").content.decode()


def test_anonymous_sees_and_changes_nothing(cast):
    batch, client = begin(cast, ERNA), Client()
    for address in ("/imports/", *(f"/imports/{batch.pk}/{address}" for address in ADDRESSES)):
        assert client.get(address)["Location"].startswith("/accounts/login/"), address
    for act in ("start", *(f"{batch.pk}/{act}" for act in ACTS)):
        answer = client.post(f"/imports/{act}/")
        signed_out = "You were signed out" in answer.content.decode()
        assert signed_out or answer["Location"].startswith("/accounts/login/"), act
    assert status_of(cast) == "open"


def test_page_of_another_clinic_changes_nothing(cast):
    batch = begin(cast, ERNA)
    for act in ("start", *(f"{batch.pk}/{act}" for act in ACTS)):
        answer = cast.alice.client.post(f"/imports/{act}/", {"clinic": str(cast.south.pk)})
        assert answer.status_code == 409, act
    assert status_of(cast) == "open"


def test_policies_hide_and_refuse_rows_of_another_clinic(cast, random_photograph):
    batch = import_rows(cast, random_photograph, ERNA)
    with acting(system(clinic_id=cast.south.pk)):
        for model in (ImportBatch, ImportRow, LesionLabel):
            assert not model.objects.exists(), model
        assert ImportRow.objects.filter(batch=batch).update(person=9) == 0
    with pytest.raises(ProgrammingError, match="row-level security"), transaction.atomic(), cast.bob.acting():
        ImportBatch.objects.create(clinic=cast.north, started_by=cast.bob.user, submission=uuid4())


def test_look_at_an_import_is_on_the_ledger_and_polling_is_not(cast):
    batch = begin(cast, ERNA)
    cast.alice.client.get(f"/imports/{batch.pk}/live/")
    assert rows(cast, AuditEvent, action="import_seen") == []
    cast.alice.client.get(f"/imports/{batch.pk}/")
    (seen,) = rows(cast, AuditEvent, action="import_seen")
    assert (seen.subject_id, seen.actor) == (str(batch.pk), str(cast.alice.user.pk))


@pytest.mark.parametrize(
    ("address", "action"),
    [("", "import_seen"), ("needed/", "import_files_seen"), ("report.csv", "import_report_taken")],
)
def test_every_look_at_what_names_patients_is_on_the_ledger_with_whom(cast, chart, address, action):
    with cast.alice.acting():
        add_identifier(patient=chart.patient, system=RECORD_NUMBER, value="R-4711")
    batch = begin(cast, ERNA, JOSEF)
    cast.alice.client.get(f"/imports/{batch.pk}/{address}")
    seen = the_only(cast, AuditEvent, action=action)
    assert (seen.subject_id, seen.changes) == (str(batch.pk), {"patients": [str(chart.patient.pk)]})


def import_folder(cast, folder, *rows: dict[str, str], **options) -> None:
    (folder / "table.csv").write_bytes(table_of(*rows))
    call_command(
        "import_photographs", "North", str(folder / "table.csv"), str(folder), by="alice@example.org", **options
    )


def test_command_imports_a_folder(cast, tmp_path, random_photograph, capsys):
    (tmp_path / "2024").mkdir()
    (tmp_path / "2024" / "ERNA-1.jpg").write_bytes(random_photograph())
    import_folder(cast, tmp_path, ERNA, dry_run=True)
    assert "1 of 1 rows would be imported." in capsys.readouterr().out
    assert (status_of(cast), rows(cast, Patient)) == ("dropped", [])
    import_folder(cast, tmp_path, ERNA)
    assert "1 of 1 rows are in the record." in capsys.readouterr().out
    assert the_only(cast, LesionImage).uploaded_by_id == cast.alice.user.pk


def test_command_names_each_row_that_is_left_out(cast, tmp_path, random_photograph, capsys):
    (tmp_path / "erna-1.jpg").write_bytes(random_photograph())
    (tmp_path / "josef-1.jpg").write_bytes(b"no photograph")
    with pytest.raises(SystemExit, match="1"):
        import_folder(cast, tmp_path, ERNA, JOSEF, JOSEF | {"file": "missing.jpg", "record_number": "1"})
    told = capsys.readouterr().out.splitlines()
    assert told[0].startswith("row 3: Left out. This is no JPEG")
    assert told[1].startswith("row 4: Left out. This one resembles another patient.")
    assert told[2] == "1 of 3 rows are in the record."
    assert "Autumnbottom" not in "".join(told)


@pytest.mark.parametrize(("by", "sentence"), [("rita@example.org", "no clinician"), ("x@example.org", "no clinician")])
def test_command_wants_a_clinician(cast, tmp_path, by, sentence):
    (tmp_path / "t.csv").write_bytes(table_of(ERNA))
    with pytest.raises(CommandError, match=sentence):
        call_command("import_photographs", "North", str(tmp_path / "t.csv"), str(tmp_path), by=by)


def test_command_refuses_more_than_an_import_may_hold(cast, tmp_path, random_photograph, settings):
    (tmp_path / "erna-1.jpg").write_bytes(random_photograph())
    settings.IMPORT_MOST_MB = 0.001
    with pytest.raises(CommandError, match="An import holds at most"):
        import_folder(cast, tmp_path, ERNA)
    assert status_of(cast) == "dropped"


def test_command_refuses_two_files_of_one_name(cast, tmp_path, random_photograph):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "erna-1.jpg").write_bytes(random_photograph())
    with pytest.raises(CommandError, match="have the same name"):
        import_folder(cast, tmp_path, ERNA)
    assert status_of(cast) == "dropped"
