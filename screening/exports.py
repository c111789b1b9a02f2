"""The record's tables as they leave the clinic: what each is called, where its rows come from, and its columns."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from patients.models import Consent, Lesion, Patient, PatientIdentifier, Visit
from screening.dashboard.alarms import kept_from
from screening.models import (
    Alarm,
    FollowUp,
    Outcome,
    Prediction,
    ReadingProblem,
    Retake,
    Review,
    Screening,
    Suspension,
    SwitchRequest,
)
from skinclinic.accounts.models import Clinic
from skinclinic.audit.acting import Actor

Rows = Callable[[Actor], QuerySet]


@dataclass(frozen=True)
class Export:
    """columns: what stands above each, and the lookup that it comes from. Rows are of `created_at`'s period."""

    label: str | Promise
    rows: Rows
    columns: Sequence[tuple[str, str]]
    at: str = "created_at"

    def lines(self, actor: Actor, since: datetime | None, until: datetime | None) -> Iterator[list[object]]:
        found = self.rows(actor).without_closed_charts(actor)
        period = {f"{self.at}__gte": since, f"{self.at}__lt": until}
        found = found.filter(**{name: value for name, value in period.items() if value is not None})
        lookups = [lookup for _name, lookup in self.columns]
        for row in found.order_by(self.at, "pk").values_list(*lookups).iterator(2000):
            yield [cell_of(value) for value in row]

    @property
    def names(self) -> list[str]:
        return [name for name, _lookup in self.columns]


def cell_of(value: Any) -> object:
    if isinstance(value, datetime):
        return timezone.localtime(value).isoformat(timespec="seconds")
    if isinstance(value, list):
        return " ".join(map(str, value))
    return "" if value is None else value


def all_of(model: Any) -> Rows:
    return model.objects.visible_to


def shown(actor: Actor) -> QuerySet:
    """Without those that the actor is to judge before she sees more of them."""
    return Screening.objects.visible_to(actor).shown_to(actor).filter(is_hidden=False)


def of_shown(model: Any, path: str = "screening") -> Rows:
    return lambda actor: model.objects.filter(clinic=actor.own_clinic(), **{f"{path}__in": shown(actor)})


def deciding(actor: Actor) -> QuerySet:
    return of_shown(Prediction)(actor).filter(decides__isnull=False)


def alarms_of(actor: Actor) -> QuerySet:
    kept = kept_from(actor, Clinic.objects.get(pk=actor.own_clinic()))
    return Alarm.objects.visible_to(actor).raised().exclude(code__in=kept)


def same(*names: str) -> list[tuple[str, str]]:
    return [(name.replace("__", "_"), name) for name in names]


EXPORTS: dict[str, Export] = {
    "patients": Export(
        _("Patients"),
        all_of(Patient),
        [
            *same("id", "created_at", "sex", "skin_type", "risk_factors", "merged_into", "erased_at"),
            *((name, f"identity__{name}") for name in ("family_name", "given_name", "birth_date")),
        ],
    ),
    "numbers": Export(_("Record numbers"), all_of(PatientIdentifier), same("patient", "type", "system", "value")),
    "consents": Export(
        _("Consents"),
        all_of(Consent),
        [
            *same("patient", "kind", "decision", "decided_on", "created_at", "ended_at"),
            ("noted_by", "noted_by__full_name"),
        ],
    ),
    "visits": Export(
        _("Visits"),
        all_of(Visit),
        [
            *same("id", "patient", "created_at", "photographed_on", "urgency", "due_at", "history", "diameter_mm"),
            *[("clinician", "clinician__full_name"), ("question", "question")],
        ],
    ),
    "lesions": Export(
        _("Lesions"), all_of(Lesion), same("id", "patient", "number", "site", "laterality", "created_at")
    ),
    "screenings": Export(
        _("Screenings"),
        shown,
        [
            *same("id", "patient", "visit", "image__lesion", "created_at", "image__captured_at", "image__camera"),
            *same("reading_status", "review_status", "failure_code", "finished_at", "attempt"),
            ("signed_at", "signature__created_at"),
            *same("withdrawn_at", "withdrawn_reason"),
        ],
    ),
    "readings": Export(
        _("Readings"),
        deciding,
        [
            *same("screening", "patient", "created_at", "model_version", "malignancy", "band", "refer"),
            *same("unscorable_reasons", "cautions", "thresholds", "weights_sha256", "milliseconds"),
        ],
    ),
    "reviews": Export(
        _("Reviews"),
        of_shown(Review),
        [
            *same("id", "screening", "patient", "created_at", "kind", "suspicious", "diagnosis", "recommendation"),
            *same("follow_up_months", "difference_reason", "reading_shown", "supersedes", "words"),
            ("reviewer", "reviewer__full_name"),
        ],
    ),
    "follow_ups": Export(
        _("Follow-ups"),
        of_shown(FollowUp, "review__screening"),
        [
            *same("id", "patient", "lesion", "what", "due_on", "status", "created_at", "closed_at"),
            ("owner", "owner__full_name"),
        ],
    ),
    "pathology": Export(
        _("Pathology"),
        all_of(Outcome),
        [
            *same("id", "patient", "lesion", "diagnosis", "reported_on", "created_at", "supersedes", "words"),
            ("entered_by", "entered_by__full_name"),
        ],
    ),
    "problems": Export(
        _("Reported problems"),
        of_shown(ReadingProblem),
        [
            *same("id", "screening", "patient", "kind", "words", "created_at", "answer", "answered_at"),
            ("reported_by", "reported_by__full_name"),
        ],
    ),
    "retakes": Export(
        _("Photographs to take again"),
        of_shown(Retake),
        [*same("screening", "patient", "created_at", "assigned_at"), ("assignee", "assignee__full_name")],
    ),
    "alarms": Export(
        _("Alarms"),
        alarms_of,
        [
            *same("code", "about", "created_at", "raised_at", "ended_at", "acknowledged_at", "note"),
            ("acknowledged_by", "acknowledged_by__full_name"),
        ],
    ),
    "suspensions": Export(
        _("Suspensions of readings"),
        all_of(Suspension),
        [
            *same("model_version", "created_at", "reason", "resume_asked_at", "resumed_at"),
            ("suspended_by", "suspended_by__full_name"),
        ],
    ),
    "switches": Export(
        _("Switches of the model"),
        all_of(SwitchRequest),
        [
            *same("version", "created_at", "ended_at", "reason"),
            ("asked_by", "asked_by__full_name"),
            ("agreed_by", "agreed_by__full_name"),
        ],
    ),
}
