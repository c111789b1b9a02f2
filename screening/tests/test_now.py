"""The dashboard says what the record says, and asks for somebody when it should."""

import math
import re
import statistics
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.urls import reverse
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from conftest import Cast, make_chart, make_screening
from patients.models import Visit
from screening.dashboard.alarms import asking
from screening.dashboard.now import Now, Waits, look, working_days_before
from screening.models import FollowUp, Screening
from screening.services.problems import report_problem
from screening.services.signing import acknowledge
from screening.services.versions import suspend_readings
from screening.templatetags.chips import lasting
from screening.tests.conftest import BENIGN, finish, fresh, give, read_by_model, sign, wait_until
from skinclinic.accounts.services import decide_reviewing
from skinclinic.workers import RollCall, call_roll

THERE = RollCall(workers={"here:1": "2026.11.2"}, refused={})
QUIET = Now(
    at=datetime(2026, 11, 24, 12, tzinfo=UTC),
    open_readings=0,
    oldest_reading=None,
    readings={},
    usual_unfit_share=None,
    to_result=Waits(0, None, None),
    to_signature=Waits(0, None, None),
    visits_waiting=0,
    visits_overdue=0,
    disputed=0,
    high_unsigned=0,
    high_unacknowledged=0,
    reviews_unacknowledged=0,
    follow_ups_overdue={},
    pathology_overdue=0,
    problems=0,
    incidents=0,
    suspended=0,
    drifted=[],
    unsealed=None,
    ledger_fault="",
    roll=THERE,
)


def seen(cast: Cast, *, by: str = "ada", **at: datetime) -> Now:
    with getattr(cast, by).acting() as actor:
        return look(actor, THERE, **at)


def codes(now: Now) -> list[str]:
    return [alarm.code for alarm in asking(now)]


def change(cast: Cast, screening: Screening, **columns: object) -> None:
    with cast.in_north():
        Screening.objects.filter(pk=screening.pk).update(**columns)


def test_it_works(cast, chart, screening):
    home = cast.ada.client.get(reverse("home"))
    assert home["Location"] == reverse("dashboard")
    page = cast.ada.client.get(reverse("dashboard")).content.decode()
    assert "Needs attention" in page
    assert "Counted from the record" in page
    assert "Winterbottom" not in page
    assert cast.rita.client.get(reverse("dashboard")).status_code == 403
    assert cast.rita.client.get(reverse("home"))["Location"] == reverse("worklist")
    assert cast.alice.client.get(reverse("home"))["Location"] == reverse("today")


def test_a_quiet_clinic_asks_for_nobody(cast):
    assert codes(seen(cast)) == []
    assert codes(QUIET) == []


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"oldest_reading": 301.0}, "stuck"),
        ({"roll": None}, "broker"),
        ({"roll": RollCall({}, {})}, "worker"),
        ({"roll": replace(THERE, refused={"here": "The model's file is damaged."})}, "refused"),
        ({"suspended": 1}, "suspended"),
        ({"drifted": ["score"]}, "drift"),
        ({"readings": {"failed": 1, "predicted": 98}}, "failed"),
        ({"readings": {"unscorable": 5, "predicted": 45}, "usual_unfit_share": 0.04}, "unfit"),
        ({"high_unsigned": 1}, "high_unsigned"),
        ({"high_unacknowledged": 1}, "high_unacknowledged"),
        ({"visits_overdue": 2}, "visits"),
        ({"follow_ups_overdue": {"excise": 1, "biopsy": 2}}, "follow_ups"),
        ({"pathology_overdue": 1}, "pathology"),
        ({"roll": replace(THERE, watched=False)}, "watch"),
        ({"problems": 1}, "problems"),
    ],
)
def test_each_rule_asks_by_itself(changed, code):
    (alarm,) = asking(replace(QUIET, **changed))
    assert alarm.code == code
    assert alarm.sentence.endswith(".")


@pytest.mark.parametrize(
    "changed",
    [
        {"oldest_reading": 299.0},
        {"readings": {"failed": 1, "predicted": 99}},
        {"readings": {"unscorable": 4, "predicted": 6}, "usual_unfit_share": 0.01},
        {"readings": {"unscorable": 5, "predicted": 45}, "usual_unfit_share": 0.05},
        {"readings": {"unscorable": 5, "predicted": 45}, "usual_unfit_share": None},
    ],
)
def test_what_is_usual_does_not_ask(changed):
    assert codes(replace(QUIET, **changed)) == []


