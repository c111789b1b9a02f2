"""What a reviewer may narrow her worklist to. Values in the address are codes, keys and days, never a name."""

from typing import Any

import django_filters
from django import forms
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from patients.codes import BodySite
from patients.models import Visit
from screening.codes import BAND_SCORES, Band
from screening.models import Screening
from screening.querysets import ScreeningQuerySet
from screening.status import READING_IS_OPEN, ReadingStatus
from skinclinic.accounts.models import User

OVERDUE, DISPUTED, MINE = "overdue", "disputed", "mine"
SHOWN = [(OVERDUE, _("Overdue")), (DISPUTED, _("Readers disagree")), (MINE, _("I have begun"))]
WAITING = "waiting"
READINGS = [
    *((band.value, label) for band, label in BAND_SCORES.items()),
    (WAITING, _("Waiting to be read")),
    (ReadingStatus.UNSCORABLE.value, _("Unscorable")),
    (ReadingStatus.FAILED.value, _("Reading failed")),
]


def clinicians(request: Any) -> "QuerySet[User]":
    """Who has a visit in the clinic that could be on the list."""
    visits = Visit.objects.visible_to(request.actor)
    return User.objects.filter(pk__in=visits.values("clinician")).order_by("full_name")


class WorklistFilter(django_filters.FilterSet):
    show = django_filters.ChoiceFilter(
        label=_("Show"), choices=SHOWN, empty_label=_("Everything"), method="filter_show"
    )
    reading = django_filters.ChoiceFilter(
        label=_("Reading"), choices=READINGS, empty_label=_("Any reading"), method="filter_reading"
    )
    site = django_filters.ChoiceFilter(
        label=_("Site"), choices=BodySite.choices, empty_label=_("Any site"), method="filter_site"
    )
    clinician = django_filters.ModelChoiceFilter(
        label=_("Clinician"), queryset=clinicians, empty_label=_("Any clinician")
    )
    since = django_filters.DateFilter(
        label=_("Opened since"),
        field_name="created_at",
        lookup_expr="date__gte",
        widget=forms.DateInput({"type": "date"}, format="%Y-%m-%d"),
    )

    class Meta:
        model = Visit
        fields = ("show", "reading", "site", "clinician", "since")

    @property
    def query(self) -> str:
        """What is asked for, as the end of an address; what is no filter is left out."""
        asked = self.data.copy()
        for name in list(asked):
            if name not in self.filters or name in self.errors or not asked[name]:
                del asked[name]
        return asked.urlencode()

    def filter_show(self, visits: "QuerySet[Visit]", name: str, value: str) -> "QuerySet[Visit]":
        waiting = self.waiting()
        if value == OVERDUE:
            return visits.filter(due_at__lt=timezone.now())
        if value == DISPUTED:
            return visits.filter(pk__in=waiting.disputed().values("visit"))
        begun = waiting.filter(reviews__reviewer=self.request.actor.user_id)
        return visits.filter(pk__in=begun.values("visit")) | visits.filter(taken_by=self.request.actor.user_id)

    def filter_reading(self, visits: "QuerySet[Visit]", name: str, value: str) -> "QuerySet[Visit]":
        """By what the list shows: what is hidden or suspended, and a low score under a caution, is none of these."""
        shown = self.waiting().shown_to(self.request.actor).with_prediction().filter(is_hidden=False)
        if value in Band.values:
            shown = shown.filter(prediction__band=value, is_suspended=False)
            if value == Band.LOW:
                shown = shown.filter(prediction__cautions=[])
        elif value == WAITING:
            shown = shown.filter(reading_status__in=sorted(READING_IS_OPEN))
        else:
            shown = shown.filter(reading_status=value)
        return visits.filter(pk__in=shown.values("visit"))

    def filter_site(self, visits: "QuerySet[Visit]", name: str, value: str) -> "QuerySet[Visit]":
        return visits.filter(pk__in=self.waiting().filter(image__lesion__site=value).values("visit"))

    def waiting(self) -> ScreeningQuerySet:
        return Screening.objects.visible_to(self.request.actor).to_be_reviewed()
