"""The page on which managers make clients of their clinic's API."""

from django import forms
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST

from skinclinic.accounts.permissions import member_required
from skinclinic.api.models import Client
from skinclinic.api.services import create_client, disable_client, rotate_secret
from skinclinic.audit.acting import AUDITOR, MANAGER
from skinclinic.errors import ClinicError
from skinclinic.text import validate_one_line

# As the settings have them for programs, for people.
RIGHTS = {
    "patients:read": gettext_lazy("Read patients, visits, lesions and consents"),
    "patients:write": gettext_lazy("Register patients, open visits, note consents"),
    "screenings:read": gettext_lazy("Read screenings, photographs and readings"),
    "screenings:write": gettext_lazy("Upload and withdraw photographs"),
    "reviews:read": gettext_lazy("Read signed reviews"),
    "fhir:read": gettext_lazy("Read patients, photographs, readings and signed reviews as FHIR"),
    "fhir:write": gettext_lazy("Register patients and send photographs as FHIR"),
    "dicom:write": gettext_lazy("Send photographs as DICOM objects"),
    "audit:read": gettext_lazy("Read the ledger, as FHIR"),
    "webhooks:manage": gettext_lazy("Say where webhooks go, and read what became of them"),
}


class ClientForm(forms.Form):
    name = forms.CharField(label=gettext_lazy("What it is called"), max_length=100, validators=[validate_one_line])
    scopes = forms.MultipleChoiceField(
        label=gettext_lazy("What it may do"),
        choices=[(scope, RIGHTS[scope]) for scope in settings.OAUTH2_PROVIDER["SCOPES"]],
        widget=forms.CheckboxSelectMultiple,
    )


@require_http_methods(["GET", "POST"])
@member_required(MANAGER, AUDITOR, to_post=(MANAGER,))
def clients(request: HttpRequest) -> HttpResponse:
    form = ClientForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        made, secret = create_client(clinic=request.clinic, actor=request.actor, **form.cleaned_data)
        return show(request, ClientForm(), made=made, secret=secret)
    return show(request, form)


def show(request: HttpRequest, form: ClientForm, made: Client | None = None, secret: str = "") -> HttpResponse:
    """`secret` is shown this once: it is stored as a hash."""
    context = {
        "clients": list(Client.objects.visible_to(request.actor).order_by("disabled_at", "name")),
        "form": form,
        "made": made,
        "secret": secret,
        "address": settings.SITE_URL,
        "may_change": request.actor.has_role(MANAGER),
    }
    return render(request, "accounts/clients.html", context)


@require_POST
@member_required(MANAGER)
def client_rotate(request: HttpRequest, client_id: str) -> HttpResponse:
    client = get_object_or_404(Client.objects.visible_to(request.actor), client_id=client_id)
    try:
        return show(request, ClientForm(), made=client, secret=rotate_secret(client=client))
    except ClinicError as refusal:
        messages.error(request, str(refusal))
        return redirect("clients")


@require_POST
@member_required(MANAGER)
def client_disable(request: HttpRequest, client_id: str) -> HttpResponse:
    client = get_object_or_404(Client.objects.visible_to(request.actor), client_id=client_id)
    try:
        disable_client(client=client)
        messages.success(request, _("%(name)s is disabled; it can do nothing any more.") % {"name": client.name})
    except ClinicError as refusal:
        messages.error(request, str(refusal))
    return redirect("clients")
