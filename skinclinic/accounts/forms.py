from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django import forms
from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.utils.translation import gettext_lazy as _

from skinclinic.accounts.models import (
    MOST_DUE_HOURS,
    MOST_RETENTION_YEARS,
    Invitation,
    Role,
    UnreviewedReadings,
    User,
    advice_in,
    validate_time_zone,
)
from skinclinic.text import validate_one_line

ADVICE = "letter_advice_"


def typed(autocomplete: str) -> forms.TextInput:
    return forms.TextInput({"autocomplete": autocomplete})


def new_password() -> forms.CharField:
    return forms.CharField(
        label=_("Password"),
        widget=forms.PasswordInput({"autocomplete": "new-password"}),
        min_length=12,
        max_length=128,
        help_text=_("At least 12 characters; a few words in a row are best."),
    )


class FirstRunForm(forms.Form):
    """The first clinic and its first manager, on an empty installation."""

    clinic_name = forms.CharField(label=_("Name of the clinic"), max_length=120)
    time_zone = forms.CharField(label=_("Time zone"), max_length=64, initial="UTC", validators=[validate_time_zone])
    full_name = forms.CharField(label=_("Your full name"), max_length=150)
    email = forms.EmailField(label=_("Your e-mail address"))
    password = new_password()
    approver_email = forms.EmailField(
        label=_("E-mail address of a second person"),
        required=False,
        help_text=_(
            "As long as you are the only manager, this person agrees before another model reads or a stopped one "
            "goes on, a patient is erased or a legal hold lifted. They are invited by e-mail as a clinician; you can "
            "also do that later."
        ),
    )

    def clean_approver_email(self) -> str:
        second: str = self.cleaned_data["approver_email"]
        if second and second.casefold() == self.cleaned_data.get("email", "").casefold():
            raise forms.ValidationError(_("This is your own address; it has to be somebody else's."))
        return second

    def clean_password(self) -> str:
        password: str = self.cleaned_data["password"]
        given = User(email=self.cleaned_data.get("email", ""), full_name=self.cleaned_data.get("full_name", ""))
        given.clinic_names = [self.cleaned_data.get("clinic_name", "")]
        validate_password(password, given)
        return password


