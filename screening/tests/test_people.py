"""The clinic's people: seen, invited, changed and ended by a manager, with a reason and on the ledger."""

import re
import threading
from datetime import timedelta
from uuid import uuid4

import pytest
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.core import mail
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from conftest import PASSWORD, Cast, Person, make_person
from patients.models import Visit
from screening.services.people import disable_member
from screening.services.reviews import take_visit
from skinclinic.accounts import people
from skinclinic.accounts.models import Invitation, Membership, User
from skinclinic.accounts.tests.people import code_of, enter, give_totp
from skinclinic.audit.acting import acting, system
from skinclinic.audit.models import AuditEvent, PrivateValue

ACTS = ["roles", "disable", "enable", "end_sessions", "reset_factor"]
NEW = {"full_name": "Nora Nut", "password": "seven-quiet-herons-wade"}


def membership_of(person: Person) -> Membership:
    with acting(system(clinic_id=person.actor.clinic_id)):
        return Membership.objects.get(user=person.user, clinic=person.actor.clinic_id)


def post(person: Person, name: str, *keys: object, client: Client | None = None, **form: object):
    """A form as her page sends it; the page that she is led to."""
    sent = {"clinic": str(person.actor.clinic_id), "reason": "asked for"} | form
    return (client or person.client).post(reverse(name, args=keys), sent, follow=True)


def do(person: Person, act: str, about: Person, **form: object):
    return post(person, f"member_{act}", membership_of(about).pk, **form)


def invite(cast: Cast, email: str = "nora@example.org", *roles: str) -> str:
    """The link in the mail."""
    page = post(cast.ada, "invite", email=email, roles=list(roles or ["reviewer"])).content.decode()
    assert "Invited. The link in the mail is good once" in page
    (link,) = re.findall(r"http://\S+?(/join/\S+)", mail.outbox[-1].body)
    return link


@pytest.fixture
def bea(cast: Cast) -> Person:
    """A second manager of North."""
    return make_person("Bea Birch", cast.north, "manager")


def test_it_works(cast):
    give_totp(cast.alice)
    enter(cast.rita)
    page = cast.ada.client.get(reverse("people")).content.decode()
    for text in ("Alice Alder", "Authenticator app", "Reviewer", "never", "Nobody is invited"):
        assert text in page, text
    assert "bob@example.org" not in page
    rita = next(
        each
        for each in cast.ada.client.get(reverse("people")).context["members"]
        if each.membership.user == cast.rita.user
    )
    assert (rita.sessions, rita.factors) == (1, [])


@pytest.mark.parametrize(("who", "status"), [("ada", 200), ("otto", 200), ("alice", 403), ("rita", 403), ("bob", 404)])
def test_a_persons_page_is_for_managers_and_auditors_of_her_clinic(cast, who, status):
    person = getattr(cast, who)
    page = person.client.get(reverse("member", args=[membership_of(cast.alice).pk]))
    assert page.status_code == status
    assert (b"What you can do" in page.content) == (who == "ada")


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize(("who", "status"), [("otto", 403), ("rita", 403), ("bob", 404)])
def test_acts_are_for_managers_of_her_clinic(cast, act, who, status):
    assert do(getattr(cast, who), act, cast.alice, roles=["clinician"]).status_code == status
    assert membership_of(cast.alice).is_active


@pytest.mark.parametrize("act", ACTS)
def test_acts_on_nobody_are_404(cast, act):
    assert post(cast.ada, f"member_{act}", uuid4()).status_code == 404


@pytest.mark.parametrize("act", [each for each in ACTS if each != "roles"])
def test_no_act_without_a_reason(cast, act):
    page = do(cast.ada, act, cast.alice, reason="").content.decode()
    assert "The reason is kept on the ledger" in page
    assert membership_of(cast.alice).is_active


def test_roles_are_changed_with_a_reason_and_told_in_words(cast):
    client = cast.alice.client
    assert client.get(reverse("worklist")).status_code == 403
    page = do(cast.ada, "roles", cast.alice, roles=["clinician", "reviewer"], reason="has passed her exam")
    assert "The roles are changed" in page.content.decode()
    assert client.get(reverse("worklist")).status_code == 200, "from her next click on"
    assert "Roles changed" in page.content.decode()
    assert "has passed her exam" in page.content.decode()
    with cast.in_north():
        event = AuditEvent.objects.get(subject_type="accounts_membership", action="update")
    assert event.changes == {"roles": [["clinician"], ["clinician", "reviewer"]]}
    assert (event.actor, event.reason) == (str(cast.ada.user.pk), "has passed her exam")


