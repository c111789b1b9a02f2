"""How somebody finds her hospital's button: by a mail, so that the page tells nobody which clinics there are."""

from allauth.core import ratelimit
from django import forms
from django.conf import settings
from django.core.mail import EmailMessage
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import translation
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from skinclinic.accounts.language import spoken_by
from skinclinic.accounts.mailing import send_beside
from skinclinic.accounts.models import IdentityProvider, User
from skinclinic.audit.acting import acting

DOOR = "clinic_door"  # the cookie of a browser in which somebody came in by it
DOOR_KEPT = 365 * 24 * 3600


class AddressForm(forms.Form):
    email = forms.EmailField(
        label=gettext_lazy("Your e-mail address at work"),
        max_length=254,
        widget=forms.EmailInput({"autocomplete": "email"}),
    )


@require_http_methods(["GET", "POST"])
def find_hospital(request: HttpRequest) -> HttpResponse:
    """Answers the same whoever is asked for."""
    form = AddressForm(request.POST or None)
    is_sent = request.method == "POST" and form.is_valid()
    if is_sent and ratelimit.consume(request, action="reset_password", key=form.cleaned_data["email"].lower()):
        tell_doors(form.cleaned_data["email"])
    return render(request, "accounts/find_hospital.html", {"form": form, "is_sent": is_sent})


def tell_doors(email: str) -> None:
    person = User.objects.filter(email__iexact=email, is_active=True).first()
    doors = doors_of(person) if person else []
    if not person or not doors:
        return
    with translation.override(spoken_by(person)):
        subject, text = _("Your hospital's sign-in"), render_to_string("accounts/doors_mail.txt", {"doors": doors})
    send_beside(EmailMessage(subject, text, to=[person.email]))


def doors_of(person: User) -> list[tuple[str, str]]:
    """The clinics of hers that have one: what each is called, and its address."""
    with acting(person.actor()):
        hers = {"clinic__memberships__user": person, "clinic__memberships__is_active": True}
        found = IdentityProvider.objects.enabled().filter(**hers).select_related("clinic")
        return [(each.clinic.name, settings.SITE_URL + reverse("clinic_door", args=[each.clinic_id])) for each in found]


def keep_door(response: HttpResponse, clinic_id: object) -> None:
    """So that the sign-in page of this browser shows the button of her hospital."""
    response.set_cookie(
        DOOR,
        str(clinic_id),
        max_age=DOOR_KEPT,
        path="/accounts/",
        secure=settings.HTTPS,
        httponly=True,
        samesite="Lax",
    )
