"""Patients and photographs that are sent as FHIR."""

import base64
import hashlib
import json
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as tries
from hypothesis import strategies as st

from conftest import make_chart
from patients.models import Patient, Visit
from patients.services import add_identifier, merge_patients, note_consent
from screening.models import LesionImage, Overview, Screening
from screening.tests.conftest import read_by_model, the_only
from skinclinic.api.fhir import create_views
from skinclinic.api.fhir.elements import BODY_SITE_EXTENSION, SHA256
from skinclinic.api.fhir.tests.conftest import Fhir
from skinclinic.api.fhir.tests.test_read import checked
from skinclinic.api.tests.together import at_the_same_moment, meeting
from skinclinic.audit.models import AuditEvent

ERNA = {
    "resourceType": "Patient",
    "identifier": [{"system": "urn:his", "value": "4711"}],
    "name": [{"use": "official", "family": "Winterbottom", "given": ["Erna", "Maria"]}],
    "gender": "female",
    "birthDate": "1961-04-30",
    "telecom": [{"system": "phone", "value": "+43 660 5551234"}, {"system": "email", "value": "erna@example.org"}],
    "address": [{"line": ["Lane 1"], "postalCode": "1010", "city": "Vienna"}],
}
BY_NUMBER = "identifier=urn:his|4711"


@pytest.fixture(autouse=True)
def two_locks(settings: Any) -> None:
    """A visit that is opened and a photograph that is put into it hold the patient one after the other."""
    settings.ZEAL_ALLOWLIST = [*settings.ZEAL_ALLOWLIST, {"model": "patients.Patient", "field": "get()"}]


def media(chart: Any, photograph: bytes, **more: Any) -> dict[str, Any]:
    lesion = {"reference": f"BodyStructure/{chart.lesion.pk}"}
    return {
        "resourceType": "Media",
        "status": "completed",
        "subject": {"reference": f"Patient/{chart.patient.pk}"},
        "bodySite": {"extension": [{"url": BODY_SITE_EXTENSION, "valueReference": lesion}]},
        "content": {"contentType": "image/jpeg", "data": base64.b64encode(photograph).decode()},
        **more,
    }


def test_it_works(cast, api, photograph_bytes):
    """From a patient and a photograph to the Observation of the model."""
    patient = api.send("Patient", checked(dict(ERNA)))
    assert patient.status_code == 201
    assert patient["Location"].endswith(f"/fhir/Patient/{patient.json()['id']}")
    told = checked(api.read(f"Patient/{patient.json()['id']}"))
    assert told == patient.json()
    assert {name: told[name] for name in ("name", "gender", "birthDate", "telecom")} == {
        "name": [{"use": "official", "family": "Winterbottom", "given": ["Erna Maria"]}],
        **{name: ERNA[name] for name in ("gender", "birthDate", "telecom")},
    }
    assert told["address"] == [{"text": "Lane 1\n1010 Vienna"}]
    assert (told["identifier"][0]["system"], told["identifier"][0]["value"]) == ("urn:his", "4711")


def test_a_photograph_starts_a_screening(cast, api, chart, photograph_bytes):
    sent = media(
        chart,
        photograph_bytes,
        identifier=[{"system": "urn:camera", "value": "A1"}],
        createdDateTime="2026-11-20T09:30:00Z",
        note=[{"text": "Benign?"}],
    )
    answer = api.send("Media", checked(sent))
    assert answer.status_code == 201, answer.content
    told = checked(answer.json())
    assert told["createdDateTime"].startswith("2026-11-20T09:30:00")
    assert api.ids("Media?identifier=urn:camera|A1") == {told["id"]}
    screening = the_only(cast, Screening)
    assert (screening.reading_status, str(screening.image_id)) == ("queued", told["id"])
    with cast.in_north():
        visit = Visit.objects.get(pk=screening.visit_id)
        assert (visit.clinician_id, visit.question) == (None, "Benign?")
    read_by_model(cast, screening, refer=False)
    assert api.ids(f"Observation?patient={chart.patient.pk}") == {f"reading-{screening.pk}"}
    photograph = api.ask(f"Binary/{told['id']}")
    assert photograph["Content-Type"] == "image/jpeg"
    assert hashlib.sha256(photograph.content).hexdigest() == told["identifier"][0]["value"]
    as_json = api.ask(f"Binary/{told['id']}", Accept="application/fhir+json").json()
    assert base64.b64decode(checked(as_json)["data"]) == photograph.content