@pytest.mark.parametrize("form", [{"roles": []}, {"roles": ["owner"]}, {"roles": ["reviewer"], "reason": ""}])
def test_odd_roles_are_refused_where_they_were_typed(cast, form):
    page = do(cast.ada, "roles", cast.alice, **form).content.decode()
    assert "There is something to correct" in page
    assert membership_of(cast.alice).roles == ["clinician"]


def test_disabled_she_is_out_at_once_and_her_visits_are_free(cast, chart, screening):
    with cast.rita.acting() as actor:
        take_visit(actor=actor, visit=chart.visit)
    browser = enter(cast.rita)
    assert "Disabled" in do(cast.ada, "disable", cast.rita, reason="left us").content.decode()
    assert browser.get(reverse("worklist"))["Location"].startswith("/accounts/login/")
    with cast.in_north():
        visit = Visit.objects.get(pk=chart.visit.pk)
        assert (visit.taken_by, visit.taken_until) == (None, None)
        assert AuditEvent.objects.get(subject_id=str(chart.visit.pk), changes__has_key="taken_by_id", reason="left us")
    assert enter(cast.rita).get(reverse("worklist"))["Location"] == reverse("choose_clinic"), "she is of no clinic now"
    do(cast.ada, "enable", cast.rita)
    assert enter(cast.rita).get(reverse("worklist")).status_code == 200


def test_disabled_here_she_works_on_in_her_other_clinic(cast):
    with acting(system(clinic_id=cast.south.pk)):
        Membership.objects.create(user=cast.rita.user, clinic=cast.south, roles=["reviewer"])
    here, there = enter(cast.rita), enter(cast.rita)
    for client, clinic in ((here, cast.north), (there, cast.south)):
        client.post(reverse("choose_clinic"), {"clinic": str(clinic.pk)})
    do(cast.ada, "disable", cast.rita)
    assert here.get(reverse("worklist")).status_code == 302
    assert there.get(reverse("worklist")).status_code == 200
    there.post(reverse("choose_clinic"), {"clinic": str(cast.north.pk)})
    assert there.get(reverse("people")).status_code == 403
    cast.rita.user.refresh_from_db()
    assert cast.rita.user.is_active, "the account is nobody's to close"
    with acting(system(clinic_id=cast.south.pk)):
        assert Membership.objects.get(user=cast.rita.user, clinic=cast.south).is_active


def test_all_her_sessions_are_ended(cast):
    first, second, others = enter(cast.rita), enter(cast.rita), enter(cast.alice)
    assert "2 sessions are ended" in do(cast.ada, "end_sessions", cast.rita).content.decode()
    assert {client.get(reverse("today")).status_code for client in (first, second)} == {302}
    assert others.get(reverse("today")).status_code == 200


def test_who_has_left_is_nothing_of_the_clinics_any_more(cast):
    """She may work in another, with her sessions and her second factor."""
    secret = give_totp(cast.rita)
    do(cast.ada, "disable", cast.rita)
    enter(cast.rita, code=code_of(secret))
    membership = membership_of(cast.rita)
    shown = cast.ada.client.get(reverse("member", args=[membership.pk])).context["member"]
    assert (shown.sessions, shown.factors) == (0, [])
    for act in ("end_sessions", "reset_factor"):
        assert "not yours to end" in do(cast.ada, act, cast.rita).content.decode()
    with cast.ada.acting(), transaction.atomic():
        assert Authenticator.objects.filter(user=cast.rita.user).delete() == (0, {})
        assert UserSession.objects.filter(user=cast.rita.user).delete() == (0, {})


def test_second_factor_is_reset_and_asked_for_again(cast, settings):
    settings.SECOND_FACTOR_REQUIRED = True
    secret = give_totp(cast.rita)
    browser = enter(cast.rita, code=code_of(secret))
    boss = enter(cast.ada, code=code_of(give_totp(cast.ada)))
    membership = membership_of(cast.rita)
    page = post(cast.ada, "member_reset_factor", membership.pk, client=boss, reason="lost telephone")
    assert "The second factor is removed" in page.content.decode()
    assert browser.get(reverse("worklist")).status_code == 302
    assert enter(cast.rita).get(reverse("worklist"))["Location"] == reverse("mfa_index")
    assert (
        "This person has no second factor"
        in post(cast.ada, "member_reset_factor", membership.pk, client=boss).content.decode()
    )
    with cast.in_north():
        event = AuditEvent.objects.get(action="second_factor_reset")
    assert (event.changes, event.reason) == ({"kinds": ["totp"]}, "lost telephone")


