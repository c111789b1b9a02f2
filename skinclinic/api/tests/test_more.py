"""Corrections by ETag, numbers and merging; what comes of reviews; filters; and what happened since."""

import hashlib
from threading import Thread
from uuid import UUID

import pytest
from django.db import connection
from django.utils import timezone

from conftest import IDENTITY, Cast, make_chart
from patients.models import Patient
from screening.models import FollowUp, ModelVersion, Outcome, ReadingPolicy, Signature
from screening.services.reviews import Opinion
from screening.tests.conftest import finish, give, sign, the_only
from skinclinic.api.tests.test_api import Api
from skinclinic.audit.acting import acting, system
from skinclinic.events.changes import changes_since
from skinclinic.events.models import Event, EventType
from skinclinic.events.publish import publish

MELANOMA = Opinion(suspicious=True, diagnosis="melanoma", recommendation="excise")


@pytest.fixture
def api(cast: Cast) -> Api:
    return Api(cast.north)


def test_a_patient_is_corrected_by_who_has_seen_her(cast, chart, api):
    path = f"patients/{chart.patient.pk}/"
    seen = api.get(path)
    assert api.get(path, **{"If-None-Match": seen["ETag"]}).status_code == 304
    changed = api.patch(path, {"identity": {"phone": "1"}, "sex": "male"}, **{"If-Match": seen["ETag"]})
    assert changed.status_code == 200
    assert (changed.json()["identity"]["phone"], changed.json()["sex"]) == ("1", "male")
    assert changed.json()["identity"]["family_name"] == "Winterbottom"
    assert changed["ETag"] == api.get(path)["ETag"] != seen["ETag"]
    stale = api.patch(path, {"sex": "female"}, **{"If-Match": seen["ETag"]})
    assert (stale.status_code, api.get(path).json()["sex"]) == (412, "male")
    assert api.patch(path, {"sex": "female"}).status_code == 428
    assert api.patch(path, {"sex": "maybe"}, **{"If-Match": "*"}).status_code == 400


@pytest.mark.parametrize(
    "path", ["visits/?patients=", "screenings/?lesions=", "patients/?sex=female&name=", "changes/?sinse="]
)
def test_a_filter_that_is_not_here_is_refused_rather_than_passed_over(api, path):
    answer = api.get(path)
    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["detail"].startswith("There is no such filter here.")) == (400, True)
    assert api.get("visits/?page_size=1&patient=&format=json").status_code == 200


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"skintype": 2}, "skintype"),
        ({"id": "c0ffee00-0000-4000-8000-000000000000"}, "id"),
        ({"identity": IDENTITY | {"birthdate": "1961-04-05"}}, "identity.birthdate"),
        ({"identifiers": [{"system": "urn:x", "value": "1", "kind": "record"}]}, "identifiers.0.kind"),
    ],
)
def test_a_field_that_is_not_here_is_refused_and_nothing_kept(cast, api, more, field):
    answer = api.post("patients/", {"identity": IDENTITY} | more)
    assert answer.status_code == 400
    assert [each["field"] for each in answer.json()["errors"]] == [field]
    with cast.in_north():
        assert not Patient.objects.exists()


def test_a_number_is_added_and_belongs_to_one(cast, chart, api):
    number = {"system": "urn:his", "value": "4711"}
    added = api.post(f"patients/{chart.patient.pk}/identifiers/", number)
    assert (added.status_code, added.json()["identifiers"]) == (201, [number | {"type": "record"}])
    other = make_chart(cast.alice, given_name="Emma")
    assert api.post(f"patients/{other.patient.pk}/identifiers/", number).status_code == 422


def test_records_are_merged_and_parted(cast, chart, api):
    other = make_chart(cast.alice, given_name="Emma")
    path = f"patients/{other.patient.pk}/"
    merged = api.post(f"{path}merge/", {"into": str(chart.patient.pk)})
    assert (merged.status_code, merged.json()["merged_into"]) == (200, str(chart.patient.pk))
    assert [row["id"] for row in api.get(f"patients/?merged_into={chart.patient.pk}").json()["results"]] == [
        str(other.patient.pk)
    ]
    assert api.post(f"{path}merge/", {"into": str(chart.patient.pk)}).status_code == 422
    assert api.post(f"{path}unmerge/", {}).json()["merged_into"] is None
    theirs = make_chart(cast.bob)
    assert api.post(f"{path}merge/", {"into": str(theirs.patient.pk)}).status_code == 404


