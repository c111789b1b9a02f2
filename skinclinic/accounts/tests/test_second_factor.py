"""The second factor: asked for at the door, set up by herself, and no secret of it anywhere it should not be."""

import json
import re

import pytest
from allauth.mfa.models import Authenticator
from django.db import connection
from django.test import Client
from django.urls import get_resolver, reverse

from conftest import PASSWORD
from skinclinic.accounts.models import Clinic
from skinclinic.accounts.tests.people import code_of, enter, give_totp
from skinclinic.audit.models import AuditEvent

INLINE = re.compile(rb"<script(?![^>]*\bsrc=)|\sstyle=|\son[a-z]+=|javascript:")
# What has to be reached without: the door, the choice of a clinic, and what is for programs.
FREE = (
    "accounts/", "api/", "dicomweb/", "session/", "language/", "join/", "healthz", "readyz", "welcome/",
)  # fmt: skip
SECRET = re.compile(r'<code translate="no" class="user-select-all">([A-Z2-7]+)</code>')


def set_up(client: Client, capture) -> str:
    """Through the pages; the key of the app."""
    page = client.get(reverse("mfa_activate_totp")).content.decode()
    (secret,) = SECRET.findall(page)
    with capture(execute=True):
        answer = client.post(reverse("mfa_activate_totp"), {"code": code_of(secret)})
    assert answer["Location"] == reverse("mfa_view_recovery_codes")
    return secret


def test_it_works(cast, django_capture_on_commit_callbacks):
    client = enter(cast.alice)
    secret = set_up(client, django_capture_on_commit_callbacks)
    codes = re.findall(r"<li><code>(\d+)</code>", client.get(reverse("mfa_view_recovery_codes")).content.decode())
    assert len(codes) == 10
    again = client.get(reverse("mfa_view_recovery_codes")).content.decode()
    assert "10 codes are left" in again
    assert codes[0] not in again, "they are shown once"

    browser = Client()
    answer = browser.post("/accounts/login/", {"login": cast.alice.user.email, "password": PASSWORD})
    assert answer["Location"] == reverse("mfa_authenticate")
    assert browser.get(reverse("patients")).status_code == 302, "the password alone lets nobody in"
    assert browser.get(answer["Location"]).status_code == 200
    assert browser.post(answer["Location"], {"code": "000000"}).status_code == 200
    assert browser.post(answer["Location"], {"code": code_of(secret, ahead=1)}).status_code == 302
    assert browser.get(reverse("patients")).status_code == 200
    with cast.in_north():
        told = list(AuditEvent.objects.filter(action="second_factor_added").values_list("actor", "changes"))
    assert sorted(kinds["kinds"][0] for _, kinds in told) == ["recovery_codes", "totp"]
    assert {actor for actor, _ in told} == {str(cast.alice.user.pk)}


def test_a_code_lets_in_once(cast):
    secret = give_totp(cast.alice)
    code = code_of(secret)
    assert enter(cast.alice, code=code).get(reverse("patients")).status_code == 200
    second = Client()
    second.post("/accounts/login/", {"login": cast.alice.user.email, "password": PASSWORD})
    assert second.post(reverse("mfa_authenticate"), {"code": code}).status_code == 200
    assert second.get(reverse("patients")).status_code == 302


def test_a_recovery_code_lets_in_once(cast, django_capture_on_commit_callbacks):
    client = enter(cast.alice)
    set_up(client, django_capture_on_commit_callbacks)
    (code, *_) = re.findall(r"<li><code>(\d+)</code>", client.get(reverse("mfa_view_recovery_codes")).content.decode())
    assert enter(cast.alice, code=code).get(reverse("patients")).status_code == 200
    second = enter(cast.alice)
    assert second.post(reverse("mfa_authenticate"), {"code": code}).status_code == 200


def test_codes_cannot_be_guessed(cast):
    give_totp(cast.alice)
    client = enter(cast.alice)
    told = [client.post(reverse("mfa_authenticate"), {"code": f"{n:06}"}).content.decode() for n in range(7)]
    assert "This code is not right" in told[0]
    assert "Wait five minutes" in told[-1]


def test_no_secret_is_in_the_table_or_on_the_ledger(cast, django_capture_on_commit_callbacks):
    client = enter(cast.alice)
    secret = set_up(client, django_capture_on_commit_callbacks)
    codes = re.findall(r"<li><code>(\d+)</code>", client.get(reverse("mfa_view_recovery_codes")).content.decode())
    with cast.alice.acting():
        rows = json.dumps(list(Authenticator.objects.values()), default=str)
        kept = Authenticator.objects.get(type="totp").data["secret"]
        events = json.dumps(list(AuditEvent.objects.values()), default=str)
    with cast.in_north():
        events += json.dumps(list(AuditEvent.objects.values()), default=str)
    assert "second_factor_added" in events
    for private in (secret, kept, *codes):
        assert private not in events
    assert secret not in rows


def test_clinic_sees_its_members_factors_and_strangers_see_none(cast):
    give_totp(cast.alice)
    with cast.ada.acting():
        assert Authenticator.objects.filter(user=cast.alice.user).exists()
        assert Authenticator.objects.update(data={}) == 0, "but writes none"
    with cast.bob.acting():
        assert not Authenticator.objects.exists()
        assert Authenticator.objects.all().delete()[0] == 0
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM mfa_authenticator")
        assert cursor.fetchone() == (0,), "who acts as nobody sees nothing"