def test_photographs_of_one_day_are_one_visit(cast, api, chart, random_photograph):
    for _ in range(2):
        assert api.send("Media", media(chart, random_photograph())).status_code == 201
    with cast.in_north():
        assert Visit.objects.filter(clinician=None).count() == 1
        assert Screening.objects.filter(visit__clinician=None).count() == 2


def test_it_may_be_of_our_own_whole_addresses(cast, api, chart, photograph_bytes):
    sent = media(chart, photograph_bytes, subject={"reference": f"http://testserver/fhir/Patient/{chart.patient.pk}"})
    (extension,) = sent["bodySite"]["extension"]
    extension["valueReference"]["reference"] = f"http://testserver/fhir/BodyStructure/{chart.lesion.pk}"
    assert api.send("Media", sent).status_code == 201


def test_photographs_of_one_moment_are_one_visit(real_cast, random_photograph, monkeypatch):
    chart, api = make_chart(real_cast.alice), Fhir(real_cast.north)
    waiting = [media(chart, random_photograph()) for _ in range(4)]
    monkeypatch.setattr(create_views, "clean", meeting(4, create_views.clean))
    assert at_the_same_moment(4, lambda: api.send("Media", waiting.pop()).status_code) == [201] * 4
    with real_cast.in_north():
        assert Visit.objects.filter(clinician=None).count() == 1


def test_an_overview_is_not_read(cast, api, chart, photograph_bytes):
    kind = {"coding": [{"system": "urn:skinclinic:codes:photograph", "code": "overview"}]}
    told = api.send("Media", media(chart, photograph_bytes, modality=kind)).json()
    assert told["modality"]["coding"][0]["code"] == "overview"
    with cast.in_north():
        assert (Overview.objects.count(), Screening.objects.count()) == (1, 0)


def test_the_patient_may_be_named_by_her_number(cast, api, chart, photograph_bytes):
    with cast.alice.acting():
        add_identifier(patient=chart.patient, system="urn:his", value="4711")
    hers, anothers = ({"identifier": {"system": "urn:his", "value": value}} for value in ("4711", "4712"))
    assert api.send("Media", media(chart, photograph_bytes, subject=anothers)).status_code == 422
    theirs = hers | {"reference": "https://sender.example/fhir/Patient/9"}
    assert api.send("Media", media(chart, photograph_bytes, subject=theirs)).status_code == 201
    assert api.send("Media", media(chart, photograph_bytes, subject=hers)).status_code == 201


def test_what_is_there_is_not_made_again(cast, api):
    first, again = (api.send("Patient", ERNA, **{"If-None-Exist": BY_NUMBER}) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 200)
    assert (first.json(), first["Location"]) == (again.json(), again["Location"])
    with cast.in_north():
        assert Patient.objects.count() == 1
    refused = api.send("Patient", ERNA)
    assert (refused.status_code, refused.json()["issue"][0]["code"]) == (422, "business-rule")


def test_a_merged_record_leads_to_the_remaining_one(cast, api, chart):
    duplicate = api.send("Patient", ERNA).json()["id"]
    with cast.ada.acting():
        merge_patients(duplicate=Patient.objects.get(pk=duplicate), into=chart.patient)
    answer = api.send("Patient", ERNA, **{"If-None-Exist": BY_NUMBER})
    assert (answer.status_code, answer.json()["id"]) == (200, str(chart.patient.pk))


def test_more_than_one_makes_nothing(cast, api, chart):
    make_chart(cast.alice, given_name="Emma")
    answer = api.send("Patient", ERNA, **{"If-None-Exist": "name=Winterbottom"})
    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (412, "multiple-matches")


