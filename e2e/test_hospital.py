"""A clinic's people come in with their hospital's accounts, and are out when they are out there."""

from collections.abc import Callable

import pytest
import requests
from playwright.sync_api import Page, expect

from conftest import Cast
from e2e.steps import give_password, sign_in
from skinclinic.accounts.models import ProviderSession
from skinclinic.accounts.tests.hospital import CLIENT, SECRET, open_hospital

pytestmark = pytest.mark.browser
INSIDE = {"SEND_TO_NETWORKS": "127.0.0.0/8"}


@pytest.mark.parametrize("portal_settings", [INSIDE], indirect=True)
def test_from_the_managers_page_to_the_end_of_a_session(real_cast: Cast, portal: str, open_page: Callable[..., Page]):
    with open_hospital() as hospital:
        ada = sign_in(open_page(phone=True), real_cast.ada)
        ada.goto("/clinic/sign-in/")
        ada.get_by_label("What the hospital is called").fill("Hospital North")
        ada.get_by_label("Issuer").fill(hospital.issuer)
        ada.get_by_label("Client id").fill(CLIENT)
        ada.get_by_label("Client secret").fill(SECRET)
        ada.get_by_role("button", name="Save").click()
        ada.get_by_role("button", name="Try it").click()
        expect(ada.get_by_text("The provider answers")).to_be_visible()
        ada.get_by_role("button", name="Switch it on").click()
        door = ada.get_by_text(f"{portal}/accounts/clinic/").inner_text()
        assert not ada.evaluate("document.documentElement.scrollWidth > innerWidth")

        hospital.is_me(real_cast.alice)
        alice = open_page()
        alice.goto(door)
        alice.get_by_role("button", name="Sign in with Hospital North").click()
        expect(alice.get_by_text("You have an account here already")).to_be_visible()
        give_password(alice, real_cast.alice)
        expect(alice.get_by_text("Somebody signed in at Hospital North")).to_be_visible()
        alice.get_by_role("button", name="Yes, that was me").click()
        expect(alice.get_by_text("From now on you come in by Hospital North")).to_be_visible()

        alice = open_page()
        alice.goto(door)
        alice.get_by_role("button", name="Sign in with Hospital North").click()
        expect(alice.get_by_role("navigation", name="Main")).to_be_visible()
        with real_cast.in_north():
            assert ProviderSession.objects.get().user == real_cast.alice.user

        told = {"logout_token": hospital.sign(hospital.logout_token())}
        address = f"{portal}/accounts/oidc/{real_cast.north.pk}/logout/"
        assert requests.post(address, data=told, timeout=10).status_code == 200
        alice.goto("/patients/")
        expect(alice.get_by_role("button", name="Sign in with Hospital North")).to_be_visible()
