"""The ledger as FHIR: what reading left on it, after IHE's patterns."""

import base64

from conftest import make_chart
from skinclinic.api.fhir.tests.test_read import checked
from skinclinic.audit.record import record


def codes_of(event: dict) -> list[str]:
    return [agent["type"]["coding"][0]["code"] for agent in event["agent"]]


def test_a_read_is_told(cast, api, chart):
    api.read(f"Patient/{chart.patient.pk}")
    told = checked(api.found("AuditEvent?_count=1")[0])
    assert (told["action"], told["outcome"], told["subtype"][0]["code"]) == ("R", "0", "read")
    assert codes_of(told) == ["110152", "110153"], "the client is where it goes, the server whence"
    assert told["agent"][0]["who"]["identifier"]["value"] == f"client:{api.client_row.client_id}"
    patient, data = told["entity"][:2]
    assert (patient["what"]["reference"], patient["role"]["code"]) == (f"Patient/{chart.patient.pk}", "1")
    assert (data["what"]["identifier"]["value"], data["role"]["code"]) == (str(chart.patient.pk), "4")
    assert told["source"]["observer"]["display"] == "skinclinic"


def test_a_search_is_one_event_for_each_patient_that_it_found(cast, api, chart):
    other = make_chart(cast.alice, given_name="Emma").patient
    api.read("Patient?name=Winterbottom")
    told = [checked(each) for each in api.found("AuditEvent?_count=2")]
    assert {each["entity"][0]["what"]["reference"] for each in told} == {
        f"Patient/{chart.patient.pk}", f"Patient/{other.pk}",
    }  # fmt: skip
    for each in told:
        assert (each["type"]["code"], each["action"], codes_of(each)) == ("rest", "E", ["110153", "110152"])
        query = next(entity for entity in each["entity"] if entity.get("role", {}).get("code") == "24")
        assert (query["type"]["code"], base64.b64decode(query["query"])) == ("2", b"Patient?name=*")
        assert api.read(f"AuditEvent/{each['id']}") == each


def test_events_are_found_by_patient_and_date(cast, api, chart):
    other = make_chart(cast.alice, given_name="Emma").patient
    api.read("Patient?name=Winterbottom")
    for key, hidden in ((chart.patient.pk, other.pk), (other.pk, chart.patient.pk)):
        found = api.found(f"AuditEvent?patient={key}&_count=100")
        assert {each["action"] for each in found} >= {"C", "E"}
        assert str(hidden) not in str(found)
    assert api.ids("AuditEvent?date=lt2020") == set()
    assert api.ids(f"AuditEvent?date=ge2020&patient={other.pk}")


def test_events_of_many_patients_go_on_over_pages(cast, api):
    for number in range(3):
        make_chart(cast.alice, given_name=f"Given{number}")
    api.read("Patient?name=Winterbottom")
    first = api.read("AuditEvent?_count=2")
    second = api.read(first["link"][1]["url"])
    third = [each["resource"]["id"] for each in first["entry"] + second["entry"]][:3]
    assert len(set(third)) == 3
    assert len({key.partition("-")[0] for key in third}) == 1, "one line of the ledger"


def test_who_was_not_let_in_by_her_hospital_was_refused(cast, api):
    with cast.in_north():
        record("provider_refused", detail={"because": "NotLetIn"})
    assert api.found("AuditEvent?_count=1")[0]["outcome"] == "4"


def test_changes_and_refusals_are_told(cast, api, chart):
    api.ask("Patient/00000000-0000-4000-8000-000000000000")
    told = api.found("AuditEvent?_count=100")
    assert {each["action"] for each in told} >= {"C", "R"}
    assert {each["outcome"] for each in told} == {"0", "4"}
    assert "Winterbottom" not in str(told)
