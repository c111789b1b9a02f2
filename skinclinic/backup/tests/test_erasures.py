"""Who was erased after a back-up is erased again when it is restored, if the list of erasures was kept."""

import json
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import psycopg2
import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection, connections
from django.utils import timezone

from conftest import make_chart, make_screening
from patients.services import merge_patients, unmerge_patient
from screening.services.holding import sweep_signatures, undo_signature
from screening.tests.conftest import finish, give, hold
from screening.tests.erasing import erase
from skinclinic.audit.sealing import seal_ledger
from skinclinic.audit.verify import verify_ledger
from skinclinic.backup.erasures import Erased, replay
from skinclinic.backup.keys import new_key
from skinclinic.backup.tests.conftest import Backup, backed_up, here

WHO = """
    SELECT family_name, erased_at IS NULL FROM patients_patientidentity JOIN patients_patient ON id = patient_id
"""
LEFT = [("", False), ("", False), ("", False), ("Autumnbottom", True)]
NAMES = ["Winterbottom", "Erna", "1961-04-30", "5551234", "Changing for three months?", "lesion.jpg"]


@dataclass(frozen=True)
class Since:
    """A back-up, and the list of who was erased since."""

    backup: Backup
    listed: Path


@pytest.fixture
def since(real_cast, real_db, random_photograph, tmp_path, monkeypatch) -> Since:
    chart, duplicate, parted = (make_chart(real_cast.alice) for _ in range(3))
    other = make_chart(real_cast.alice, family_name="Autumnbottom", given_name="Josefa", birth_date="1948-11-12")
    for each in (other, chart):
        screening = make_screening(real_cast.alice, each, random_photograph())
        finish(real_cast, screening, refer=False, band="low")
    with real_cast.alice.acting():
        merge_patients(duplicate=duplicate.patient, into=chart.patient)
        merge_patients(duplicate=parted.patient, into=other.patient)
    give(real_cast, screening)
    held = hold(real_cast, chart.visit)
    seal_ledger()
    with here(real_db).inside():
        backup = backed_up(tmp_path / "clinic.backup")
    with real_cast.rita.acting() as rita:
        undo_signature(actor=rita, held=held)
        unmerge_patient(duplicate=parted.patient)
    for patient in (chart.patient, parted.patient):
        erase(real_cast, patient)
    monkeypatch.setenv("BACKUP_KEY", backup.key)
    with here(real_db).inside():
        for _ in range(2):
            call_command("erasures", str(tmp_path / "erasures.json"))
    assert str(chart.patient.pk) in (tmp_path / "erasures.json").read_text()
    return Since(backup, tmp_path / "erasures.json")


def test_who_was_erased_is_erased_again(real_cast, since, place, monkeypatch, capsys):
    told, backup = since.listed.read_text(), since.backup
    assert not any(name in told for name in NAMES)
    monkeypatch.setenv("BACKUP_KEY", backup.key)
    with place.inside():
        call_command("restore", str(backup.path), erasures=str(since.listed))
        assert "Erased again: 2 of 2" in capsys.readouterr().out
        assert verify_ledger(connections["owner"], head=backup.head)
    assert sorted(place.ask(WHO)) == LEFT
    assert place.ask("SELECT count(*) FROM screening_storedfile") == [(2,)], "of the other one"
    assert place.ask("SELECT count(*) FROM audit_privatevalue") == [(0,)]
    (who,) = set(place.ask("SELECT asked_by_id, agreed_by_id, files_erased_at IS NOT NULL FROM patients_erasure"))
    assert [str(key) for key in who[:2]] == [str(real_cast.ada.user.pk), str(real_cast.rita.user.pk)]
    assert who[2]
    with place.inside():
        call_command("erasures", "-")
    again = json.loads(capsys.readouterr().out)["erasures"]
    assert keys(again) == keys(json.loads(told)["erasures"]), "so that the next restore repeats them as well"


def keys(erasures: list[dict]) -> list[str]:
    return [each["id"] for each in erasures]


