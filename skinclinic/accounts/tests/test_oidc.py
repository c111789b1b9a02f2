"""Coming in by the hospital: who, and what of it is believed."""

from datetime import timedelta

import jwt
import pytest
from allauth.socialaccount.models import SocialAccount
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from conftest import Cast
from skinclinic.accounts.models import Invitation, Membership, ProviderSession, User, digest
from skinclinic.accounts.oidc.tokens import refused
from skinclinic.accounts.tests.hospital import Hospital, come_in, has_joined, led_to, query, said, set_up, there
from skinclinic.accounts.tests.people import code_of, give_totp
from skinclinic.audit.acting import acting, system
from skinclinic.audit.models import AuditEvent


def is_in(browser: Client) -> bool:
    return browser.get(reverse("patients")).status_code == 200


def test_it_works(north, hospital):
    browser, answer = come_in(north.north, next="/patients/")
    assert answer["Location"] == "/patients/"
    page = browser.get("/patients/")
    assert page.context["clinic"] == north.north
    (asked,) = hospital.authorized
    assert asked["code_challenge_method"] == "S256"
    assert asked["redirect_uri"].endswith(f"/accounts/oidc/{north.north.pk}/callback/")
    with north.in_north():
        link = SocialAccount.objects.get()
        assert (link.user, link.uid, link.extra_data) == (north.alice.user, "hospital-Ali", {})
        assert ProviderSession.objects.get().session_key == browser.session.session_key
    with north.bob.acting():
        assert not SocialAccount.objects.exists()
        assert not ProviderSession.objects.exists()


def test_she_is_known_by_her_link_from_then_on(north, hospital):
    """Whatever the hospital says her address is by then."""
    come_in(north.north)
    hospital.user["email"] = north.rita.user.email
    browser, _answer = come_in(north.north)
    assert browser.get("/patients/").context["user"] == north.alice.user


def test_who_has_the_address_of_who_is_linked_is_not_her(north, hospital):
    come_in(north.north)
    hospital.user["sub"] = "another-person"
    browser, answer = come_in(north.north)
    assert "came in as somebody else" in said(browser, answer)
    assert not is_in(browser)


@pytest.mark.parametrize(
    ("claims", "sentence"),
    [
        ({"email": "nobody@example.org"}, "nobody in this clinic has let in nobody@example.org"),
        ({"email": "bob@example.org"}, "nobody in this clinic has let in bob@example.org"),
        ({"email_verified": False}, "does not say that your e-mail address is verified"),
        ({"email_verified": "true"}, "does not say that your e-mail address is verified"),
        ({"email": None}, "does not say that your e-mail address is verified"),
    ],
)
def test_strangers_and_unverified_addresses_are_refused(north, hospital, claims, sentence):
    people = User.objects.count()
    hospital.user |= {"sub": "a-stranger"} | claims
    browser, answer = come_in(north.north)
    assert answer["Location"] == reverse("clinic_door", args=[north.north.pk])
    assert sentence in said(browser, answer)
    assert not is_in(browser)
    assert User.objects.count() == people
    with north.in_north():
        assert AuditEvent.objects.get(action="provider_refused").changes == {"because": "NotLetIn"}
        assert SocialAccount.objects.get().uid == "hospital-Ali"


def test_entra_says_verified_in_its_own_word(north, hospital):
    invite(north, "nora@example.org")
    hospital.user |= {"sub": "hospital-Nor", "email": "nora@example.org", "xms_edov": "1"}
    del hospital.user["email_verified"]
    assert is_in(come_in(north.north)[0])


def test_who_is_disabled_stays_out_though_she_is_linked(north, hospital):
    come_in(north.north)
    with north.in_north():
        Membership.objects.filter(user=north.alice.user).update(is_active=False)
    browser, answer = come_in(north.north)
    assert "You are disabled in this clinic" in said(browser, answer)


def test_operators_never_come_in_by_it(north, hospital):
    for flag in ("is_staff", "is_superuser"):
        User.objects.filter(pk=north.alice.user.pk).update(**{"is_staff": False, flag: True})
        browser, answer = come_in(north.north)
        assert "Operators sign in with their password" in said(browser, answer)
        assert not is_in(browser)


def invite(cast: Cast, email: str) -> Invitation:
    with cast.ada.acting() as actor:
        return Invitation.objects.create(
            clinic=cast.north, email=email, roles=["reviewer"], token_hash=digest("x"),
            invited_by_id=actor.user_id, expires_at=timezone.now() + timedelta(days=7),
        )  # fmt: skip