def test_counts_and_times_are_those_of_the_rows(cast, chart, screening, random_photograph):
    """Held against plain Python over the rows."""
    shots = [screening, *(make_screening(cast.alice, chart, random_photograph()) for _ in range(5))]
    now = timezone.now()
    for number, each in enumerate(shots[:4]):
        finish(cast, each, **({"band": None, "unscorable_reasons": ("blurred",)} if number == 3 else {}))
        change(cast, each, finished_at=now, created_at=now - timedelta(seconds=3 * number + 1))
    change(cast, shots[4], reading_status="failed", failure_code="too_slow", finished_at=now)
    found = seen(cast)
    assert (found.open_readings, found.readings) == (1, {"predicted": 3, "unscorable": 1, "failed": 1})
    with cast.in_north():
        rows = Screening.objects.filter(finished_at__isnull=False)
        took = [(row.finished_at - row.created_at).total_seconds() for row in rows]
    assert found.to_result.count == len(took) == 5
    assert math.isclose(found.to_result.median, statistics.median(took), abs_tol=1e-6)
    cuts = statistics.quantiles(took, n=20, method="inclusive")
    assert math.isclose(found.to_result.p95, cuts[-1], abs_tol=1e-6)


def test_the_day_and_the_month_end_where_they_should(cast, chart, screening, random_photograph):
    now = timezone.now()
    old, older, recent = (make_screening(cast.alice, chart, random_photograph()) for _ in range(3))
    for each, age in ((old, timedelta(days=2)), (older, timedelta(days=31)), (recent, timedelta(hours=23))):
        finish(cast, each, band=None, unscorable_reasons=("blurred",))
        change(cast, each, created_at=now - age)
    finish(cast, screening)
    found = seen(cast)
    assert found.readings == {"unscorable": 1, "predicted": 1}
    assert found.usual_unfit_share == 1.0
    change(cast, old, withdrawn_at=now, withdrawn_reason="other")
    assert seen(cast).usual_unfit_share is None


def test_open_work_is_counted(cast, chart, screening):
    read_by_model(cast, screening, refer=False)
    found = seen(cast)
    assert (found.visits_waiting, found.visits_overdue, found.reviews_unacknowledged) == (1, 0, 0)
    with cast.in_north():
        Visit.objects.update(due_at=timezone.now() - timedelta(minutes=1))
    assert seen(cast).visits_overdue == 1
    give(cast, screening, replace(BENIGN, recommendation="follow_up", follow_up_months=3))
    sign(cast, chart.visit)
    with cast.in_north():
        FollowUp.objects.update(due_on=timezone.localdate() - timedelta(days=1))
    found = seen(cast)
    assert (found.visits_waiting, found.visits_overdue, found.reviews_unacknowledged) == (0, 0, 1)
    assert found.follow_ups_overdue == {"follow_up": 1}
    assert found.to_signature.count == 1


def test_a_high_reading_asks_until_its_review_is_acknowledged(cast, chart, screening):
    read_by_model(cast, screening, refer=True)
    in_three_days = working_days_after(timezone.now(), 3)

    def asking() -> tuple[int, int]:
        found = seen(cast, now=in_three_days)
        return found.high_unsigned, found.high_unacknowledged

    assert seen(cast).high_unsigned == 0
    assert asking() == (1, 0)
    give(cast, screening, replace(BENIGN, suspicious=True, diagnosis="melanoma", recommendation="excise"))
    signature = sign(cast, chart.visit)
    assert asking() == (0, 1)
    with cast.alice.acting() as alice:
        acknowledge(actor=alice, signature=signature)
    assert asking() == (0, 0)


def test_who_reviews_blind_is_not_told_how_many_are_high(cast, chart, screening):
    from skinclinic.accounts.models import Membership

    with cast.in_north():
        Membership.objects.filter(user=cast.ada.user).update(roles=["manager", "reviewer"])
    both = replace(cast, ada=replace(cast.ada, actor=cast.ada.actor.in_clinic(cast.north.pk, ["manager", "reviewer"])))
    read_by_model(cast, screening, refer=True)
    later = working_days_after(timezone.now(), 3)
    assert seen(both, now=later).high_unsigned == 1
    with cast.ada.acting() as ada:
        decide_reviewing(actor=ada, blind_first_reading=True)
    assert seen(both, now=later).high_unsigned == 0
    assert seen(cast, now=later).high_unsigned == 1


def test_suspensions_and_problems_ask(cast, chart, screening):
    read_by_model(cast, screening, refer=False)
    with cast.rita.acting() as rita:
        shown = Screening.objects.shown_to(rita).get(pk=screening.pk)
        report_problem(actor=rita, screening=shown, kind="score", words="", submission=screening.pk)
    with cast.ada.acting() as ada:
        suspend_readings(actor=ada, version=None, reason="Scores look wrong.")
    assert {"suspended", "problems"} <= set(codes(seen(cast)))


def test_another_clinic_counts_nothing(cast, chart, screening):
    read_by_model(cast, screening, refer=True)
    with cast.bob.acting() as bob:
        found = look(bob, THERE)
    assert (found.read, found.visits_waiting, found.open_readings) == (0, 0, 0)


