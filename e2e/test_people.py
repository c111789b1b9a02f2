"""A person's way: invited, in with a second factor, given another role, and out; and how long one stays in."""

import email
import re
from collections.abc import Callable
from contextlib import closing
from email import policy
from pathlib import Path

import pytest
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.conf import settings
from playwright.sync_api import Page, expect

from conftest import PASSWORD, Cast, Person, owner_connection
from e2e.steps import sign_in
from skinclinic.accounts.models import Invitation, Membership, User
from skinclinic.accounts.tests.people import code_of
from skinclinic.audit.acting import acting
from skinclinic.audit.models import AuditEvent

pytestmark = pytest.mark.browser
REQUIRED = [{"SECOND_FACTOR_REQUIRED": "1"}]
NORAS = "seven-quiet-herons-wade"


def link_in_mail(to: str) -> str:
    """In the newest mail to her, as a server without a mail server lays it down."""
    folder = Path(settings.MAIL_FOLDER)
    newest_first = sorted(folder.glob("*.log"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in newest_first:
        letter = email.message_from_bytes(path.read_bytes(), policy=policy.default)
        if letter["To"] == to:
            return re.findall(r"http://[^/]+(/join/\S+)", letter.get_content())[0]
    raise AssertionError(f"There is no mail to {to}.")


def set_up_app(page: Page) -> str:
    """From where she is led to; the key in the app."""
    expect(page.get_by_text("Your clinic asks for a second factor.")).to_be_visible()
    page.get_by_role("link", name="Set up an app").click()
    expect(page.get_by_role("img", name="QR code")).to_be_visible()
    secret = page.locator("code").inner_text()
    page.get_by_role("textbox", name="Authenticator code").fill(code_of(secret))
    page.get_by_role("button", name="Set it up").click()
    with page.expect_download() as taken:
        page.get_by_role("link", name="Download them").click()
    assert len(Path(taken.value.path()).read_text().split()) == 10
    page.get_by_role("link", name="I have kept them: go on").click()
    page.get_by_role("link", name="Go on to the clinic").click()
    return secret


@pytest.mark.parametrize("portal_settings", REQUIRED, indirect=True)
def test_from_the_invitation_to_the_end(real_cast: Cast, open_page: Callable[..., Page]):
    ada = sign_in(open_page(), real_cast.ada)
    set_up_app(ada)
    ada.get_by_role("link", name="Dashboard").click()
    ada.get_by_role("link", name="People").click()
    ada.get_by_text("Invite somebody").click()
    ada.get_by_label("E-mail address").fill("nora@example.org")
    ada.get_by_label("Reviewer").check()
    ada.get_by_label("Reason").first.fill("new since Monday")
    ada.get_by_role("button", name="Send the invitation").click()
    expect(ada.get_by_text("Invited. The link in the mail is good once")).to_be_visible()

    nora = open_page()
    nora.goto(link_in_mail("nora@example.org"))
    nora.get_by_label("Your full name").fill("Nora Nut")
    nora.get_by_label("Password").fill("123456789012")
    nora.get_by_role("button", name="Join the clinic").click()
    expect(nora.get_by_role("alert")).to_be_focused()
    nora.get_by_label("Password").fill(NORAS)
    nora.get_by_role("button", name="Join the clinic").click()
    set_up_app(nora)
    expect(nora.get_by_role("heading", name="Worklist")).to_be_visible()

    ada.reload()
    ada.get_by_role("link", name="Nora Nut").click()
    ada.locator("summary", has_text="Change the roles").click()
    ada.get_by_label("Clinician").check()
    ada.get_by_label("Reason").first.fill("photographs too")
    ada.get_by_role("button", name="Change the roles").click()
    expect(ada.get_by_text("The roles are changed.")).to_be_visible()
    nora.reload()
    expect(nora.get_by_role("link", name="New patient")).to_be_visible()

    ada.get_by_text("Disable this person", exact=True).click()
    ada.locator("details", has_text="Disable this person").get_by_label("Reason").fill("gone again")
    ada.get_by_role("button", name="Disable in this clinic").click()
    expect(ada.get_by_text("This person is disabled in this clinic")).to_be_visible()
    nora.reload()
    expect(nora.get_by_role("heading", name="Sign in")).to_be_visible()

    person = User.objects.get(email="nora@example.org")
    with real_cast.in_north():
        membership = Membership.objects.get(user=person)
        assert (sorted(membership.roles), membership.is_active) == (["clinician", "reviewer"], False)
        assert Invitation.objects.get().accepted_by == person
        told = AuditEvent.objects.filter(subject_id=str(membership.pk)).order_by("id")
        assert [(line.action, line.reason) for line in told.exclude(action="person_seen")] == [
            ("insert", ""), ("update", "photographs too"), ("update", "gone again")
        ]  # fmt: skip
    with acting(person.actor()):
        hers = Authenticator.objects.filter(user=person)
        assert set(hers.values_list("type", flat=True)) == {"totp", "recovery_codes"}
        assert not UserSession.objects.filter(user=person).exists()


def with_passkey(page: Page, person: Person) -> str:
    """Signed in, on a machine that has an authenticator of its own; returns the authenticator's id."""
    devices = page.context.new_cdp_session(page)
    devices.send("WebAuthn.enable")
    device = {
        "protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True,
        "isUserVerified": True, "automaticPresenceSimulation": True,
    }  # fmt: skip
    added = devices.send("WebAuthn.addVirtualAuthenticator", {"options": device})
    sign_in(page, person)
    page.goto("/accounts/2fa/")
    page.get_by_role("link", name="Add a passkey").click()
    page.get_by_label("Name").fill("My laptop")
    page.get_by_role("button", name="Add a passkey").click()
    expect(page.get_by_text("These are shown once.")).to_be_visible()
    return str(added["authenticatorId"])


def test_a_passkey_lets_in_beside_the_password(real_cast: Cast, open_page: Callable[..., Page], portal: str):
    page = open_page(address=portal.replace("127.0.0.1", "localhost"))
    with_passkey(page, real_cast.alice)
    page.goto("/accounts/logout/")
    page.get_by_role("main").get_by_role("button", name="Sign out").click()
    page.get_by_label("Email").fill(real_cast.alice.user.email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name="Use a passkey").click()
    expect(page.get_by_role("navigation", name="Main")).to_be_visible()
    with real_cast.alice.acting():
        assert Authenticator.objects.get(type="webauthn").last_used_at is not None


@pytest.mark.parametrize("portal_settings", [{"SIGN_OUT_IDLE_AFTER": "16"}], indirect=True)
def test_who_does_nothing_is_warned_may_stay_and_is_signed_out(real_cast: Cast, open_page: Callable[..., Page]):
    page = sign_in(open_page(), real_cast.alice)
    page.goto("/patients/")
    warning = page.get_by_role("alertdialog", name="You are about to be signed out")
    expect(warning).to_be_visible(timeout=15_000)
    warning.get_by_role("button", name="Stay signed in").click()
    expect(warning).to_be_hidden()
    expect(warning).to_be_visible(timeout=15_000)
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible(timeout=15_000)
    expect(page.get_by_text("You were signed out, as nothing was done for a while.")).to_be_visible()
    assert page.url.endswith("/accounts/login/?next=/patients/")


@pytest.mark.parametrize("portal_settings", [{"SIGN_OUT_IDLE_AFTER": "16"}], indirect=True)
def test_a_passkey_unlocks_after_a_pause(real_cast: Cast, real_db: str, open_page: Callable[..., Page], portal: str):
    page = open_page(address=portal.replace("127.0.0.1", "localhost"))
    with_passkey(page, real_cast.alice)
    page.goto("/patients/")
    unlock = page.get_by_role("button", name="Unlock with your passkey")
    expect(unlock).to_be_visible(timeout=30_000)
    unlock.click()
    expect(page.get_by_role("heading", name="Patients", exact=True)).to_be_visible()
    assert "/accounts/" not in page.url
    with closing(owner_connection(real_db)) as owner, owner.cursor() as cursor:
        cursor.execute("SELECT actor FROM audit_auditevent WHERE action = 'unlocked'")
        assert cursor.fetchall() == [(str(real_cast.alice.user.pk),)]
    page.goto("/accounts/logout/")
    page.get_by_role("main").get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Email")).to_be_visible()
    expect(unlock).to_have_count(0)


@pytest.mark.parametrize("portal_settings", [{"SIGN_OUT_IDLE_AFTER": "16"}], indirect=True)
def test_a_form_that_was_begun_is_covered_and_kept(real_cast: Cast, open_page: Callable[..., Page]):
    page = sign_in(open_page(), real_cast.alice)
    page.goto("/patients/new/")
    page.get_by_label("Family name").fill("Winterbottom")
    expect(page.locator("body[data-covered]")).to_be_attached(timeout=25_000)
    for poll in range(2):  # as the bell does by itself, which is led to the sign-in
        page.evaluate("htmx.ajax('GET', '/notices/bell/', {source: '#bell', target: '#bell', swap: 'outerHTML'})")
        page.wait_for_timeout(500)
        assert page.url.endswith("/patients/new/"), poll
    elsewhere = sign_in(page.context.new_page(), real_cast.alice)
    elsewhere.close()
    page.locator("[data-uncover]").click()
    expect(page.locator("body[data-covered]")).to_have_count(0)
    expect(page.get_by_label("Family name")).to_have_value("Winterbottom")
