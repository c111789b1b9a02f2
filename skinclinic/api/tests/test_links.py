"""From a record system to a chart, by a link that is used once."""

from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from conftest import PASSWORD, Cast, Chart, Person
from patients.models import ChartOpening
from patients.restricted import restrict
from skinclinic.accounts.entry import ACTIVE_CLINIC
from skinclinic.accounts.models import Membership
from skinclinic.accounts.tests.people import code_of, give_totp
from skinclinic.api.models import ChartLink
from skinclinic.api.tests.test_api import Api
from skinclinic.audit.acting import acting, system
from skinclinic.audit.models import AuditEvent


@pytest.fixture
def api(cast: Cast) -> Api:
    return Api(cast.north, scopes=["patients:read"])


@pytest.fixture
def link(cast: Cast, chart: Chart, api: Api) -> str:
    return link_of(api, chart)


def link_of(api: Api, chart: Chart) -> str:
    answer = api.post(f"patients/{chart.patient.pk}/link/", {})
    assert answer.status_code == 200, answer.content
    url = urlsplit(answer.json()["url"])
    return f"{url.path}?{url.query}"


def follow(client: Client, link: str) -> tuple[str, int]:
    """Where it leads, and how that answers."""
    answer = client.get(link, follow=True)
    return answer.request["PATH_INFO"], answer.status_code


def test_it_works(cast, chart, link):
    page = reverse("patient_chart", args=[chart.patient.pk])
    assert follow(cast.alice.client, link) == (page, 200)
    with cast.in_north():
        made, used = AuditEvent.objects.filter(subject_type="api_chartlink").order_by("id")
        token = link.partition("token=")[2]
        assert token.partition(".")[2] not in f"{made.changes}{used.changes}"
    assert (made.actor_name, used.actor_name) == ("Record system", "Alice Alder")
    assert (made.patient_id, used.patient_id) == (chart.patient.pk, chart.patient.pk)


def test_it_says_nothing_of_whom_it_is(chart, link):
    assert str(chart.patient.pk) not in link
    assert chart.patient.pk.hex not in link


def test_the_token_leaves_the_address_before_anything_else(cast, link):
    first = cast.alice.client.get(link)
    assert (first.status_code, first["Location"]) == (302, "/open")


def test_it_is_used_once(cast, chart, link):
    follow(cast.alice.client, link)
    assert follow(cast.rita.client, link) == ("/open", 404)
    assert follow(cast.alice.client, link) == ("/open", 404)
    assert follow(cast.alice.client, "/open") == ("/open", 404)


def test_it_waits_while_she_signs_in_with_her_second_factor(cast, chart, link):
    secret, client = give_totp(cast.alice), Client()
    page = client.get(link, follow=True)
    assert page.redirect_chain[-1][0].startswith("/accounts/login/")
    entered = sign_in(cast.alice, client, page.request["QUERY_STRING"], secret)
    assert follow(client, entered)[0] == reverse("patient_chart", args=[chart.patient.pk])


def sign_in(person: Person, client: Client, query: str, secret: str) -> str:
    """Where she is sent then."""
    person.user.set_password(PASSWORD)
    person.user.save(update_fields=["password"])
    door = f"/accounts/login/?{query}"
    answer = client.post(door, {"login": person.user.email, "password": PASSWORD, "next": "/open"})
    assert answer["Location"].startswith("/accounts/2fa/authenticate/")
    return str(client.post(answer["Location"], {"code": code_of(secret), "next": "/open"})["Location"])


def test_who_is_no_member_finds_nothing(cast, chart, link):
    assert follow(cast.bob.client, link) == ("/open", 404)
    with cast.in_north():
        assert ChartLink.objects.get().used_at is None
    assert follow(cast.alice.client, link)[1] == 200


def test_who_is_in_another_clinic_is_brought_into_this_one(cast, chart, link):
    with acting(system(clinic_id=cast.south.pk)):
        Membership.objects.create(user=cast.alice.user, clinic=cast.south, roles=["clinician"])
    client = cast.alice.client
    session = client.session
    session[ACTIVE_CLINIC] = str(cast.south.pk)
    session.save()
    assert follow(client, link) == (reverse("patient_chart", args=[chart.patient.pk]), 200)
    assert client.session[ACTIVE_CLINIC] == str(cast.north.pk)


def test_it_ends_by_itself(cast, link):
    with cast.in_north():
        made = ChartLink.objects.get()
        assert made.ends_at - made.created_at <= timedelta(minutes=10, seconds=1)
    # The application may not write that column; the test's owner moves the clock instead.
    later = timezone.now() + timedelta(minutes=11)
    with pytest.MonkeyPatch.context() as clock:
        clock.setattr("skinclinic.api.links.timezone.now", lambda: later)
        assert follow(cast.alice.client, link) == ("/open", 404)


def test_a_restricted_chart_asks_for_its_reason_all_the_same(cast, chart, link):
    with cast.ada.acting() as ada:
        restrict(actor=ada, patient=chart.patient, restricted=True)
    place, _status = follow(cast.alice.client, link)
    assert place == reverse("chart_open", args=[chart.patient.pk])
    with cast.in_north():
        assert not ChartOpening.objects.exists()


@pytest.mark.parametrize("token", ["", "x", "." * 99, "00" * 16 + ".x", "zz" * 16 + ".x", "a" * 5000])
def test_a_made_up_one_leads_nowhere(cast, token):
    assert follow(cast.alice.client, f"/open?token={token}") == ("/open", 404)


def test_who_may_not_read_patients_makes_none(cast, chart):
    answer = Api(cast.north, scopes=["screenings:read"]).post(f"patients/{chart.patient.pk}/link/", {})
    assert answer.status_code == 403
