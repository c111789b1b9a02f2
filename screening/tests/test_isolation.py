"""No clinic reads or writes another's rows: not through a page, not through a queryset, not through SQL."""

import uuid

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.utils import ProgrammingError
from django.test import Client
from django.utils import timezone

from conftest import make_chart, make_screening
from patients.models import Erasure, LegalHold, Lesion, Patient, PatientIdentity, Visit
from screening.models import (
    Alarm,
    CountedPanel,
    LesionImage,
    ModelVersion,
    Retake,
    Screening,
    StoredChunk,
    SwitchRequest,
)
from skinclinic.accounts.models import Membership, User
from skinclinic.audit.acting import acting, system
from skinclinic.audit.models import AuditEvent


def clinic_tables() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name FROM information_schema.columns"
            " WHERE table_schema = 'public' AND column_name = 'clinic_id'"
        )
        return sorted(name for (name,) in cursor.fetchall())


def test_every_table_with_a_clinic_is_secured(db):
    with connection.cursor() as cursor:
        cursor.execute("SELECT relname FROM pg_class WHERE relrowsecurity AND relnamespace = 'public'::regnamespace")
        secured = {name for (name,) in cursor.fetchall()}
    # An API client signs in before any clinic is known; its row says which clinic it is of.
    assert set(clinic_tables()) - secured == {"api_client"}


@pytest.mark.parametrize("acts", ["nobody", "bob"])
def test_raw_sql_reads_no_other_clinic(cast, chart, screening, acts):
    actor = system() if acts == "nobody" else cast.bob.actor
    visible = {}
    with acting(actor), connection.cursor() as cursor:
        for table in clinic_tables():
            cursor.execute(f"SELECT count(*) FROM {table} WHERE clinic_id = %s", [str(cast.north.pk)])
            visible[table] = cursor.fetchone()[0]
    assert not any(visible.values()), visible


def test_owner_clinic_reads_its_own(cast, chart, screening):
    with cast.in_north():
        for model in (Patient, PatientIdentity, Visit, Lesion, LesionImage, Screening, StoredChunk, Membership):
            assert model.objects.filter(clinic_id=cast.north.pk).exists(), model


def test_forged_clinic_in_a_new_row_is_refused(cast, chart):
    with pytest.raises(ProgrammingError, match="row-level security"), transaction.atomic():
        with cast.bob.acting():
            Visit.objects.create(clinic=cast.north, patient=chart.patient, due_at="2026-12-01T00:00Z")


def test_update_touches_no_row_of_another_clinic(cast, chart):
    with cast.bob.acting():
        assert Visit.objects.filter(pk=chart.visit.pk).update(urgency="urgent") == 0
    with cast.in_north():
        assert Visit.objects.get(pk=chart.visit.pk).urgency == "routine"


def test_row_cannot_be_carried_into_another_clinic(cast, chart):
    with pytest.raises(ProgrammingError, match="row-level security"), transaction.atomic():
        with cast.in_north():
            Visit.objects.filter(pk=chart.visit.pk).update(clinic=cast.south)


def test_row_cannot_point_into_another_clinic(real_cast):
    theirs = make_chart(real_cast.alice)
    with pytest.raises(IntegrityError, match="same_clinic"):
        with real_cast.bob.acting():
            Visit.objects.create(clinic=real_cast.south, patient_id=theirs.patient.pk, due_at="2026-12-01T00:00Z")


def test_screening_cannot_mix_two_patients(real_cast, photograph_bytes):
    chart, other = make_chart(real_cast.alice), make_chart(real_cast.alice, family_name="Autumnbottom")
    screening = make_screening(real_cast.alice, chart, photograph_bytes)
    with pytest.raises(IntegrityError, match="same_clinic"):
        with real_cast.alice.acting():
            Screening.objects.filter(pk=screening.pk).update(visit=other.visit)


def test_second_membership_opens_only_the_clinic_acted_in(cast, chart):
    with acting(system(clinic_id=cast.south.pk)):
        Membership.objects.create(user=cast.alice.user, clinic=cast.south, roles=["clinician"])
    client = cast.alice.client
    assert client.get(f"/visits/{chart.visit.pk}/live/").status_code == 302, "with two clinics she is asked which"
    client.post("/clinic/", {"clinic": str(cast.south.pk)})
    assert client.get(f"/visits/{chart.visit.pk}/live/").status_code == 404
    client.post("/clinic/", {"clinic": str(cast.north.pk)})
    assert client.get(f"/visits/{chart.visit.pk}/live/").status_code == 200


def test_form_drawn_in_another_clinic_is_refused(cast, chart):
    response = cast.alice.client.post(
        f"/patients/{chart.patient.pk}/consents/",
        {"kind": "teaching", "decision": "given", "clinic": str(cast.south.pk)},
    )
    assert response.status_code == 409


def test_session_that_claims_a_strange_clinic_gets_none(cast, chart):
    client = cast.bob.client
    session = client.session
    session["clinic"] = str(cast.north.pk)
    session.save()
    assert client.get(f"/patients/{chart.patient.pk}/").status_code == 404
    assert client.get(f"/photographs/{uuid.uuid4()}/thumbnail.jpg").status_code == 404


def test_operator_sees_no_patient(cast, chart):
    operator = User.objects.create_superuser("operator@example.org", full_name="Olga Operator")
    with acting(operator.actor()) as actor:
        assert not Patient.objects.visible_to(actor).exists()
        assert not Patient.objects.exists()
    browser = Client()
    browser.force_login(operator, backend="django.contrib.auth.backends.ModelBackend")
    assert browser.get(f"/patients/{chart.patient.pk}/").status_code == 302
    assert browser.get("/admin/").status_code == 200


def test_disabled_membership_ends_access_at_once(cast, chart):
    client = cast.alice.client
    assert client.get(f"/visits/{chart.visit.pk}/live/").status_code == 200
    with cast.in_north():
        Membership.objects.filter(user=cast.alice.user).update(is_active=False)
    assert client.get(f"/visits/{chart.visit.pk}/live/").status_code == 302


def test_a_stranger_sees_nothing_of_the_dashboard(cast, chart, screening):
    """Asked in North's own transaction, so that it is `visible_to` that hides it and not the policies."""
    version = ModelVersion.objects.create(version="1", weights_sha256="0" * 64, preprocessing="1", manifest={})
    now = timezone.now()
    with cast.in_north():
        Alarm.objects.create(clinic=cast.north, code="worker", seen_at=now)
        CountedPanel.objects.create(
            clinic=cast.north, panel="drift", figures={}, counted_at=now, seconds=1, last_event=0
        )
        Retake.objects.create(
            clinic=cast.north, patient=chart.patient, screening=screening, assignee=cast.alice.user,
            assigned_by=cast.ada.user, assigned_at=now,
        )  # fmt: skip
        SwitchRequest.objects.create(clinic=cast.north, version=version, reason="x", asked_by=cast.ada.user)
        LegalHold.objects.create(clinic=cast.north, patient=chart.patient, words="x", put_by=cast.ada.user)
        Erasure.objects.create(clinic=cast.north, patient=chart.patient, reason="other", asked_by=cast.ada.user)
        for model in (Alarm, CountedPanel, Retake, SwitchRequest, LegalHold, Erasure):
            assert model.objects.visible_to(cast.ada.actor).exists(), model
            assert not model.objects.visible_to(cast.bob.actor).exists(), model
        told = set(AuditEvent.objects.filter(action="insert").values_list("subject_type", flat=True))
    assert told >= {"screening_alarm", "screening_retake", "screening_switchrequest"}
