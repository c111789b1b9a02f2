"""What lists can be narrowed to: opaque ids, codes and times. Free text is searched by POST."""

from datetime import UTC, datetime
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Exists, OuterRef, QuerySet
from django_filters import rest_framework as filters
from django_filters.fields import IsoDateTimeField
from rest_framework import exceptions
from rest_framework.request import Request
from rest_framework.settings import api_settings

from patients.models import Lesion, Patient, Visit
from screening.models import FollowUp, Outcome, Screening, Signature

# What every list understands beside its filters.
OF_PAGES = frozenset({"page_size", "cursor", api_settings.URL_FORMAT_OVERRIDE})


class NamedFilters(filters.DjangoFilterBackend):
    """A filter that is not here is refused: misspelt, it would give what is of every patient."""

    def filter_queryset(self, request: Request, queryset: QuerySet[Any], view: Any) -> QuerySet[Any]:
        filterset = self.get_filterset_class(view, queryset)
        refuse_unknown(request, set(filterset.base_filters) if filterset else set())
        return super().filter_queryset(request, queryset, view)


def refuse_unknown(request: Request, known: set[str]) -> None:
    """Raises ValidationError."""
    if unknown := request.query_params.keys() - known - OF_PAGES:
        sentence = f"There is no such filter here. There is: {', '.join(sorted(known)) or 'none'}."
        raise exceptions.ValidationError({name: [sentence] for name in sorted(unknown)})


class MomentField(IsoDateTimeField):
    """In UTC: Postgres takes no zone that is more than 16 hours off, and years only from 1 to 9999 are ours."""

    def to_python(self, value: object) -> datetime | None:
        moment = super().to_python(value)
        try:
            return moment.astimezone(UTC) if moment else None
        except OverflowError as error:
            raise ValidationError(self.error_messages["invalid"], code="invalid") from error


class YesOrNoField(forms.NullBooleanField):
    """Django takes what is neither for nothing asked, which would give both."""

    widget = forms.TextInput

    def to_python(self, value: Any) -> bool | None:
        found = super().to_python(str(value or "").lower())
        if value and found is None:
            raise ValidationError("Send true or false.")
        return found


class YesOrNoFilter(filters.BooleanFilter):
    field_class = YesOrNoField

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, widget=forms.TextInput, **kwargs)


class MomentFilter(filters.IsoDateTimeFilter):
    field_class = MomentField


class Created(filters.FilterSet):
    created_after = MomentFilter("created_at", "gte")
    created_before = MomentFilter("created_at", "lt")


class OfPatient(Created):
    patient = filters.UUIDFilter("patient")


class PatientFilter(Created):
    merged_into = filters.UUIDFilter("merged_into")
    sex = filters.ChoiceFilter(choices=Patient.sex.field.choices)

    class Meta:
        model = Patient
        fields: tuple[str, ...] = ()


class VisitFilter(OfPatient):
    urgency = filters.ChoiceFilter(choices=Visit.urgency.field.choices)
    signed = YesOrNoFilter(method="with_signature", help_text="Whether a doctor has signed anything in it.")

    class Meta:
        model = Visit
        fields: tuple[str, ...] = ()

    def with_signature(self, visits: QuerySet[Visit], name: str, wanted: bool) -> QuerySet[Visit]:
        is_signed = Exists(Screening.objects.signed().filter(visit=OuterRef("pk")))
        return visits.filter(is_signed if wanted else ~is_signed)


class LesionFilter(OfPatient):
    site = filters.ChoiceFilter(choices=Lesion.site.field.choices)

    class Meta:
        model = Lesion
        fields: tuple[str, ...] = ()


class ScreeningFilter(OfPatient):
    visit = filters.UUIDFilter("visit")
    lesion = filters.UUIDFilter("image__lesion")
    upload_sha256 = filters.CharFilter(
        "image__upload_sha256", help_text="Of the file as it was sent, so that it need not be sent again."
    )
    reading_status = filters.ChoiceFilter(choices=Screening.reading_status.field.choices)
    review_status = filters.ChoiceFilter(choices=Screening.review_status.field.choices)
    withdrawn = YesOrNoFilter("withdrawn_at", "isnull", exclude=True)

    class Meta:
        model = Screening
        fields: tuple[str, ...] = ()


class FollowUpFilter(OfPatient):
    lesion = filters.UUIDFilter("lesion")
    status = filters.ChoiceFilter(choices=FollowUp.status.field.choices)
    due_before = filters.DateFilter("due_on", "lt")

    class Meta:
        model = FollowUp
        fields: tuple[str, ...] = ()


class OutcomeFilter(OfPatient):
    lesion = filters.UUIDFilter("lesion")

    class Meta:
        model = Outcome
        fields: tuple[str, ...] = ()


class ReportFilter(OfPatient):
    visit = filters.UUIDFilter("visit")

    class Meta:
        model = Signature
        fields: tuple[str, ...] = ()
