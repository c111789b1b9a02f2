"""Who was erased after a back-up is erased again when it is restored, if the list of erasures was kept."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connections

from conftest import make_chart, make_screening
from patients.services import merge_patients
from screening.tests.conftest import finish
from screening.tests.erasing import erase
from skinclinic.audit.sealing import seal_ledger
from skinclinic.audit.verify import verify_ledger
from skinclinic.backup.tests.conftest import Backup, backed_up, here

WHO = """
    SELECT family_name, erased_at IS NULL FROM patients_patientidentity JOIN patients_patient ON id = patient_id
"""
NAMES = ["Winterbottom", "Erna", "1961-04-30", "5551234", "Changing for three months?", "lesion.jpg"]


@dataclass(frozen=True)
class Since:
    """A back-up, and the list of who was erased since."""

    backup: Backup
    listed: Path


@pytest.fixture
def since(real_cast, real_db, random_photograph, tmp_path, monkeypatch) -> Since:
    chart, duplicate = make_chart(real_cast.alice), make_chart(real_cast.alice)
    other = make_chart(real_cast.alice, family_name="Autumnbottom", given_name="Josefa", birth_date="1948-11-12")
    for each in (chart, other):
        finish(real_cast, make_screening(real_cast.alice, each, random_photograph()), refer=False, band="low")
    with real_cast.alice.acting():
        merge_patients(duplicate=duplicate.patient, into=chart.patient)
    seal_ledger()
    with here(real_db).inside():
        backup = backed_up(tmp_path / "clinic.backup")
    erase(real_cast, chart.patient)
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
        assert "Erased again: 1 of 1" in capsys.readouterr().out
        assert verify_ledger(connections["owner"], head=backup.head)
    found = place.ask(
        "SELECT family_name, erased_at IS NULL FROM patients_patientidentity JOIN patients_patient ON id = patient_id"
    )
    assert sorted(found) == [("", False), ("", False), ("Autumnbottom", True)]
    assert place.ask("SELECT count(*) FROM screening_storedfile") == [(2,)], "of the other one"
    assert place.ask("SELECT count(*) FROM audit_privatevalue") == [(0,)]
    (who,) = place.ask("SELECT asked_by_id, agreed_by_id, files_erased_at IS NOT NULL FROM patients_erasure")
    assert [str(key) for key in who[:2]] == [str(real_cast.ada.user.pk), str(real_cast.rita.user.pk)]
    assert who[2]
    with place.inside():
        call_command("erasures", "-")
    (again,) = json.loads(capsys.readouterr().out)["erasures"]
    assert again["id"] == json.loads(told)["erasures"][0]["id"], "so that the next restore repeats it as well"


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
        assert "Erased again: 1 of 1" in capsys.readouterr().out
        call_command("erasures", str(since.listed), repeat=True)
    assert sorted(place.ask(WHO)) == [("", False), ("", False), ("Autumnbottom", True)]
