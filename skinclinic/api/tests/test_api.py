"""The way of an integrating system, from its token to the signed review, and what it must not reach."""

import base64
from io import BytesIO
from uuid import uuid4

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from PIL import Image

from conftest import IDENTITY, PASSWORD, make_chart, make_screening
from screening.models import Screening
from screening.services.versions import suspend_readings
from screening.tests.conftest import give, read_by_model, sign
from skinclinic.api.services import create_client
from skinclinic.audit.models import AuditEvent

PARTS = ("", "reviews/", "history/", "photograph/", "thumbnail/", "map/")
ALL = ["patients:read", "patients:write", "screenings:read", "screenings:write", "reviews:read", "webhooks:manage"]


class Api:
    def __init__(self, clinic, scopes=ALL):
        self.client_row, self.secret = create_client(clinic=clinic, name="Record system", scopes=scopes)
        self.browser = Client()
        self.token = self.fetch_token().json().get("access_token", "")

    def fetch_token(self, secret: str = "", scope: str = "", **asked: str):
        pair = f"{self.client_row.client_id}:{secret or self.secret}"
        basic = base64.b64encode(pair.encode()).decode()
        data = {"grant_type": "client_credentials"} | ({"scope": scope} if scope else {}) | asked
        return self.browser.post("/api/oauth2/token/", data, headers={"Authorization": f"Basic {basic}"})

    @property
    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def get(self, path: str, **headers: str):
        return self.browser.get(f"/api/v1/{path}", headers=self.bearer | headers)

    def post(self, path: str, data, *, key: str = "", **options):
        """Under a key of its own, unless one is given."""
        options.setdefault("content_type", "application/json")
        headers = self.bearer | {"Idempotency-Key": key or str(uuid4())} | options.pop("headers", {})
        return self.browser.post(f"/api/v1/{path}", data, headers=headers, **options)

    def patch(self, path: str, data, **headers: str):
        return self.browser.patch(
            f"/api/v1/{path}", data, content_type="application/json", headers=self.bearer | headers
        )

    def upload(self, data: bytes, *, key: str = "", **ids):
        fields = {"photograph": SimpleUploadedFile("a.jpg", data), **ids}
        headers = self.bearer | {"Idempotency-Key": key or str(uuid4())}
        return self.browser.post("/api/v1/screenings/", fields, headers=headers)


@pytest.fixture
def api(cast) -> Api:
    return Api(cast.north)


def test_it_works(cast, api, photograph_bytes):
    patient = api.post(
        "patients/",
        {
            "identity": IDENTITY,
            "sex": "female",
            "skin_type": 2,
            "identifiers": [{"system": "urn:his", "value": "4711"}],
        },
    ).json()
    assert patient["identifiers"] == [{"system": "urn:his", "value": "4711", "type": "record"}]
    consent = {"kind": "ai_reading", "decision": "given", "decided_on": "2026-11-22"}
    assert api.post(f"patients/{patient['id']}/consents/", consent).status_code == 201
    visit = api.post("visits/", {"patient": patient["id"], "question": "Benign?", "urgency": "soon"}).json()
    spot = {"site": "back", "laterality": "left", "view": "back", "x": 0.4, "y": 0.3}
    lesion = api.post("lesions/", {"patient": patient["id"], **spot}).json()
    answer = api.upload(photograph_bytes, visit=visit["id"], lesion=lesion["id"])
    assert (answer.status_code, answer["Retry-After"]) == (202, "1")
    place = answer["Location"].removeprefix("/api/v1/")
    assert api.get(place).json()["reading_status"] == "queued"

    with cast.in_north():
        screening = Screening.objects.select_related("visit").get(pk=answer.json()["id"])
    read_by_model(cast, screening, refer=False)
    read = api.get(place).json()
    assert (read["reading_status"], read["reading"]["band"]) == ("predicted", "low")
    assert sum(read["reading"]["probabilities"].values()) == pytest.approx(1, abs=1e-6)
    assert api.get(f"{place}reviews/").json() == []
    give(cast, screening)
    sign(cast, screening.visit)
    (review,) = api.get(f"{place}reviews/").json()
    assert (review["diagnosis"], review["reviewer"]) == ("nevus", "Rita Rowan")
    for picture in ("photograph", "thumbnail", "map"):
        assert api.get(f"{place}{picture}/")["Content-Type"].startswith("image/")


