import math
import uuid
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError
from django.utils.formats import date_format
from django.utils.translation import gettext_lazy as _

from patients.codes import ErasureReason
from patients.models import Lesion, Patient, Visit
from patients.validators import validate_past_date
from screening.codes import (
    DECLINED_BY,
    Diagnosis,
    DifferenceReason,
    FollowUpStatus,
    IncidentKind,
    NoticeKind,
    NoticeWay,
    ProblemKind,
    Recommendation,
    RetryReason,
    WithdrawalReason,
)
from screening.exports import EXPORTS
from screening.models import Draft, Outcome
from skinclinic.accounts.models import User
from skinclinic.text import validate_one_line

SHORTEST_SCALE = 0.05  # of the photograph's side
SUSPICION = [("yes", _("Suspicious")), ("no", _("Not suspicious"))]


class NeededAtTimesForm(forms.Form):
    """Says beside the name of a field when it has to be filled in, if that is not always: `needed`, by field."""

    needed: ClassVar[Mapping[str, Any]] = {"words": _("optional; required for “other”")}

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        for name, when in self.needed.items():
            self.fields[name].needed = when


class OpinionForm(NeededAtTimesForm):
    """One doctor's opinion. `submission` is the form's own number: sent twice, it is saved once."""

    needed = NeededAtTimesForm.needed | {
        "follow_up_months": _("required for a follow-up"),
        "difference_reason": _("required if you differ"),
    }
    draft: Draft | None = None  # what she had typed before
    submission = forms.UUIDField(widget=forms.HiddenInput, initial=uuid.uuid4)
    # What stood beside the form when it was drawn: the reading, and the signed review that it would amend.
    reading_shown = forms.UUIDField(widget=forms.HiddenInput, required=False)
    amends = forms.UUIDField(widget=forms.HiddenInput, required=False)
    suspicious = forms.TypedChoiceField(
        label=_("Malignant or pre-malignant?"),
        choices=SUSPICION,
        coerce=lambda word: word == "yes",
        widget=forms.RadioSelect,
    )
    diagnosis = forms.ChoiceField(label=_("Diagnosis"), choices=[("", _("Choose…")), *Diagnosis.choices])
    recommendation = forms.ChoiceField(label=_("Recommendation"), choices=[("", _("Choose…")), *Recommendation.choices])
    follow_up_months = forms.IntegerField(label=_("Months until then"), min_value=1, max_value=60, required=False)
    difference_reason = forms.ChoiceField(
        label=_("Why it differs"),
        choices=[("", _("Choose…")), *DifferenceReason.choices],
        required=False,
    )
    words = forms.CharField(
        label=_("In words"), max_length=2000, required=False, widget=forms.Textarea({"rows": 1}), strip=True
    )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("recommendation") == Recommendation.FOLLOW_UP:
            if not cleaned.get("follow_up_months") and "follow_up_months" not in self.errors:
                self.add_error("follow_up_months", _("Say in how many months."))
        else:
            cleaned["follow_up_months"] = None
        if not cleaned.get("words") and Diagnosis.OTHER in (cleaned.get("diagnosis"), cleaned.get("difference_reason")):
            self.add_error("words", _("Say in words what “other” is."))
        return cleaned


class WithdrawForm(NeededAtTimesForm):
    """Why a screening is withdrawn and, when it belongs elsewhere, where."""

    reason = forms.ChoiceField(label=_("Reason"), choices=WithdrawalReason.choices, widget=forms.RadioSelect)
    words = forms.CharField(label=_("In words"), max_length=500, required=False, widget=forms.Textarea({"rows": 2}))

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("reason") == WithdrawalReason.OTHER and not cleaned.get("words"):
            self.add_error("words", _("Say in words why."))
        return cleaned


class EraseForm(NeededAtTimesForm):
    """Why a patient is to be erased; asked for `despite_follow_ups` only where there are some that look malignant."""

    reason = forms.ChoiceField(label=_("Reason"), choices=ErasureReason.choices, widget=forms.RadioSelect)
    words = forms.CharField(
        label=_("In words"),
        max_length=500,
        required=False,
        widget=forms.Textarea({"rows": 2}),
        help_text=_("For who agrees. It is erased with the record."),
    )
    despite_follow_ups = forms.BooleanField(
        label=_("Erase although follow-ups of what looks malignant are open. Nobody will be reminded of them."),
        required=False,
    )

    def __init__(self, *args: Any, follow_ups: int, **kwargs: Any):
        super().__init__(*args, **kwargs)
        if not follow_ups:
            del self.fields["despite_follow_ups"]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("reason") == ErasureReason.OTHER and not cleaned.get("words"):
            self.add_error("words", _("Say in words why."))
        return cleaned


