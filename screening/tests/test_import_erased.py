"""What is dropped, done or forgotten leaves no name and no byte of its table behind."""

import hashlib
import json
from datetime import timedelta

import pytest
from django.utils import timezone

from screening.importing import ImportBatch, ImportRow
from screening.models import LesionImage, StoredFile
from screening.services import importing
from screening.services.importing import sweep_imports
from screening.tests.conftest import the_only
from screening.tests.importing import (
    ERNA,
    JOSEF,
    begin,
    import_rows,
    post,
    run,
    send_all,
    send_photograph,
    status_of,
)
from screening.tests.test_import import ERNA_2
from skinclinic.audit.models import AuditEvent, PrivateValue


def everything_of_rows(cast) -> str:
    with cast.in_north():
        return json.dumps(list(ImportRow.objects.values()), default=str)


@pytest.mark.parametrize("how", ["done", "dropped"])
def test_names_and_staged_bytes_are_erased_with_the_batch(cast, random_photograph, how):
    batch = begin(cast, ERNA, JOSEF | {"site": "bak"})
    send_all(cast, batch, random_photograph)
    if how == "done":
        post(cast, batch, "confirm")
        assert "Winterbottom" in everything_of_rows(cast)
        run(batch)
    else:
        post(cast, batch, "drop")
    assert status_of(cast) == how
    kept = everything_of_rows(cast)
    for private in ("Winterbottom", "Autumnbottom", "1961-04-30", "erna-1", "R-4711"):
        assert private not in kept
    with cast.in_north():
        assert StoredFile.objects.count() == (2 if how == "done" else 0)
        assert not StoredFile.objects.filter(name__contains="/import/").exists()
    assert cast.alice.client.get(f"/imports/{batch.pk}/").status_code == 200


def test_ledger_holds_no_name_and_keeps_none_beside_it(cast, random_photograph):
    batch = import_rows(cast, random_photograph, ERNA, JOSEF | {"question": "Bleeding since spring?"})
    cast.alice.client.get(f"/imports/{batch.pk}/")
    with cast.in_north():
        ledger = json.dumps([*AuditEvent.objects.values(), *PrivateValue.objects.values()], default=str)
        moves = AuditEvent.objects.filter(subject_type="screening_importrow", action="update")
        assert {"status": ["open", "imported"]}.items() <= moves.latest("id").changes.items()
    for private in ("Winterbottom", "Autumnbottom", "1961-04-30", "erna-1", "R-4711", "Bleeding"):
        assert private not in ledger


def test_dropped_import_is_closed_for_everything(cast, photograph_bytes):
    batch = begin(cast, ERNA)
    post(cast, batch, "drop")
    assert send_photograph(cast, batch, "erna-1.jpg", photograph_bytes).status_code == 422
    for what in ("confirm", "drop", "answer"):
        assert post(cast, batch, what).status_code in (302, 409)
    assert status_of(cast) == "dropped"


def test_confirmed_import_takes_no_other_photograph(cast, random_photograph):
    batch = begin(cast, ERNA)
    sent = send_all(cast, batch, random_photograph)
    post(cast, batch, "confirm")
    response = send_photograph(cast, batch, "erna-1.jpg", random_photograph())
    assert response.status_code == 422
    assert "confirmed or dropped already" in response.json()["photographs"][0]["refused"]
    run(batch)
    assert the_only(cast, LesionImage).upload_sha256 == hashlib.sha256(sent["erna-1.jpg"]).hexdigest()


def test_confirmed_import_is_not_dropped(cast, random_photograph):
    batch = begin(cast, ERNA)
    send_all(cast, batch, random_photograph)
    post(cast, batch, "confirm")
    post(cast, batch, "drop")
    assert status_of(cast) == "confirmed"


def test_batch_holds_no_more_bytes_than_the_setting_says(cast, random_photograph, settings):
    batch = begin(cast, ERNA, ERNA_2)
    send_photograph(cast, batch, "erna-1.jpg", random_photograph())
    with cast.in_north():
        size = sum(len(file.read()) for row in ImportRow.objects.staged() for file in (row.photograph, row.thumbnail))
        assert ImportRow.objects.get(number=2).size == size
    settings.IMPORT_MOST_MB = 1.5 * size / 1024**2
    answer = send_photograph(cast, batch, "erna-2.jpg", random_photograph())
    assert answer.status_code == 422
    assert answer.json()["photographs"][0]["refused"].startswith("An import holds at most ")
    with cast.in_north():
        assert StoredFile.objects.count() == 2, "nothing of it was stored"
    page = cast.alice.client.get(f"/imports/{batch.pk}/").content.decode()
    assert f'data-left="{importing.most_bytes() - size}"' in page
    again = send_photograph(cast, batch, "erna-1.jpg", random_photograph())
    assert again.status_code == 201, "it takes the place of the one that came before"


def test_what_nobody_confirms_is_dropped_after_seven_days(cast, random_photograph):
    batch = begin(cast, ERNA)
    send_all(cast, batch, random_photograph)
    sweep_imports()
    assert status_of(cast) == "open"
    with cast.in_north():
        ImportBatch.objects.update(created_at=timezone.now() - timedelta(days=7, minutes=1))
    sweep_imports()
    assert status_of(cast) == "dropped"
    with cast.in_north():
        assert not StoredFile.objects.exists()


def test_sweep_sends_only_what_stands_still(cast, random_photograph, monkeypatch):
    batch, sent = begin(cast, ERNA), []
    send_all(cast, batch, random_photograph)
    post(cast, batch, "confirm")
    monkeypatch.setattr(importing, "send", lambda *keys, task: sent.append((*keys, task)) or True)
    assert sweep_imports() == 0
    with cast.in_north():
        ImportBatch.objects.update(sent_at=timezone.now() - timedelta(minutes=2))
    assert sweep_imports() == 1
    assert sweep_imports() == 0, "the message that is under way is enough"
    assert sent == [(batch.pk, cast.north.pk, "import_patient_task")]


def test_large_batch_is_erased_bit_by_bit_names_first(cast, random_photograph, monkeypatch):
    monkeypatch.setattr(importing, "ERASED_AT_ONCE", 1)
    batch = import_rows(cast, random_photograph, ERNA, JOSEF)
    with cast.in_north():
        assert not ImportRow.objects.exclude(cells={}).exists()
        assert ImportRow.objects.staged().count() == 1
        assert ImportBatch.objects.get(pk=batch.pk).erased_at is None
    sweep_imports()
    with cast.in_north():
        assert not ImportRow.objects.staged().exists()
        assert ImportBatch.objects.get(pk=batch.pk).erased_at is not None


def test_one_clinics_trouble_holds_up_no_others_imports(cast, monkeypatch, caplog):
    looked = []

    def fails(clinic_id):
        looked.append(clinic_id)
        raise OSError("the bucket is away")

    monkeypatch.setattr("screening.services.importing.sweep_imports_of", fails)
    assert sweep_imports() == 0
    assert set(looked) == {cast.north.pk, cast.south.pk}
    assert str(cast.south.pk) in caplog.text
