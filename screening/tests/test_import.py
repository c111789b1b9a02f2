"""What is confirmed comes in: a patient's rows all or none, each once, whatever happens to the workers."""

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from conftest import make_chart
from patients.models import Consent, Lesion, Patient, PatientIdentifier, PatientIdentity, Visit
from patients.services import note_consent
from screening.import_report import assess
from screening.importing import ImportBatch, ImportRow
from screening.models import LesionImage, Overview, Screening, StoredFile
from screening.services import importing
from screening.services.importing import import_next
from screening.storage import DatabaseStorage
from screening.tests.conftest import rows, the_only, wait_until
from screening.tests.importing import (
    ERNA,
    JOSEF,
    begin,
    import_rows,
    post,
    record_counts,
    run,
    said,
    send_all,
    send_photograph,
    status_of,
    verdicts,
)
from screening.tests.test_uploads import encoded, exif_with_secrets, picture
from skinclinic.accounts.models import Membership

ERNA_2 = ERNA | {"file": "erna-2.jpg", "lesion": "B", "site": "forearm", "laterality": "right"}

ERNA_3 = ERNA | {"file": "erna-3.jpg", "date": "01.04.2024 09:30", "kind": "overview", "question": "Growing?"}


def statuses(cast, batch) -> list[str]:
    return [row.status for row in rows(cast, ImportRow, batch=batch)]


def test_it_works(cast, random_photograph):
    batch = import_rows(cast, random_photograph, ERNA, ERNA_2, ERNA_3, JOSEF)
    assert (status_of(cast), set(statuses(cast, batch))) == ("done", {"imported"})
    with cast.in_north():
        erna = PatientIdentifier.objects.get(value="R-4711").patient
        identity = PatientIdentity.objects.get(pk=erna.pk)
        assert (identity.name, str(identity.birth_date)) == ("Winterbottom, Erna", "1961-04-30")
        assert (erna.sex, erna.skin_type) == ("female", 2)
        consent = Consent.objects.get()
        assert (consent.patient_id, consent.kind, consent.decision, str(consent.decided_on)) == (
            erna.pk, "ai_reading", "given", "2024-02-29",
        )  # fmt: skip
        visits = Visit.objects.filter(patient=erna).newest_first()
        assert [(str(visit.photographed_on), visit.question, visit.due_at) for visit in visits] == [
            ("2024-04-01", "Growing?", None), ("2024-03-01", "", None),
        ]  # fmt: skip
        assert {visit.created_at.date() for visit in visits} == {timezone.now().date()}
        lesions = Lesion.objects.filter(patient=erna).order_by("number")
        assert [(lesion.site, lesion.laterality, lesion.view) for lesion in lesions] == [
            ("back", "left", "back"), ("forearm", "right", "front"),
        ]  # fmt: skip
        shots = {image.original_name: image for image in LesionImage.objects.filter(patient=erna)}
        assert [shots[f"erna-{n}.jpg"].lesion_id for n in (1, 2, 3)] == [lesions[0].pk, lesions[1].pk, lesions[0].pk]
        assert shots["erna-1.jpg"].captured_at.isoformat() == "2024-03-01T12:00:00+00:00"
        assert shots["erna-3.jpg"].captured_at.isoformat() == "2024-04-01T09:30:00+00:00"
        assert len(shots["erna-1.jpg"].photograph.read()) == shots["erna-1.jpg"].size
        assert {shot.uploaded_by_id for shot in shots.values()} == {cast.alice.user.pk}
        assert Overview.objects.get().image == shots["erna-3.jpg"]
        assert sorted(Screening.objects.values_list("image__original_name", "reading_status")) == [
            ("erna-1.jpg", "queued"), ("erna-2.jpg", "queued"), ("josef-1.jpg", "not_wanted"),
        ]  # fmt: skip
    page = cast.alice.client.get(f"/imports/{batch.pk}/").content.decode()
    assert "4 of 4 rows imported." in page
    assert f"/patients/{erna.pk}/" in page


def test_camera_knows_better_than_the_table_when_it_was(cast):
    batch = begin(cast, ERNA)
    send_photograph(cast, batch, "erna-1.jpg", encoded(picture(), exif=exif_with_secrets()))
    post(cast, batch, "confirm")
    run(batch)
    image = the_only(cast, LesionImage)
    assert (image.captured_at.isoformat(), image.camera) == ("2026-11-02T08:30:00+00:00", "Dermlite DL4")
    assert str(the_only(cast, Visit).photographed_on) == "2024-03-01"