def test_every_act_is_on_the_ledger_under_the_clients_name(cast, api):
    patient = api.post("patients/", {"identity": IDENTITY}).json()
    api.get(f"patients/{patient['id']}/")
    with cast.in_north():
        events = AuditEvent.objects.filter(patient_id=patient["id"]).values_list("actor", "actor_name", "action")
        assert {event[:2] for event in events} == {(f"client:{api.client_row.client_id}", "Record system")}
        assert {event[2] for event in events} == {"insert", "api_read"}


@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer nonsense"}, {"Authorization": "Basic Zm9vOmJhcg=="}])
def test_without_a_token_nothing_is_told(api, header):
    response = Client().get("/api/v1/patients/", headers=header)
    assert response.status_code == 401
    assert response["Content-Type"] == "application/problem+json"
    assert response["WWW-Authenticate"].startswith("Bearer")
    assert ("Fetch another one" in response.json()["detail"]) == bool(header)


def test_person_signed_in_at_the_portal_is_no_api_client(cast):
    assert cast.alice.client.get("/api/v1/patients/").status_code == 401


def test_the_schemes_name_is_written_in_any_case(api):
    for scheme in ("bearer", "BEARER"):
        answer = api.browser.get("/api/v1/patients/", headers={"Authorization": f"{scheme} {api.token}"})
        assert answer.status_code == 200


def test_wrong_secret_gets_no_token(api):
    assert api.fetch_token(secret="wrong").status_code == 401


@pytest.mark.parametrize("password", [PASSWORD, "wrong"])
def test_a_client_does_not_learn_whether_a_persons_password_is_right(cast, api, password):
    cast.bob.user.set_password(PASSWORD)
    cast.bob.user.save(update_fields=["password"])
    answer = api.fetch_token(grant_type="password", username=cast.bob.user.email, password=password)
    assert (answer.status_code, answer.json()["error"]) == (400, "unsupported_grant_type")


def test_scope_that_was_not_allowed_is_not_given(cast):
    reader = Api(cast.north, scopes=["patients:read"])
    assert reader.fetch_token(scope="patients:write").status_code == 400
    assert reader.get("patients/").status_code == 200
    assert reader.post("patients/", {"identity": IDENTITY}).status_code == 403
    assert reader.get("screenings/").status_code == 403


def test_other_clinic_is_not_found(cast, api, photograph_bytes):
    theirs = make_chart(cast.bob)
    screening = make_screening(cast.bob, theirs, photograph_bytes)
    for path in (
        f"patients/{theirs.patient.pk}/",
        f"patients/{theirs.patient.pk}/consents/",
        f"visits/{theirs.visit.pk}/",
        f"lesions/{theirs.lesion.pk}/",
        *(
            f"screenings/{screening.pk}/{part}"
            for part in ("", "reviews/", "history/", "photograph/", "thumbnail/", "map/")
        ),
    ):
        assert api.get(path).status_code == 404, path
    assert api.post(f"screenings/{screening.pk}/withdraw/", {"reason": "other"}).status_code == 404
    assert api.post("visits/", {"patient": str(theirs.patient.pk)}).status_code == 400
    assert api.upload(photograph_bytes, visit=theirs.visit.pk, lesion=theirs.lesion.pk).status_code == 404
    for listed in ("patients/", "visits/", "lesions/", "screenings/"):
        assert api.get(listed).json()["results"] == []


