"""Alarms: noted, raised when they last, told, acknowledged with a note, and over when they are over."""

from datetime import datetime, timedelta

import pytest
from django.core import mail
from django.db import IntegrityError, ProgrammingError, transaction
from django.urls import reverse
from django.utils import timezone

from conftest import Cast
from screening.codes import AlarmCode
from screening.dashboard.alarms import Asked, address, sentence
from screening.models import Alarm, FollowUp, Notice, Screening
from screening.services.alarms import acknowledge_alarm, note_alarms, sweep_alarms
from screening.services.alarms import note as note_alarm
from screening.services.errors import ReasonMissing, StaleTransition
from screening.services.notices import sweep_notices
from screening.services.outcomes import Finding, enter_outcome
from screening.services.reviews import Opinion
from screening.tests.conftest import give, read_by_model, rows, sign, the_only, wait_until
from skinclinic.accounts.models import Membership
from skinclinic.accounts.services import decide_reviewing
from skinclinic.audit.models import AuditEvent
from skinclinic.events.models import Event
from skinclinic.workers import RollCall

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
STUCK = Asked(AlarmCode.STUCK, {"minutes": 6})


def problems(count: int) -> Asked:
    return Asked(AlarmCode.PROBLEMS, {"count": count})


def note(cast: Cast, *asked: Asked, at: datetime) -> None:
    with cast.in_north() as actor:
        note_alarms(actor, asked, at)


def acknowledge(cast: Cast, asked: Asked, words: str = "The worker is being mended.") -> Alarm:
    with cast.ada.acting() as ada:
        return acknowledge_alarm(actor=ada, asked=asked, words=words)


