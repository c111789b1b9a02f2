"""What a manager decides of the hospital's sign-in, and that nobody is locked out by it."""

import pytest
from allauth.socialaccount.models import SocialAccount
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction
from django.test import Client
from django.urls import reverse

from conftest import PASSWORD, Cast, Person
from skinclinic.accounts.models import IdentityProvider, Membership, ProviderSession, User
from skinclinic.accounts.oidc.provider import PURPOSE
from skinclinic.accounts.tests.hospital import CLIENT, SECRET, Hospital, come_in, has_joined, said, set_up
from skinclinic.accounts.tests.people import enter
from skinclinic.audit.acting import acting, system
from skinclinic.audit.models import AuditEvent
from skinclinic.ciphers import unseal

PAGE = "/clinic/sign-in/"


def post(cast: Cast, browser: Client, page: str, /, *keys: object, **form: str):
    return browser.post(reverse(page, args=keys), {"clinic": str(cast.north.pk)} | form)


def entered(hospital: Hospital, **changed: str) -> dict[str, str]:
    told = {"name": "Hospital", "issuer": hospital.issuer, "client_id": CLIENT, "client_secret": SECRET}
    return {name: value for name, value in (told | changed).items() if value}


def row(cast: Cast) -> IdentityProvider:
    with cast.in_north():
        return IdentityProvider.objects.get()


def is_in(browser: Client) -> bool:
    return browser.get(reverse("patients")).status_code == 200


def test_it_works(cast, hospital):
    """From nothing to somebody who comes in."""
    ada = cast.ada.client
    page = ada.get(PAGE).content.decode()
    assert f"/accounts/oidc/{cast.north.pk}/callback/" in page
    assert f"/accounts/oidc/{cast.north.pk}/logout/" in page
    assert post(cast, ada, "identity_provider", **entered(hospital)).status_code == 302
    assert post(cast, ada, "provider_switch", to="on").status_code == 302
    assert "Try it first" in ada.get(PAGE).content.decode()
    assert not row(cast).is_enabled
    assert "The provider answers" in said(ada, post(cast, ada, "provider_try"))
    page = said(ada, post(cast, ada, "provider_switch", to="on"))
    assert "their sessions here end at once" in page
    assert "led to sign out there" in page
    has_joined(hospital, cast.alice, cast.north)
    assert is_in(come_in(cast.north)[0])
    assert "Alice Alder" in ada.get(PAGE).content.decode()


def test_the_secret_is_kept_sealed_and_shown_to_nobody(cast, hospital):
    ada = cast.ada.client
    post(cast, ada, "identity_provider", **entered(hospital))
    kept = row(cast).client_secret
    assert unseal(PURPOSE, kept) == SECRET
    assert SECRET not in ada.get(PAGE).content.decode()
    post(cast, ada, "identity_provider", **entered(hospital, client_secret="", name="Renamed"))
    assert (row(cast).client_secret, row(cast).name) == (kept, "Renamed")
    with cast.in_north():
        told = "".join(str(changes) for changes in AuditEvent.objects.values_list("changes", flat=True))
    assert "Renamed" in told
    assert SECRET not in told
    assert kept not in told


def test_another_provider_begins_anew(north, hospital):
    """And is not sent the secret of the one before."""
    browser, _answer = come_in(north.north)
    ada = north.ada.client
    moved = entered(hospital, issuer="https://login.example.org", client_secret="")
    page = post(north, ada, "identity_provider", **moved).content.decode()
    assert "Give the secret as well" in page
    assert is_in(browser)
    post(north, ada, "identity_provider", **moved | {"client_secret": "another"})
    assert (row(north).is_enabled, row(north).looked_at, row(north).offers_logout) == (False, None, False)
    assert not is_in(browser)
    with north.in_north():
        assert not SocialAccount.objects.exists()


@pytest.mark.parametrize(
    ("extra", "sentence"),
    [
        ({"issuer": "https://other.example"}, "Enter exactly that as the issuer"),
        ({"authorization_endpoint": None}, "names no authorization_endpoint"),
        ({"token_endpoint": "http://10.0.0.1/token"}, "token_endpoint: http:// is for receivers"),
        ({"response_types_supported": ["id_token"]}, "does not offer the authorization code flow"),
        ({"code_challenge_methods_supported": ["plain"]}, "does not take PKCE"),
    ],
)
def test_what_is_wrong_with_a_provider_is_said(north, hospital, extra, sentence):
    hospital.extra = extra
    ada = north.ada.client
    assert sentence in said(ada, post(north, ada, "provider_try")).replace("&#x27;", "'")
    assert row(north).looked_at is None


@pytest.mark.parametrize(
    ("issuer", "sentence"),
    [
        ("{issuer}/elsewhere", "answers 404"),
        ("http://127.0.0.1:1", "There is no connection to it"),
        ("https://127.0.0.1:{port}", "There is no connection to it"),
    ],
)
def test_what_is_not_there_is_said(cast, hospital, issuer, sentence):
    issuer = issuer.format(issuer=hospital.issuer, port=hospital.issuer.rpartition(":")[2])
    ada = cast.ada.client
    post(cast, ada, "identity_provider", **entered(hospital, issuer=issuer))
    assert sentence in said(ada, post(cast, ada, "provider_try"))


@pytest.mark.parametrize(
    "issuer", ["http://10.0.0.7/realm", "ftp://x.example", "x", "https://x.example/.well-known/openid-configuration"]
)
def test_what_is_no_issuer_is_refused_at_the_form(cast, hospital, issuer):
    assert "field-errors" in post(
        cast, cast.ada.client, "identity_provider", **entered(hospital, issuer=issuer)
    ).content.decode()  # fmt: skip
    with cast.in_north():
        assert not IdentityProvider.objects.exists()