@pytest.mark.parametrize("act", ["roles", "disable", "enable", "reset_factor"])
def test_nobody_decides_of_herself(cast, bea, act):
    page = do(cast.ada, act, cast.ada, roles=["manager", "reviewer"]).content.decode()
    assert "This is your own membership" in page
    assert membership_of(cast.ada).roles == ["manager"]


ENDS_A_MANAGER = {
    "roles": lambda actor, last: people.change_roles(actor=actor, membership=last, roles=["reviewer"]),
    "disable": lambda actor, last: disable_member(actor=actor, membership=last),
}


@pytest.mark.parametrize("act", list(ENDS_A_MANAGER))
def test_the_last_manager_stays(cast, bea, act):
    do(bea, "disable", cast.ada)
    last = membership_of(bea)
    with acting(system(clinic_id=cast.north.pk)) as actor, pytest.raises(people.LastManager):
        ENDS_A_MANAGER[act](actor, last)
    assert membership_of(bea).is_active


def test_the_database_keeps_a_manager_whoever_writes(cast):
    for change in ({"roles": ["reviewer"]}, {"is_active": False}):
        with pytest.raises(IntegrityError, match="keeps a manager"), transaction.atomic(), cast.in_north():
            Membership.objects.filter(user=cast.ada.user).update(**change)


def test_the_database_lets_nobody_change_her_own_membership(cast):
    with pytest.raises(IntegrityError, match="her own"), transaction.atomic(), cast.alice.acting():
        Membership.objects.filter(user=cast.alice.user).update(roles=["clinician", "manager"])


