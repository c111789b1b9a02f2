"""What other systems are told of a patient who was erased: that she is gone, and nothing else."""

from conftest import IDENTITY, make_chart, make_screening
from patients.services import add_identifier
from screening.models import FollowUp, Outcome, Signature
from screening.services.reviews import Opinion
from screening.tests.conftest import finish, give, rows, sign, the_only
from screening.tests.erasing import erase
from skinclinic.api.fhir.models import SignedDocument
from skinclinic.api.fhir.tests.conftest import Fhir
from skinclinic.api.fhir.tests.test_read import checked
from skinclinic.api.tests.receiving import LOOPBACK
from skinclinic.api.tests.test_api import Api
from skinclinic.api.webhooks.documents import create_document_endpoint
from skinclinic.api.webhooks.models import WebhookDelivery, WebhookEndpoint
from skinclinic.api.webhooks.outbox import deliveries_of, make_deliveries
from skinclinic.audit.models import AuditEvent
from skinclinic.events.models import Event

EXCISE = Opinion(suspicious=True, diagnosis="melanoma", recommendation="excise")
LISTS = ("patients", "visits", "lesions", "screenings", "follow-ups", "outcomes", "reports")


def signed(cast, chart, photograph: bytes):
    with cast.alice.acting():
        add_identifier(patient=chart.patient, system="urn:example:his", value="4711")
    screening = make_screening(cast.alice, chart, photograph)
    finish(cast, screening, refer=True, band="high")
    give(cast, screening, EXCISE)
    sign(cast, chart.visit)
    return screening


def test_rest_says_that_she_is_gone(cast, chart, photograph_bytes):
    screening, api = signed(cast, chart, photograph_bytes), Api(cast.north)
    report, follow_up = the_only(cast, Signature), the_only(cast, FollowUp)
    places = [
        f"patients/{chart.patient.pk}/", f"patients/{chart.patient.pk}/consents/", f"visits/{chart.visit.pk}/",
        f"lesions/{chart.lesion.pk}/", f"screenings/{screening.pk}/", f"screenings/{screening.pk}/photograph/",
        f"screenings/{screening.pk}/reviews/", f"reports/{report.pk}/pdf/", f"follow-ups/{follow_up.pk}/",
    ]  # fmt: skip
    assert {api.get(place).status_code for place in places} == {200}
    assert all(len(api.get(f"{name}/").json()["results"]) == 1 for name in LISTS if name != "outcomes")

    erase(cast, chart.patient)

    for place in places:
        answer = api.get(place)
        assert (answer.status_code, answer["Content-Type"]) == (410, "application/problem+json"), place
        assert answer.json()["type"] == "urn:skinclinic:problem:patient-erased"
    assert not any(api.get(f"{name}/").json()["results"] for name in LISTS)
    assert api.post("visits/", {"patient": str(chart.patient.pk)}).status_code == 410
    assert api.post("patients/search/", {"words": "Winterbottom"}).json() == []
    spot = {"site": "back", "laterality": "left", "view": "back", "x": 0.4, "y": 0.3}
    assert api.post("lesions/", {"patient": str(chart.patient.pk), **spot}).status_code == 410
    finding = {"lesion": str(chart.lesion.pk), "diagnosis": "nevus", "reported_on": "2026-11-22", "words": "late"}
    assert api.post("outcomes/", finding).status_code == 410
    assert not rows(cast, Outcome)


def test_her_number_is_free_again(cast, chart, photograph_bytes):
    signed(cast, chart, photograph_bytes)
    erase(cast, chart.patient)
    numbers = [{"system": "urn:example:his", "value": "4711"}]
    answer = Api(cast.north).post("patients/", {"identity": IDENTITY, "identifiers": numbers})
    assert (answer.status_code, answer.json()["id"] == str(chart.patient.pk)) == (201, False)


def test_fhir_says_that_she_is_deleted(cast, chart, photograph_bytes):
    screening, fhir = signed(cast, chart, photograph_bytes), Fhir(cast.north)
    fhir.read(f"DiagnosticReport/{chart.visit.pk}")
    document = the_only(cast, SignedDocument)
    places = [
        f"Patient/{chart.patient.pk}", f"Patient/{chart.patient.pk}/$everything", f"Media/{screening.image_id}",
        f"Binary/{screening.image_id}", f"Binary/{document.pk}", f"Observation/reading-{screening.pk}",
        f"DiagnosticReport/{chart.visit.pk}", f"Provenance/reading-{screening.pk}", f"BodyStructure/{chart.lesion.pk}",
    ]  # fmt: skip
    assert {fhir.ask(place).status_code for place in places} == {200}

    erase(cast, chart.patient)

    for place in places:
        answer = fhir.ask(place)
        assert answer.status_code == 410, place
        assert checked(answer.json())["issue"][0]["code"] == "deleted"
    target = f"Provenance?target=Observation/reading-{screening.pk}"
    for search in ("Patient", "Media", "Observation", "DiagnosticReport", "BodyStructure", target):
        assert fhir.found(search) == [], search
    with cast.in_north():
        line = AuditEvent.objects.filter(patient_id=chart.patient.pk).latest("pk")
    assert any(each["id"].startswith(str(line.pk)) for each in fhir.found("AuditEvent?_count=100")), "the ledger stays"


def test_no_document_of_hers_is_sent_or_tried_any_more(cast, chart, photograph_bytes, settings):
    """One that cannot be made would be tried ten times, and disable its receiver."""
    settings.SEND_TO_NETWORKS = LOOPBACK
    other = make_chart(cast.alice, family_name="Autumnbottom")
    with cast.ada.acting() as ada:
        endpoint = create_document_endpoint(actor=ada, url="http://127.0.0.1:9/fhir", secret="t")
    signed(cast, chart, photograph_bytes)
    finish(cast, another := make_screening(cast.alice, other, photograph_bytes), refer=False, band="low")
    give(cast, another)
    sign(cast, other.visit)
    with cast.in_north() as actor:
        make_deliveries(actor=actor, endpoint=endpoint)
    assert [each.state for each in rows(cast, WebhookDelivery)] == ["waiting", "waiting"]
    erase(cast, chart.patient)
    assert sorted(each.state for each in rows(cast, WebhookDelivery)) == ["given_up", "waiting"]
    with cast.in_north():
        later = WebhookEndpoint.objects.get(pk=endpoint.pk)
        assert len(deliveries_of(later, list(Event.objects.filter(type="report.signed")))) == 1, "of the other one"