def test_a_number_finds_who_bears_it_and_nobody_like_her(cast, chart, api):
    """Exactly, by any system or by one; the number of a merged record finds the one that remains."""
    other = make_chart(cast.alice, given_name="Emma")
    for each, giver, value in ((chart, "urn:his", "47"), (other, "urn:his", "471"), (other, "urn:lab", "9")):
        api.post(f"patients/{each.patient.pk}/identifiers/", {"system": giver, "value": value})
    found = {"47": chart, "471": other, "9": other}
    for value, patient in found.items():
        answer = api.post("patients/search/", {"identifier": {"value": value}}).json()
        assert [row["id"] for row in answer] == [str(patient.patient.pk)]
    assert api.post("patients/search/", {"identifier": {"system": "urn:his", "value": "9"}}).json() == []
    api.post(f"patients/{other.patient.pk}/merge/", {"into": str(chart.patient.pk)})
    answer = api.post("patients/search/", {"identifier": {"system": "urn:lab", "value": "9"}}).json()
    assert [row["id"] for row in answer] == [str(chart.patient.pk)]
    for odd in ({}, {"words": "Erna", "identifier": {"value": "47"}}, {"identifier": {"system": "urn:his"}}):
        assert api.post("patients/search/", odd).status_code == 400


@pytest.fixture
def signed(cast: Cast, chart, screening):
    finish(cast, screening, refer=True, band="high")
    give(cast, screening, MELANOMA)
    sign(cast, chart.visit)
    return screening


def test_what_a_review_asks_for_is_read_and_closed(cast, signed, api):
    (listed,) = api.get(f"follow-ups/?patient={signed.patient_id}&status=open").json()["results"]
    assert (listed["what"], listed["lesion"]) == ("excise", str(signed.image.lesion_id))
    closed = api.post(f"follow-ups/{listed['id']}/close/", {"status": "done"})
    assert (closed.status_code, closed.json()["status"]) == (200, "done")
    assert api.post(f"follow-ups/{listed['id']}/close/", {"status": "done"}).status_code == 409
    assert api.post(f"follow-ups/{listed['id']}/close/", {"status": "open"}).status_code == 400
    assert api.get("follow-ups/?status=open").json()["results"] == []


def test_pathology_comes_in_and_is_corrected(cast, signed, api):
    lesion = str(signed.image.lesion_id)
    found = {"lesion": lesion, "diagnosis": "melanoma", "reported_on": "2026-11-27"}
    made = api.post("outcomes/", found)
    assert (made.status_code, made.json()["patient"]) == (201, str(signed.patient_id))
    corrected = api.post("outcomes/", found | {"diagnosis": "nevus", "supersedes": made.json()["id"]})
    assert corrected.status_code == 201
    assert api.post("outcomes/", found | {"supersedes": made.json()["id"]}).status_code == 409
    assert api.post("outcomes/", found | {"diagnosis": ""}).status_code == 422
    assert api.post("outcomes/", found | {"diagnosis": "other"}).status_code == 400
    assert len(api.get(f"outcomes/?lesion={lesion}").json()["results"]) == 2
    with cast.in_north():
        assert [row.diagnosis for row in Outcome.objects.in_force()] == ["nevus"]


def test_a_report_closes_what_was_asked_for(cast, signed, api):
    found = {"lesion": str(signed.image.lesion_id), "diagnosis": "melanoma", "reported_on": str(timezone.localdate())}
    api.post("outcomes/", found)
    assert the_only(cast, FollowUp).status == "done"


def test_a_signed_visit_has_its_report(cast, signed, api):
    (report,) = api.get("reports/").json()["results"]
    assert (report["visit"], report["reviewer"]) == (str(signed.visit_id), "Rita Rowan")
    for visit, found in ((signed.visit_id, [report]), (signed.pk, [])):
        assert api.get(f"reports/?visit={visit}").json()["results"] == found
    pdf = api.browser.get(report["pdf"], headers=api.bearer)
    assert (pdf.status_code, pdf["Content-Type"]) == (200, "application/pdf")
    assert pdf.content.startswith(b"%PDF")


def test_models_say_which_of_them_reads_here(cast, signed, api):
    with cast.in_north():
        version = ModelVersion.objects.get()
        ReadingPolicy.objects.create(clinic=cast.north, active=version)
    (listed,) = api.get("model-versions/").json()
    assert (listed["version"], listed["active"], listed["beside"], listed["suspended"]) == (
        version.pk,
        True,
        False,
        False,
    )
    assert api.get(f"model-versions/{version.pk}/").json() == listed
    assert Api(cast.south).get(f"model-versions/{version.pk}/").json()["active"] is False
    assert api.get("model-versions/9.9/").status_code == 404


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("", 1),
        ("?reading_status=predicted&review_status=signed", 1),
        ("?reading_status=queued", 0),
        ("?withdrawn=false", 1),
        ("?withdrawn=True", 0),
        ("?withdrawn=", 1),
        ("?created_after=2020-01-01T00:00:00Z", 1),
        ("?created_before=2020-01-01T00:00:00Z", 0),
        ("?visit=00000000-0000-4000-8000-000000000000", 0),
    ],
)
def test_lists_are_narrowed(signed, api, asked, found):
    assert len(api.get(f"screenings/{asked}").json()["results"]) == found


