"""Every search parameter finds what it should and hides what it should; pages go on; another clinic finds nothing."""

import logging
from typing import Any
from urllib.parse import parse_qsl, quote

import pytest

from conftest import IDENTITY, make_chart
from patients.models import Patient, Visit
from patients.services import add_identifier, merge_patients
from skinclinic.api.fhir.registry import RESOURCES
from skinclinic.api.fhir.tests.conftest import SUSPECT, Fhir, signed
from skinclinic.api.fhir.tests.test_read import checked
from skinclinic.audit.models import AuditEvent

DAY_AHEAD = "gt2100-01-01"


@pytest.fixture
def two(cast: Any) -> tuple[str, str]:
    """Erna Winterbottom of 1961 with a number, and Paula Autumn of 1980."""
    erna = make_chart(cast.alice).patient
    paula = make_chart(cast.alice, family_name="Autumn", given_name="Paula", birth_date="1980-02-03").patient
    with cast.alice.acting():
        add_identifier(patient=erna, system="urn:his", value="4711")
    return str(erna.pk), str(paula.pk)


@pytest.mark.parametrize(
    "query",
    [
        "name=winter",
        "name=ern,nobody",
        "name:contains=bottom",
        "name:exact=Winterbottom",
        "identifier=urn:his|4711",
        "identifier=4711",
        "identifier=urn:his|",
        "birthdate=1961-04-30",
        "birthdate=1961",
        "birthdate=lt1970-01",
        "birthdate=le1961-04-30",
        "_id={erna}",
        "name=winter&birthdate=1961",
    ],
)
def test_patients_are_found(two, api, query):
    """The one is visible, the other hidden, by GET and by POST alike."""
    erna, paula = two
    query = query.format(erna=erna)
    assert api.ids(f"Patient?{query}") == {erna}
    posted = api.search("Patient", **dict(parse_qsl(query)))
    assert [entry["resource"]["id"] for entry in checked(posted.json())["entry"]] == [erna]
    assert paula not in posted.content.decode()


@pytest.mark.parametrize(
    "query", ["name=bottom", "name:exact=winterbottom", "identifier=|4711", "identifier=urn:x|4711", "birthdate=1962"]
)
def test_patients_are_not_found(two, api, query):
    assert api.ids(f"Patient?{query}") == set()


@pytest.mark.parametrize(
    "query",
    ["gender=female", "birthdate=soon", "birthdate=2026-13-45", "_count=x", "_revinclude=Provenance:target", "name:x=y",
     "_page=made-up", "_lastUpdated=99999", "birthdate=9999-12-31&name=%00", "_sort=name"],
)  # fmt: skip
def test_a_search_that_means_nothing_is_refused(two, api, query):
    answer = api.ask(f"Patient?{query}")
    assert (answer.status_code, checked(answer.json())["resourceType"]) == (400, "OperationOutcome")


OBSERVED = [
    ("patient={patient}", {"reading-read", "reading-unfit"}, {"reading-agreed", "review-agreed"}),
    ("patient=Patient/{patient}", {"reading-read"}, {"reading-agreed"}),
    ("status=final", {"reading-agreed", "review-agreed", "review-overridden"}, {"reading-overridden", "reading-read"}),
    ("status=preliminary", {"reading-read", "reading-overridden"}, {"review-overridden", "reading-agreed"}),
    ("status=amended", {"review-amended"}, {"reading-amended", "review-agreed"}),
    ("status=cancelled", {"reading-unfit", "reading-failed"}, {"review-failed", "reading-read"}),
    ("status=entered-in-error", {"reading-withdrawn", "review-withdrawn"}, {"reading-read"}),
    ("code=malignancy-score", {"reading-agreed"}, {"review-agreed"}),
    ("code=urn:skinclinic:codes:observation|lesion-review", {"review-agreed"}, {"reading-agreed"}),
    ("code=urn:x|lesion-review,malignancy-score", {"reading-agreed"}, {"review-agreed"}),
    ("category=imaging", {"reading-agreed", "review-agreed"}, set()),
    ("category=laboratory", set(), {"reading-agreed", "review-agreed"}),
    ("date=ge2020", {"reading-agreed"}, set()),
    (f"date={DAY_AHEAD}", set(), {"reading-agreed"}),
    ("_lastUpdated=ge2020-01-01", {"reading-agreed"}, set()),
    (f"_lastUpdated={DAY_AHEAD}", set(), {"reading-agreed"}),
    ("_id=reading-{agreed}", {"reading-agreed"}, {"review-agreed", "reading-read"}),
]
REPORTED = [
    ("patient={of_agreed}", {"agreed"}, {"amended"}),
    ("status=amended", {"amended"}, {"agreed"}),
    ("status=entered-in-error", {"withdrawn"}, {"agreed"}),
    ("code=skin-lesion-report&status=final", {"agreed", "overridden"}, {"amended"}),
    ("code=x", set(), {"agreed"}),
    ("category=IMG", {"agreed"}, set()),
    ("category=LAB", set(), {"agreed"}),
    ("date=ge2020", {"agreed"}, set()),
    (f"date={DAY_AHEAD}", set(), {"agreed"}),
    (f"_lastUpdated={DAY_AHEAD}", set(), {"agreed"}),
]