@pytest.mark.parametrize("by", ["services", "sql"])
def test_two_managers_who_disable_each_other_at_once(real_cast, by):
    ada, bea = real_cast.ada, make_person("Bea Birch", real_cast.north, "manager")
    rows = {person: membership_of(person) for person in (ada, bea)}
    start, refused = threading.Barrier(2), []

    def disable(person: Person, other: Person) -> None:
        try:
            start.wait()
            with person.acting() as actor:
                if by == "services":
                    disable_member(actor=actor, membership=rows[other])
                else:
                    Membership.objects.filter(pk=rows[other].pk).update(is_active=False)
        except (people.LastManager, IntegrityError):
            refused.append(person)
        finally:
            connection.close()

    threads = [threading.Thread(target=disable, args=pair) for pair in ((ada, bea), (bea, ada))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 1
    assert sorted(membership_of(person).is_active for person in (ada, bea)) == [False, True]


def test_somebody_new_is_invited_and_comes_in(cast):
    link = invite(cast)
    letter = mail.outbox[0]
    assert letter.to == ["nora@example.org"]
    assert "Ada Ash invites you to work in North" in letter.body
    browser = Client()
    page = browser.get(link, follow=True)
    assert page.redirect_chain == [("/join/", 302)], "the token is out of the address"
    assert "nora@example.org" in page.content.decode()
    home = browser.post("/join/", NEW, follow=True)
    assert home.redirect_chain[-1][0] == "/worklist/"
    assert "Welcome to North" in home.content.decode()
    nora = User.objects.get(email="nora@example.org")
    assert nora.check_password(NEW["password"])
    with cast.in_north():
        assert Membership.objects.get(user=nora).roles == ["reviewer"]
        joined = AuditEvent.objects.get(subject_type="accounts_membership", changes__user_id=str(nora.pk))
        taken = AuditEvent.objects.get(subject_type="accounts_invitation", changes__has_key="accepted_at")
    assert joined.actor_name == taken.actor_name == "Nora Nut"


def test_link_is_good_once(cast):
    link = invite(cast)
    first, second = Client(), Client()
    for browser in (first, second):
        browser.get(link, follow=True)
    assert first.post("/join/", NEW).status_code == 302
    assert second.post("/join/", NEW | {"full_name": "Mallory"}).status_code == 404
    assert Client().get(link, follow=True).status_code == 404
    assert not User.objects.filter(full_name="Mallory").exists()


def test_token_is_nowhere_but_in_the_mail(cast):
    link = invite(cast)
    token = link.rstrip("/").rpartition("/")[2]
    with cast.in_north():
        kept = Invitation.objects.values().get()
        lines = str(list(AuditEvent.objects.values())) + str(list(PrivateValue.objects.values()))
    assert token not in str(kept)
    assert token not in lines
    assert kept["token_hash"] not in lines
    assert "nora@example.org" not in str(list(AuditEvent.objects.filter(clinic_id=cast.north.pk).values()))


@pytest.mark.parametrize("how", ["old", "withdrawn", "resent", "forged", "of another clinic"])
def test_link_that_is_no_good_says_what_to_do(cast, how):
    link = invite(cast)
    with cast.in_north():
        invitation = Invitation.objects.get()
    match how:
        case "old":
            with cast.in_north():
                Invitation.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
        case "withdrawn":
            assert "no good any more" in post(cast.ada, "invitation_withdraw", invitation.pk).content.decode()
        case "resent":
            assert "Sent again" in post(cast.ada, "invitation_resend", invitation.pk).content.decode()
            (new,) = re.findall(r"http://\S+?(/join/\S+)", mail.outbox[-1].body)
            assert Client().get(new, follow=True).status_code == 200
        case "forged":
            link = reverse("invitation", args=[cast.north.pk, "x" * 43])
        case "of another clinic":
            link = link.replace(str(cast.north.pk), str(cast.south.pk))
    page = Client().get(link, follow=True)
    assert page.status_code == 404
    assert "Ask the manager who sent it for a new one" in page.content.decode()


def test_who_has_an_account_joins_after_signing_in(cast):
    link = invite(cast, "bob@example.org", "reviewer", "clinician")
    browser = Client()
    assert "You have an account here already" in browser.get(link, follow=True).content.decode()
    assert browser.post("/join/", NEW).status_code == 200, "and sets no new password by the link"
    cast.bob.user.set_password(PASSWORD)
    cast.bob.user.save(update_fields=["password"])
    browser.post("/accounts/login/?next=/join/", {"login": "bob@example.org", "password": PASSWORD, "next": "/join/"})
    assert "Join North" in browser.get("/join/").content.decode()
    assert browser.post("/join/", follow=True).redirect_chain[-1][0] == "/today/"
    with cast.in_north():
        assert Membership.objects.get(user=cast.bob.user, clinic=cast.north).roles == ["clinician", "reviewer"]


def test_another_account_cannot_take_it(cast):
    link = invite(cast)
    browser = enter(cast.bob)
    browser.get(link)
    assert "you are signed in as bob@example.org" in browser.post("/join/", follow=True).content.decode()
    with cast.in_north():
        assert not Membership.objects.filter(user=cast.bob.user, clinic=cast.north).exists()


@pytest.mark.parametrize(
    ("email", "said"),
    [
        ("alice@EXAMPLE.org", "belongs to a member of this clinic"),
        ("rolf@example.org", "a member who is disabled"),
        ("nora@example.org", "is invited already"),
        ("no address", "There is something to correct"),
    ],
)
def test_odd_invitations_are_refused_where_they_were_typed(cast, email, said):
    invite(cast)
    do(cast.ada, "disable", cast.rolf)
    page = post(cast.ada, "invite", email=email, roles=["reviewer"])
    assert said in page.content.decode()
    assert len(mail.outbox) == 1


def test_mail_that_is_not_taken_undoes_the_invitation(cast, monkeypatch):
    def away(*args, **kwargs):
        raise OSError("refused")

    monkeypatch.setattr("skinclinic.accounts.invitations.send_mail", away)
    page = post(cast.ada, "invite", email="nora@example.org", roles=["reviewer"]).content.decode()
    assert "The mail could not be sent" in page
    with cast.in_north():
        assert not Invitation.objects.exists()


@pytest.mark.parametrize("act", ["resend", "withdraw"])
@pytest.mark.parametrize(("who", "status"), [("otto", 403), ("alice", 403), ("bob", 404)])
def test_invitations_are_the_managers_of_the_clinic(cast, act, who, status):
    invite(cast)
    with cast.in_north():
        invitation = Invitation.objects.get()
    assert post(getattr(cast, who), f"invitation_{act}", invitation.pk).status_code == status


def test_invited_person_chooses_no_weak_password(cast):
    link = invite(cast)
    browser = Client()
    browser.get(link)
    for password in ("123456789012", "nora@example.org", "short"):
        assert "There is something to correct" in browser.post("/join/", NEW | {"password": password}).content.decode()
    assert not User.objects.filter(email="nora@example.org").exists()
