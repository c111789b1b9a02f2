"""Each is told of what is hers to see to, once; a mail says no more than that something waits."""

import smtplib
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import psycopg2
import pytest
from django.core import mail
from django.db import IntegrityError, connection, transaction
from django.db.utils import ProgrammingError
from django.urls import reverse
from django.utils import timezone

from conftest import Cast, Person, make_chart, make_screening
from patients.models import Visit
from patients.services import open_visit
from screening.models import FollowUp, Notice, NoticeChoice
from screening.services.notices import choose_notices, sweep_notices
from screening.services.photographs import withdraw_screening
from screening.services.signing import amend_review
from screening.services.versions import suspend_readings
from screening.tests.conftest import BENIGN, finish, fresh, give, read_by_model, rows, sign, wait_until
from skinclinic.accounts.models import Membership, User
from skinclinic.accounts.services import decide_reviewing
from skinclinic.events.models import Event
from skinclinic.testing import servers

NEVER_IN_A_MAIL = ("Winterbottom", "Erna", "1961", "igh", "core", "melanoma", "back")


@pytest.fixture(autouse=True)
def mails_at_once(settings) -> None:
    settings.NOTICE_MAIL_AFTER = 0


def told(cast: Cast) -> set[tuple[str, str]]:
    """Who was told of what."""
    return {(notice.recipient.get_short_name(), notice.kind) for notice in notices(cast)}


def notices(cast: Cast) -> list[Notice]:
    with cast.in_north():
        return list(Notice.objects.select_related("recipient").order_by("created_at"))


def events(cast: Cast) -> list[Event]:
    with cast.in_north():
        return list(Event.objects.order_by("id"))


def bell_of(person: Person) -> str:
    return person.client.get(reverse("bell")).content.decode()


def test_one_clinics_trouble_is_no_others(cast, monkeypatch, caplog):
    looked = []

    def fails(clinic):
        looked.append(clinic.name)
        raise ValueError("of the first")

    monkeypatch.setattr("screening.services.notices.people_of", fails)
    monkeypatch.setattr("screening.services.notices.mail_notices", fails)
    sweep_notices()
    assert sorted(looked) == ["North", "North", "South", "South"]
    assert str(cast.north.pk) in caplog.text


def choose(person: Person, **ways: str) -> None:
    with person.acting() as actor:
        choose_notices(actor=actor, ways=ways)


def make_overdue(cast: Cast, chart, screening) -> FollowUp:
    give(cast, screening, replace(BENIGN, recommendation="follow_up", follow_up_months=3))
    sign(cast, chart.visit)
    with cast.in_north():
        FollowUp.objects.update(due_on=timezone.localdate() - timedelta(days=1))
        return FollowUp.objects.get()


def test_it_works(cast, chart, screening):
    read_by_model(cast, screening, refer=True)
    sweep_notices()
    assert told(cast) == {("Alice", "high_reading"), ("Rita", "high_reading"), ("Rolf", "high_reading")}
    assert "Notices, 1 new" in bell_of(cast.alice)
    page = cast.alice.client.get(reverse("notices")).content.decode()
    assert "High reading" in page
    assert "Winterbottom, Erna" in page
    notice = notices(cast)[0]
    opened = cast.alice.client.get(reverse("notice_open", args=[_of(cast, "Alice").pk]))
    assert opened["Location"] == reverse("screening", args=[screening.pk])
    assert "Notices, 0 new" in bell_of(cast.alice)
    assert "Notices, 1 new" in bell_of(cast.rita)
    assert notice.by_mail


def _of(cast: Cast, name: str) -> Notice:
    (found,) = (notice for notice in notices(cast) if notice.recipient.get_short_name() == name)
    return found


def test_nobody_is_told_twice(cast, chart, screening):
    read_by_model(cast, screening, refer=True)
    sweep_notices()
    with cast.in_north():
        Event.objects.update(handed_on_at=None)
    sweep_notices()
    assert len(notices(cast)) == 3
    assert len(mail.outbox) == 3


@pytest.mark.parametrize(
    ("reading", "wanted"),
    [
        ({"refer": False, "band": "low"}, set()),
        ({"refer": True, "band": "intermediate"}, set()),
        ({"band": None, "unscorable_reasons": ("blurred",)}, {("Alice", "unfit_photograph")}),
    ],
)
def test_what_is_neither_high_nor_unfit_is_nobodys_notice(cast, chart, screening, reading, wanted):
    finish(cast, screening, **reading)
    sweep_notices()
    assert told(cast) == wanted
    with cast.in_north():
        assert not Event.objects.filter(handed_on_at=None).exists()