@pytest.mark.parametrize("name", ["worklist", "clinic_settings", "people", "openings", "notices", "home"])
def test_who_has_none_is_led_to_set_one_up(cast, settings, name):
    settings.SECOND_FACTOR_REQUIRED = True
    client = enter(cast.ada)
    answer = client.get(reverse(name))
    assert (answer.status_code, answer["Location"]) == (302, reverse("mfa_index"))
    assert "Your clinic asks for a second factor" in client.get(answer["Location"]).content.decode()


def test_without_one_no_address_of_the_clinic_is_open(cast, settings):
    """From the URLconf, so that a new page cannot be forgotten."""
    settings.SECOND_FACTOR_REQUIRED = True
    client = enter(cast.ada)
    closed = [(name, pattern) for name, pattern in patterns() if not pattern.startswith(FREE) and pattern != "clinic/"]
    addresses = {name: address_of(pattern) for name, pattern in closed}
    assert len(addresses) > 80
    for name, address in addresses.items():
        for answer in (client.get(address), client.post(address, {"clinic": str(cast.north.pk)})):
            assert (answer.status_code, answer.get("Location")) == (302, reverse("mfa_index")), name


def patterns() -> list[tuple[str, str]]:
    reached = get_resolver().reverse_dict.lists()
    return [(str(name), found[0][0][0][0]) for name, found in reached if isinstance(name, str)]


def address_of(pattern: str) -> str:
    filled = re.sub(r"%\(\w*version\w*\)s", "1", pattern)
    return "/" + re.sub(r"%\(\w+\)s", "00000000-0000-4000-8000-000000000000", filled)


def test_who_has_none_uploads_nothing(cast, chart, settings):
    settings.SECOND_FACTOR_REQUIRED = True
    sent = {"lesion": str(chart.lesion.pk), "clinic": str(cast.north.pk)}
    answer = enter(cast.alice).post(reverse("photograph_upload", args=[chart.visit.pk]), sent)
    assert answer["Location"] == reverse("mfa_index")


def test_who_has_one_goes_on_and_who_removes_it_is_asked_again(cast, settings):
    settings.SECOND_FACTOR_REQUIRED = True
    secret = give_totp(cast.ada)
    client = enter(cast.ada, code=code_of(secret))
    assert client.get(reverse("dashboard")).status_code == 200
    assert client.post(reverse("mfa_deactivate_totp")).status_code == 302
    assert client.get(reverse("dashboard"))["Location"] == reverse("mfa_index")
    with cast.in_north():
        removed = AuditEvent.objects.get(action="second_factor_removed", changes__kinds=["totp"])
    assert removed.actor == str(cast.ada.user.pk)


def test_members_of_a_demo_are_not_asked(cast, settings):
    settings.SECOND_FACTOR_REQUIRED = True
    Clinic.objects.filter(pk=cast.north.pk).update(is_demo=True)
    assert enter(cast.ada).get(reverse("dashboard")).status_code == 200


def test_operator_is_asked_too(cast, settings):
    settings.SECOND_FACTOR_REQUIRED = True
    cast.bob.user.is_staff = cast.bob.user.is_superuser = True
    cast.bob.user.save(update_fields=["is_staff", "is_superuser"])
    assert enter(cast.bob).get("/admin/")["Location"] == reverse("mfa_index")


def test_admin_has_no_door_of_its_own(cast):
    """Django's takes the password alone, and what it opens is the whole clinic."""
    cast.ada.user.is_staff = cast.ada.user.is_superuser = True
    cast.ada.user.save(update_fields=["is_staff", "is_superuser"])
    give_totp(cast.ada)
    browser = Client()
    known = {"username": cast.ada.user.email, "password": PASSWORD, "next": "/patients/"}
    for answer in (browser.get("/admin/login/?next=/admin/"), browser.post("/admin/login/?next=/admin/", known)):
        assert answer["Location"] == "/accounts/login/?next=/admin/"
    assert browser.get(reverse("patients")).status_code == 302
    assert cast.ada.client.post("/admin/login/", known)["Location"] == "/admin/"
    assert cast.alice.client.post("/admin/login/", known).status_code == 403


def test_change_asks_for_the_password_again(cast):
    client = enter(cast.alice)
    session = client.session
    session["confirmed_at"] -= 16 * 60
    session.save()
    answer = client.get(reverse("mfa_activate_totp"))
    assert answer["Location"].startswith(reverse("account_reauthenticate"))
    assert client.post(answer["Location"], {"password": "wrong"}).status_code == 200
    assert client.post(answer["Location"], {"password": PASSWORD})["Location"] == reverse("mfa_activate_totp")
    assert client.get(reverse("mfa_activate_totp")).status_code == 200


def test_pages_have_no_inline_code(cast, django_capture_on_commit_callbacks):
    client = enter(cast.alice)
    names = ["mfa_index", "mfa_activate_totp", "mfa_add_webauthn", "mfa_list_webauthn", "usersessions_list"]
    for name in names:
        page = client.get(reverse(name))
        assert page.status_code == 200, name
        assert not INLINE.search(page.content), name
    set_up(client, django_capture_on_commit_callbacks)
    for name in ("mfa_index", "mfa_view_recovery_codes", "mfa_generate_recovery_codes", "mfa_deactivate_totp"):
        page = client.get(reverse(name))
        assert page.status_code == 200, name
        assert not INLINE.search(page.content), name
    second = enter(cast.alice)
    assert not INLINE.search(second.get(reverse("mfa_authenticate")).content)