@pytest.mark.parametrize(
    ("extra", "sentence"),
    [
        ({"backchannel_logout_supported": False, "grant_types_supported": ["refresh_token"]}, "every 3 minutes"),
        ({"backchannel_logout_supported": False, "scopes_supported": ["openid"]}, "Disable them here too"),
    ],
)
def test_the_page_says_how_sessions_end(north, hospital, extra, sentence):
    hospital.extra = extra
    ada = north.ada.client
    assert sentence in said(ada, post(north, ada, "provider_try"))


def test_offline_access_is_asked_for_where_it_is_the_only_way_to_know(north, hospital):
    hospital.extra = {"backchannel_logout_supported": False}
    post(north, north.ada.client, "provider_try")
    come_in(north.north)
    assert "offline_access" in hospital.authorized[-1]["scope"].split()


ACTS = ("provider_try", "provider_switch", "provider_require", "identity_provider")


@pytest.mark.parametrize("who", ["alice", "rita", "otto", "bob"])
def test_only_its_managers_decide(north, hospital, who):
    person: Person = getattr(north, who)
    clinic = north.south if who == "bob" else north.north
    before = row(north)
    for name in ACTS:
        person.client.post(reverse(name), entered(hospital, name="Evil") | {"clinic": str(clinic.pk), "to": "on"})
    person.client.post(reverse("provider_unlink", args=[north.alice.user.pk]), {"clinic": str(clinic.pk)})
    after = row(north)
    assert (after.name, after.is_required, after.looked_at) == (before.name, False, None)
    assert (person.client.get(PAGE).status_code == 200) is (who in ("otto", "bob"))


def test_a_link_can_be_undone(north, hospital):
    browser, _answer = come_in(north.north)
    hospital.user["sub"] = "moved-to-another-account"
    assert "came in as somebody else" in said(*come_in(north.north))
    ada = north.ada.client
    post(north, ada, "provider_unlink", north.alice.user.pk)
    assert not is_in(browser)
    _browser, answer = come_in(north.north)
    assert answer["Location"] == reverse("join_hospital"), "she joins anew"
    assert post(north, ada, "provider_unlink", north.bob.user.pk).status_code == 409
    with north.in_north():
        assert AuditEvent.objects.get(action="provider_unlinked").actor == str(north.ada.user.pk)


def require(cast: Cast, hospital: Hospital) -> Client:
    """Ada has come in by it, and made it the only way."""
    has_joined(hospital, cast.ada, cast.north)
    ada, _answer = come_in(cast.north)
    assert "come in by the hospital only" in said(ada, post(cast, ada, "provider_require", to="on"))
    return ada


def test_required_only_by_who_came_in_by_it(north, hospital):
    ada = north.ada.client
    assert "Come in by it yourself first" in said(ada, post(north, ada, "provider_require", to="on"))
    assert not row(north).is_required
    require(north, hospital)
    assert row(north).is_required
    with pytest.raises(IntegrityError), transaction.atomic(), north.in_north():
        IdentityProvider.objects.update(is_enabled=False)


def test_where_it_is_required_a_password_lets_nobody_in(north, hospital):
    by_password = enter(north.alice)
    require(north, hospital)
    browser = Client()
    right = {"login": north.alice.user.email, "password": PASSWORD}
    answer = browser.post("/accounts/login/", right)
    assert answer["Location"] == reverse("clinic_door", args=[north.north.pk])
    assert "by the hospital&#x27;s own sign-in only" in said(browser, answer)
    assert not is_in(browser)
    stranger = Client().post("/accounts/login/", right | {"password": "wrong"})
    assert "own sign-in only" not in stranger.content.decode()
    assert "not correct" in stranger.content.decode()
    page = by_password.get("/patients/", follow=True)
    assert page.redirect_chain[-1][0] == reverse("choose_clinic")
    assert "Sign out, and come in by it" in page.content.decode()
    hospital.is_me(north.alice)
    assert is_in(come_in(north.north)[0])


def test_who_belongs_elsewhere_too_comes_in_there_by_her_password(north, hospital):
    with acting(system(clinic_id=north.south.pk)):
        Membership.objects.create(user=north.alice.user, clinic=north.south, roles=["clinician"])
    require(north, hospital)
    assert enter(north.alice).get("/patients/").context["clinic"] == north.south


def test_operators_come_in_by_their_password_always(north, hospital):
    require(north, hospital)
    User.objects.filter(pk=north.alice.user.pk).update(is_staff=True)
    assert is_in(enter(north.alice))


def test_switched_off_it_is_required_no_more(north, hospital):
    ada = require(north, hospital)
    post(north, ada, "provider_switch", to="off")
    assert (row(north).is_enabled, row(north).is_required) == (False, False)
    assert is_in(enter(north.rita))


def test_a_broken_provider_is_undone_by_the_operator(north, hospital, capsys):
    require(north, hospital)
    call_command("password_sign_in", "North")
    assert "may come in by their passwords again" in capsys.readouterr().out
    assert is_in(enter(north.alice))
    for clinic, sentence in (("North", "already"), ("West", "no clinic West")):
        with pytest.raises(CommandError, match=sentence):
            call_command("password_sign_in", clinic)


def test_sessions_of_another_clinic_are_not_seen(north, hospital):
    come_in(north.north)
    with north.bob.acting():
        assert not ProviderSession.objects.exists()
        assert not IdentityProvider.objects.exists()
    with north.alice.acting():
        assert IdentityProvider.objects.count() == 1
    set_up(hospital, north.south)
    assert Client().get(reverse("clinic_door", args=[north.south.pk])).status_code == 200