def test_a_signed_and_an_amended_review_are_told_to_the_clinician(cast, chart, screening):
    read_by_model(cast, screening, refer=False)
    give(cast, screening)
    signature = sign(cast, chart.visit)
    sweep_notices()
    assert told(cast) == {("Alice", "review_signed")}
    with cast.rita.acting() as rita:
        amend_review(
            actor=rita, screening=fresh(screening), amends=signature.screenings.get().signed_review_id,
            submission=screening.pk, opinion=replace(BENIGN, words="Seen again"),
            reading_shown=fresh(screening).prediction_id,
        )  # fmt: skip
    sweep_notices()
    assert len(notices(cast)) == 2
    cast.alice.client.get(reverse("visit", args=[chart.visit.pk]))
    assert "Notices, 0 new" in bell_of(cast.alice)


def test_a_visit_of_another_system_is_every_clinicians(cast, chart, screening):
    with cast.in_north():
        Visit.objects.update(clinician=None)
    finish(cast, screening, band=None, unscorable_reasons=("blurred",))
    with cast.in_north():
        Membership.objects.filter(user=cast.ada.user).update(roles=["manager", "clinician"])
    sweep_notices()
    assert told(cast) == {("Alice", "unfit_photograph"), ("Ada", "unfit_photograph")}


def test_who_left_is_not_told_and_the_others_are(cast, chart, screening):
    with cast.in_north():
        Membership.objects.filter(user=cast.alice.user).update(is_active=False)
        Membership.objects.filter(user=cast.otto.user).update(roles=["auditor", "manager"])  # a clinic keeps one
        Membership.objects.filter(user=cast.ada.user).update(roles=["clinician"])
    finish(cast, screening, band=None, unscorable_reasons=("blurred",))
    sweep_notices()
    assert told(cast) == {("Ada", "unfit_photograph")}


def test_blind_reviewers_are_told_of_no_reading(cast, chart, screening):
    with cast.ada.acting() as ada:
        decide_reviewing(actor=ada, blind_first_reading=True)
    read_by_model(cast, screening, refer=True)
    sweep_notices()
    assert told(cast) == {("Alice", "high_reading")}
    assert [each.to for each in mail.outbox] == [["alice@example.org"]]


def test_what_becomes_hidden_leaves_the_list(cast, chart, screening):
    read_by_model(cast, screening, refer=True)
    sweep_notices()
    with cast.ada.acting() as ada:
        decide_reviewing(actor=ada, blind_first_reading=True)
    notice = _of(cast, "Rita")
    assert "Notices, 0 new" in bell_of(cast.rita)
    assert "High reading</a>" not in cast.rita.client.get(reverse("notices")).content.decode()
    assert cast.rita.client.get(reverse("notice_open", args=[notice.pk])).status_code == 404
    give(cast, screening)
    assert "Notices, 1 new" in bell_of(cast.rita)


def test_a_clinic_that_shows_no_unreviewed_readings_tells_its_clinicians_of_none(cast, chart, screening):
    with cast.ada.acting() as ada:
        decide_reviewing(actor=ada, unreviewed_readings="never")
    read_by_model(cast, screening, refer=True)
    sweep_notices()
    assert told(cast) == {("Rita", "high_reading"), ("Rolf", "high_reading")}


def test_a_suspended_reading_is_not_told_of(cast, chart, screening):
    read_by_model(cast, screening, refer=True)
    with cast.ada.acting() as ada:
        suspend_readings(actor=ada, version=None, reason="Scores look wrong.")
    sweep_notices()
    assert not told(cast)


def test_who_signs_her_own_visit_is_not_told_of_it(cast, chart, screening):
    with cast.in_north():
        Visit.objects.update(clinician=cast.rita.user)
        Membership.objects.filter(user=cast.rita.user).update(roles=["clinician", "reviewer"])
    give(cast, screening)
    sign(cast, chart.visit)
    sweep_notices()
    assert not told(cast)