def told(cast: Cast) -> list[str]:
    with cast.in_north():
        return list(Event.objects.filter(type="alarm.raised").values_list("type", flat=True))


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker and the watch are there."""
    for module in ("services.alarms", "views.dashboard"):
        monkeypatch.setattr(f"screening.{module}.call_roll", lambda: RollCall({"here:1": "2026.11.2"}, {}))


def test_it_is_raised_once_when_it_has_lasted_a_minute(cast):
    now = timezone.now()
    note(cast, STUCK, at=now)
    assert not told(cast)
    note(cast, STUCK, at=now + 2 * MINUTE)
    note(cast, STUCK, at=now + 3 * MINUTE)
    assert told(cast) == ["alarm.raised"]
    alarm = the_only(cast, Alarm)
    assert (alarm.created_at, alarm.raised_at, alarm.seen_at) == (now, now + 2 * MINUTE, now + 3 * MINUTE)


def test_what_is_gone_before_is_none(cast):
    now = timezone.now()
    note(cast, STUCK, at=now)
    note(cast, at=now + MINUTE / 2)
    note(cast, STUCK, at=now + MINUTE)
    note(cast, STUCK, at=now + 1.5 * MINUTE)
    assert not told(cast)


def test_what_comes_back_soon_goes_on(cast):
    now = timezone.now()
    for minutes in (0, 1):
        note(cast, STUCK, at=now + minutes * MINUTE)
    acknowledge(cast, STUCK)
    note(cast, at=now + 5 * MINUTE)
    note(cast, STUCK, at=now + 14 * MINUTE)
    alarm = the_only(cast, Alarm)
    assert alarm.ended_at is None
    assert alarm.acknowledged_by == cast.ada.user
    note(cast, at=now + 20 * MINUTE)
    for minutes in (31, 32):
        note(cast, STUCK, at=now + minutes * MINUTE)
    assert len(rows(cast, Alarm)) == 2
    assert len(told(cast)) == 2


def test_more_of_it_than_was_acknowledged_asks_again(cast):
    now = timezone.now()
    for minutes in (0, 1):
        note(cast, problems(2), at=now + minutes * MINUTE)
    acknowledge(cast, problems(2))
    note(cast, problems(1), at=now + 2 * MINUTE)
    note(cast, problems(2), at=now + 3 * MINUTE)
    assert len(rows(cast, Alarm)) == 1
    note(cast, problems(3), at=now + 4 * MINUTE)
    note(cast, problems(3), at=now + 5 * MINUTE)
    first, second = rows(cast, Alarm)
    assert (first.ended_at, second.acknowledged_at) == (now + 4 * MINUTE, None)
    assert len(told(cast)) == 2


def test_each_worker_is_an_alarm_of_its_own(cast):
    now = timezone.now()
    asked = [Asked(AlarmCode.REFUSED, {"name": name, "reason": "No model."}, about=name) for name in ("one", "two")]
    note(cast, *asked, at=now)
    note(cast, asked[1], at=now + MINUTE)
    one, two = sorted(rows(cast, Alarm), key=lambda alarm: alarm.about)
    assert (bool(one.ended_at), bool(two.ended_at)) == (True, False)


def test_it_is_acknowledged_once_with_words_of_which_the_ledger_has_none(cast):
    with pytest.raises(ReasonMissing):
        acknowledge(cast, STUCK, "  ")
    alarm = acknowledge(cast, STUCK)  # nobody watched: the page saw it first
    assert alarm.raised_at is not None
    with pytest.raises(StaleTransition):
        acknowledge(cast, STUCK)
    changes = rows(cast, AuditEvent, subject_type="screening_alarm")
    assert cast.ada.actor.name in {event.actor_name for event in changes}
    assert "mended" not in str([vars(event) for event in changes])


def test_managers_are_told_and_others_are_not(cast, there, chart, screening, settings):
    settings.ALARM_AFTER = 0
    with cast.in_north():
        Screening.objects.update(created_at=timezone.now() - HOUR)
    sweep_alarms()
    sweep_notices()
    assert [(each.recipient, each.kind) for each in rows(cast, Notice)] == [(cast.ada.user, "alarm")]
    assert "The oldest photograph has waited 60 minutes" in cast.ada.client.get(reverse("notices")).content.decode()
    assert "Notices, 1 new" in cast.ada.client.get(reverse("bell")).content.decode()
    cast.ada.client.get(reverse("dashboard"))
    assert "Notices, 0 new" in cast.ada.client.get(reverse("bell")).content.decode()
    with cast.bob.acting():
        assert not Alarm.objects.exists()


def test_no_mail_is_sent_of_what_is_over(cast, there, chart, screening, settings):
    settings.ALARM_AFTER, settings.NOTICE_MAIL_AFTER = 0, 3600
    with cast.in_north():
        Screening.objects.update(created_at=timezone.now() - HOUR)
    sweep_alarms()
    sweep_notices()
    read_by_model(cast, screening, refer=False)
    sweep_alarms()
    settings.NOTICE_MAIL_AFTER = 0
    sweep_notices()
    assert not mail.outbox
    assert "Notices, 0 new" in cast.ada.client.get(reverse("bell")).content.decode()


def test_the_mail_names_the_dashboard_alone(cast, there, chart, screening, settings):
    settings.ALARM_AFTER = settings.NOTICE_MAIL_AFTER = 0
    with cast.in_north():
        Screening.objects.update(created_at=timezone.now() - HOUR)
    sweep_alarms()
    sweep_notices()
    (sent,) = mail.outbox
    assert sent.to == ["ada@example.org"]
    assert "The dashboard raises an alarm (1)" in sent.body


def test_a_page_takes_and_shows_the_note(cast, there, chart, screening):
    with cast.in_north():
        Screening.objects.update(created_at=timezone.now() - HOUR)
    manager, keys = cast.ada.client, {"clinic": str(cast.north.pk), "code": "stuck", "about": ""}
    assert "has waited 60 minutes" in manager.get(reverse("alarms")).content.decode()
    refused = manager.post(reverse("alarm_acknowledge"), keys | {"note": " "}, follow=True)
    assert "Say what is being done about it." in refused.content.decode()
    done = manager.post(reverse("alarm_acknowledge"), keys | {"note": "Restarting it."}, follow=True)
    assert "Restarting it." in done.content.decode()
    assert "Restarting it." in manager.get(reverse("dashboard")).content.decode()
    assert cast.otto.client.post(reverse("alarm_acknowledge"), keys | {"note": "x"}).status_code == 403
    read_by_model(cast, screening, refer=False)
    over = manager.post(reverse("alarm_acknowledge"), keys | {"note": "Too late."}, follow=True)
    assert "This alarm is over meanwhile." in over.content.decode()
    sweep_alarms()
    page = manager.get(reverse("alarms")).content.decode()
    assert "Nothing asks for you" in page
    assert "has waited 60 minutes" in page  # among those that are over


def test_what_is_overdue_is_listed_with_whose_it_is(cast, there, chart, screening):
    read_by_model(cast, screening, refer=True)
    give(cast, screening, Opinion(suspicious=True, diagnosis="melanoma", recommendation="excise"))
    sign(cast, chart.visit)
    with cast.in_north():
        FollowUp.objects.update(due_on=timezone.localdate() - timedelta(days=1))
    page = cast.ada.client.get(reverse("overdue")).content.decode()
    assert "Winterbottom" in page.split("Pathology that did not come")[0]
    with cast.in_north():
        FollowUp.objects.update(status="done", closed_at=timezone.now() - timedelta(days=29))
    page = cast.ada.client.get(reverse("overdue")).content.decode()
    assert "Winterbottom" in page.split("Pathology that did not come")[1]
    assert "Of 1 lesion" in cast.ada.client.get(reverse("dashboard")).content.decode()
    with cast.alice.acting() as alice:
        finding = Finding(diagnosis="melanoma", reported_on=timezone.localdate())
        enter_outcome(actor=alice, lesion=chart.lesion, submission=screening.pk, finding=finding)
    assert "Winterbottom" not in cast.ada.client.get(reverse("overdue")).content.decode()


@pytest.mark.parametrize("code", AlarmCode)
def test_every_alarm_has_its_sentence_and_its_way(code):
    facts = {"count": 2, "minutes": 6, "name": "here", "reason": "No model.", "failed": 1, "read": 9, "unfit": 5}
    counted = {"high_unsigned", "high_unacknowledged", "visits", "follow_ups", "pathology", "problems", "incidents"}
    facts |= {"usual": 4}
    facts = {"count": 2} if code in counted else {name: fact for name, fact in facts.items() if name != "count"}
    assert sentence(code, facts).endswith(".")
    assert isinstance(address(code), str)


def test_the_database_keeps_an_alarm_as_it_was(cast):
    acknowledge(cast, STUCK)
    for change in ({"code": "worker"}, {"created_at": timezone.now()}):
        with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic(), cast.in_north():
            Alarm.objects.update(**change)
    with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic(), cast.in_north():
        Alarm.objects.all().delete()
    with pytest.raises(IntegrityError, match="with_a_note"), transaction.atomic(), cast.in_north():
        Alarm.objects.update(note="")


def test_the_beat_sees_that_no_worker_is_there(real_cast, start_worker, broker, settings):
    """A worker cannot report that it is gone; the watch is a thread of the beat."""
    worker = start_worker(beat=True, ALARM_SWEEP_EVERY="1", ALARM_AFTER="1", NOTICE_MAIL_AFTER="0")
    wait_until(lambda: broker.exists("skinclinic:watch"))
    worker.process.kill()
    for key in broker.scan_iter(match="skinclinic:worker:*"):
        broker.delete(key)  # as it would be after 20 s
    wait_until(lambda: "worker" in {alarm.code for alarm in rows(real_cast, Alarm) if alarm.raised_at})
    wait_until(lambda: [notice.kind for notice in rows(real_cast, Notice)] == ["alarm"])
    assert 0 < broker.pttl("skinclinic:watch") <= 3000


def test_who_reviews_blind_is_not_told_how_many_are_high(cast, there, settings):
    """The watch counts them all; her own page does not."""
    settings.ALARM_AFTER = 0
    with cast.in_north() as actor:
        Membership.objects.filter(user=cast.ada.user).update(roles=["manager", "reviewer"])
        note_alarms(actor, [Asked(AlarmCode.HIGH_UNSIGNED, {"count": 1})], timezone.now())
    with cast.ada.acting() as ada:
        decide_reviewing(actor=ada, blind_first_reading=True)
    sweep_notices()
    assert rows(cast, Notice) == []
    note(cast, at=timezone.now())
    assert "high reading" not in cast.ada.client.get(reverse("alarms")).content.decode()
    assert "1 high reading" in cast.otto.client.get(reverse("alarms")).content.decode()


def test_less_than_the_watch_saw_is_acknowledged_all_the_same(cast):
    now = timezone.now()
    for minutes in (0, 1):
        note(cast, problems(2), at=now + minutes * MINUTE)
    assert acknowledge(cast, problems(1)).acknowledged_count == 2
    note(cast, problems(2), at=now + 2 * MINUTE)
    assert len(rows(cast, Alarm)) == 1


def test_the_watch_and_a_manager_at_one_moment_make_one_alarm(cast):
    note(cast, STUCK, at=timezone.now())
    with cast.in_north() as actor:
        again = note_alarm(actor, STUCK, None, timezone.now())
    assert again.pk == the_only(cast, Alarm).pk


def test_one_clinics_trouble_is_no_others(cast, there, monkeypatch, caplog):
    looked = []

    def fails(clinic, roll):
        looked.append(clinic.name)
        if clinic == cast.north:
            raise ValueError("of the north")

    monkeypatch.setattr("screening.services.alarms.watch_clinic", fails)
    sweep_alarms()
    assert sorted(looked) == ["North", "South"]
    assert str(cast.north.pk) in caplog.text
