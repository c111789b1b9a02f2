"""Who has an account here joins it to the hospital's by signing in herself, and nobody else does."""

import pytest
from allauth.socialaccount.models import SocialAccount
from django.test import Client
from django.urls import reverse

from conftest import PASSWORD, Cast, Person
from skinclinic.accounts.models import IdentityProvider, Membership
from skinclinic.accounts.oidc.joining import JOINING
from skinclinic.accounts.tests.hospital import Hospital, come_in, has_joined, said, set_up
from skinclinic.accounts.tests.people import code_of, enter, give_totp
from skinclinic.audit.acting import acting, system
from skinclinic.audit.models import AuditEvent

LOGIN = "/accounts/login/"


@pytest.fixture
def new(cast: Cast, hospital: Hospital) -> Cast:
    """Clinic North lets its people in by the hospital from today on; Alice is signed in there."""
    set_up(hospital, cast.north)
    hospital.is_me(cast.alice)
    for person in (cast.alice, cast.rita):
        person.user.set_password(PASSWORD)
        person.user.save(update_fields=["password"])
    return cast


def sign_in(browser: Client, person: Person):
    return browser.post(f"{LOGIN}?next=/patients/", {"login": person.user.email, "password": PASSWORD})


def linked(cast: Cast) -> dict[str, object]:
    with cast.in_north():
        return dict(SocialAccount.objects.values_list("uid", "user"))


def is_in(browser: Client) -> bool:
    return browser.get("/patients/").status_code == 200


def test_it_works(new):
    browser, answer = come_in(new.north, next="/patients/")
    assert answer["Location"] == f"{LOGIN}?next=/patients/"
    assert "You have an account here already" in said(browser, answer)
    assert not is_in(browser)
    assert not linked(new), "that the hospital says so is not enough"

    answer = sign_in(browser, new.alice)
    assert "From now on you can come in by Hospital North" in said(browser, answer)
    assert linked(new) == {"hospital-Ali": new.alice.user.pk}
    assert "bound_clinic" not in browser.session, "by her password she may act in all her clinics"
    with new.in_north():
        assert AuditEvent.objects.get(action="provider_linked").actor == str(new.alice.user.pk)
    assert is_in(come_in(new.north)[0])


def test_her_second_factor_is_asked_for_first(new):
    secret = give_totp(new.alice)
    browser, _answer = come_in(new.north)
    answer = sign_in(browser, new.alice)
    assert answer["Location"].startswith(reverse("mfa_authenticate"))
    assert not linked(new)
    browser.post(answer["Location"], {"code": code_of(secret)})
    assert linked(new) == {"hospital-Ali": new.alice.user.pk}


def test_nobody_else_joins_her_account(new):
    """A manager names a provider of her own, comes in as Alice there, and signs in here as who she is."""
    browser, _answer = come_in(new.north)
    assert sign_in(browser, new.rita)["Location"] == "/patients/"
    assert not linked(new)
    browser.post(reverse("account_logout"))
    sign_in(browser, new.alice)
    assert not linked(new), "what was offered was offered once"


def test_another_browser_joins_nothing(new):
    come_in(new.north)
    sign_in(Client(), new.alice)
    assert not linked(new)


def test_too_late_is_too_late(new):
    browser, _answer = come_in(new.north)
    session = browser.session
    session[JOINING] |= {"until": session[JOINING]["until"] - 15 * 60}
    session.save()
    assert sign_in(browser, new.alice)["Location"] == "/patients/"
    assert not linked(new)


def test_a_provider_that_was_switched_off_meanwhile_is_not_joined(new):
    browser, _answer = come_in(new.north)
    with new.in_north():
        IdentityProvider.objects.update(is_enabled=False)
    sign_in(browser, new.alice)
    assert is_in(browser)
    assert not linked(new)


def test_what_was_joined_meanwhile_stays(new, hospital):
    browser, _answer = come_in(new.north)
    hospital.is_me(new.alice, sub="her-other-account")
    with new.in_north():
        SocialAccount.objects.create(provider=str(new.north.pk), uid="her-other-account", user=new.alice.user)
    sign_in(browser, new.alice)
    assert linked(new) == {"her-other-account": new.alice.user.pk}


def test_who_is_in_by_her_password_already_joins_at_once(new):
    _browser, answer = come_in(new.north, enter(new.alice), next="/worklist/")
    assert answer["Location"] == "/worklist/"
    assert linked(new) == {"hospital-Ali": new.alice.user.pk}


def test_who_came_in_by_another_clinics_provider_does_not(new, hospital):
    """Else the manager of that clinic could."""
    with acting(system(clinic_id=new.south.pk)):
        Membership.objects.create(user=new.alice.user, clinic=new.south, roles=["clinician"])
    set_up(hospital, new.south)
    has_joined(hospital, new.alice, new.south)
    browser, _answer = come_in(new.south)
    assert is_in(browser)
    come_in(new.north, browser)
    assert not linked(new)


def test_where_it_is_the_only_way_in_a_password_joins_and_opens_nothing(new):
    with new.in_north():
        IdentityProvider.objects.update(is_required=True)
    assert sign_in(Client(), new.alice)["Location"] == reverse("clinic_door", args=[new.north.pk])
    browser, _answer = come_in(new.north)
    sign_in(browser, new.alice)
    assert linked(new) == {"hospital-Ali": new.alice.user.pk}
    assert not is_in(browser)
    assert "Sign out, and come in by it" in browser.get("/patients/", follow=True).content.decode()
    assert is_in(come_in(new.north)[0])
