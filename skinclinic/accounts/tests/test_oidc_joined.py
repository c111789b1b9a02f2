"""Who has an account here joins it to the hospital's herself, and nobody else does."""

import pytest
from allauth.socialaccount.models import SocialAccount
from django.test import Client
from django.urls import reverse

from conftest import PASSWORD, Cast, Person
from skinclinic.accounts.confirm import CONFIRMED_AT
from skinclinic.accounts.models import IdentityProvider, Membership, User
from skinclinic.accounts.oidc.joining import OFFER
from skinclinic.accounts.tests.hospital import Hospital, come_in, has_joined, said, set_up
from skinclinic.accounts.tests.people import code_of, enter, give_totp
from skinclinic.audit.acting import acting, system
from skinclinic.audit.models import AuditEvent

LOGIN, JOIN = "/accounts/login/", "/accounts/hospital/join/"


@pytest.fixture
def new(cast: Cast, hospital: Hospital) -> Cast:
    """Clinic North lets its people in by the hospital from today on; Alice is signed in there."""
    set_up(hospital, cast.north)
    hospital.is_me(cast.alice)
    for person in (cast.alice, cast.rita):
        person.user.set_password(PASSWORD)
        person.user.save(update_fields=["password"])
    return cast


def sign_in(browser: Client, person: Person, *, then: str = JOIN):
    return browser.post(f"{LOGIN}?next={then}", {"login": person.user.email, "password": PASSWORD})


def say_yes(browser: Client):
    return browser.post(JOIN, {"yes": "1"})


def linked(cast: Cast) -> dict[str, object]:
    with cast.in_north():
        return dict(SocialAccount.objects.values_list("uid", "user"))


def is_in(browser: Client) -> bool:
    return browser.get("/patients/").status_code == 200


def test_it_works(new):
    browser, answer = come_in(new.north, next="/patients/")
    assert answer["Location"] == JOIN
    answer = browser.get(JOIN)
    assert answer["Location"] == f"{LOGIN}?next={JOIN}"
    page = said(browser, answer)
    assert "You have an account here already" in page
    assert "Sign in with Hospital North" not in page, "nothing beside what she is asked for"
    assert not is_in(browser)

    answer = sign_in(browser, new.alice)
    assert answer["Location"] == JOIN
    page = said(browser, answer)
    assert "Somebody signed in at Hospital North in this browser" in page
    assert "Alice Alder (alice@example.org)" in page
    assert not linked(new), "she has not said so yet"
    answer = say_yes(browser)
    assert answer["Location"] == "/patients/"
    assert "From now on you come in by Hospital North" in said(browser, answer)
    assert linked(new) == {"hospital-Ali": new.alice.user.pk}
    assert "bound_clinic" not in browser.session, "by her password she may act in all her clinics"
    with new.in_north():
        assert AuditEvent.objects.get(action="provider_linked").actor == str(new.alice.user.pk)
    browser.post(reverse("account_logout"))
    assert "Sign in with Hospital North" in browser.get(LOGIN).content.decode()
    assert is_in(come_in(new.north)[0])


def test_that_a_provider_means_somebody_is_on_the_ledger(new):
    come_in(new.north)
    with new.in_north():
        assert AuditEvent.objects.get(action="provider_join_offered").subject_id == str(new.alice.user.pk)


def test_a_sign_in_alone_joins_nothing(new):
    """At a shared browser somebody else may have come back from a provider of hers, saying that she is Alice."""
    browser, _answer = come_in(new.north)
    browser.get(JOIN)
    assert sign_in(browser, new.alice, then="/patients/")["Location"] == "/patients/"
    browser.get(JOIN)
    assert not linked(new)


def test_no_is_no(new):
    browser, _answer = come_in(new.north, next="/patients/")
    sign_in(browser, new.alice)
    assert browser.post(JOIN)["Location"] == "/patients/"
    assert say_yes(browser)["Location"] == "/", "it was offered once"
    assert not linked(new)


def test_her_second_factor_is_asked_for_first(new):
    secret = give_totp(new.alice)
    browser, _answer = come_in(new.north)
    answer = sign_in(browser, new.alice)
    assert answer["Location"].startswith(reverse("mfa_authenticate"))
    assert say_yes(browser)["Location"].startswith(LOGIN)
    assert not linked(new)
    assert browser.post(answer["Location"], {"code": code_of(secret)})["Location"] == JOIN
    say_yes(browser)
    assert linked(new) == {"hospital-Ali": new.alice.user.pk}