def test_dry_run_says_where_camera_and_table_tell_two_days(cast):
    batch = begin(cast, ERNA)
    send_photograph(cast, batch, "erna-1.jpg", encoded(picture(), exif=exif_with_secrets()))
    assert (verdicts(cast, batch), said(cast, batch)) == (
        ["ready"],
        ["The camera says 2 Nov 2026. The visit bears the day of the table, the photograph the time of the camera."],
    )


def test_later_table_adds_to_the_same_patient_and_lesion(cast, random_photograph):
    import_rows(cast, random_photograph, ERNA)
    import_rows(cast, random_photograph, ERNA | {"file": "later.jpg", "date": "2025-03-01", "lesion": " a "})
    the_only(cast, Patient)
    lesion = the_only(cast, Lesion)
    assert {image.lesion_id for image in rows(cast, LesionImage)} == {lesion.pk}
    assert len(rows(cast, Visit)) == 2
    batch = begin(cast, ERNA | {"file": "third.jpg", "site": "chest"})
    assert "another site or side in the record" in said(cast, batch)[0]


def test_corrected_table_sent_whole_adds_only_what_was_left_out(cast, random_photograph):
    batch = begin(cast, ERNA, JOSEF | {"site": "bak"})
    sent = send_all(cast, batch, random_photograph)
    post(cast, batch, "confirm")
    run(batch)
    assert statuses(cast, batch) == ["imported", "left_out"]
    again = begin(cast, ERNA, JOSEF)
    send_photograph(cast, again, "erna-1.jpg", sent["erna-1.jpg"])
    send_photograph(cast, again, "josef-1.jpg", random_photograph())
    post(cast, again, "confirm")
    run(again)
    assert statuses(cast, again) == ["present", "imported"]
    assert len(rows(cast, Patient)) == len(rows(cast, LesionImage)) == len(rows(cast, Visit)) == 2


@pytest.mark.parametrize(("on_record", "wins"), [("2024-02-28", "given"), ("2024-02-29", "refused")])
def test_decision_of_the_record_stands_unless_the_tables_is_later(cast, random_photograph, on_record, wins):
    import_rows(cast, random_photograph, ERNA | {"consent_reading": "", "consent_date": ""})
    with cast.alice.acting() as actor:
        patient = Patient.objects.get()
        note_consent(actor=actor, patient=patient, kind="ai_reading", decision="refused", decided_on=on_record)
    import_rows(cast, random_photograph, ERNA | {"file": "later.jpg"})
    with cast.in_north():
        assert Consent.objects.in_force().get().decision == wins


def test_only_what_is_ready_is_imported_and_the_rest_says_why(cast, random_photograph):
    batch = begin(cast, ERNA, ERNA_2, JOSEF)
    for name in ("erna-1.jpg", "josef-1.jpg"):
        send_photograph(cast, batch, name, random_photograph())
    post(cast, batch, "confirm")
    run(batch)
    assert statuses(cast, batch) == ["left_out", "left_out", "imported"]
    assert said(cast, batch)[:2] == [
        "Row 3 of the same patient is not ready; the rows of one patient come together or not at all.",
        "Its photograph was not sent.",
    ]  # fmt: skip
    assert {identity.family_name for identity in rows_of_identity(cast)} == {"Autumnbottom"}


def rows_of_identity(cast) -> list[PatientIdentity]:
    with cast.in_north():
        return list(PatientIdentity.objects.all())


def test_what_is_left_out_is_decided_in_one_statement(cast, random_photograph):
    wrong = [JOSEF | {"file": f"{n}.jpg", "site": "bak", "record_number": f"{n}"} for n in range(9)]
    batch = begin(cast, ERNA, JOSEF, *wrong)
    send_all(cast, batch, random_photograph)
    with CaptureQueriesContext(connection) as asked:
        post(cast, batch, "confirm")
    assert sum(query["sql"].startswith('UPDATE "screening_importrow"') for query in asked) == 1
    assert statuses(cast, batch) == ["open", "open", *["left_out"] * 9]
    assert all("site" in sentence for sentence in said(cast, batch)[2:])