class HoldForm(forms.Form):
    words = forms.CharField(label=_("Reason"), max_length=500)


class MoveForm(WithdrawForm):
    """The visit and the lesion it belongs to; both of the patient that was searched for."""

    visit = forms.ModelChoiceField(label=_("Visit"), queryset=Visit.objects.none(), empty_label=_("Choose…"))
    lesion = forms.ModelChoiceField(label=_("Lesion"), queryset=Lesion.objects.none(), empty_label=_("Choose…"))

    def __init__(self, *args: Any, patient: Patient, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.fields["visit"].queryset = Visit.objects.filter(patient=patient).newest_first()
        self.fields["lesion"].queryset = Lesion.objects.filter(patient=patient).order_by("number")
        self.fields["visit"].label_from_instance = visit_label
        self.fields["lesion"].label_from_instance = lambda lesion: lesion.label

    def clean_lesion(self) -> Lesion:
        lesion: Lesion = self.cleaned_data["lesion"]
        visit = self.cleaned_data.get("visit")
        if visit and visit.patient_id != lesion.patient_id:
            raise ValidationError(_("This lesion is another patient's."))
        return lesion


def visit_label(visit: Visit) -> str:
    return f"{visit.dated}: {visit.question[:60]}" if visit.question else visit.dated


class VersionForm(forms.Form):
    """Why a manager does something to a model."""

    reason = forms.CharField(label=_("Reason"), max_length=300, strip=True, validators=[validate_one_line])


class ExpectedShareForm(forms.Form):
    """How many of the clinic's photographed lesions are expected to be malignant, and who says so."""

    per_thousand = forms.IntegerField(label=_("Malignant of 1,000 photographed lesions"), min_value=1, max_value=500)
    source = forms.CharField(label=_("Where this comes from"), max_length=200, validators=[validate_one_line])
    on = forms.DateField(
        label=_("Of which day"),
        validators=[validate_past_date],
        widget=forms.DateInput({"type": "date"}, format="%Y-%m-%d"),
    )


class RetryForm(forms.Form):
    reason = forms.ChoiceField(label=_("Reason"), choices=RetryReason.choices)


class AssigneeForm(forms.Form):
    """`clinicians`: whom it can be given to."""

    assignee = forms.ModelChoiceField(queryset=User.objects.none())

    def __init__(self, *args: Any, clinicians: Iterable[User], **more: Any):
        super().__init__(*args, **more)
        self.fields["assignee"].queryset = User.objects.filter(pk__in=[person.pk for person in clinicians])


CLOSED_BY_HAND = (FollowUpStatus.DONE, FollowUpStatus.DECLINED, FollowUpStatus.LOST)


class FollowUpForm(forms.Form):
    status = forms.ChoiceField(label=_("Status"), choices=[(end.value, end.label) for end in CLOSED_BY_HAND])


class OutcomeForm(NeededAtTimesForm):
    """A pathology report on one lesion. `supersedes` is the entry that it corrects."""

    submission = forms.UUIDField(widget=forms.HiddenInput, initial=uuid.uuid4)
    supersedes = forms.UUIDField(label=_("In the place of"), required=False, widget=forms.Select)
    diagnosis = forms.ChoiceField(label=_("Diagnosis"), choices=[("", _("Choose…")), *Diagnosis.choices])
    reported_on = forms.DateField(
        label=_("Reported on"),
        validators=[validate_past_date],
        widget=forms.DateInput({"type": "date"}, format="%Y-%m-%d"),
    )
    words = forms.CharField(
        label=_("In words"), max_length=2000, required=False, widget=forms.Textarea({"rows": 2}), strip=True
    )
    keeps_open = forms.BooleanField(
        label=_("No: what is asked for is still to be taken, and stays open"), required=False
    )

    def offer(self, entries: Iterable[Outcome]) -> None:
        """Let it take the place of one of these."""
        told = [(entry.pk, f"{entry.get_diagnosis_display()}, {date_format(entry.reported_on)}") for entry in entries]
        self.fields["supersedes"].widget.choices = [("", _("none: it is another report")), *told]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if not cleaned.get("words") and cleaned.get("diagnosis") == Diagnosis.OTHER:
            self.add_error("words", _("Say in words what “other” is."))
        return cleaned


class TakeBackForm(forms.Form):
    """An entry on a lesion that should not be there."""

    submission = forms.UUIDField(widget=forms.HiddenInput, initial=uuid.uuid4)
    words = forms.CharField(
        label=_("Why the entry is taken back"), max_length=500, strip=True, validators=[validate_one_line]
    )


class ProblemForm(NeededAtTimesForm):
    """What somebody finds wrong with a reading."""

    submission = forms.UUIDField(widget=forms.HiddenInput, initial=uuid.uuid4)
    kind = forms.ChoiceField(label=_("What is wrong"), choices=ProblemKind.choices)
    words = forms.CharField(
        label=_("In words"), max_length=1000, required=False, widget=forms.Textarea({"rows": 2}), strip=True
    )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if not cleaned.get("words") and cleaned.get("kind") == ProblemKind.OTHER:
            self.add_error("words", _("Say in words what is wrong."))
        return cleaned


class IncidentForm(forms.Form):
    submission = forms.UUIDField(widget=forms.HiddenInput, initial=uuid.uuid4)
    kind = forms.ChoiceField(label=_("What kind"), choices=IncidentKind.choices, widget=forms.RadioSelect)
    words = forms.CharField(
        label=_("What happened"),
        max_length=2000,
        strip=True,
        widget=forms.Textarea({"rows": 4}),
        help_text=_("Who noticed what and when, whether somebody was harmed, and what was done at once."),
    )


class ReasonForm(forms.Form):
    """Something leaves the clinic, for a reason that the ledger keeps."""

    reason = forms.CharField(
        label=_("What for"), max_length=300, strip=True, help_text=_("Name no patient: this stands on the ledger.")
    )


class ExportForm(ReasonForm):
    table = forms.ChoiceField(
        label=_("Table"), choices=lambda: [(name, export.label) for name, export in EXPORTS.items()]
    )
    since = forms.DateField(label=_("Since"), required=False, widget=forms.DateInput({"type": "date"}, "%Y-%m-%d"))
    until = forms.DateField(label=_("Until"), required=False, widget=forms.DateInput({"type": "date"}, "%Y-%m-%d"))
    field_order = ("table", "since", "until", "reason")


class ResearchForm(ReasonForm):
    prefix = "research"


class AnswerForm(forms.Form):
    answer = forms.CharField(
        label=_("What was found, or done"), max_length=1000, strip=True, widget=forms.Textarea({"rows": 2})
    )


class ScaleForm(forms.Form):
    """Two points on a photograph, as shares of its width and height, and their distance on the skin."""

    submission = forms.UUIDField(widget=forms.HiddenInput, initial=uuid.uuid4)
    x1 = forms.FloatField(min_value=0, max_value=1, widget=forms.HiddenInput)
    y1 = forms.FloatField(min_value=0, max_value=1, widget=forms.HiddenInput)
    x2 = forms.FloatField(min_value=0, max_value=1, widget=forms.HiddenInput)
    y2 = forms.FloatField(min_value=0, max_value=1, widget=forms.HiddenInput)
    millimetres = forms.FloatField(label=_("Their distance in mm"), min_value=0.5, max_value=300)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        ends = [cleaned.get(name) for name in ("x1", "y1", "x2", "y2")]
        if None in ends or math.hypot(ends[2] - ends[0], ends[3] - ends[1]) < SHORTEST_SCALE:
            raise ValidationError(_("Mark two points further apart: from so short a distance no scale is known."))
        return cleaned


class KeepFilterForm(forms.Form):
    name = forms.CharField(label=_("Keep as"), max_length=40, strip=True, validators=[validate_one_line])


class NoticesForm(forms.Form):
    """One field for each kind that she is told of and can decline: in what way."""

    def __init__(self, *args: Any, roles: Iterable[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        declined = set().union(*(DECLINED_BY.get(role, ()) for role in roles))
        for kind in NoticeKind:
            if kind in declined:
                self.fields[kind.value] = forms.ChoiceField(
                    label=kind.label, choices=NoticeWay.choices, initial=NoticeWay.BOTH
                )