def test_observations_and_reports_are_found(clinic, api):
    keys = {name: each.pk for name, each in clinic.screenings.items()} | {"patient": clinic.patient}
    for query, visible, hidden in OBSERVED:
        found = api.ids(f"Observation?_count=100&{query.format(**keys)}")
        named = {name for name in visible | hidden if f"{name.split('-')[0]}-{keys[name.split('-')[1]]}" in found}
        assert named == visible, query
    visits = {name: str(each.visit_id) for name, each in clinic.screenings.items()}
    of_agreed = clinic.screenings["agreed"].patient_id
    for query, visible, hidden in REPORTED:
        found = api.ids(f"DiagnosticReport?{query.format(of_agreed=of_agreed)}")
        assert {name for name in visible | hidden if visits[name] in found} == visible, query


def test_what_is_of_a_patient_is_found_by_her(clinic, api):
    mine, other = clinic.screenings["read"], clinic.screenings["agreed"]
    assert str(mine.image_id) in api.ids(f"Media?patient={clinic.patient}")
    assert str(other.image_id) not in api.ids(f"Media?patient={clinic.patient}")
    assert api.ids(f"BodyStructure?patient={clinic.patient}") == {str(clinic.chart.lesion.pk)}
    of_other = f"DocumentReference?patient={other.patient_id}"
    assert api.ids(of_other) == {str(other.visit_id)}
    assert api.ids(f"DocumentReference?patient={clinic.patient}") == set()
    version = next(iter(api.ids("Device")))
    assert (api.ids(f"Device?_id={version}"), api.ids("Device?_id=x")) == ({version}, set())


def test_provenance_comes_by_target_and_with_a_search(clinic, api):
    reading = f"reading-{clinic.key('agreed')}"
    (told,) = api.found(f"Provenance?target=Observation/{reading}")
    assert [each["type"]["coding"][0]["code"] for each in told["agent"]] == ["author", "verifier"]
    assert told["entity"][0]["what"]["identifier"]["value"] == clinic.screenings["agreed"].image.sha256
    assert told["meta"]["security"][0]["code"] == "AIAST"
    page = api.read(f"Observation?_id={reading}&_revinclude=Provenance:target")
    assert [entry["search"]["mode"] for entry in page["entry"]] == ["match", "include"]
    assert page["entry"][1]["resource"] == told
    (other,) = api.found(f"Provenance?target=DiagnosticReport/{clinic.screenings['agreed'].visit_id}")
    assert other["entity"][0]["what"]["identifier"]["value"], "the PDF's SHA-256"
    assert api.found(f"Provenance?target=Observation/reading-{clinic.key('waiting')}") == []
    assert api.ask("Provenance").status_code == 400


def test_pages_go_on_and_hold_each_once(clinic, api):
    whole = [entry["resource"]["id"] for entry in api.read("Observation?_count=100")["entry"]]
    for path in ("Observation?_count=1", "Observation?_count=4"):
        pages = [[entry["resource"]["id"] for entry in page.get("entry", [])] for page in api.pages(path)]
        assert [key for page in pages for key in page] == whole
        assert max(map(len, pages)) == int(path[-1])


def test_everything_of_a_patient_is_told_once(clinic, api):
    cast, screening = clinic.cast, clinic.screenings["agreed"]
    with cast.ada.acting():
        merge_patients(duplicate=screening.patient, into=clinic.chart.patient)
    told = [
        f"{entry['resource']['resourceType']}/{entry['resource']['id']}"
        for page in api.pages(f"Patient/{clinic.patient}/$everything?_count=3")
        for entry in checked(page)["entry"]
    ]
    assert len(told) == len(set(told))
    wanted = {f"Patient/{clinic.patient}", f"Patient/{screening.patient_id}", f"Observation/review-{screening.pk}",
              f"Media/{clinic.screenings['waiting'].image_id}", f"DocumentReference/{screening.visit_id}",
              f"Provenance/reading-{screening.pk}"}  # fmt: skip
    assert wanted <= set(told)
    assert not [each for each in told if each.startswith("AuditEvent") or clinic.key("amended") in each]