def test_who_is_invited_joins_by_coming_in(north, hospital):
    invitation = invite(north, "nora@example.org")
    hospital.user |= {"sub": "hospital-Nor", "email": "Nora@Example.org", "name": "Nora \u202eNut"}
    browser, _answer = come_in(north.north)
    assert is_in(browser)
    nora = User.objects.get(email="nora@example.org")
    assert (nora.full_name, nora.has_usable_password()) == ("Nora Nut", False)
    with north.in_north():
        invitation.refresh_from_db()
        assert invitation.accepted_by == nora
        assert Membership.objects.get(user=nora).roles == ["reviewer"]


def test_an_invitation_brings_no_account_of_another_clinic_along(north, hospital):
    """A manager with a provider of her own could join anybody she invites, and then reset his second factor."""
    invite(north, north.bob.user.email)
    hospital.is_me(north.bob)
    browser, answer = come_in(north.north)
    assert "sign in with your password" in said(browser, answer)
    with north.in_north():
        assert not Membership.objects.filter(user=north.bob.user).exists()


def other(hospital: Hospital, **changed):
    return lambda claims: claims | changed


@pytest.mark.parametrize(
    "bend",
    [
        {"iss": "http://127.0.0.1:1"}, {"aud": "another-client"}, {"aud": ["skinclinic", "another"]},
        {"exp": 1}, {"nonce": "of-another-sign-in"}, {"nonce": None}, {"sub": ""}, {"iat": None},
    ],
)  # fmt: skip
def test_claims_that_are_not_for_this_sign_in_are_refused(north, hospital, bend):
    hospital.bend = lambda claims: {name: value for name, value in (claims | bend).items() if value is not None}
    browser, answer = come_in(north.north)
    assert str(refused()) in said(browser, answer)
    assert not is_in(browser)


@pytest.mark.parametrize("how", ["none", "shared secret", "key of the list as a secret", "another key", "no such key"])
def test_signatures_that_are_not_the_hospitals_are_refused(north, hospital, how):
    public = str(hospital.keys()["keys"][0]["n"])
    hospital.signs = {
        "none": lambda claims: jwt.encode(claims, "", algorithm="none", headers={"kid": "first"}),
        "shared secret": lambda claims: jwt.encode(claims, "x" * 40, algorithm="HS256", headers={"kid": "first"}),
        "key of the list as a secret": lambda claims: jwt.encode(claims, public, "HS256", headers={"kid": "first"}),
        "another key": lambda claims: hospital.sign(claims, by="another"),
        "no such key": lambda claims: hospital.sign(claims, kid="second"),
    }[how]
    browser, answer = come_in(north.north)
    assert str(refused()) in said(browser, answer)
    assert not is_in(browser)


def test_a_state_of_another_browser_and_one_used_before_are_refused(north, hospital):
    victim, thief = Client(), Client()
    back = there(thief.post(reverse("oidc_begin", args=[north.north.pk])))
    assert "in another browser, or too long ago" in said(victim, victim.get(back))
    assert not is_in(victim)
    assert thief.get(back).status_code == 302
    assert is_in(thief)
    assert "in another browser, or too long ago" in said(victim, victim.get(back))
    hospital.codes[query(back)["code"][0]] = hospital.authorized[-1]
    thief.get(back)
    with north.in_north():
        assert ProviderSession.objects.count() == 1


def test_what_a_link_asks_for_is_not_done(north, hospital):
    """allauth takes these from the address; here nobody is linked to who happens to be signed in."""
    browser = north.rita.client
    address = reverse("oidc_begin", args=[north.north.pk]) + "?process=connect&scope=admin&auth_params=prompt%3Dnone"
    browser.get(there(browser.post(address, {"process": "connect", "next": "https://evil.example/"})))
    (asked,) = hospital.authorized
    assert set(asked["scope"].split()) == {"openid", "profile", "email"}
    assert "prompt" not in asked
    assert browser.get("/patients/").context["user"] == north.alice.user


def test_a_session_by_the_hospital_acts_in_its_clinic_alone(north, hospital):
    """A manager may name a provider that says it is anybody: of what she could not do before it gives her nothing."""
    with acting(system(clinic_id=north.south.pk)):
        Membership.objects.create(user=north.alice.user, clinic=north.south, roles=["manager"])
    browser, _answer = come_in(north.north)
    page = browser.get("/patients/")
    assert page.context["clinic"] == north.north
    assert "Change clinic" not in page.content.decode()
    chosen = browser.post(reverse("choose_clinic"), {"clinic": str(north.south.pk)})
    assert "You do not belong to this clinic" in chosen.content.decode()
    session = browser.session
    session["clinic"] = str(north.south.pk)
    session.save()
    assert browser.get("/patients/").context["clinic"] == north.north
    for name in (
        "account_change_password", "account_set_password", "account_email", "mfa_index", "mfa_activate_totp",
        "mfa_generate_recovery_codes", "mfa_list_webauthn", "usersessions_list",
    ):  # fmt: skip
        for answer in (browser.get(reverse(name)), browser.post(reverse(name))):
            assert answer.status_code == 403, name
    assert "sign out and sign in with your password" in browser.get(reverse("mfa_index")).content.decode()
    assert north.alice.client.get(reverse("mfa_index")).status_code == 200