def test_who_may_not_sign_in_any_more_is_neither_told_nor_mailed(cast, chart, screening, settings):
    settings.NOTICE_MAIL_AFTER = 60
    read_by_model(cast, screening, refer=True)
    User.objects.filter(pk=cast.rolf.user.pk).update(is_active=False)
    sweep_notices()
    assert told(cast) == {("Alice", "high_reading"), ("Rita", "high_reading")}
    settings.NOTICE_MAIL_AFTER = 0
    User.objects.filter(pk=cast.rita.user.pk).update(is_active=False)
    sweep_notices()
    assert [each.to for each in mail.outbox] == [["alice@example.org"]]


def test_a_withdrawn_photograph_is_not_told_of(cast, chart, screening):
    read_by_model(cast, screening, refer=True)
    with cast.alice.acting() as alice:
        withdraw_screening(actor=alice, screening=screening, reason="wrong_lesion")
    sweep_notices()
    assert not told(cast)


def test_an_overdue_follow_up_is_told_to_its_owner_once(cast, chart, screening):
    follow_up = make_overdue(cast, chart, screening)
    sweep_notices()
    sweep_notices()
    assert sorted(notice.kind for notice in notices(cast)) == ["follow_up_overdue", "review_signed"]
    page = cast.alice.client.get(reverse("notices")).content.decode()
    assert "Follow-up overdue" in page
    cast.alice.client.get(reverse("lesion", args=[follow_up.lesion_id]))
    assert "Notices, 1 new" in bell_of(cast.alice)


def test_a_follow_up_due_today_is_not_overdue_in_the_clinics_zone(cast, chart, screening):
    """Where it is already tomorrow, it is overdue today."""
    make_overdue(cast, chart, screening)
    now = timezone.now()
    ahead, behind = "Pacific/Kiritimati", "Pacific/Pago_Pago"  # 14 hours before and 11 after UTC: never the same day
    with cast.in_north():
        FollowUp.objects.update(due_on=timezone.localdate(now, timezone=timezone.zoneinfo.ZoneInfo(behind)))
        cast.north.time_zone = behind
        cast.north.save(update_fields=["time_zone"])
    sweep_notices()
    assert ("Alice", "follow_up_overdue") not in told(cast)
    with cast.in_north():
        cast.north.time_zone = ahead
        cast.north.save(update_fields=["time_zone"])
    sweep_notices()
    assert ("Alice", "follow_up_overdue") in told(cast)


def test_each_kind_can_be_had_here_only_or_not_at_all(cast, chart, screening):
    choose(cast.alice, high_reading="here")
    choose(cast.rita, high_reading="none")
    read_by_model(cast, screening, refer=True)
    sweep_notices()
    assert told(cast) == {("Alice", "high_reading"), ("Rolf", "high_reading")}
    assert [each.to for each in mail.outbox] == [["rolf@example.org"]]


def test_the_page_keeps_what_is_chosen_and_offers_what_she_is_told_of(cast):
    client, keys = cast.alice.client, {"clinic": str(cast.north.pk)}
    kinds = ["high_reading", "unfit_photograph", "retake", "review_signed"]
    client.post(reverse("notices_choose"), keys | dict.fromkeys([*kinds, "follow_up_overdue", "alarm"], "here"))
    assert {(choice.kind, choice.way) for choice in rows(cast, NoticeChoice)} == {(kind, "here") for kind in kinds}
    page = client.get(reverse("notices")).content.decode()
    assert page.count('<option value="here" selected>') == len(kinds)
    assert "Alarm of the dashboard" not in page
    assert "Alarm of the dashboard" in cast.ada.client.get(reverse("notices")).content.decode()
    assert "How you are told" not in cast.otto.client.get(reverse("notices")).content.decode()
    refused = client.post(reverse("notices_choose"), keys | dict.fromkeys(kinds, "shout"), follow=True)
    assert "Choose one way for each kind." in refused.content.decode()


def test_what_is_overdue_cannot_be_declined(cast):
    with pytest.raises(ValueError, match="always told"):
        choose(cast.alice, follow_up_overdue="none")
    with pytest.raises(IntegrityError, match="notice_can_be_declined"), cast.in_north():
        NoticeChoice.objects.create(
            clinic=cast.north, person=cast.alice.user, kind="follow_up_overdue", way="none"
        )  # fmt: skip