def working_days_after(moment: datetime, days: int) -> datetime:
    while days:
        moment += timedelta(days=1)
        days -= moment.weekday() < 5
    return moment


@given(hours=st.integers(0, 24 * 3650), days=st.integers(0, 12))
def test_working_days_leave_out_the_weekends(hours, days):
    moment = datetime(2020, 1, 1, tzinfo=UTC) + timedelta(hours=hours)
    with timezone.override(ZoneInfo("Europe/Vienna")):
        before, here = working_days_before(moment, days), timezone.localtime(moment)
    passed = [before.date() + timedelta(days=day) for day in range((here.date() - before.date()).days)]
    assert sum(each.weekday() < 5 for each in passed) == days
    assert before.time() == here.time()
    assert not days or before.weekday() < 5


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.26, "0.3 seconds"), (59, "59 seconds"), (119, "119 seconds"), (120, "2 minutes"), (7200, "2 hours"),
     (2 * 86_400, "2 days")],
)  # fmt: skip
def test_a_duration_is_told_in_its_largest_unit(seconds, words):
    assert lasting(seconds) == words


def test_workers_answer_the_roll_and_are_missed_when_they_are_gone(real_cast, start_worker, broker):
    assert call_roll() == RollCall({}, {}, watched=False)
    worker = start_worker()
    wait_until(lambda: call_roll().workers)
    (name,) = call_roll().workers
    assert name.endswith(f":{worker.process.pid}")
    assert call_roll().workers[name] == "0.0.0-fake"
    page = real_cast.ada.client.get(reverse("dashboard")).content.decode()
    assert name in page
    assert "No worker is there" not in page
    worker.kill_everything()
    for key in broker.scan_iter(match="skinclinic:worker:*"):
        assert 0 < broker.ttl(key) <= 20
        broker.delete(key)  # as it would be after 20 s
    assert "No worker is there" in real_cast.ada.client.get(reverse("dashboard")).content.decode()


def test_a_worker_that_does_not_start_leaves_its_reason(real_cast, start_worker, tmp_path, broker):
    (tmp_path / "models").mkdir()
    with pytest.raises(AssertionError, match="does not start"):
        start_worker(PREDICTOR="ml.predictor.load", MODELS_FOLDER=str(tmp_path / "models"))
    (reason,) = call_roll().refused.values()
    assert "model" in reason
    assert "did not start" in real_cast.ada.client.get(reverse("dashboard")).content.decode()
    start_worker()
    wait_until(lambda: not call_roll().refused)


def test_a_broker_that_is_away_is_said(cast, settings, monkeypatch):
    import redis

    nobody = redis.Redis.from_url("redis://127.0.0.1:1/0", socket_connect_timeout=1)
    monkeypatch.setattr("skinclinic.workers._broker", lambda: nobody)
    page = cast.ada.client.get(reverse("dashboard")).content.decode()
    assert "The queue cannot be reached" in page


def test_the_page_takes_few_queries(cast, chart, screening, django_assert_max_num_queries):
    """Fifteen, and three of the test's own transaction."""
    read_by_model(cast, screening, refer=True)
    assert fresh(screening).prediction
    client = cast.ada.client
    client.get(reverse("dashboard"))
    with django_assert_max_num_queries(15 + 3):
        client.get(reverse("dashboard"))


def test_each_count_leads_to_what_was_counted(cast, chart, screening, photograph_bytes):
    """Followed, each list holds as many as the page counted."""
    late = make_chart(cast.alice, family_name="Late")
    read_by_model(cast, make_screening(cast.alice, late, photograph_bytes), refer=False)
    signed = make_chart(cast.alice, family_name="Signed")
    done = make_screening(cast.alice, signed, photograph_bytes)
    read_by_model(cast, done, refer=False)
    give(cast, done, replace(BENIGN, recommendation="follow_up", follow_up_months=3))
    sign(cast, signed.visit)
    with cast.in_north():
        Visit.objects.filter(pk=late.visit.pk).update(due_at=timezone.now() - timedelta(minutes=1))
        FollowUp.objects.update(due_on=timezone.localdate() - timedelta(days=1))
    page = cast.ada.client.get(reverse("dashboard")).content.decode()
    links = re.findall(r'<a id="count-(\w+)"(?: class="[^"]*")? href="([^"]*)">(\d+)', page)
    assert {name: int(count) for name, _, count in links} == {
        "open": 1, "waiting": 2, "overdue": 1, "unacknowledged": 1, "1": 1,
    }  # fmt: skip
    for name, address, count in links:
        context = cast.ada.client.get(address).context
        found = {"unacknowledged": "signatures", "1": "follow_ups"}.get(name, "visits")
        assert len(context[found]) == int(count), name
    assert "<dt>Photographs on which readers disagree</dt><dd>0" in re.sub(r">\s+", ">", page)