def test_what_the_back_up_had_begun_with_her_ends(since, place):
    """What is left of her stands in nobody's chart, and no signature waits that would be refused at each sweep."""
    with place.inside():
        call_command("restore", str(since.backup.path), erasures=str(since.listed))
        assert sweep_signatures() == 0
    assert place.ask("SELECT status FROM screening_heldsignature") == [("undone",)]
    merged = (
        "SELECT one.erased_at IS NULL, other.erased_at IS NULL FROM patients_patient one JOIN patients_patient other"
    )
    assert place.ask(f"{merged} ON one.merged_into_id = other.id") == [(False, False)]


def test_without_the_list_it_says_that_erasures_are_not_known(place, backup, monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("BACKUP_KEY", backup.key)
    wrong = tmp_path / "list.json"
    wrong.write_text('{"erasures": [{"id": 1}]}')
    with place.inside():
        with pytest.raises(CommandError, match="no list of erasures"):
            call_command("restore", str(backup.path), erasures=str(wrong))
        assert not place.ask("SELECT to_regclass('accounts_clinic')")[0][0], "and nothing was restored"
        call_command("restore", str(backup.path))
    assert "Who was erased since the back-up was made is not known" in capsys.readouterr().err


def test_list_that_was_changed_erases_nobody(since, place, capsys):
    """Whoever can write beside the back-ups must not have patients erased by the next restore."""
    told = json.loads(since.listed.read_text())
    told["erasures"][0]["records"].append("6f1c1f0e-54a4-4f0f-9f07-3a6b9f3a2a11")
    since.listed.write_text(json.dumps(told))
    with place.inside(), pytest.raises(CommandError, match="was changed, or written with another BACKUP_KEY"):
        call_command("restore", str(since.backup.path), erasures=str(since.listed))
    assert "Restored" not in capsys.readouterr().out


def test_list_is_repeated_on_a_clinic_that_is_there(since, place, capsys):
    """Where a restore was made without it, or ended before it came to it."""
    with place.inside():
        call_command("restore", str(since.backup.path))
        assert ("Winterbottom", True) in place.ask(WHO)
        call_command("erasures", str(since.listed), repeat=True)
        assert "Erased again: 2 of 2" in capsys.readouterr().out
        call_command("erasures", str(since.listed), repeat=True)
    assert sorted(place.ask(WHO)) == LEFT


def test_who_writes_of_her_meanwhile_is_waited_for(real_cast, real_db):
    """On a clinic that is there people work; what is begun must not be written after the erasure."""
    patient = make_chart(real_cast.alice).patient
    now, hers = timezone.now().isoformat(), str(patient.pk)
    erased = Erased(str(uuid4()), str(patient.clinic_id), hers, [hers], "request", None, None, now, now)
    place = here(real_db)
    with place.inside(), closing(psycopg2.connect(place.owner)) as writing, connection.cursor() as cursor:
        writing.cursor().execute("SELECT FROM patients_patient WHERE id = %s FOR KEY SHARE", [hers])
        cursor.execute("SET lock_timeout = '50ms'")
        with pytest.raises(OperationalError, match="lock timeout"):
            replay(connections["owner"], [erased])
    assert ("Winterbottom", True) in place.ask(WHO)


def test_a_list_forgets_nobody(since, place, capsys):
    """Written over at night by a clinic that was restored without it."""
    told = json.loads(since.listed.read_text())["erasures"]
    with place.inside():
        call_command("restore", str(since.backup.path))
        call_command("erasures", str(since.listed))
        assert "2 of them are not erased here" in capsys.readouterr().err
        assert json.loads(since.listed.read_text())["erasures"] == told
        call_command("erasures", str(since.listed), repeat=True)
        assert "Erased again: 2 of 2" in capsys.readouterr().out
        call_command("erasures", str(since.listed))
    assert capsys.readouterr().err == ""
    again = json.loads(since.listed.read_text())["erasures"]
    assert sorted(each["id"] for each in again) == sorted(each["id"] for each in told)


def test_what_is_no_list_under_this_key_is_not_written_over(real_db, tmp_path, monkeypatch):
    path = tmp_path / "erasures.json"
    with here(real_db).inside():
        monkeypatch.setenv("BACKUP_KEY", new_key())
        call_command("erasures", str(path))
        monkeypatch.setenv("BACKUP_KEY", new_key())
        for kept in (path.read_bytes(), b"somebody's notes"):
            path.write_bytes(kept)
            with pytest.raises(CommandError, match="is not written over"):
                call_command("erasures", str(path))
            assert path.read_bytes() == kept