def test_it_joins_no_other_clinic(north, hospital):
    with acting(system(clinic_id=north.south.pk)):
        Invitation.objects.create(
            clinic=north.south, email=north.alice.user.email, roles=["manager"], token_hash=digest("token"),
            invited_by=north.bob.user, expires_at=timezone.now() + timedelta(days=7),
        )  # fmt: skip
    browser, _answer = come_in(north.north)
    browser.get(reverse("invitation", args=[north.south.pk, "token"]))
    assert "password" in browser.post(reverse("join"), follow=True).content.decode()
    with north.alice.acting():
        assert Membership.objects.filter(user=north.alice.user).count() == 1


def test_who_works_in_one_clinic_sets_up_her_second_factor_there(north, hospital):
    browser, _answer = come_in(north.north)
    assert browser.get(reverse("mfa_activate_totp")).status_code == 200
    assert browser.get(reverse("account_change_password")).status_code == 403


def test_the_second_factor_of_here_is_asked_for(north, hospital, settings):
    settings.SECOND_FACTOR_REQUIRED = True
    secret = give_totp(north.alice)
    browser, answer = come_in(north.north, next="/patients/")
    assert answer["Location"] == reverse("mfa_authenticate")
    assert not is_in(browser)
    assert browser.get(answer["Location"]).status_code == 200
    assert browser.post(answer["Location"], {"code": code_of(secret)})["Location"] == "/patients/"
    assert browser.get("/patients/").context["clinic"] == north.north
    assert browser.session["bound_clinic"] == str(north.north.pk)
    with north.in_north():
        assert ProviderSession.objects.get().session_key == browser.session.session_key


def test_who_has_none_is_asked_to_set_one_up(north, hospital, settings):
    settings.SECOND_FACTOR_REQUIRED = True
    browser, _answer = come_in(north.north)
    assert browser.get("/patients/")["Location"] == reverse("mfa_index")
    assert browser.get(reverse("mfa_index")).status_code == 200


def test_a_hospital_that_is_trusted_with_it_asks_instead(cast, hospital, settings):
    settings.SECOND_FACTOR_REQUIRED = True
    set_up(hospital, cast.north, asks_second_factor=True)
    for person in (cast.alice, cast.rita):
        has_joined(hospital, person, cast.north)
        if person is cast.rita:
            give_totp(person)
        assert is_in(come_in(cast.north)[0]), person


def test_a_disabled_provider_has_no_door(cast, hospital):
    set_up(hospital, cast.north, is_enabled=False)
    for clinic in (cast.north, cast.south):
        assert Client().get(reverse("clinic_door", args=[clinic.pk])).status_code == 404
        assert Client().post(reverse("oidc_begin", args=[clinic.pk])).status_code == 404
        assert Client().get(reverse("oidc_callback", args=[clinic.pk])).status_code == 404


def test_a_provider_inside_is_not_asked_unless_its_network_is_listed(north, hospital, settings):
    settings.SEND_TO_NETWORKS = []
    answer = Client().post(reverse("oidc_begin", args=[north.north.pk]))
    assert answer["Location"] == reverse("clinic_door", args=[north.north.pk])
    assert not hospital.asked


def test_the_sign_in_page_shows_the_button_where_somebody_came_in_by_it(north, hospital):
    browser, _answer = come_in(north.north)
    browser.post(reverse("account_logout"))
    assert "Sign in with Hospital North" in browser.get("/accounts/login/").content.decode()
    assert "Hospital North" not in Client().get("/accounts/login/").content.decode()


def test_signing_out_leads_to_the_hospitals_own(north, hospital):
    browser, _answer = come_in(north.north)
    gone = led_to(browser.post(reverse("account_logout")))
    assert gone.startswith(f"{hospital.issuer}/end?client_id=skinclinic&post_logout_redirect_uri=")
    assert not is_in(browser)
    assert north.rita.client.post(reverse("account_logout"))["Location"] == reverse("account_login")