def test_bad_input_is_a_problem_document_per_field(api):
    response = api.post("patients/", {"identity": {"family_name": "x"}, "sex": "maybe"})
    assert response.status_code == 400
    problem = response.json()
    assert {"identity.given_name", "identity.birth_date", "sex"} <= {error["field"] for error in problem["errors"]}
    assert problem["status"] == 400


def test_empty_file_is_refused_by_its_reason_and_on_the_ledger(cast, api, chart):
    response = api.upload(b"", visit=chart.visit.pk, lesion=chart.lesion.pk)
    assert (response.status_code, response.json()["type"]) == (422, "urn:skinclinic:problem:empty")
    with cast.in_north():
        assert AuditEvent.objects.get(action="upload_refused").changes == {"reason": "empty"}


def test_refused_photograph_says_why_and_is_on_the_ledger(cast, chart, api):
    response = api.upload(b"no photograph", visit=chart.visit.pk, lesion=chart.lesion.pk)
    assert (response.status_code, response.json()["type"]) == (422, "urn:skinclinic:problem:not_a_photograph")
    with cast.in_north():
        assert AuditEvent.objects.get(action="upload_refused").actor_name == "Record system"


def test_number_that_another_patient_has_is_refused_and_nothing_is_kept(cast, api):
    number = [{"system": "urn:his", "value": "4711"}]
    assert api.post("patients/", {"identity": IDENTITY, "identifiers": number}).status_code == 201
    assert api.post("patients/", {"identity": IDENTITY, "identifiers": number}).status_code == 422
    assert len(api.get("patients/").json()["results"]) == 1


def test_numbers_without_end_are_refused(cast, api):
    numbers = [{"system": "urn:his", "value": str(number)} for number in range(21)]
    answer = api.post("patients/", {"identity": IDENTITY, "identifiers": numbers})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "identifiers.non_field_errors")
    assert api.post("patients/", {"identity": IDENTITY, "identifiers": numbers[:20]}).status_code == 201


def test_risk_factors_are_kept_and_contradictions_refused(cast, api):
    made = api.post("patients/", {"identity": IDENTITY, "risk_factors": ["melanoma", "sunburns"]}).json()
    assert api.get(f"patients/{made['id']}/").json()["risk_factors"] == ["melanoma", "sunburns"]
    refused = api.post("patients/", {"identity": IDENTITY, "risk_factors": ["none_known", "melanoma"]})
    assert refused.status_code == 400
    assert "none is known" in refused.content.decode()
    assert len(api.get("patients/").json()["results"]) == 1


def test_search_is_a_post_and_needs_only_reading(cast, api):
    api.post("patients/", {"identity": IDENTITY})
    reader = Api(cast.north, scopes=["patients:read"])
    assert len(reader.post("patients/search/", {"words": "winterb 1961-04-30"}).json()) == 1
    assert reader.post("patients/search/", {"words": "somebody"}).json() == []


def test_pages_follow_the_cursor(cast, api):
    for number in range(5):
        api.post("patients/", {"identity": IDENTITY | {"given_name": f"Erna{number}"}})
    seen, path = [], "patients/?page_size=2"
    while path:
        page = api.get(path).json()
        seen += [row["id"] for row in page["results"]]
        path = (page["next"] or "").partition("/api/v1/")[2]
    assert len(seen) == len(set(seen)) == 5


@pytest.mark.parametrize("size", ["0", "-1", "x", "201", "100000", "1.5", "٣"])
def test_odd_page_size_is_refused_with_what_is_allowed(api, size):
    answer = api.get(f"patients/?page_size={size}")
    wanted = {"field": "page_size", "detail": "Send a whole number from 1 to 200."}
    assert (answer.status_code, answer.json()["errors"]) == (400, [wanted])
    assert api.get("patients/?page_size=200").status_code == 200


