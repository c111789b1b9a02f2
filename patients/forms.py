from datetime import date
from typing import Any

from django import forms
from django.utils import timezone
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from patients.body_map import BesideTheBody, fits, is_on_body, place_in_words
from patients.codes import (
    BodySite,
    ConsentDecision,
    ConsentKind,
    HistoryItem,
    Laterality,
    MapView,
    RiskFactor,
    Sex,
    SkinType,
    Urgency,
)
from patients.models import PatientIdentity, Visit
from patients.services import IDENTITY_FIELDS
from patients.validators import validate_past_date
from skinclinic.text import in_sentence, validate_one_line


class DayInput(forms.DateInput):
    input_type = "date"

    def __init__(self, attrs: dict[str, str] | None = None):
        super().__init__(attrs, format="%Y-%m-%d")


class PatientForm(forms.ModelForm):
    """A patient's details; `confirmed` says that a likely duplicate was looked at and is somebody else."""

    sex = forms.ChoiceField(label=_("Sex"), choices=Sex.choices, initial=Sex.UNKNOWN)
    skin_type = forms.TypedChoiceField(
        label=_("Skin type (Fitzpatrick)"),
        choices=[("", _("Not recorded")), *SkinType.choices],
        coerce=int,
        empty_value=None,
        required=False,
    )
    risk_factors = forms.MultipleChoiceField(
        label=_("Risk factors"),
        choices=RiskFactor.choices,
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=_("Tick nothing when nobody has asked the patient yet."),
    )
    record_number = forms.CharField(
        label=_("Record number"),
        max_length=100,
        required=False,
        validators=[validate_one_line],
        help_text=_("The number the clinic knows the patient by."),
    )
    confirmed = forms.BooleanField(required=False)

    class Meta:
        model = PatientIdentity
        fields = IDENTITY_FIELDS
        labels = {
            "family_name": _("Family name"),
            "given_name": _("Given name"),
            "birth_date": _("Birth date"),
            "phone": _("Phone"),
            "email": _("E-mail address"),
            "address": _("Address"),
        }
        widgets = {"birth_date": DayInput, "address": forms.Textarea({"rows": 2})}

    field_order = ["family_name", "given_name", "birth_date", "sex", "record_number", "skin_type", "risk_factors"]

    def clean_risk_factors(self) -> list[str]:
        factors: list[str] = self.cleaned_data["risk_factors"]
        if RiskFactor.NONE_KNOWN in factors and len(factors) > 1:
            raise forms.ValidationError(_("Either none is known, or those that are."))
        return factors

    def identity(self) -> dict[str, object]:
        return {name: self.cleaned_data[name] for name in IDENTITY_FIELDS}


class CorrectionForm(PatientForm):
    confirmed = None
    version = forms.IntegerField(widget=forms.HiddenInput)


class ConsentForm(forms.Form):
    """`born`: nobody consents before that; empty where nothing is judged."""

    kind = forms.ChoiceField(label=_("Kind"), choices=[("", _("Choose…")), *ConsentKind.choices])
    decision = forms.ChoiceField(label=_("Decision"), choices=ConsentDecision.choices, widget=forms.RadioSelect)
    decided_on = forms.DateField(
        label=_("Date"), widget=DayInput, initial=timezone.localdate, validators=[validate_past_date]
    )

    def __init__(self, *args: Any, born: date | None = None, **more: Any):
        super().__init__(*args, **more)
        self.born = born

    def clean_decided_on(self) -> date:
        decided: date = self.cleaned_data["decided_on"]
        if self.born and decided < self.born:
            raise forms.ValidationError(_("This day is before the patient's birth. Correct one of the two."))
        return decided


class VisitForm(forms.ModelForm):
    history = forms.MultipleChoiceField(
        choices=HistoryItem.choices,
        required=False,
        widget=forms.CheckboxSelectMultiple,
        label=pgettext_lazy("of a lesion", "History"),
    )
    urgency = forms.ChoiceField(
        label=_("Urgency"), choices=Urgency.choices, widget=forms.RadioSelect, initial=Urgency.ROUTINE
    )

    class Meta:
        model = Visit
        fields = ("question", "history", "diameter_mm", "urgency")
        labels = {"question": _("Question"), "diameter_mm": _("Diameter in mm")}
        widgets = {"question": forms.Textarea({"rows": 2, "placeholder": _("What would you like to know?")})}


PLACE = ("site", "laterality", "view", "x", "y")


class LesionForm(forms.Form):
    """A mark and a site that do not belong together are asked about, not refused: bodies differ, scars move."""

    site = forms.ChoiceField(label=_("Site"), choices=[("", _("Choose…")), *BodySite.choices])
    laterality = forms.ChoiceField(label=_("Side"), choices=[("", _("Choose…")), *Laterality.choices])
    view = forms.ChoiceField(choices=MapView.choices, initial=MapView.FRONT, label=_("Body map"))
    x = forms.FloatField(min_value=0, max_value=1, widget=forms.HiddenInput)
    y = forms.FloatField(min_value=0, max_value=1, widget=forms.HiddenInput)
    confirmed = forms.CharField(required=False, max_length=100, widget=forms.HiddenInput)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        place = {name: cleaned.get(name) for name in PLACE}
        if "x" in self.errors or "y" in self.errors:
            # The two numbers are one thing to a person.
            self.errors.pop("x", None)
            self.errors.pop("y", None)
            self.add_error(None, _("Choose the place on the body map."))
        elif not is_on_body(place["x"], place["y"]):
            self.add_error(None, str(BesideTheBody()))
        elif None not in place.values() and not fits(**place) and cleaned["confirmed"] != self.asked:
            self.add_error("confirmed", self.question(place))
        return cleaned

    @property
    def asked(self) -> str:
        """What is confirmed: this place under this mark, no other."""
        return " ".join(str(self.cleaned_data.get(name)) for name in PLACE)

    def question(self, place: dict[str, Any]) -> str:
        side = in_sentence(str(Laterality(place["laterality"]).label))
        said = {
            "marked": place_in_words(place["view"], place["x"], place["y"]),
            "chosen": f"{BodySite(place['site']).label}, {side}",
        }
        return gettext("The mark is at: %(marked)s. You chose: %(chosen)s.") % said

    def place(self) -> dict[str, Any]:
        return {name: self.cleaned_data[name] for name in PLACE}


class SearchForm(forms.Form):
    words = forms.CharField(max_length=100, required=False, strip=True, label=_("Name, record number or birth date"))