class JoinForm(forms.Form):
    """What an invited person says of herself; her address is the invitation's."""

    full_name = forms.CharField(
        label=_("Your full name"), max_length=150, validators=[validate_one_line], widget=typed("name")
    )
    password = new_password()

    def __init__(self, *args: Any, invitation: Invitation, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.invitation = invitation

    def clean_password(self) -> str:
        password: str = self.cleaned_data["password"]
        given = User(email=self.invitation.email, full_name=self.cleaned_data.get("full_name", ""))
        given.clinic_names = [self.invitation.clinic.name]
        validate_password(password, given)
        return password


class ReasonForm(forms.Form):
    """Why something is done or taken; kept on the ledger."""

    reason = forms.CharField(
        label=_("Reason"),
        max_length=300,
        validators=[validate_one_line],
        widget=typed("off"),
        help_text=_("Kept on the ledger. Name no patient."),
    )


class RolesForm(ReasonForm):
    roles = forms.MultipleChoiceField(label=_("Roles"), choices=Role.choices, widget=forms.CheckboxSelectMultiple)
    field_order = ["email", "roles", "reason"]


class InvitationForm(RolesForm):
    email = forms.EmailField(
        label=_("E-mail address"), max_length=254, widget=forms.EmailInput({"autocomplete": "off"})
    )


class KeepingForm(forms.Form):
    """What a manager decides of the clinic itself."""

    time_zone = forms.CharField(
        label=_("Time zone"),
        max_length=64,
        validators=[validate_time_zone],
        help_text=_("Such as Europe/Vienna. All times are shown in it."),
    )
    retention_years = forms.IntegerField(
        label=_("Records are kept for, years"),
        min_value=1,
        max_value=MOST_RETENTION_YEARS,
        help_text=_(
            "After what was last done in a record. Nothing is erased by itself: under Erasures you see whose time has "
            "ended, and ask for it."
        ),
    )
    approver = forms.TypedChoiceField(
        label=_("Approver"),
        required=False,
        coerce=UUID,
        empty_value=None,
        help_text=_(
            "Who agrees when the only manager asks to switch or resume a model, to erase a patient or to lift a legal "
            "hold. This person cannot ask, and has no say while there is a second manager."
        ),
    )

    def __init__(self, *args: Any, approvers: Iterable[tuple[UUID, str]], **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.fields["approver"].choices = [("", _("Nobody")), *approvers]


class LanguageForm(forms.Form):
    """`next` is the page to go on with; a page that was made by a form has none."""

    language = forms.ChoiceField(choices=settings.LANGUAGES)
    next = forms.CharField(required=False)


class ClinicForm(forms.Form):
    """What a manager decides for her clinic."""

    blind_first_reading = forms.BooleanField(
        label=_("Reviewers give their first opinion before they see the reading"),
        required=False,
        help_text=_(
            "The reading, its map and its place in the worklist stay hidden from reviewers until their first "
            "opinion on the lesion. They may change it afterwards; both are kept."
        ),
    )
    second_reading_of_high = forms.BooleanField(label=_("A second reader looks at every high band"), required=False)
    second_reading_of_differing = forms.BooleanField(
        label=_("A second reader looks where the first one differs from the reading"), required=False
    )
    second_reading_percent = forms.IntegerField(
        label=_("Of all others, so many in a hundred"),
        min_value=0,
        max_value=100,
        help_text=_(
            "Drawn at random. Where two readers differ, a third decides and signs: that takes three reviewers."
        ),
    )
    due_hours_urgent = forms.IntegerField(label=_("Urgent visits, hours"), min_value=1, max_value=MOST_DUE_HOURS)
    due_hours_soon = forms.IntegerField(label=_("Soon, hours"), min_value=1, max_value=MOST_DUE_HOURS)
    due_hours_routine = forms.IntegerField(label=_("Routine, hours"), min_value=1, max_value=MOST_DUE_HOURS)
    unreviewed_readings = forms.ChoiceField(
        label=_("Readings that no reviewer has signed yet"),
        choices=UnreviewedReadings.choices,
        help_text=_("What clinicians see of them. A low score that no doctor has confirmed may reassure wrongly."),
    )
    address = forms.CharField(
        label=_("Address of the clinic"),
        max_length=300,
        required=False,
        strip=True,
        widget=forms.Textarea({"rows": 3}),
        help_text=_("Printed on letters and reports, below the name."),
    )
    phone = forms.CharField(
        label=_("Telephone of the clinic"), max_length=40, required=False, validators=[validate_one_line]
    )

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        written = (self.initial or {}).get("letter_advice", {})
        for code, name in settings.LANGUAGES:
            self.fields[f"{ADVICE}{code}"] = forms.CharField(
                label=_("What a patient's letter ends with: %(language)s") % {"language": name},
                initial=advice_in(code, written),
                max_length=2000,
                strip=True,
                required=False,
                widget=forms.Textarea({"rows": 6, "lang": code}),
                help_text=_("What to watch for, and how to reach you. Each line is a paragraph. Empty: our own text."),
            )

    @property
    def advice_fields(self) -> list[forms.BoundField]:
        return [self[f"{ADVICE}{code}"] for code, _name in settings.LANGUAGES]

    def decided(self) -> dict[str, Any]:
        """By the names of what a clinic decides; the letters' ends as one, by language."""
        decided = {name: value for name, value in self.cleaned_data.items() if not name.startswith(ADVICE)}
        advice = {code: self.cleaned_data[f"{ADVICE}{code}"] for code, _name in settings.LANGUAGES}
        return decided | {"letter_advice": advice}

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        urgent, soon, routine = (cleaned.get(f"due_hours_{each}") for each in ("urgent", "soon", "routine"))
        if urgent and soon and urgent > soon:
            self.add_error("due_hours_urgent", _("Urgent visits are due no later than those that are due soon."))
        if soon and routine and soon > routine:
            self.add_error("due_hours_soon", _("Visits that are due soon are due no later than routine ones."))
        return cleaned