def test_a_keyboard_that_was_left_joins_nothing(new):
    """She signed in a while ago: whoever sits there now is asked for her password."""
    browser = enter(new.alice)
    session = browser.session
    session[CONFIRMED_AT] -= 16 * 60
    session.save()
    come_in(new.north, browser)
    for answer in (browser.get(JOIN), say_yes(browser)):
        assert answer["Location"] == f"/accounts/reauthenticate/?next={JOIN.replace('/', '%2F')}"
    assert not linked(new)
    answer = browser.post("/accounts/reauthenticate/", {"password": PASSWORD, "next": JOIN})
    assert answer["Location"] == "/", "to where she was going: she has said yes"
    assert linked(new) == {"hospital-Ali": new.alice.user.pk}


def test_somebody_else_who_is_signed_in_is_told_so(new):
    """And does not work on under another name without knowing."""
    browser, answer = come_in(new.north, enter(new.rita))
    page = said(browser, answer)
    assert "you are signed in here as Rita" in page
    assert "Yes, that was me" not in page
    say_yes(browser)
    assert not linked(new)


def test_another_browser_joins_nothing(new):
    come_in(new.north)
    browser = Client()
    sign_in(browser, new.alice)
    assert say_yes(browser)["Location"] == "/"
    assert not linked(new)


def test_too_late_is_too_late(new):
    browser, _answer = come_in(new.north)
    session = browser.session
    session[OFFER] |= {"until": session[OFFER]["until"] - 15 * 60}
    session.save()
    sign_in(browser, new.alice)
    assert say_yes(browser)["Location"] == "/"
    assert "That was too long ago" in browser.get("/", follow=True).content.decode()
    assert not linked(new)


def change(cast: Cast, **changed: object) -> None:
    with cast.in_north():
        IdentityProvider.objects.update(**changed)


@pytest.mark.parametrize("changed", [{"is_enabled": False}, {"issuer": "https://evil.example"}, {"client_id": "other"}])
def test_a_provider_that_was_changed_meanwhile_is_not_joined(new, changed):
    browser, _answer = come_in(new.north, next="/patients/")
    sign_in(browser, new.alice)
    change(new, **changed)
    assert "was changed meanwhile" in said(browser, say_yes(browser))
    assert not linked(new)


def test_who_became_an_operator_meanwhile_is_not_joined(new):
    browser, _answer = come_in(new.north, next="/patients/")
    sign_in(browser, new.alice)
    User.objects.filter(pk=new.alice.user.pk).update(is_staff=True)
    assert "Operators sign in with their password" in said(browser, say_yes(browser))
    assert not linked(new)


def test_who_was_disabled_meanwhile_is_not_joined(new):
    browser, _answer = come_in(new.north)
    sign_in(browser, new.alice)
    with new.in_north():
        Membership.objects.filter(user=new.alice.user).update(is_active=False)
    say_yes(browser)
    assert not linked(new)


def test_what_was_joined_meanwhile_stays(new):
    browser, _answer = come_in(new.north, next="/patients/")
    sign_in(browser, new.alice)
    with new.in_north():
        SocialAccount.objects.create(provider=str(new.north.pk), uid="her-other-account", user=new.alice.user)
    assert "Another link was made meanwhile" in said(browser, say_yes(browser))
    assert linked(new) == {"her-other-account": new.alice.user.pk}


def test_who_came_in_by_another_clinics_provider_does_not(new, hospital):
    """Else the manager of that clinic could."""
    with acting(system(clinic_id=new.south.pk)):
        Membership.objects.create(user=new.alice.user, clinic=new.south, roles=["clinician"])
    set_up(hospital, new.south)
    has_joined(hospital, new.alice, new.south)
    browser, _answer = come_in(new.south)
    assert is_in(browser)
    _browser, answer = come_in(new.north, browser)
    assert "sign out here first" in said(browser, answer)
    say_yes(browser)
    assert not linked(new)


def test_where_it_is_the_only_way_in_a_password_joins_and_opens_nothing(new):
    change(new, is_required=True)
    assert sign_in(Client(), new.alice)["Location"] == reverse("clinic_door", args=[new.north.pk])
    browser, _answer = come_in(new.north)
    sign_in(browser, new.alice)
    say_yes(browser)
    assert linked(new) == {"hospital-Ali": new.alice.user.pk}
    assert not is_in(browser)
    assert "Sign out, and come in by it" in browser.get("/patients/", follow=True).content.decode()
    assert is_in(come_in(new.north)[0])