@pytest.mark.parametrize("key", ["x", "1", "00000000-0000-4000-8000-000000000000"])
def test_what_is_not_there_says_so_in_a_sentence(api, key):
    for path in (f"patients/{key}/", f"screenings/{key}/", f"webhooks/{key}/", "nonsense/"):
        problem = api.get(path).json()
        assert (problem["status"], problem["detail"][-1:]) == (404, "."), path
        assert "matches" not in problem["detail"]


@pytest.mark.parametrize("path", ["patients/", "patients/x/", "nonsense/"])
def test_no_answer_stays_in_a_cache(api, path):
    for headers in (api.bearer, {}):
        assert "no-store" in api.browser.get(f"/api/v1/{path}", headers=headers)["Cache-Control"]


@pytest.mark.parametrize("cursor", ["cD1hYmM=", "cD0yMDI2LTk5LTk5", "cD0A", "nonsense"])
def test_odd_cursor_is_not_found(api, cursor):
    assert api.get(f"patients/?cursor={cursor}").status_code == 404


def test_json_nested_too_deeply_is_refused(api):
    response = api.post("patients/", "[" * 100_000)
    assert (response.status_code, response.json()["detail"]) == (400, "This JSON is nested too deeply.")


@pytest.mark.parametrize(
    "wrong",
    [
        {"birth_date": "9999-12-31"},
        {"birth_date": "0001-01-01"},
        {"family_name": "\u202eevil"},
        {"given_name": "two\nlines"},
    ],
)
def test_identity_that_cannot_be_is_refused(api, wrong):
    response = api.post("patients/", {"identity": IDENTITY | wrong})
    assert response.status_code == 400
    assert response.json()["errors"][0]["field"] == f"identity.{next(iter(wrong))}"


def test_consent_of_a_day_to_come_is_refused(cast, chart, api):
    consent = {"kind": "ai_reading", "decision": "given", "decided_on": "9999-12-31"}
    assert api.post(f"patients/{chart.patient.pk}/consents/", consent).status_code == 400


def test_withdrawal_for_another_reason_asks_for_words(cast, chart, screening, api):
    path = f"screenings/{screening.pk}/withdraw/"
    assert api.post(path, {"reason": "other"}).status_code == 422
    assert api.post(path, {"reason": "other", "words": "A finger."}).json()["withdrawn_reason"] == "other"


def test_signed_visit_of_another_system_waits_for_every_clinician(cast, api, photograph_bytes):
    patient = api.post("patients/", {"identity": IDENTITY}).json()["id"]
    visit = api.post("visits/", {"patient": patient}).json()["id"]
    spot = {"site": "back", "laterality": "left", "view": "back", "x": 0.4, "y": 0.3}
    lesion = api.post("lesions/", {"patient": patient, **spot}).json()["id"]
    made = api.upload(photograph_bytes, visit=visit, lesion=lesion).json()["id"]
    with cast.in_north():
        screening = Screening.objects.select_related("visit").get(pk=made)
    give(cast, screening)
    sign(cast, screening.visit)
    assert "Signed reviews to acknowledge" in cast.alice.client.get("/today/").content.decode()


def test_lesion_beside_the_body_is_refused(cast, chart, api):
    spot = {"site": "back", "laterality": "left", "view": "back", "x": 0.05, "y": 0.05}
    answer = api.post("lesions/", {"patient": str(chart.patient.pk), **spot})
    assert (answer.status_code, answer.json()["detail"]) == (
        422, "The mark is beside the body. Put it where the lesion is.",
    )  # fmt: skip


def test_history_does_not_tell_what_an_opinion_says(cast, chart, screening, api):
    give(cast, screening)
    history = api.get(f"screenings/{screening.pk}/history/")
    assert "nevus" not in history.content.decode()
    assert "screening_screening" in {line["subject_type"] for line in history.json()["results"]}


def test_refused_upload_without_the_scope_is_on_the_ledger_by_name(cast, chart, photograph_bytes):
    reader = Api(cast.north, scopes=["screenings:read"])
    assert reader.upload(photograph_bytes, visit=chart.visit.pk, lesion=chart.lesion.pk).status_code == 403
    with cast.in_north():
        assert AuditEvent.objects.get(action="refused").actor_name == "Record system"


