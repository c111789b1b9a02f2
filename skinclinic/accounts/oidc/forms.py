from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from skinclinic.outgoing.guard import validate_address
from skinclinic.text import validate_one_line


def validate_issuer(address: str) -> None:
    validate_address(address)
    if "?" in address or "/.well-known/" in address:
        raise ValidationError(_("Enter the issuer alone, without /.well-known/ and what follows, and without a ?."))


class IdentityProviderForm(forms.Form):
    name = forms.CharField(
        label=_("What the hospital is called on the button"), max_length=40, validators=[validate_one_line]
    )
    issuer = forms.CharField(
        label=_("Issuer"),
        max_length=400,
        validators=[validate_issuer],
        help_text=_("As the provider calls itself, such as https://login.hospital.example/realms/staff."),
    )
    client_id = forms.CharField(label=_("Client id"), max_length=190, validators=[validate_one_line])
    client_secret = forms.CharField(
        label=_("Client secret"),
        max_length=1000,
        required=False,
        widget=forms.PasswordInput({"autocomplete": "new-password"}),
        help_text=_("It is kept encrypted and never shown again. Left empty, the one that is kept stays."),
    )
    asks_second_factor = forms.BooleanField(
        label=_("The provider asks everybody for a second factor, so it is not asked for here"),
        required=False,
        help_text=_("Only if it does so for each sign-in to this clinic. It cannot be seen from here."),
    )

    def __init__(self, *args: Any, is_new: bool, **kwargs: Any):
        super().__init__(*args, **kwargs)
        if is_new:
            self.fields["client_secret"].required = True
            self.fields["client_secret"].help_text = _("It is kept encrypted, and never shown again.")
