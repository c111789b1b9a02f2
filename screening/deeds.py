"""Ledger events in the words of the clinic."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from screening.status import ReadingStatus, ReviewStatus
from skinclinic.audit.models import AuditEvent

THINGS = {
    "patients_patient": "Patient",
    "patients_patientidentity": "Personal details",
    "patients_patientidentifier": "Number",
    "patients_consent": "Consent",
    "patients_visit": "Visit",
    "patients_lesion": "Lesion",
    "screening_lesionimage": "Photograph",
    "screening_overview": "Overview photograph",
    "screening_photographscale": "Scale of a photograph",
    "screening_screening": "Screening",
    "screening_prediction": "Reading",
    "screening_review": "Review",
    "screening_signature": "Signature",
    "screening_heldsignature": "Signature about to be given",
    "screening_followup": "Follow-up",
    "screening_outcome": "Pathology",
    "screening_readingproblem": "Problem with a reading",
    "screening_importbatch": "Import",
    "screening_importrow": "Row of an import",
    "screening_lesionlabel": "Label of a lesion",
    "accounts_clinic": "Clinic",
}
DEEDS = {"insert": "added", "update": "changed", "delete": "deleted"}
LOOKS = {
    "chart_seen": "Chart opened",
    "photograph_seen": "Photograph seen",
    "screening_seen": "Result opened",
    "overview_seen": "Overview photograph opened",
    "visit_seen": "Visit opened",
    "lesion_seen": "Lesion opened",
    "photographs_compared": "Photographs compared",
    "history_seen": "History opened",
    "api_read": "Read by another system",
    "map_seen": "Map of the score seen",
    "report_seen": "Report made",
    "letter_seen": "Letter made",
    "history_exported": "History exported",
    "thumbnail_seen": "Small photograph seen",
    "import_seen": "Import opened",
    "import_report_taken": "Report of an import taken away",
    "refused": "Refused",
}
STATUSES = {"reading_status": ("Reading", ReadingStatus), "review_status": ("Review", ReviewStatus)}
# What is done to the clinic's models, in its own words.
DECIDED = {
    ("screening_readingpolicy", "insert"): "First model of the clinic",
    ("screening_readingpolicy", "update"): "Model switched",
    ("screening_shadowversion", "insert"): "Model reads beside",
    ("screening_shadowversion", "delete"): "Model reads beside no more",
    ("screening_suspension", "insert"): "Readings suspended",
}
# Columns that say nothing to a person: keys and bookkeeping.
NOT_TOLD = {
    "id", "clinic_id", "patient_id", "created_at", "version", "submission", "attempt", "lost_attempts", "sha256",
    "upload_sha256", "weights_sha256", "size", "width", "height", "x", "y", "x1", "y1",
    "x2", "y2", "finished_at", "milliseconds",
    "resume_asked_at", "resumed_at", "disputed_at", "reason", "previous_id",
}  # fmt: skip


# Keys that are names: a model is called by its version.
VERSIONS = {"active_id": "active", "model_version_id": "model"}


@dataclass(frozen=True)
class Line:
    at: datetime
    who: str
    what: str
    details: list[tuple[str, str]]
    reason: str


def line_of(event: AuditEvent, named: Mapping[str, str]) -> Line:
    """named: what a subject is called where its own changes do not say it."""
    return Line(event.at, event.actor_name, sentence(event), told_of(event, named), event.reason)


def sentence(event: AuditEvent) -> str:
    if event.action in LOOKS:
        return LOOKS[event.action]
    if event.subject_type == "screening_screening" and event.action == "update":
        for column, (title, statuses) in STATUSES.items():
            if column in event.changes:
                return f"{title}: {statuses(event.changes[column][1]).label.lower()}"
    if event.subject_type == "screening_suspension" and event.action == "update":
        return step_of_resuming(event.changes)
    if said := DECIDED.get((event.subject_type, event.action)):
        return said
    thing = THINGS.get(event.subject_type, event.subject_type)
    return f"{thing} {DEEDS.get(event.action, event.action.replace('_', ' '))}"


def step_of_resuming(changes: dict[str, Any]) -> str:
    if "resumed_at" in changes:
        return "Readings resumed"
    return "Asked to resume readings" if changes["resume_asked_at"][1] else "Request to resume taken back"


def told_of(event: AuditEvent, named: Mapping[str, str]) -> list[tuple[str, str]]:
    if event.subject_id in named:
        return [("of", named[event.subject_id])]
    return details(event)


def details(event: AuditEvent) -> list[tuple[str, str]]:
    """What changed, before and after where the ledger holds it."""
    if event.action not in DEEDS:
        return []
    told = []
    for column, change in sorted(event.changes.items()):
        if column in NOT_TOLD or (column.endswith("_id") and column not in VERSIONS) or column in STATUSES:
            continue
        name = VERSIONS.get(column, column.replace("_", " "))
        if change == "private":
            told.append((name, "noted" if event.action == "insert" else "changed; the old text is not kept here"))
        elif isinstance(change, list) and event.action == "delete":
            told.append((name, shown(change[0])))
        elif isinstance(change, list) and event.action == "update":
            told.append((name, f"{shown(change[0])} → {shown(change[1])}"))
        else:
            told.append((name, shown(change)))
    return told


def shown(value: object) -> str:
    if value in (None, "", []):
        return "nothing"
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, list):
        return ", ".join(str(item) for item in value)
    return str(value).replace("_", " ")