def test_row_that_moved_meanwhile_is_not_decided_again(cast):
    batch = begin(cast, ERNA, JOSEF)
    with cast.in_north():
        lines = assess(ImportRow.objects.filter(batch=batch).in_order())
        ImportRow.objects.filter(number=2).update(status="present", refusal="x")
        with pytest.raises(importing.StaleTransition):
            importing.decide_rows(lines)


def test_nothing_ready_is_not_confirmed(cast):
    batch = begin(cast, ERNA)
    response = post(cast, batch, "confirm", follow=True)
    assert status_of(cast) == "open"
    assert "no patient whose rows are all ready" in str(next(iter(response.wsgi_request._messages)))


def test_patients_rows_come_all_or_none(cast, random_photograph):
    """The second of three photographs is gone from where it waited; the other patient's come all the same."""
    batch = begin(cast, ERNA, ERNA_2, ERNA_3, JOSEF)
    send_all(cast, batch, random_photograph)
    post(cast, batch, "confirm")
    with cast.in_north():
        before = record_counts()
        DatabaseStorage().delete(ImportRow.objects.get(number=3).photograph.name)
        assert import_next(batch_id=batch.pk, clinic_id=cast.north.pk)
        assert record_counts() == before
    run(batch)
    assert statuses(cast, batch) == ["left_out", "left_out", "left_out", "imported"]
    told = said(cast, batch)
    assert "could not be fetched" in told[1]
    assert told[0] == told[2] == "Row 3 of this patient could not be imported, so none of this patient's was."
    assert len(rows(cast, Patient)) == len(rows(cast, LesionImage)) == 1


def test_patient_who_refuses_photographs_meanwhile_is_left_out(cast, random_photograph):
    import_rows(cast, random_photograph, ERNA)
    batch = begin(cast, ERNA | {"file": "later.jpg"}, JOSEF)
    send_all(cast, batch, random_photograph)
    post(cast, batch, "confirm")
    with cast.alice.acting() as actor:
        patient = PatientIdentifier.objects.get(value="R-4711").patient
        note_consent(actor=actor, patient=patient, kind="photograph", decision="refused", decided_on="2024-01-01")
    run(batch)
    assert statuses(cast, batch) == ["left_out", "imported"]
    assert said(cast, batch)[0].startswith("The patient refuses photographs in the record.")


def test_patient_registered_meanwhile_is_no_second_one(cast, random_photograph):
    batch = begin(cast, ERNA)
    send_all(cast, batch, random_photograph)
    post(cast, batch, "confirm")
    make_chart(cast.alice)
    run(batch)
    assert "registered after the table was looked at" in said(cast, batch)[0]
    the_only(cast, Patient)


def test_two_who_resemble_each_other_in_one_table_both_come_once_it_was_said(cast, random_photograph):
    twin = JOSEF | {"family_name": "Winterbottom", "given_name": "Ernst", "birth_date": "1961-04-30"}
    batch = begin(cast, ERNA, twin)
    send_all(cast, batch, random_photograph)
    assert verdicts(cast, batch) == ["asked", "asked"]
    post(cast, batch, "answer", asked=["2", "3"], another=["2", "3"])
    post(cast, batch, "confirm")
    run(batch)
    assert statuses(cast, batch) == ["imported", "imported"]
    assert len(rows(cast, Patient)) == 2


def test_who_may_not_import_any_more_imports_nothing_more(cast, random_photograph):
    batch = begin(cast, ERNA)
    send_all(cast, batch, random_photograph)
    post(cast, batch, "confirm")
    with cast.in_north():
        Membership.objects.filter(user=cast.alice.user).update(is_active=False)
    run(batch)
    assert (status_of(cast), rows(cast, Patient)) == ("done", [])
    assert "no clinician of this clinic any more" in said(cast, batch)[0]


def test_patient_that_costs_three_workers_is_left_out(cast, random_photograph, monkeypatch):
    batch = begin(cast, ERNA, JOSEF)
    send_all(cast, batch, random_photograph)
    post(cast, batch, "confirm")
    whole = importing.import_person

    def killed_by_erna(*, actor, rows):
        if rows[0].number == 2:
            raise MemoryError
        whole(actor=actor, rows=rows)

    monkeypatch.setattr(importing, "import_person", killed_by_erna)
    for _ in range(3):
        with pytest.raises(MemoryError):
            import_next(batch_id=batch.pk, clinic_id=cast.north.pk)
    run(batch)
    assert statuses(cast, batch) == ["left_out", "imported"]
    assert "cut off three times" in said(cast, batch)[0]