def test_visits_are_narrowed_to_those_that_are_open(cast, signed, api):
    unsigned = make_chart(cast.alice).visit
    for asked, found in (("true", signed.visit), ("false", unsigned)):
        answer = api.get(f"visits/?signed={asked}").json()["results"]
        assert [row["id"] for row in answer] == [str(found.pk)]


def test_a_file_that_is_here_already_is_found_by_its_hash(signed, api, photograph_bytes):
    sent = hashlib.sha256(photograph_bytes).hexdigest()
    (found,) = api.get(f"screenings/?upload_sha256={sent}").json()["results"]
    assert (found["id"], found["upload_sha256"]) == (str(signed.pk), sent)
    assert api.get(f"screenings/?upload_sha256={sent[::-1]}").json()["results"] == []


@pytest.mark.parametrize(
    "asked", ["visit=nonsense", "reading_status=gone", "created_after=yesterday", "withdrawn=perhaps"]
)
def test_a_filter_that_means_nothing_is_refused(signed, api, asked):
    assert api.get(f"screenings/?{asked}").status_code == 400


def test_another_clinics_are_not_found(cast, signed):
    theirs = Api(cast.south)
    follow_up, report = the_only(cast, FollowUp).pk, signed_of(cast)
    for path in (f"follow-ups/{follow_up}/", f"reports/{report}/", f"reports/{report}/pdf/"):
        assert theirs.get(path).status_code == 404, path
    assert theirs.post(f"follow-ups/{follow_up}/close/", {"status": "done"}).status_code == 404
    found = {"lesion": str(signed.image.lesion_id), "diagnosis": "nevus", "reported_on": "2026-11-27"}
    assert theirs.post("outcomes/", found).status_code == 404
    for listed in ("follow-ups/", "outcomes/", "reports/"):
        assert theirs.get(listed).json()["results"] == []


def signed_of(cast: Cast) -> UUID:
    with cast.in_north():
        return Signature.objects.get().pk


def test_what_happened_is_told_in_order_and_once(cast, signed, api):
    first = api.get("changes/?page_size=2").json()
    assert [each["number"] for each in first["results"]] == [1, 2]
    rest = api.get(f"changes/?since={first['since']}").json()
    told = [each["type"] for each in first["results"] + rest["results"]]
    assert told[0] == "screening.queued"
    assert {"screening.predicted", "report.signed"} <= set(told)
    assert api.get(f"changes/?since={rest['since']}").json() == {"results": [], "since": rest["since"]}
    assert Api(cast.south).get("changes/").json()["results"] == []
    for odd in ("since=x", "page_size=1001", "page_size=0"):
        assert api.get(f"changes/?{odd}").status_code == 400, odd


def test_what_is_committed_late_is_not_skipped(real_cast):
    """It has the smaller key of the two, and was not there when the other was read."""
    clinic = real_cast.north.pk

    def read() -> list[tuple[int, str]]:
        with acting(system(clinic_id=clinic)) as actor:
            return [(each.number, each.type) for each in changes_since(actor=actor, number=0, most=10)]

    seen: list[list[tuple[int, str]]] = []

    def publish_and_read() -> None:
        try:
            with acting(system(clinic_id=clinic)):
                publish(EventType.PATIENT_MERGED, clinic_id=clinic)
            seen.append(read())
        finally:
            connection.close()

    with acting(system(clinic_id=clinic)):
        late = publish(EventType.REPORT_SIGNED, clinic_id=clinic)
        other = Thread(target=publish_and_read)
        other.start()
        other.join()
    assert seen == [[(1, "patient.merged")]]
    assert read() == [(1, "patient.merged"), (2, "report.signed")]
    with acting(system(clinic_id=clinic)):
        assert Event.objects.get(pk=late.pk).pk < Event.objects.exclude(pk=late.pk).get().pk


def test_two_who_ask_at_once_number_nothing_twice(real_cast):
    clinic = real_cast.north.pk
    with acting(system(clinic_id=clinic)):
        for _ in range(50):
            publish(EventType.REPORT_SIGNED, clinic_id=clinic)
    answers: list[list[int]] = []

    def ask() -> None:
        try:
            with acting(system(clinic_id=clinic)) as actor:
                answers.append([each.number for each in changes_since(actor=actor, number=0, most=100)])
        finally:
            connection.close()

    threads = [Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [list(range(1, 51))] * 8
