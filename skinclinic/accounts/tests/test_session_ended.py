"""A session that ends while somebody types loses nothing of what she typed."""

from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from conftest import IDENTITY, make_chart
from patients.models import Patient, PatientIdentity

TYPED = IDENTITY | {"address": 'Ring 1\n"><script>', "sex": "female", "risk_factors": ["many_nevi", "fair_skin"]}


def test_the_page_can_ask_who_is_signed_in(cast):
    answer = cast.alice.client.get(reverse("session"))
    assert answer.json()["person"] == str(cast.alice.user.pk)
    assert answer.json()["clinic"] == str(cast.north.pk)
    assert len(answer.json()["token"]) == 64
    nobody = Client().get(reverse("session"))
    assert (nobody.json()["person"], nobody.json()["clinic"]) == (None, None)
    assert nobody["Cache-Control"] == "no-store, private"


def test_a_form_that_came_too_late_comes_back_to_be_sent_again(cast):
    answer = Client().post(reverse("patient_new"), TYPED | {"password": "secret words", "clinic": str(cast.north.pk)})
    page = answer.content.decode()
    assert answer.status_code == 403
    assert answer["Cache-Control"] == "no-store, private"
    assert "You were signed out" in page
    assert f'action="{reverse("patient_new")}"' in page
    for name in ("family_name", "given_name", "birth_date", "phone"):
        assert f'name="{name}" value="{IDENTITY[name]}"' in page
    assert page.count('name="risk_factors"') == 2
    assert '"><script>' not in page
    assert "secret words" not in page
    with cast.in_north():
        assert not Patient.objects.exists()


def test_what_a_script_sends_and_what_is_a_file_is_led_to_the_sign_in(cast, chart):
    client, address = Client(), reverse("patient_new")
    sign_in = f"/accounts/login/?next={address}"
    assert client.post(address, TYPED, headers={"HX-Request": "true"})["Location"] == sign_in
    assert client.post(address, TYPED, headers={"Accept": "application/json"})["Location"] == sign_in
    assert client.post(address, TYPED | {"file": SimpleUploadedFile("a.jpg", b"a")})["Location"] == sign_in
    assert client.get(address)["Location"] == sign_in


def test_a_sign_in_that_leads_to_an_address_of_forms_shows_no_blank_page(cast, chart):
    """As after a file that came too late, or in a tab that was restored."""
    address = reverse("photograph_upload", args=[chart.visit.pk])
    page = cast.alice.client.get(address)
    assert (page.status_code, page["Allow"]) == (405, "POST")
    assert "There is no page here" in page.content.decode()
    assert cast.alice.client.put(reverse("patients"), headers={"Accept": "application/json"}).content == b""
    assert cast.alice.client.get("/api/oauth2/token/").json()["status"] == 405


def test_nothing_is_written_in_the_name_of_who_signed_in_since(cast):
    chart = make_chart(cast.alice)
    form = IDENTITY | {"family_name": "Other", "sex": "female", "clinic": str(cast.north.pk)}
    late = cast.rita.client.post(reverse("patient_new"), form | {"person": str(cast.alice.user.pk)})
    assert late.status_code == 409
    assert "Somebody else has signed in here" in late.content.decode()
    with cast.in_north():
        assert list(PatientIdentity.objects.values_list("patient", flat=True)) == [chart.patient.pk]
    assert cast.rita.client.post(reverse("patient_new"), form | {"person": str(cast.rita.user.pk)}).status_code == 302