def test_camera_clock_is_the_clinics(cast, chart, api):
    cast.north.time_zone = "Europe/Vienna"
    cast.north.save(update_fields=["time_zone"])
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9003] = "2026:11:02 09:30:00"
    buffer = BytesIO()
    Image.new("RGB", (300, 300), "tan").save(buffer, "JPEG", exif=exif)
    made = api.upload(buffer.getvalue(), visit=chart.visit.pk, lesion=chart.lesion.pk).json()["id"]
    with cast.in_north():
        image = Screening.objects.select_related("image").get(pk=made).image
    assert image.captured_at.isoformat() == "2026-11-02T08:30:00+00:00"


def test_schema_is_valid_without_warnings(capsys):
    from django.core.management import call_command

    call_command("spectacular", "--validate", "--fail-on-warn")
    assert "openapi: 3.1.0" in capsys.readouterr().out


def test_history_goes_on_by_its_cursor_and_tells_looks(cast, chart, screening, api):
    read_by_model(cast, screening, refer=False)
    for part in ("thumbnail/", "map/"):
        assert api.get(f"screenings/{screening.pk}/{part}").status_code == 200
    first = api.get(f"screenings/{screening.pk}/history/?page_size=2").json()
    second = api.browser.get(first["next"], headers={"Authorization": f"Bearer {api.token}"}).json()
    numbers = [line["id"] for line in first["results"] + second["results"]]
    assert len(numbers) == 4
    assert numbers == sorted(set(numbers), reverse=True)
    assert "map_seen" in {line["action"] for line in first["results"] + second["results"]}
    made_up = base64.b64encode(b"p=drop+table").decode()
    assert api.get(f"screenings/{screening.pk}/history/?cursor={made_up}").status_code == 404


def test_readings_with_their_cautions_take_few_queries_however_many(cast, api, random_photograph):
    def queries() -> int:
        with CaptureQueriesContext(connection) as taken:
            rows = api.get("screenings/").json()["results"]
        assert all(row["reading"]["cautions"] == [] for row in rows)
        return len(taken)

    for number in range(4):
        chart = make_chart(cast.alice, given_name=f"Given{number}")
        read_by_model(cast, make_screening(cast.alice, chart, random_photograph()), refer=True)
        if number == 0:
            api.get("screenings/")
            first = queries()
    assert queries() == first


def test_what_the_clinician_saw_comes_with_the_upload(cast, api, chart, photograph_bytes):
    ids = {"visit": str(chart.visit.pk), "lesion": str(chart.lesion.pk)}
    answer = api.upload(photograph_bytes, findings=["ulcerated", "non_pigmented"], **ids)
    assert answer.status_code == 202
    assert answer.json()["findings"] == ["non_pigmented", "ulcerated"]
    assert api.upload(photograph_bytes, findings=["purple"], **ids).status_code == 400
    with cast.in_north():
        screening = Screening.objects.get()
    read_by_model(cast, screening, refer=False)
    reading = api.get(f"screenings/{screening.pk}/").json()["reading"]
    assert reading["band"] is None
    assert [sentence.split(";")[0] for sentence in reading["cautions"]] == ["Not pigmented", "Ulcerated"]


def test_a_suspended_reading_says_so_and_has_no_band(cast, api, screening):
    read_by_model(cast, screening, refer=False)
    before = api.get(f"screenings/{screening.pk}/").json()["reading"]
    assert (before["suspended"], before["band"]) == (False, "low")
    with cast.ada.acting() as ada:
        suspend_readings(actor=ada, version=None, reason="A recall")
    for told in (api.get(f"screenings/{screening.pk}/").json(), api.get("screenings/").json()["results"][0]):
        assert told["reading"] == before | {"suspended": True, "band": None}