@pytest.mark.parametrize("condition", ["?", "nonsense=1", "_count=1"])
def test_a_condition_that_asks_for_nothing_is_refused(api, condition):
    assert api.send("Patient", ERNA, **{"If-None-Exist": condition}).status_code == 400


def test_another_clinics_number_is_no_match(cast, api):
    first = api.send("Patient", ERNA, **{"If-None-Exist": BY_NUMBER})
    theirs = Fhir(cast.south).send("Patient", ERNA, **{"If-None-Exist": BY_NUMBER})
    assert (first.status_code, theirs.status_code) == (201, 201)
    assert first.json()["id"] != theirs.json()["id"]


def test_a_photograph_is_not_taken_twice(cast, api, chart, photograph_bytes):
    by_hash = f"identifier={SHA256}|{hashlib.sha256(photograph_bytes).hexdigest()}"
    numbered = media(chart, photograph_bytes, identifier=[{"system": "urn:camera", "value": "A1"}])
    first = api.send("Media", numbered, **{"If-None-Exist": "identifier=urn:camera|A1"})
    assert first.status_code == 201
    for condition in ("identifier=urn:camera|A1", by_hash):
        again = api.send("Media", numbered, **{"If-None-Exist": condition})
        assert (again.status_code, again.json()["id"]) == (200, first.json()["id"])
    assert api.send("Media", numbered).status_code == 422, "its number is another one's"
    with cast.in_north():
        assert LesionImage.objects.count() == 1


@pytest.mark.parametrize("kind", ["Patient", "Media"])
def test_eight_at_the_same_moment_make_one(real_cast, kind, photograph_bytes):
    chart = make_chart(real_cast.alice)
    bodies = {
        "Patient": (ERNA, BY_NUMBER),
        "Media": (media(chart, photograph_bytes, identifier=[{"system": "s", "value": "1"}]), "identifier=s|1"),
    }
    body, condition = bodies[kind]
    api = Fhir(real_cast.north)

    answers = at_the_same_moment(8, lambda: api.send(kind, body, **{"If-None-Exist": condition}))
    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [201]
    assert len({answer.json()["id"] for answer in answers}) == 1


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"resourceType": "Person"}, "resourceType"),
        ({"name": []}, "Patient.name.family"),
        ({"birthDate": "1961"}, "Patient.birthDate"),
        ({"birthDate": "9999-12-31"}, "Patient.birthDate"),
        ({"gender": "x"}, "Patient.gender"),
        ({"identifier": [{"value": "1"}]}, "Patient.identifier.system"),
        ({"name": "Erna"}, "Patient.name"),
        ({"active": False}, "Patient.active"),
        ({"modifierExtension": [{"url": "urn:x", "valueBoolean": True}]}, "Patient.modifierExtension"),
    ],
)
def test_a_patient_that_cannot_be_taken_says_why(cast, api, change, place):
    answer = api.send("Patient", ERNA | change)
    assert answer.status_code == 422
    assert place in [each["expression"][0] for each in checked(answer.json())["issue"]]
    with cast.in_north():
        assert not Patient.objects.exists()


