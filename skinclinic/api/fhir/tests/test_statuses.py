"""What becomes of a screening, and what its Observations and its report say of that."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.utils import timezone

from conftest import make_chart, make_screening
from screening.codes import MALIGNANT_DIAGNOSES, Diagnosis
from screening.models import Review
from screening.services.versions import suspend_readings
from screening.tests.conftest import finish, fresh, give, sign
from skinclinic.api.fhir import codes
from skinclinic.api.fhir.elements import UCUM
from skinclinic.api.fhir.tests.conftest import AGAINST, SUSPECT, amend, withdraw

# The model's Observation, the doctor's, and the report; None where there is none.
STATUSES = {
    "waiting": (None, None, None),
    "read": ("preliminary", None, None),
    "unfit": ("cancelled", None, None),
    "failed_open": (None, None, None),
    "agreed": ("final", "final", "final"),
    "overridden": ("preliminary", "final", "final"),
    "failed": ("cancelled", "final", "final"),
    "amended": ("final", "amended", "amended"),
    "withdrawn": ("entered-in-error", "entered-in-error", "entered-in-error"),
}


def status_of(api, place: str) -> str | None:
    answer = api.ask(place)
    return answer.json()["status"] if answer.status_code == 200 else None


def test_statuses_are_as_the_table_says(clinic, api):
    for name, (reading, review, report) in STATUSES.items():
        key = clinic.key(name)
        assert status_of(api, f"Observation/reading-{key}") == reading, name
        assert status_of(api, f"Observation/review-{key}") == review, name
        told = status_of(api, f"DiagnosticReport/{clinic.screenings[name].visit_id}")
        assert told == report, name


def test_score_and_classes_are_those_of_the_reading(clinic, api):
    told = api.read(f"Observation/reading-{clinic.key('agreed')}")
    prediction = fresh(clinic.screenings["agreed"]).prediction
    assert told["valueQuantity"]["value"] == prediction.malignancy
    assert (told["valueQuantity"]["system"], told["valueQuantity"]["code"]) == (UCUM, "1")
    shares = [each["valueQuantity"]["value"] for each in told["component"]]
    assert (len(shares), sum(shares)) == (7, pytest.approx(1, abs=1e-6))
    systems = {each["code"]["coding"][0]["system"] for each in told["component"]}
    assert systems == {"urn:skinclinic:codes:model-class"}, "mixtures have no codes of others"
    assert told["interpretation"][0]["coding"][0]["code"] == "high"
    assert "sensitivity" in told["referenceRange"][0]["text"]
    assert told["meta"]["security"][0]["code"] == "AIAST"
    assert told["device"] == {"reference": f"Device/{prediction.model_version_id}"}
    assert any("not a medical device" in note["text"] for note in told["note"])


def test_no_score_is_told_where_there_is_none(clinic, api):
    why = {"unfit": "not-performed", "failed": "error", "withdrawn": None}
    for name, code in why.items():
        told = api.read(f"Observation/reading-{clinic.key(name)}")
        assert not {"valueQuantity", "component", "interpretation"} & set(told), name
        absent = told.get("dataAbsentReason", {}).get("coding", [{}])[0].get("code")
        assert absent == code, name
    assert "blurred" in api.read(f"Observation/reading-{clinic.key('unfit')}")["dataAbsentReason"]["text"]


def test_an_overridden_reading_points_to_the_report(clinic, api):
    key, visit = clinic.key("overridden"), clinic.screenings["overridden"].visit_id
    notes = [note["text"] for note in api.read(f"Observation/reading-{key}")["note"]]
    assert any(f"DiagnosticReport/{visit}" in note for note in notes)
    with clinic.cast.in_north():
        assert Review.objects.get(screening=key, signed_for__isnull=False).differs


def test_the_doctors_word_comes_first_in_the_report(clinic, api):
    screening = clinic.screenings["overridden"]
    report = api.read(f"DiagnosticReport/{screening.visit_id}")
    kinds = [each["reference"] for each in report["result"]]
    assert kinds == [f"Observation/review-{screening.pk}", f"Observation/reading-{screening.pk}"]
    assert "Melanocytic nevus, not suspicious" in report["conclusion"]
    own, icd = report["conclusionCode"][0]["coding"]
    assert (own["code"], icd["system"], icd["code"]) == ("nevus", codes.ICD10, "D22")
    assert report["resultsInterpreter"][0]["display"] == "Rita Rowan"


def test_an_amendment_that_differs_makes_the_reading_preliminary(clinic, api):
    key = clinic.key("agreed")
    amend(clinic.cast, clinic.screenings["agreed"], AGAINST)
    assert status_of(api, f"Observation/reading-{key}") == "preliminary"
    amend(clinic.cast, clinic.screenings["agreed"], SUSPECT)
    assert status_of(api, f"Observation/reading-{key}") == "preliminary", "one signed review did override it"


def test_a_report_that_lost_a_photograph_is_corrected(cast, api, random_photograph):
    chart = make_chart(cast.alice)
    kept, gone = (make_screening(cast.alice, chart, random_photograph()) for _ in range(2))
    for each in (kept, gone):
        finish(cast, each, refer=True, band="high")
    give(cast, kept, SUSPECT)
    give(cast, gone, SUSPECT)
    sign(cast, chart.visit)
    before = api.read(f"DiagnosticReport/{chart.visit.pk}")
    withdraw(cast, gone)
    after = api.read(f"DiagnosticReport/{chart.visit.pk}")
    assert (before["status"], after["status"]) == ("final", "corrected")
    assert str(gone.pk) not in str(after["result"])
    assert before["presentedForm"][0]["hash"] != after["presentedForm"][0]["hash"]
    assert before["meta"]["lastUpdated"] < after["meta"]["lastUpdated"]


def test_a_suspended_reading_says_so_and_has_no_band(clinic, api):
    with clinic.cast.ada.acting() as ada:
        suspend_readings(actor=ada, version=None, reason="A recall")
    told = api.read(f"Observation/reading-{clinic.key('read')}")
    assert "interpretation" not in told
    assert any("suspended" in note["text"] for note in told["note"])


def icd_codes() -> Iterator[tuple[Diagnosis, str]]:
    for each in Diagnosis:
        yield each, next((c["code"] for c in codes.diagnosis(each)["coding"] if c["system"] == codes.ICD10), "")


def test_malignant_diagnoses_have_codes_of_malignant_ones():
    for diagnosis, code in icd_codes():
        assert (code[:3] in {"C43", "C44", "D03", "D04", "L57"}) == (diagnosis in MALIGNANT_DIAGNOSES), diagnosis


def test_signed_moment_is_later_than_the_photograph(clinic, api):
    told = api.read(f"Observation/review-{clinic.key('agreed')}")
    assert told["effectiveDateTime"] <= told["issued"]
    assert api.ids(f"Observation?_lastUpdated=gt{(timezone.now() + timedelta(hours=1)).isoformat()}") == set()
