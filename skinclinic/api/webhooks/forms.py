"""What managers are asked of a webhook, by its kind."""

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy

from skinclinic.api.webhooks.documents import LONGEST_SECRET, at_server
from skinclinic.api.webhooks.models import SentType, WebhookEndpoint
from skinclinic.outgoing.guard import MOST_CHARACTERS, AddressRefused, validate_address
from skinclinic.text import validate_one_line

WHERE = gettext_lazy(
    "It begins with https:// and is on the public internet, or in a network that your operator has opened."
)
SECRET = gettext_lazy("Token, or the secret of the client id")


def validate_server(url: str) -> None:
    try:
        at_server(url, "")
    except AddressRefused as refusal:
        raise ValidationError(str(refusal)) from refusal


def purpose() -> forms.CharField:
    return forms.CharField(
        label=gettext_lazy("What it is for"), max_length=200, required=False, validators=[validate_one_line]
    )


def secret_field(**options: object) -> forms.CharField:
    """Never shown, and none that the browser keeps for this site."""
    widget = forms.PasswordInput(attrs={"autocomplete": "new-password"})
    return forms.CharField(label=SECRET, max_length=LONGEST_SECRET, widget=widget, **options)


class EndpointForm(forms.Form):
    url = forms.CharField(
        label=gettext_lazy("Address"), max_length=MOST_CHARACTERS, help_text=WHERE, validators=[validate_address]
    )
    description = purpose()
    event_types = forms.MultipleChoiceField(
        label=gettext_lazy("What it is told"), choices=SentType.choices, widget=forms.CheckboxSelectMultiple
    )


class DocumentEndpointForm(forms.Form):
    url = forms.CharField(
        label=gettext_lazy("Base of the FHIR server"),
        max_length=MOST_CHARACTERS,
        help_text=WHERE,
        validators=[validate_server],
    )
    description = purpose()
    secret = secret_field(help_text=gettext_lazy("It is kept encrypted, and never shown again."))
    token_url = forms.CharField(
        label=gettext_lazy("Address where tokens are given"),
        max_length=MOST_CHARACTERS,
        required=False,
        help_text=gettext_lazy("Only where the server wants a client id and a secret (OAuth2 client credentials)."),
        validators=[validate_address],
    )
    client_id = forms.CharField(
        label=gettext_lazy("Client id"),
        max_length=200,
        required=False,
        help_text=gettext_lazy("What this clinic is called where tokens are given."),
    )
    token_scope = forms.CharField(
        label=gettext_lazy("Scope"),
        max_length=500,
        required=False,
        help_text=gettext_lazy("Only where a token is not given without one, such as system/DocumentReference.cu."),
    )


class ChangedDocumentEndpointForm(DocumentEndpointForm):
    secret = secret_field(
        required=False, help_text=gettext_lazy("Left empty, it keeps what it has. Another address wants it again.")
    )


class SecretForm(forms.Form):
    secret = secret_field()


def changing(endpoint: WebhookEndpoint, data: object = None) -> forms.Form:
    form = ChangedDocumentEndpointForm if endpoint.sends_documents else EndpointForm
    kept = {name: getattr(endpoint, name) for name in form.base_fields if name != "secret"}
    return form(data, initial=kept)
