"""What an actor may see of the record. `visible_to` is the truth; every list, page and object check comes from it."""

import re
from datetime import date, datetime, timedelta
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Self
from uuid import UUID

from django.apps import apps
from django.conf import settings
from django.db import models
from django.db.models import BooleanField, Exists, ExpressionWrapper, OuterRef, Q
from django.db.models.functions import Coalesce, TruncDate
from django.utils import timezone
from django.utils.dates import MONTHS, MONTHS_3, MONTHS_AP

from skinclinic.audit.acting import Actor

if TYPE_CHECKING:
    from patients.models import Patient


MONTHS_AS_SHOWN = (MONTHS, MONTHS_3, MONTHS_AP)


class ClinicQuerySet(models.QuerySet):
    def visible_to(self, actor: Actor) -> Self:
        """The rows of the actor's clinic; the operator and the anonymous have no clinic and see none."""
        if actor.clinic_id is None:
            return self.none()
        return self.filter(clinic_id=actor.clinic_id)

    def with_closed_charts_marked(self, actor: Actor) -> Self:
        """`chart_is_closed`: of the row's patient a list may tell the name, and nothing that stands in the chart."""
        closed = is_in_a_closed_chart(actor, "patient__")
        return self.annotate(chart_is_closed=ExpressionWrapper(closed, BooleanField()))

    def without_closed_charts(self, actor: Actor) -> Self:
        """Rows of no patient stay; of patients themselves it leaves those whose chart is open to the actor."""
        names = {field.name for field in self.model._meta.get_fields()}
        if "is_restricted" in names:
            return self.exclude(is_in_a_closed_chart(actor, ""))
        return self.exclude(is_in_a_closed_chart(actor, "patient__")) if "patient" in names else self

    def without_erased(self) -> Self:
        """Rows of no patient stay."""
        names = {field.name for field in self.model._meta.get_fields()}
        if "merged_into" in names:
            return self.filter(erased_at__isnull=True)
        return self.filter(patient__erased_at__isnull=True) if "patient" in names else self


class PatientQuerySet(ClinicQuerySet):
    def current(self) -> Self:
        """Without those that were merged into another, or erased."""
        return self.filter(merged_into__isnull=True, erased_at__isnull=True)

    def erased(self) -> Self:
        return self.filter(erased_at__isnull=False)

    def of_person(self, patient_id: UUID) -> Self:
        """All records of the person whose record this is: the one that remains, and those that were merged into it."""
        remaining = self.model.objects.filter(pk=patient_id).values(person=Coalesce("merged_into", "pk"))
        return self.filter(Q(pk__in=remaining) | Q(merged_into__in=remaining))

    def with_identity(self) -> Self:
        return self.select_related("identity").prefetch_related("identifiers")

    def by_name(self) -> Self:
        return self.order_by("identity__family_name", "identity__given_name", "id")

    def matching(self, words: str) -> Self:
        """The birth date, or every word occurs in a name or is the beginning of a number (or is the birth date)."""
        if day := as_date(words):
            return self.filter(identity__birth_date=day)
        found = self
        for word in words.split()[:6]:
            found = found.filter(
                Q(identity__family_name__icontains=word)
                | Q(identity__given_name__icontains=word)
                | Q(
                    pk__in=self.model.identifiers.rel.related_model.objects.filter(value__istartswith=word).values(
                        "patient"
                    )
                )
                | Q(identity__birth_date=as_date(word))
            )
        return found

    def known_as(self, *, value: str, system: str = "") -> Self:
        """Who bears exactly this number, of whichever system where none is named, or her merged records do."""
        numbers = self.model.identifiers.rel.related_model.objects.filter(value=value)
        if system:
            numbers = numbers.filter(system=system)
        bearers = numbers.values("patient")
        return self.filter(Q(pk__in=bearers) | Q(merged_from__in=bearers)).distinct()

    def likely_duplicates(self, *, family_name: str, given_name: str, birth_date: date) -> "list[Patient]":
        """Patients with the same birth date and a similar name, or the same name and another birth date."""
        same_day = self.filter(identity__birth_date=birth_date)
        same_name = self.filter(identity__family_name__iexact=family_name, identity__given_name__iexact=given_name)
        wanted = f"{family_name} {given_name}"
        return [
            patient
            for patient in (same_day | same_name).with_identity()[:200]
            if patient.identity.birth_date != birth_date or is_similar(wanted, patient.identity)
        ]


class HoldQuerySet(ClinicQuerySet):
    def open(self) -> Self:
        return self.filter(lifted_at__isnull=True)


class ErasureQuerySet(ClinicQuerySet):
    def asked(self) -> Self:
        """Nobody has agreed yet."""
        return self.filter(taken_back_at__isnull=True, erased_at__isnull=True)

    def done(self) -> Self:
        return self.filter(erased_at__isnull=False)

    def with_files_left(self) -> Self:
        return self.done().filter(files_erased_at__isnull=True)

    def standing_still(self) -> Self:
        """No worker has gone on for a while: its message was lost, or its worker."""
        since = timezone.now() - timedelta(seconds=settings.READING_RESEND_AFTER)
        return self.with_files_left().filter(Q(sent_at__isnull=True) | Q(sent_at__lt=since))


class VisitQuerySet(ClinicQuerySet):
    def newest_first(self) -> Self:
        """By the day on which they were, also where they came into the record later."""
        return self.order_by(Coalesce("photographed_on", TruncDate("created_at")).desc(), "-created_at")


class ConsentQuerySet(ClinicQuerySet):
    def in_force(self) -> Self:
        return self.filter(ended_at__isnull=True)


def is_in_a_closed_chart(actor: Actor, patient: str) -> Q:
    """Restricted, and the actor has not said within the hour why she opens it (`patient`: the way there).

    All records of one person are one chart.
    """
    openings = apps.get_model("patients", "ChartOpening").objects.filter(
        person=actor.user_id, clinic=actor.clinic_id, ends_at__gt=timezone.now()
    )
    hers = openings.annotate(remaining=Coalesce("patient__merged_into", "patient")).filter(
        remaining=Coalesce(OuterRef(f"{patient}merged_into"), OuterRef(f"{patient}pk"))
    )
    return Q(**{f"{patient}is_restricted": True}) & ~Q(Exists(hers))


def as_date(text: str) -> date | None:
    """A day written 1970-12-31, 31.12.1970, or as the pages show it, 31 Dec 1970 or 31. Dez. 1970."""
    for shape in ("%Y-%m-%d", "%d.%m.%Y", "%d %b %Y"):
        try:
            return datetime.strptime(text, shape).date()  # noqa: DTZ007 (a birth date has no zone)
        except ValueError:
            continue
    if written := re.fullmatch(r"(\d{1,2})\.? (\w+)\.? (\d{4})", text.strip()):
        day, word, year = written.groups()
        for number in range(1, 13):
            if word.casefold() in {str(names[number]).rstrip(".").casefold() for names in MONTHS_AS_SHOWN}:
                return date_or_none(int(year), number, int(day))
    return None


def date_or_none(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def is_similar(wanted: str, identity) -> bool:
    """Measured on swapped names and single slips: those score above 0.75, siblings with other first names below."""
    straight = f"{identity.family_name} {identity.given_name}".casefold()
    swapped = f"{identity.given_name} {identity.family_name}".casefold()
    return max(SequenceMatcher(None, wanted.casefold(), name).ratio() for name in (straight, swapped)) >= 0.75
