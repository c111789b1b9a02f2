"""Whose record need not be kept any more. Nothing is erased by itself: a manager asks, and another one agrees."""

from datetime import date, datetime, time

from django.db.models import DateField, Exists, Max, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce, TruncDate
from django.utils import timezone

from patients.models import Consent, Erasure, LegalHold, Patient, Visit
from screening.models import Outcome, Review
from skinclinic.accounts.models import Clinic
from skinclinic.audit.acting import Actor


def kept_until_now(clinic: Clinic, today: date) -> date:
    """What was last done before this day need not be kept."""
    year = today.year - clinic.retention_years
    try:
        return today.replace(year=year)
    except ValueError:  # the 29th of February
        return date(year, 3, 1)


def past_retention(*, actor: Actor, clinic: Clinic) -> QuerySet[Patient]:
    """Without those that are held, or whose erasure is asked for; `last_visit`: the day, longest ago first.

    An imported visit was on the day of its photographs, whenever it came into the record.
    """
    day = kept_until_now(clinic, timezone.localdate())
    since = timezone.make_aware(datetime.combine(day, time.min))
    seen = Patient.objects.visible_to(actor).current()
    for acts in acts_since(actor, day, since):
        seen = seen.exclude(pk__in=acts.order_by().values(person=Coalesce("patient__merged_into", "patient")))
    of_person = Visit.objects.filter(Q(patient=OuterRef("pk")) | Q(patient__merged_into=OuterRef("pk")))
    seen = seen.filter(Exists(of_person) | Q(created_at__lt=since))
    was = Coalesce("photographed_on", TruncDate("created_at"), output_field=DateField())
    last = of_person.order_by().annotate(of=Coalesce("patient__merged_into", "patient")).values("of")
    last_day = Subquery(last.annotate(last=Max(was)).values("last"))
    return seen.annotate(last_visit=last_day).order_by(Coalesce("last_visit", TruncDate("created_at")), "pk")


def acts_since(actor: Actor, day: date, since: datetime) -> list[QuerySet]:
    """Visits and other acts since that day, and what forbids to erase now."""
    of_visit = Q(photographed_on__gte=day) | Q(photographed_on__isnull=True, created_at__gte=since)
    return [
        Visit.objects.visible_to(actor).filter(of_visit),
        *(
            model.objects.filter(clinic=actor.own_clinic(), created_at__gte=since)
            for model in (Review, Outcome, Consent)
        ),
        LegalHold.objects.visible_to(actor).open(),
        Erasure.objects.visible_to(actor).asked(),
    ]