FAMILIES = ("Ahorn", "Birke", "Distel", "Eibe", "Flieder", "Ginster")


def confirmed(cast, draw, people: int = 6) -> ImportBatch:
    """`people` patients with two photographs each, to be imported by whoever comes."""
    table = [
        ERNA | {"file": f"{name}-{shot}.jpg", "record_number": name, "family_name": name, "birth_date": f"196{n}-01-01"}
        for n, name in enumerate(FAMILIES[:people])
        for shot in range(2)
    ]
    batch = begin(cast, *table)
    send_all(cast, batch, draw)
    post(cast, batch, "confirm")
    return batch


def imported(cast) -> int:
    return len(rows(cast, ImportRow, status="imported"))


def assert_each_once(cast, batch, people: int = 6) -> None:
    assert imported(cast) == len(rows(cast, LesionImage)) == len(rows(cast, Screening)) == 2 * people
    assert len(rows(cast, Patient)) == len(rows(cast, Visit)) == len(rows(cast, Lesion)) == people
    wait_until(lambda: the_only(cast, ImportBatch).erased_at is not None)
    with cast.in_north():
        assert not StoredFile.objects.filter(name__contains="/import/").exists()


def test_workers_import_what_was_confirmed(real_cast, start_worker, random_photograph):
    start_worker()
    batch = confirmed(real_cast, random_photograph)
    wait_until(lambda: status_of(real_cast) == "done")
    assert_each_once(real_cast, batch)
    wait_until(lambda: {shot.reading_status for shot in rows(real_cast, Screening)} == {"predicted"})
    page = real_cast.alice.client.get(f"/imports/{batch.pk}/live/").content.decode()
    assert "12 of 12 rows imported." in page
    assert "hx-trigger" not in page, "what is done is not asked for any more"


def test_killed_worker_is_followed_by_another_and_each_row_is_there_once(
    real_cast, broker, start_worker, random_photograph
):
    # Each reading takes a while, so that the worker is in the middle of the patients when it is killed.
    worker = start_worker(delay=0.3)
    batch = confirmed(real_cast, random_photograph)
    wait_until(lambda: imported(real_cast) >= 2)
    worker.kill_everything()
    broker.flushall()  # the message may have waited in the broker; only the rows know now
    assert 0 < imported(real_cast) < 12
    assert imported(real_cast) == len(rows(real_cast, LesionImage)), "none half"
    assert status_of(real_cast) == "confirmed"
    start_worker(beat=True)
    wait_until(lambda: status_of(real_cast) == "done", seconds=40)
    assert_each_once(real_cast, batch)


def test_broker_that_forgot_everything_is_made_up_for(real_cast, broker, start_worker, random_photograph):
    batch = confirmed(real_cast, random_photograph, people=2)
    broker.flushall()
    start_worker(beat=True)
    wait_until(lambda: status_of(real_cast) == "done", seconds=40)
    assert_each_once(real_cast, batch, people=2)


def test_message_holds_keys_alone(real_cast, broker, random_photograph):
    confirmed(real_cast, random_photograph, people=1)
    (message,) = [text for text in broker.lrange("celery", 0, -1) if b"import_patient_task" in text]
    assert b"Ahorn" not in message
    assert b".jpg" not in message


def test_row_moves_once(cast, random_photograph):
    batch = import_rows(cast, random_photograph, ERNA)
    with cast.in_north():
        row = ImportRow.objects.get(batch=batch)
        with pytest.raises(importing.StaleTransition):
            importing.move_row(row, importing.ImportRowStatus.LEFT_OUT, refusal="no")
    run(batch)
    the_only(cast, LesionImage)


@pytest.mark.parametrize("columns", ["status = 'imported'", "status = 'left_out'", "file_key = 'erna-2.jpg'"])
def test_database_refuses_rows_that_cannot_be(cast, columns):
    begin(cast, ERNA, ERNA_2)
    with pytest.raises(IntegrityError), transaction.atomic(), cast.in_north(), connection.cursor() as cursor:
        cursor.execute(f"UPDATE screening_importrow SET {columns} WHERE number = 2")
