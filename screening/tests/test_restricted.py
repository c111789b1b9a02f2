"""A restricted chart: everything of the patient asks for a reason, which holds for an hour, for her, and is told."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.core import mail
from django.db import connection, transaction
from django.db.utils import ProgrammingError
from django.test import Client
from django.urls import reverse

from conftest import Person, make_chart, make_person
from patients.models import ChartOpening, Patient
from patients.services import merge_patients
from screening.codes import ProblemKind
from screening.models import FollowUp, Notice, Screening
from screening.services.notices import sweep_notices
from screening.services.problems import report_problem
from screening.services.reviews import Opinion
from screening.tests.conftest import give, read_by_model, sign
from screening.tests.test_pages import ONLY
from skinclinic.api.services import create_client
from skinclinic.audit.models import AuditEvent
from skinclinic.events.models import Event


def post(person: Person, name: str, *keys: object, follow: bool = True, **form: object):
    sent = {"clinic": str(person.actor.clinic_id), "reason": "asked for"} | form
    return person.client.post(reverse(name, args=keys), sent, follow=follow)


@pytest.fixture
def restricted(cast, chart, screening) -> Patient:
    assert post(cast.ada, "chart_restrict", chart.patient.pk, reason="a colleague").status_code == 200
    return chart.patient


def open_it(person: Person, patient: Patient, reason: str = "she is in my surgery"):
    return post(person, "chart_open", patient.pk, reason=reason, follow=False)


def pages_of_the_patient(chart, screening) -> dict[str, list]:
    patient, visit = [chart.patient.pk], [chart.visit.pk]
    return {
        "patient_chart": patient, "patient_correct": patient, "patient_history": patient, "compare": patient,
        "visit_new": patient, "lesion_new": patient, "lesion": [chart.lesion.pk], "visit": visit, "visit_live": visit,
        "visit_report": visit, "visit_report_pdf": visit, "visit_letter": visit, "visit_letter_pdf": visit,
        "screening": [screening.pk], "screening_live": [screening.pk], "screening_history": [screening.pk],
        "screening_withdraw": [screening.pk], "activation_map": [screening.pk], "photograph": [screening.image_id],
        "thumbnail": [screening.image_id],
    }  # fmt: skip


def test_it_works(cast, restricted, chart):
    address = reverse("visit", args=[chart.visit.pk])
    led = cast.alice.client.get(address)
    assert led["Location"] == f"{reverse('chart_open', args=[restricted.pk])}?next={address.replace('/', '%2F')}"
    page = cast.alice.client.get(led["Location"]).content.decode()
    assert "This chart is restricted" in page
    assert "Winterbottom" not in page
    opened = post(cast.alice, "chart_open", restricted.pk, reason="she is in my surgery", next=address, follow=False)
    assert opened["Location"] == address
    assert cast.alice.client.get(address).status_code == 200
    with cast.in_north():
        opening = ChartOpening.objects.get()
        line = AuditEvent.objects.get(subject_type="patients_chartopening")
        event = Event.objects.get(type="chart.opened")
    assert opening.ends_at - opening.created_at == timedelta(hours=1)
    assert (line.actor, line.reason, line.patient_id) == (
        str(cast.alice.user.pk), "she is in my surgery", restricted.pk
    )  # fmt: skip
    assert event.ids == {"patient": str(restricted.pk), "opening": str(opening.pk)}


@pytest.mark.parametrize("who", ["alice", "rita", "ada", "otto"])
def test_nothing_of_the_patient_is_shown_before(cast, restricted, chart, screening, who):
    read_by_model(cast, screening, refer=False)
    give(cast, screening)
    sign(cast, chart.visit)
    client = getattr(cast, who).client
    for name, keys in pages_of_the_patient(chart, screening).items():
        answer = client.get(reverse(name, args=keys))
        if who not in ONLY.get(name, {who}):
            assert answer.status_code == 403, name
            continue
        assert answer.status_code == 302, name
        assert answer["Location"].startswith(reverse("chart_open", args=[restricted.pk])), name
    assert open_it(getattr(cast, who), restricted).status_code == 302
    for name, keys in pages_of_the_patient(chart, screening).items():
        if who in ONLY.get(name, {who}):
            assert client.get(reverse(name, args=keys)).status_code == 200, name


def test_opening_holds_for_an_hour_and_for_her_alone(cast, restricted, chart, monkeypatch):
    open_it(cast.alice, restricted)
    address = reverse("patient_chart", args=[restricted.pk])
    assert cast.alice.client.get(address).status_code == 200
    assert cast.rita.client.get(address).status_code == 302
    monkeypatch.setattr("patients.restricted.OPEN_FOR", timedelta(milliseconds=1))
    open_it(cast.rita, restricted)
    assert cast.rita.client.get(address).status_code == 302, "it is over"


def test_writing_is_refused_too(cast, restricted, chart, screening):
    form = {"kind": "teaching", "decision": "given", "decided_on": "2026-11-22"}
    answer = post(cast.alice, "consent_note", restricted.pk, follow=False, **form)
    assert answer["Location"].startswith(reverse("chart_open", args=[restricted.pk]))
    sent = {"lesion": str(chart.lesion.pk), "clinic": str(cast.north.pk)}
    answer = cast.alice.client.post(reverse("photograph_upload", args=[chart.visit.pk]), sent)
    assert answer["Location"].startswith(reverse("chart_open", args=[restricted.pk]))


def test_part_of_a_page_takes_the_whole_page_along(cast, restricted, chart):
    address = reverse("visit_live", args=[chart.visit.pk])
    here = reverse("visit", args=[chart.visit.pk])
    asked = {"HX-Request": "true", "HX-Current-URL": f"http://testserver{here}"}
    answer = cast.alice.client.get(address, headers=asked)
    assert answer["HX-Redirect"] == f"{reverse('chart_open', args=[restricted.pk])}?next={here.replace('/', '%2F')}"


@pytest.mark.parametrize("following", ["https://elsewhere.example/", "//elsewhere.example", "javascript:alert(1)", ""])
def test_it_leads_nowhere_else(cast, restricted, following):
    answer = post(cast.alice, "chart_open", restricted.pk, next=following, follow=False)
    assert answer["Location"] == reverse("patient_chart", args=[restricted.pk])


def test_no_opening_without_a_reason(cast, restricted):
    page = post(cast.alice, "chart_open", restricted.pk, reason=" ")
    assert "There is something to correct" in page.content.decode()
    with cast.in_north():
        assert not ChartOpening.objects.exists()


def test_stranger_finds_nothing_and_opens_nothing(cast, restricted):
    for name in ("chart_open", "chart_restrict", "chart_unrestrict"):
        assert post(cast.bob, name, restricted.pk).status_code == 404, name
    assert cast.bob.client.get(reverse("chart_open", args=[restricted.pk])).status_code == 404


def test_managers_are_told_but_she_who_opened_it(cast, restricted, settings):
    settings.NOTICE_MAIL_AFTER = 0
    bea = make_person("Bea Birch", cast.north, "manager")
    open_it(cast.ada, restricted, "a complaint")
    sweep_notices()
    with cast.in_north():
        assert list(Notice.objects.values_list("recipient", "kind")) == [(bea.user.pk, "chart_opened")]
    page = bea.client.get(reverse("notices")).content.decode()
    assert "Restricted chart opened" in page
    assert "by Ada Ash: a complaint" in page
    letter = mail.outbox[-1]
    assert letter.to == ["bea@example.org"]
    assert "A restricted chart was opened" in letter.body
    for private in ("Winterbottom", "complaint", "Ada"):
        assert private not in letter.body
    with cast.in_north():
        notice = Notice.objects.get()
    assert bea.client.get(reverse("notice_open", args=[notice.pk]))["Location"] == reverse("openings")
    assert "a complaint" in bea.client.get(reverse("openings")).content.decode()
    with cast.in_north():
        assert Notice.objects.get().seen_at


@pytest.mark.parametrize(("who", "status"), [("ada", 200), ("otto", 200), ("alice", 403), ("rita", 403)])
def test_list_of_openings_is_for_managers_and_auditors(cast, restricted, who, status):
    open_it(cast.alice, restricted)
    page = getattr(cast, who).client.get(reverse("openings"))
    assert page.status_code == status
    assert (b"she is in my surgery" in page.content) == (status == 200)


def test_another_clinics_openings_are_not_listed(cast, restricted):
    open_it(cast.alice, restricted)
    assert "Nobody has opened one yet" in cast.bob.client.get(reverse("openings")).content.decode()


@pytest.mark.parametrize(("who", "may"), [("ada", True), ("alice", True), ("rita", None), ("otto", None)])
def test_restricted_by_a_manager_or_her_clinician(cast, chart, who, may):
    page = post(getattr(cast, who), "chart_restrict", chart.patient.pk)
    assert page.status_code == (200 if may else 403)
    with cast.in_north():
        assert Patient.objects.get(pk=chart.patient.pk).is_restricted == bool(may)


def test_clinician_who_never_saw_her_restricts_nothing(cast, chart):
    carla = make_person("Carla Cedar", cast.north, "clinician")
    page = post(carla, "chart_restrict", chart.patient.pk).content.decode()
    assert "a clinician who has seen this patient" in page
    assert "Who may open this chart" not in page
    with cast.in_north():
        assert not Patient.objects.get(pk=chart.patient.pk).is_restricted


def test_restriction_is_lifted_with_a_reason(cast, restricted):
    open_it(cast.ada, restricted)
    page = post(cast.ada, "chart_unrestrict", restricted.pk, reason="has left").content.decode()
    assert "open again to everybody" in page
    assert cast.rita.client.get(reverse("patient_chart", args=[restricted.pk])).status_code == 200
    with cast.in_north():
        told = AuditEvent.objects.filter(action="update", changes__has_key="is_restricted")
        assert sorted(told.values_list("reason", flat=True)) == ["a colleague", "has left"]


def test_lists_name_her_and_show_nothing_of_her_readings(cast, restricted, screening, chart):
    worklist = cast.rita.client.get(reverse("worklist")).content.decode()
    assert "Winterbottom" in worklist
    assert "Restricted" in worklist
    assert reverse("thumbnail", args=[screening.image_id]) not in worklist
    assert "Changing for three months" not in worklist
    open_it(cast.rita, restricted)
    opened = cast.rita.client.get(reverse("worklist")).content.decode()
    assert reverse("thumbnail", args=[screening.image_id]) in opened
    assert "Changing for three months" in opened
    assert "Restricted" in cast.alice.client.get(reverse("patients")).content.decode()


def test_every_list_names_her_and_shows_nothing_of_her_lesions(cast, restricted, screening, chart):
    read_by_model(cast, screening, refer=True)
    with cast.rita.acting() as actor:
        told = {"kind": ProblemKind.SCORE, "words": "a scar, not a nevus", "submission": uuid4()}
        report_problem(actor=actor, screening=Screening.objects.shown_to(actor).get(pk=screening.pk), **told)
    give(cast, screening, Opinion(suspicious=True, diagnosis="melanoma", recommendation="excise"))
    sweep_notices()
    sign(cast, chart.visit)
    with cast.in_north():
        FollowUp.objects.update(due_on="2026-01-01")
        version = Screening.objects.get().prediction.model_version_id
    pages = {
        cast.alice: [reverse("today"), reverse("notices")],
        cast.ada: [reverse("overdue"), reverse("problems"), reverse("look_back", args=[version])],
    }
    for person, addresses in pages.items():
        for address in addresses:
            page = person.client.get(address).content.decode()
            assert "Winterbottom" in page, address
            assert "restricted" in page.casefold(), address
            for private in (chart.lesion.label, str(screening.image_id), "chip-high", "High score", "Excise", "scar"):
                assert private not in page, (address, private)


def test_merged_records_are_one_chart(cast, restricted):
    other = make_chart(cast.alice, family_name="Winterbotom")
    with cast.ada.acting():
        merge_patients(duplicate=other.patient, into=restricted)
    address = reverse("patient_chart", args=[other.patient.pk])
    assert cast.rita.client.get(address).status_code == 302
    open_it(cast.rita, restricted)
    assert cast.rita.client.get(address).status_code == 200


@pytest.mark.parametrize(
    "statement", ["UPDATE patients_chartopening SET reason = 'x'", "DELETE FROM patients_chartopening"]
)
def test_opening_cannot_be_taken_back(cast, restricted, statement):
    open_it(cast.alice, restricted)
    with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
        with cast.in_north(), connection.cursor() as cursor:
            cursor.execute(statement)


def test_systems_go_on_reading_and_are_on_the_ledger(cast, restricted, screening):
    with cast.in_north() as actor:
        assert Screening.objects.visible_to(actor).filter(pk=screening.pk).exists()
    application, secret = create_client(clinic=cast.north, name="Their system", scopes=["screenings:read"])
    browser = Client()
    token = browser.post(
        "/api/oauth2/token/",
        {"grant_type": "client_credentials", "client_id": application.client_id, "client_secret": secret},
    ).json()["access_token"]
    answer = browser.get(f"/api/v1/screenings/{screening.pk}/", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200
    with cast.in_north():
        assert AuditEvent.objects.filter(action="api_read", subject_id=str(screening.pk)).exists()
