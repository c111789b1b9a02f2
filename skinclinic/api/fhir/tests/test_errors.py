"""Whatever is asked wrongly is answered as FHIR, and never stored on the way."""

from urllib.parse import quote, urlencode

import pytest
from django.db import OperationalError
from hypothesis import HealthCheck, given
from hypothesis import settings as tries
from hypothesis import strategies as st

from skinclinic.api.fhir.capability import KINDS
from skinclinic.api.fhir.registry import RESOURCES
from skinclinic.api.fhir.searching import OWN
from skinclinic.api.fhir.tests.conftest import Fhir
from skinclinic.api.fhir.tests.test_read import checked
from skinclinic.audit.models import AuditEvent


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("Patient/nobody", 404, "not-found"),
        ("Patient/00000000-0000-4000-8000-000000000000", 404, "not-found"),
        ("Encounter", 404, "not-found"),
        ("Encounter/x", 404, "not-found"),
        ("Observation/reading-x", 404, "not-found"),
        ("Provenance/x-y", 404, "not-found"),
        ("Provenance?target=x", 200, ""),
        ("AuditEvent/99999999999999999999", 404, "not-found"),
        ("Binary/x", 404, "not-found"),
        ("CodeSystem/x", 404, "not-found"),
        ("Patient/a/b/c/d", 404, "not-found"),
        ("Patient/%00", 404, "not-found"),
        ("Patient?_format=xml", 406, "not-supported"),
        ("Patient?_format=json", 200, ""),
    ],
)
def test_answers_are_fhir(api, path, status, code):
    answer = api.ask(path)
    assert answer.status_code == status
    assert answer["Content-Type"].startswith("application/fhir+json")
    assert "no-store" in answer["Cache-Control"]
    told = checked(answer.json())
    if code:
        assert told["issue"][0]["code"] == code


def test_another_form_than_json_is_not_to_be_had(api):
    assert api.ask("Patient", Accept="application/fhir+xml").status_code == 406
    assert api.ask("Patient", Accept="application/json")["Content-Type"].startswith("application/json")


def test_methods_that_are_not_there_are_refused_as_fhir(api):
    for method in ("put", "patch", "delete"):
        answer = getattr(api.browser, method)("/fhir/Patient/x", headers=api.bearer)
        assert (answer.status_code, checked(answer.json())["issue"][0]["code"]) == (405, "not-supported")
    assert api.send("Observation", {"resourceType": "Observation"}).status_code == 405
    answer = api.browser.post("/fhir/metadata")
    assert (answer.status_code, checked(answer.json())["issue"][0]["code"]) == (405, "not-supported")


def test_a_fault_of_ours_is_told_as_fhir(api, monkeypatch):
    def broken(*args, **kwargs):
        raise OperationalError("gone")

    monkeypatch.setattr("skinclinic.api.fhir.views.record_search", broken)
    api.browser.raise_request_exception = False
    answer = api.ask("Patient?name=Winterbottom")
    assert (answer.status_code, checked(answer.json())["issue"][0]["code"]) == (503, "transient")


def test_scopes_are_asked_for(cast):
    nobody, reader, auditor = Fhir(cast.north, ()), Fhir(cast.north, ("fhir:read",)), Fhir(cast.north, ("audit:read",))
    nobody.token = "wrong"
    assert nobody.ask("Patient").status_code == 401
    assert checked(nobody.ask("Patient").json())["issue"][0]["code"] == "login"
    assert (reader.ask("Patient").status_code, reader.ask("AuditEvent").status_code) == (200, 403)
    assert (auditor.ask("Patient").status_code, auditor.ask("AuditEvent").status_code) == (403, 200)
    assert reader.search("AuditEvent").status_code == 403
    assert reader.send("Patient", {"resourceType": "Patient"}).status_code == 403
    assert Fhir(cast.north, ("patients:read",)).ask("Patient").status_code == 403


def test_a_search_by_post_needs_only_reading(cast):
    assert Fhir(cast.north, ("fhir:read",)).search("Patient", name="x").status_code == 200


def test_refusals_are_on_the_ledger(cast, api):
    api.ask("Patient/00000000-0000-4000-8000-000000000000")
    with cast.in_north():
        assert AuditEvent.objects.get(action="refused").actor_name == "Record system"


def test_what_it_can_do_is_told_to_anybody(client, db):
    told = checked(client.get("/fhir/metadata").json())
    assert told["fhirVersion"] == "4.0.1"
    resources = {each["type"]: each for each in told["rest"][0]["resource"]}
    assert {each["name"] for each in resources["Patient"]["searchParam"]} >= {"identifier", "birthdate", "name"}
    smart = client.get("/fhir/.well-known/smart-configuration")
    assert smart["Content-Type"] == "application/json"
    assert smart.json()["token_endpoint"].endswith("/api/oauth2/token/")
    assert set(smart.json()["scopes_supported"]) == {"fhir:read", "fhir:write", "audit:read"}


def test_code_systems_are_told(api):
    for told in api.found("CodeSystem"):
        assert checked(api.read(f"CodeSystem/{told['id']}")) == told
        assert api.ids(f"CodeSystem?url={told['url']}") == {told["id"]}
        assert api.ids(f"CodeSystem?_id={told['id']}") == {told["id"]}
    assert len(api.found("CodeSystem")) == 8
    assert api.ids("CodeSystem?url=urn:other") == set()
    assert api.ask("CodeSystem?name=diagnosis").status_code == 400


PARAMETERS = [*KINDS, *OWN, "nonsense", "name:contains", "patient:Patient", "_format"]
TEXTS = st.text(max_size=12) | st.sampled_from(
    [
        "ge2026-02-30",
        "eq0001-01-01",
        "9999-12-31T23:59:59-23:59",
        "0001-01-01T00:00:00%2B14:00",
        "|",
        "a|b|c",
        ",",
        "\\",
        "-1",
    ]
)


@tries(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    kind=st.sampled_from([*RESOURCES, "Nothing"]),
    query=st.dictionaries(st.sampled_from(PARAMETERS), TEXTS, max_size=3),
    key=st.text(max_size=6),
)
def test_nothing_that_is_asked_is_a_fault_of_ours(api, chart, kind, query, key):
    for path in (f"{kind}?{urlencode(query)}", f"{kind}/{quote(key, safe='')}", f"Binary/{quote(key, safe='')}"):
        answer = api.ask(path)
        assert answer.status_code in (200, 400, 404, 406), path
        assert answer["Content-Type"].startswith("application/fhir+json"), path