def test_a_photograph_that_cannot_be_taken_says_why(cast, api, chart, photograph_bytes):
    sent, theirs = media(chart, photograph_bytes), make_chart(cast.bob)
    other, hers = make_chart(cast.alice, given_name="Emma"), chart.patient.pk

    def at(lesion: str) -> dict[str, Any]:
        return {"bodySite": {"extension": [{"url": BODY_SITE_EXTENSION, "valueReference": {"reference": lesion}}]}}

    changes: dict[str, dict[str, Any]] = {
        "no lesion": {"bodySite": {}},
        "another clinic's lesion": {"bodySite": media(theirs, b"")["bodySite"]},
        "another patient": {"subject": {"reference": f"Patient/{other.patient.pk}"}},
        "another clinic's patient": {"subject": {"reference": f"Patient/{theirs.patient.pk}"}},
        "no photograph": {"content": {"data": base64.b64encode(b"no photograph").decode()}},
        "no base64": {"content": {"data": "§"}},
        "no bytes": {"content": {"url": "https://example.org/x.jpg"}},
        "another server's patient": {"subject": {"reference": f"https://other.example/fhir/Patient/{hers}"}},
        "another server's lesion": at(f"https://other.example/fhir/BodyStructure/{chart.lesion.pk}"),
        "another path": at(f"x/BodyStructure/{chart.lesion.pk}"),
        "a version": {"subject": {"reference": f"Patient/{hers}/_history/1"}},
        "not completed": {"status": "preparation"},
        "no zone": {"createdDateTime": "2026-11-20T09:30:00"},
    }
    for name, change in changes.items():
        answer = api.send("Media", sent | change)
        assert (answer.status_code, checked(answer.json())["resourceType"]) == (422, "OperationOutcome"), name
    with cast.in_north():
        assert not LesionImage.objects.exists()
        assert AuditEvent.objects.get(action="upload_refused").actor_name == "Record system"


@pytest.mark.parametrize("odd", ["\0", "a\ud800"])
def test_characters_that_are_none_are_refused(cast, api, chart, photograph_bytes, odd):
    changes = (
        {"note": [{"text": odd}]},
        {"identifier": [{"system": "urn:camera", "value": odd}]},
        {"subject": {"identifier": {"system": odd, "value": "4711"}}},
        {"subject": {"reference": f"Patient/{odd}"}},
    )
    for change in changes:
        answer = api.send("Media", json.dumps(media(chart, photograph_bytes, **change)))
        assert answer.status_code == 422, change
    for name in ("gender", "birthDate"):
        assert api.send("Patient", json.dumps(ERNA | {name: odd})).status_code == 422
    with cast.in_north():
        assert not LesionImage.objects.exists()


def test_what_is_too_large_is_refused_before_it_is_read(api):
    answer = api.browser.generic(
        "POST", "/fhir/Media", b"{}", content_type="application/fhir+json", headers=api.bearer,
        CONTENT_LENGTH="40000000",
    )  # fmt: skip
    assert (answer.status_code, checked(answer.json())["issue"][0]["code"]) == (413, "too-long")
    assert api.send("Patient", ERNA | {"address": [{"text": "x" * 3_000_000}]}).status_code in (400, 413)


def test_a_photograph_may_be_larger_than_other_bodies(api, cast, chart, photograph_bytes):
    padded = photograph_bytes + bytes(3_000_000)
    assert api.send("Media", media(chart, padded)).status_code == 201
    answer = api.send("Media", "[" * 100_000)
    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (400, "invalid")


def test_a_patient_who_refuses_photographs_is_heard(cast, api, chart, photograph_bytes):
    with cast.alice.acting() as actor:
        note_consent(actor=actor, patient=chart.patient, kind="photograph", decision="refused", decided_on="2026-11-22")
    assert api.send("Media", media(chart, photograph_bytes)).status_code == 422


ELEMENTS = """family given system value coding code extension url valueReference reference identifier data text
    name telecom address gender birthDate bodySite subject content note modality createdDateTime status link active"""
PLAIN = st.none() | st.booleans() | st.integers() | st.text(max_size=8)
ANY_JSON = st.recursive(
    PLAIN,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(ELEMENTS.split()), inner, max_size=3),
    max_leaves=8,
)


@tries(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    kind=st.sampled_from(["Patient", "Media"]),
    changes=st.dictionaries(st.sampled_from(ELEMENTS.split()), ANY_JSON, max_size=3),
)
def test_nothing_that_is_sent_is_a_fault_of_ours(cast, api, chart, kind, changes):
    sent = ERNA if kind == "Patient" else media(chart, b"x")
    body = sent | {"identifier": [{"system": "urn:x", "value": str(uuid4())}]} | changes
    answer = api.send(kind, body)
    assert answer.status_code in (201, 422), answer.content
    if answer.status_code == 201:
        checked(answer.json())