def test_a_mail_names_no_patient_and_no_finding(cast, chart, screening, random_photograph):
    read_by_model(cast, screening, refer=True)
    finish(cast, make_screening(cast.alice, chart, random_photograph()), band=None, unscorable_reasons=("blurred",))
    give(cast, screening, replace(BENIGN, suspicious=True, diagnosis="melanoma", recommendation="excise"))
    sweep_notices()
    (alices,) = (each for each in mail.outbox if each.to == ["alice@example.org"])
    assert "A photograph asks for attention (1)" in alices.body
    assert "A photograph is to be taken again (1)" in alices.body
    assert "/notices/" in alices.body
    for said in (alices.subject, alices.body):
        assert not [word for word in NEVER_IN_A_MAIL if word in said]
        assert str(chart.patient.pk) not in said


def test_what_was_seen_in_time_is_not_mailed(cast, chart, screening, settings):
    settings.NOTICE_MAIL_AFTER = 60
    read_by_model(cast, screening, refer=True)
    sweep_notices()
    assert not mail.outbox
    cast.alice.client.get(reverse("screening", args=[screening.pk]))
    with cast.in_north():
        # Its row may not be changed but for two columns: the setting makes it old.
        settings.NOTICE_MAIL_AFTER = 0
    sweep_notices()
    assert {each.to[0] for each in mail.outbox} == {"rita@example.org", "rolf@example.org"}


def test_a_mail_server_that_is_away_is_tried_again(cast, chart, screening, monkeypatch):
    read_by_model(cast, screening, refer=True)

    tried = []

    def refuse(*args: object, **kwargs: object) -> None:
        tried.append(args)
        raise smtplib.SMTPServerDisconnected

    with monkeypatch.context() as patched:
        patched.setattr("screening.services.notices.send_mail", refuse)
        sweep_notices()
    assert len(tried) == 1, "the others would wait for it just as long"
    assert [notice.mailed_at for notice in notices(cast)] == [None] * 3
    sweep_notices()
    sweep_notices()
    assert len(mail.outbox) == 3
    assert all(notice.mailed_at for notice in notices(cast))


def test_a_mail_server_that_is_away_keeps_no_bell_silent(cast, chart, screening, monkeypatch, photograph_bytes):
    read_by_model(cast, screening, refer=True)
    theirs = make_chart(cast.bob)
    south = replace(cast, north=cast.south)
    read_by_model(south, make_screening(cast.bob, theirs, photograph_bytes), refer=True)

    def refuse(*args: object, **kwargs: object) -> None:
        raise ConnectionRefusedError

    monkeypatch.setattr("screening.services.notices.send_mail", refuse)
    sweep_notices()
    assert "Notices, 1 new" in bell_of(cast.bob)
    assert "Notices, 1 new" in bell_of(cast.alice)


def test_an_address_that_is_refused_holds_up_nobody_else(cast, chart, screening, monkeypatch):
    read_by_model(cast, screening, refer=True)
    sent = []

    def refuse_the_first(subject: str, text: str, sender: str, to: list[str]) -> None:
        sent.append(to[0])
        if len(sent) == 1:
            raise smtplib.SMTPRecipientsRefused({to[0]: (550, b"unknown")})

    monkeypatch.setattr("screening.services.notices.send_mail", refuse_the_first)
    sweep_notices()
    assert len(set(sent)) == 3
    assert sum(notice.mailed_at is None for notice in notices(cast)) == 1


def test_the_next_mail_waits_until_she_has_looked(cast, chart, screening, random_photograph):
    read_by_model(cast, screening, refer=True)
    sweep_notices()
    read_by_model(cast, make_screening(cast.alice, chart, random_photograph()), refer=True)
    sweep_notices()
    assert len(mail.outbox) == 3
    cast.rita.client.post(reverse("notices_seen"), {"clinic": str(cast.north.pk)})
    read_by_model(cast, make_screening(cast.alice, chart, random_photograph()), refer=True)
    sweep_notices()
    assert [each.to[0] for each in mail.outbox[3:]] == ["rita@example.org"]


def test_what_is_suspended_later_leaves_the_list(cast, chart, screening):
    read_by_model(cast, screening, refer=True)
    sweep_notices()
    with cast.ada.acting() as ada:
        suspend_readings(actor=ada, version=None, reason="Scores look wrong.")
    assert "Notices, 0 new" in bell_of(cast.alice)