def test_a_merged_patient_says_by_whom_she_was_replaced(cast, two, api):
    erna, paula = two
    with cast.ada.acting():
        merge_patients(duplicate=Patient.objects.get(pk=paula), into=Patient.objects.get(pk=erna))
    merged, remaining = api.read(f"Patient/{paula}"), api.read(f"Patient/{erna}")
    assert merged["link"] == [{"other": {"reference": f"Patient/{erna}"}, "type": "replaced-by"}]
    assert (merged["active"], remaining["active"]) == (False, True)
    assert remaining["link"][0]["type"] == "replaces"


def test_nothing_of_another_clinic_is_found(clinic, cast):
    """Every resource of North, and every search, asked for by a client of South."""
    ours, theirs = Fhir(cast.north), Fhir(cast.south)
    for kind in RESOURCES:
        if kind in ("Device", "Provenance"):
            continue
        for told in ours.found(kind):
            assert theirs.ask(f"{kind}/{told['id']}").status_code == 404, told["id"]
        assert not theirs.ids(kind) & ours.ids(kind) or kind == "AuditEvent"
        assert clinic.patient not in theirs.ask(kind).content.decode()
    for name in ("agreed", "overridden"):
        screening = clinic.screenings[name]
        for target in (f"Observation/reading-{screening.pk}", f"DiagnosticReport/{screening.visit_id}"):
            assert ours.found(f"Provenance?target={target}")
            assert theirs.found(f"Provenance?target={target}") == []
        for kind in ("Observation", "Media", "DiagnosticReport", "DocumentReference", "BodyStructure"):
            assert theirs.found(f"{kind}?patient={screening.patient_id}") == []
        assert theirs.ask(f"Provenance/reading-{screening.pk}").status_code == 404
        assert theirs.ask(f"Binary/{screening.image_id}").status_code == 404
        assert theirs.ask(f"Patient/{screening.patient_id}/$everything").status_code == 404
    assert theirs.found(f"Patient?name={IDENTITY['family_name']}") == []
    page = ours.read("Observation?_count=1")["link"][1]["url"]
    assert theirs.read(page).get("entry") is None, "a link of another clinic leads to nothing"


def test_names_stand_in_no_link_no_log_and_not_on_the_ledger(cast, two, api, caplog):
    caplog.set_level(logging.DEBUG)
    for number in range(3):
        make_chart(cast.alice, given_name=f"Erna{number}")
    pages = [
        api.read("Patient?name=Winterbottom&_count=1"),
        api.search("Patient", name="Winterbottom", _count="1").json(),
    ]
    for page in pages:
        assert "Winterbottom" not in str(page["link"])
        following = api.read(page["link"][1]["url"])
        assert following["entry"][0]["resource"]["name"][0]["family"] == "Winterbottom"
        assert api.read(page["link"][0]["url"])["entry"] == page["entry"], "the search itself, again"
    assert api.ask(f"Patient?name={quote('Winterbottom')}&nonsense=1").status_code == 400
    assert "Winterbottom" not in caplog.text
    with cast.in_north():
        lines = AuditEvent.objects.filter(action="api_listed")
        assert "Winterbottom" not in str(list(lines.values()))
        assert {line.changes["query"] for line in lines} >= {"Patient?name=*"}


def test_a_search_as_another_form_is_no_fault_of_ours(two, api):
    answer = api.browser.post("/fhir/Patient/_search", {"name": "Winterbottom"}, headers=api.bearer)
    assert [entry["resource"]["id"] for entry in answer.json()["entry"]] == [two[0]]


def test_a_reference_to_another_server_is_refused(clinic, api):
    for path in (f"Observation?patient={{}}/Patient/{clinic.patient}", "Provenance?target={}/Observation/reading-x"):
        assert api.ask(path.format("https://other.example/fhir")).status_code == 400, path
        assert api.ask(path.format("http://testserver/fhir")).status_code == 200, path
    assert api.ids(f"Observation?patient=http://testserver/fhir/Patient/{clinic.patient}")


@pytest.mark.parametrize("zone", ["America/Los_Angeles", "Pacific/Auckland"])
def test_an_imported_visit_is_found_on_the_day_that_it_tells(cast, api, chart, screening, zone):
    signed(cast, screening, SUSPECT)
    with cast.in_north():
        type(cast.north).objects.filter(pk=cast.north.pk).update(time_zone=zone)
        Visit.objects.filter(pk=chart.visit.pk).update(photographed_on="2026-03-10", due_at=None)
    told = api.read(f"DiagnosticReport/{chart.visit.pk}")["effectiveDateTime"]
    assert told.startswith("2026-03-10T00:00:00")
    assert api.ids("DiagnosticReport?date=2026-03-10") == {str(chart.visit.pk)}
    assert api.ids("DiagnosticReport?date=2026-03-09,2026-03-11") == set()