def test_an_overdue_follow_up_of_no_clinician_is_the_managers(cast, chart, screening):
    make_overdue(cast, chart, screening)
    with cast.in_north():
        Membership.objects.filter(user=cast.alice.user).update(is_active=False)
    sweep_notices()
    assert ("Ada", "follow_up_overdue") in told(cast)


def test_nobody_opens_or_sees_anothers(cast, chart, screening):
    read_by_model(cast, screening, refer=True)
    sweep_notices()
    hers = _of(cast, "Alice")
    for person in (cast.rita, cast.bob, cast.otto):
        assert person.client.get(reverse("notice_open", args=[hers.pk])).status_code == 404
    cast.rita.client.post(reverse("notices_seen"), {"clinic": str(cast.north.pk)})
    assert "Notices, 1 new" in bell_of(cast.alice)
    assert "Notices, 0 new" in bell_of(cast.rita)


def test_the_database_keeps_a_notice_as_it_was_written(cast, chart, screening):
    read_by_model(cast, screening, refer=True)
    sweep_notices()
    for change in ({"kind": "alarm"}, {"recipient": cast.bob.user}):
        with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic(), cast.in_north():
            Notice.objects.update(**change)
    with pytest.raises(IntegrityError, match="notice_is_about"), transaction.atomic(), cast.in_north():
        Notice.objects.create(
            clinic=cast.north, patient=chart.patient, recipient=cast.alice.user, kind="review_signed",
            screening=screening, by_mail=False,
        )  # fmt: skip


def test_an_event_that_commits_late_is_handed_on(real_cast, photograph_bytes):
    """While one transaction is open, a later one commits and is handed on; the first one's turn comes too."""
    first, second = (make_chart(real_cast.alice, given_name=name) for name in ("First", "Second"))
    late = make_screening(real_cast.alice, first, photograph_bytes)
    finish(real_cast, late, band=None, unscorable_reasons=("blurred",))
    sweep_notices()
    with psycopg2.connect(servers.postgres.owner_url(connection.settings_dict["NAME"])) as other, other.cursor() as sql:
        sql.execute("DELETE FROM screening_notice")
        copied = "clinic_id, type, ids, at"
        sql.execute(
            f"INSERT INTO events_event (key, {copied}) SELECT gen_random_uuid(), {copied}"
            " FROM events_event WHERE type = 'screening.unscorable'"
        )
        early = make_screening(real_cast.alice, second, photograph_bytes)
        finish(real_cast, early, band=None, unscorable_reasons=("blurred",))
        sweep_notices()
        handed = {each.pk for each in events(real_cast) if each.handed_on_at}
    other.close()
    sweep_notices()
    waiting = [each for each in events(real_cast) if each.pk not in handed]
    assert len(waiting) == 1
    assert waiting[0].pk < max(handed), "its number is older than those that were handed on"
    assert waiting[0].handed_on_at
    assert len(rows(real_cast, Notice, screening=late)) == 1


@pytest.fixture
def beat(start_worker) -> Iterator[None]:
    start_worker(beat=True, NOTICE_MAIL_AFTER="3600")
    return


def test_the_beat_tells(real_cast, photograph_bytes, beat):
    chart = make_chart(real_cast.alice)
    screening = make_screening(real_cast.alice, chart, photograph_bytes)
    wait_until(lambda: fresh(screening).reading_status in {"predicted", "unscorable"})
    wait_until(lambda: all(each.handed_on_at for each in events(real_cast)))


def test_a_new_visit_is_no_notice(cast, chart):
    with cast.alice.acting() as alice:
        open_visit(actor=alice, patient=chart.patient, question="", history=[])
    sweep_notices()
    assert not told(cast)


def test_what_was_told_of_a_photograph_is_seen_once_it_is_signed(cast, chart, screening):
    read_by_model(cast, screening, refer=True)
    sweep_notices()
    assert ("Rita", "high_reading") in told(cast)
    give(cast, screening, replace(BENIGN, suspicious=True, diagnosis="melanoma", recommendation="excise"))
    sign(cast, chart.visit)
    sweep_notices()
    unseen = {(notice.recipient.get_short_name(), notice.kind) for notice in notices(cast) if not notice.seen_at}
    assert unseen == {("Alice", "review_signed")}
