"""Ledger events in the words of the clinic."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache, partial
from types import MappingProxyType
from uuid import UUID

from django.apps import apps
from django.conf import settings
from django.core.exceptions import FieldDoesNotExist
from django.db.models import Model
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import get_language, gettext, gettext_noop
from django.utils.translation import gettext_lazy as _

from patients.codes import ErasureReason
from screening.codes import RetryReason, WithdrawalReason
from screening.deed_steps import STEPS
from screening.status import ReadingStatus, ReviewStatus
from screening.words import FINDINGS
from skinclinic.accounts.models import User, as_told
from skinclinic.audit.models import AuditEvent
from skinclinic.text import decimal

CLINIC = "accounts_clinic"
THINGS = {
    "patients_patient": _("Patient"),
    "patients_patientidentity": _("Personal details"),
    "patients_patientidentifier": _("Number"),
    "patients_consent": _("Consent"),
    "patients_visit": _("Visit"),
    "patients_lesion": _("Lesion"),
    "screening_lesionimage": _("Photograph"),
    "screening_overview": _("Overview photograph"),
    "screening_photographscale": _("Scale of a photograph"),
    "screening_screening": _("Screening"),
    "screening_prediction": _("Reading"),
    "screening_review": _("Review"),
    "screening_signature": _("Signature"),
    "screening_heldsignature": _("Signature about to be given"),
    "screening_followup": _("Follow-up"),
    "screening_outcome": _("Pathology"),
    "screening_readingproblem": _("Problem with a reading"),
    "screening_incident": _("Incident"),
    "screening_incidentnote": _("Note on an incident"),
    "screening_retake": _("Photograph to take again"),
    "screening_importbatch": _("Import"),
    "screening_importrow": _("Row of an import"),
    "screening_lesionlabel": _("Label of a lesion"),
    "screening_alarm": _("Alarm"),
    "screening_noticechoice": _("Choice of notices"),
    "screening_savedfilter": _("Kept list"),
    "screening_readingpolicy": _("Model of the clinic"),
    "screening_switchrequest": _("Switch of the model"),
    "screening_shadowversion": _("Model that reads beside"),
    "screening_suspension": _("Suspension of readings"),
    "accounts_membership": _("Membership"),
    "audit_verification": _("Verification of the ledger"),
    "api_client": _("Client of the API"),
    "api_webhookendpoint": _("Webhook"),
    "api_webhookdelivery": _("Message to another system"),
    "api_chartlink": _("Link to a chart"),
    "patients_chartopening": _("Restricted chart"),
    "patients_erasure": _("Erasure"),
    "patients_legalhold": _("Legal hold"),
    "accounts_invitation": _("Invitation"),
    "accounts_identityprovider": _("Sign-in of the hospital"),
    "accounts_providersession": _("Session by the hospital"),
    "socialaccount_socialaccount": _("Link with a person of the hospital"),
    "fhir_signeddocument": _("Document of a signed visit"),
    "fhir_photographnumber": _("Number of a photograph"),
    "dicom_dicominstance": _("DICOM object of a photograph"),
    CLINIC: _("The clinic's settings"),
}
DEEDS = {"insert": _("%(thing)s added"), "update": _("%(thing)s changed"), "delete": _("%(thing)s deleted")}
LOOKS = {
    "chart_seen": _("Chart opened"),
    "photograph_seen": _("Photograph seen"),
    "screening_seen": _("Result opened"),
    "overview_seen": _("Overview photograph opened"),
    "visit_seen": _("Visit opened"),
    "lesion_seen": _("Lesion opened"),
    "photographs_compared": _("Photographs compared"),
    "history_seen": _("History opened"),
    "api_read": _("Read by another system"),
    "map_seen": _("Map of the score seen"),
    "look_back_exported": _("Look-back exported"),
    "report_seen": _("Report made"),
    "letter_seen": _("Letter made"),
    "history_exported": _("History exported"),
    "thumbnail_seen": _("Small photograph seen"),
    "import_seen": _("Import opened"),
    "import_files_seen": _("Names of an import's files seen"),
    "import_report_taken": _("Report of an import taken away"),
    "incidents_listed": _("Incidents listed"),
    "incident_seen": _("Incident opened"),
    "incidents_exported": _("Incidents exported"),
    "people_listed": _("People listed"),
    "person_seen": _("Person's page opened"),
    "openings_listed": _("Openings of restricted charts listed"),
    "second_factor_failed": _("Second factor failed"),
    "table_exported": _("Table of the record exported"),
    "research_exported": _("Set for research exported"),
    "patient_exported": _("Everything about the patient exported"),
    "erasures_listed": _("Erasures listed"),
    "retention_listed": _("Records whose time has ended listed"),
    "refused": _("Refused"),
    "upload_refused": _("Photograph refused"),
    "document_sent": _("Document sent to another system"),
    "api_listed": _("Listed by another system"),
    "patients_listed": _("Patients listed"),
    "worklist_seen": _("Worklist opened"),
    "screenings_listed": _("Screenings listed"),
    "problems_listed": _("Reported problems listed"),
    "follow_ups_listed": _("Follow-ups listed"),
    "notices_listed": _("Notices listed"),
    "ledger_seen": _("Ledger opened"),
    "signed_in": _("Signed in"),
    "signed_out": _("Signed out"),
    "sign_in_failed": _("Sign-in failed"),
    "confirmation_failed": _("Password not confirmed"),
    "unlocked": _("Unlocked with a passkey"),
    "unlock_failed": _("Not unlocked: no passkey of this person"),
    "provider_join_offered": _("Meant by the hospital's sign-in, and not joined to it yet"),
    "provider_linked": _("Linked with a person of the hospital"),
    "provider_unlinked": _("Link with a person of the hospital undone"),
    "provider_refused": _("Sign-in by the hospital refused"),
    "confirmed_there": _("Confirmed by signing in at the hospital"),
    "sessions_ended": _("Sessions ended"),
    "second_factor_added": _("Second factor set up"),
    "second_factor_removed": _("Second factor removed"),
    "second_factor_reset": _("Second factor removed by a manager"),
    "backed_up": _("Backed up"),
    "restored": _("Restored from a back-up"),
}
STATUSES = {
    "reading_status": {
        ReadingStatus.QUEUED: _("Reading: waiting to be read"),
        ReadingStatus.RUNNING: _("Reading: being read"),
        ReadingStatus.PREDICTED: _("Reading: read"),
        ReadingStatus.UNSCORABLE: _("Reading: not fit to be read"),
        ReadingStatus.FAILED: _("Reading: reading failed"),
        ReadingStatus.NOT_WANTED: _("Reading: not to be read"),
    },
    "review_status": {
        ReviewStatus.OPEN: _("Review: to be reviewed"),
        ReviewStatus.READ: _("Review: opinion given"),
        ReviewStatus.DISPUTED: _("Review: readers disagree"),
        ReviewStatus.SIGNED: _("Review: signed"),
        ReviewStatus.AMENDED: _("Review: signed, amended"),
    },
}
# What is done to the clinic's models, in its own words.
DECIDED = {
    ("patients_chartopening", "insert"): _("Restricted chart opened"),
    ("patients_erasure", "insert"): _("Erasure asked for"),
    ("patients_legalhold", "insert"): _("Legal hold put"),
    ("api_chartlink", "insert"): _("Link to the chart made"),
    ("api_chartlink", "update"): _("Link to the chart used"),
    ("accounts_membership", "insert"): _("Joined the clinic"),
    ("accounts_invitation", "insert"): _("Invited"),
    ("screening_readingpolicy", "insert"): _("First model of the clinic"),
    ("screening_readingpolicy", "update"): _("Model switched"),
    ("screening_shadowversion", "insert"): _("Model reads beside"),
    ("screening_shadowversion", "delete"): _("Model reads beside no more"),
    ("screening_suspension", "insert"): _("Readings suspended"),
    ("screening_switchrequest", "insert"): _("Switch of the model asked for"),
    ("audit_verification", "insert"): _("Verification of the ledger asked for"),
    ("audit_verification", "update"): _("Ledger verified"),
}
# Things whose columns say nothing to a person, or are told on a page of their own.
BARE = {
    "accounts_providersession",
    "api_chartlink",
    "api_client",
    "api_webhookdelivery",
    "audit_verification",
    "dicom_dicominstance",
    "fhir_signeddocument",
    "patients_erasure",
    "patients_legalhold",
    "screening_alarm",
    "screening_noticechoice",
    "screening_savedfilter",
    "socialaccount_socialaccount",
}
# Columns that say nothing to a person: keys and bookkeeping.
NOT_TOLD = {
    "id", "clinic_id", "patient_id", "created_at", "version", "submission", "attempt", "lost_attempts", "sha256",
    "upload_sha256", "weights_sha256", "size", "width", "height", "x", "y", "x1", "y1",
    "x2", "y2", "finished_at", "milliseconds",
    "resume_asked_at", "resumed_at", "disputed_at", "reason", "previous_id", "assigned_at",
    "person", "is_active", "sent_at", "expires_at", "accepted_at", "ends_at",
    "created_by_name",
}  # fmt: skip


# Keys that are names: a model is called by its version.
VERSIONS = {"active_id": _("active"), "model_version_id": _("model"), "version_id": _("model")}


# Keys that lead to people.
PEOPLE = {"approver_id": _("approver beside the only manager")}

# What the clinic's settings are called, as on the page where they are decided.
SETTINGS = {
    "name": _("name"),
    "time_zone": _("time zone"),
    "expected_malignant_share": _("malignant lesions expected, as a share"),
    "expected_malignant_source": _("where that share comes from"),
    "expected_malignant_on": _("day of that share"),
    "blind_first_reading": _("first opinion before the reading is shown"),
    "second_reading_of_high": _("second reader at every high band"),
    "second_reading_of_differing": _("second reader where the first differs from the reading"),
    "second_reading_percent": _("second reader for so many in a hundred of all others"),
    "unreviewed_readings": _("readings that no reviewer has signed yet"),
    "due_hours_urgent": _("hours until an urgent visit is due"),
    "due_hours_soon": _("hours until a visit marked “soon” is due"),
    "due_hours_routine": _("hours until a routine visit is due"),
    "letter_advice": _("what every patient's letter ends with"),
    "address": _("address"),
    "phone": _("telephone"),
    "retention_years": _("years that records are kept"),
    "is_demo": _("demo"),
}
# What other columns are called, marked for the catalogue: the ledger's own names are English words.
COLUMNS = frozenset(
    {
        gettext_noop("acknowledged at"),
        gettext_noop("address"),
        gettext_noop("answer"),
        gettext_noop("answered at"),
        gettext_noop("as approver"),
        gettext_noop("asks second factor"),
        gettext_noop("band"),
        gettext_noop("birth date"),
        gettext_noop("camera"),
        gettext_noop("captured at"),
        gettext_noop("cautions"),
        gettext_noop("closed at"),
        gettext_noop("decided on"),
        gettext_noop("decision"),
        gettext_noop("description"),
        gettext_noop("diagnosis"),
        gettext_noop("diameter mm"),
        gettext_noop("difference reason"),
        gettext_noop("differs"),
        gettext_noop("disabled at"),
        gettext_noop("disabled because"),
        gettext_noop("due at"),
        gettext_noop("due on"),
        gettext_noop("email"),
        gettext_noop("ended at"),
        gettext_noop("erased at"),
        gettext_noop("event types"),
        gettext_noop("failure code"),
        gettext_noop("family name"),
        gettext_noop("finding"),
        gettext_noop("findings"),
        gettext_noop("follow up months"),
        gettext_noop("given name"),
        gettext_noop("history"),
        gettext_noop("is another"),
        gettext_noop("is enabled"),
        gettext_noop("is required"),
        gettext_noop("is restricted"),
        gettext_noop("issuer"),
        gettext_noop("kind"),
        gettext_noop("label"),
        gettext_noop("laterality"),
        gettext_noop("malignancy"),
        gettext_noop("millimetres"),
        gettext_noop("name"),
        gettext_noop("number"),
        gettext_noop("opinions"),
        gettext_noop("original name"),
        gettext_noop("phone"),
        gettext_noop("photographed on"),
        gettext_noop("preprocessing"),
        gettext_noop("previous until"),
        gettext_noop("question"),
        gettext_noop("recommendation"),
        gettext_noop("refer"),
        gettext_noop("refusal"),
        gettext_noop("reported on"),
        gettext_noop("risk factors"),
        gettext_noop("roles"),
        gettext_noop("sex"),
        gettext_noop("site"),
        gettext_noop("skin type"),
        gettext_noop("status"),
        gettext_noop("suspicious"),
        gettext_noop("system"),
        gettext_noop("thresholds"),
        gettext_noop("token scope"),
        gettext_noop("token url"),
        gettext_noop("type"),
        gettext_noop("unscorable reasons"),
        gettext_noop("urgency"),
        gettext_noop("url"),
        gettext_noop("value"),
        gettext_noop("view"),
        gettext_noop("what"),
        gettext_noop("withdrawn at"),
        gettext_noop("withdrawn reason"),
        gettext_noop("withdrawn words"),
        gettext_noop("words"),
    }
)
ISO_DAY = re.compile(r"\d{4}-\d\d-\d\d(T|$)")
# Why something was done, where that is chosen and not typed.
REASONS = {
    **dict([*ErasureReason.choices, *WithdrawalReason.choices, *RetryReason.choices]),
    "pathology reported": _("pathology reported"),
    "pathology report corrected or taken back": _("pathology report corrected or taken back"),
}


@dataclass(frozen=True)
class Line:
    """A line of the ledger as it is read; `patient_id`: whose record tells more, where the line itself does not."""

    at: datetime
    who: str
    what: str
    details: list[tuple[str, str]]
    reason: str
    patient_id: UUID | None = None


def line_of(event: AuditEvent, named: Mapping[str, str] = MappingProxyType({})) -> Line:
    """named: what a subject is called where its own changes do not say it."""
    return Line(event.at, event.actor_name, sentence(event), told_of(event, named), reason_of(event))


def bare_line_of(event: AuditEvent) -> Line:
    """Of what was done to a patient's record only that it was: the rest stands in her history."""
    told = [] if event.patient_id else details(event)
    return Line(event.at, event.actor_name, sentence(event), told, reason_of(event), event.patient_id)


def reason_of(event: AuditEvent) -> str:
    return event.reason if is_spoken_as_kept() else str(REASONS.get(event.reason, event.reason))


def is_spoken_as_kept() -> bool:
    """The codes and names that the ledger keeps are English words already."""
    return get_language() == settings.LANGUAGE_CODE


def sentence(event: AuditEvent) -> str:
    if event.action in LOOKS:
        return str(LOOKS[event.action])
    if event.subject_type == "screening_screening" and event.action == "update":
        for column, sentences in STATUSES.items():
            if column in event.changes:
                return str(sentences[event.changes[column][1]])
    if event.subject_type in STEPS and event.action == "update":
        return STEPS[event.subject_type](event.changes)
    if said := DECIDED.get((event.subject_type, event.action)):
        return str(said)
    thing = THINGS.get(event.subject_type, event.subject_type)
    if event.action in DEEDS:
        return DEEDS[event.action] % {"thing": thing}
    return f"{thing} {event.action.replace('_', ' ')}"


def told_of(event: AuditEvent, named: Mapping[str, str]) -> list[tuple[str, str]]:
    if event.subject_id in named:
        return [(gettext("of"), named[event.subject_id])]
    return details(event)


def details(event: AuditEvent) -> list[tuple[str, str]]:
    """What changed, before and after where the ledger holds it."""
    if event.action not in DEEDS or event.subject_type in BARE:
        return []
    told = []
    for column, change in sorted(event.changes.items()):
        if (
            column in NOT_TOLD
            or (column.endswith("_id") and column not in VERSIONS and column not in PEOPLE)
            or column in STATUSES
        ):
            continue
        name = name_of(event.subject_type, column)
        said = partial(shown, people_of(change) if column in PEOPLE else choices_of(event.subject_type, column))
        if change == "private":
            noted = gettext("noted") if event.action == "insert" else gettext("changed; the old text is not kept here")
            told.append((name, noted))
        elif isinstance(change, list) and event.action == "delete":
            told.append((name, said(change[0])))
        elif isinstance(change, list) and event.action == "update":
            told.append((name, f"{said(change[0])} → {said(change[1])}"))
        else:
            told.append((name, said(change)))
    return told


def name_of(subject_type: str, column: str) -> str:
    known = SETTINGS if subject_type == CLINIC else VERSIONS
    return str(known.get(column) or PEOPLE.get(column) or gettext(column.replace("_", " ")))


def people_of(change: object) -> dict[object, object]:
    """The names of those that a column led to and leads to."""
    keys = [key for key in (change if isinstance(change, list) else [change]) if key]
    return {str(key): name for key, name in User.objects.filter(pk__in=keys).values_list("pk", "full_name")}


def choices_of(subject_type: str, column: str) -> dict[object, object]:
    """What the codes of a column are called; nothing where they are words of the language already.

    Those of the clinic's settings are too short to be words.
    """
    if is_spoken_as_kept() and subject_type != CLINIC:
        return {}
    if column in ("unscorable_reasons", "cautions"):
        return dict(FINDINGS)
    try:
        field = tables()[subject_type]._meta.get_field(column)
    except (KeyError, FieldDoesNotExist):
        return {}
    return dict(getattr(field, "base_field", field).flatchoices)


@cache
def tables() -> dict[str, type[Model]]:
    return {model._meta.db_table: model for model in apps.get_models()}


def moment_of(text: str) -> str:
    """A time or a day of the ledger as people write them, in the clinic's zone; empty for any other text."""
    if not ISO_DAY.match(text):
        return ""
    try:
        if len(text) == len("2026-11-22"):
            return date_format(date.fromisoformat(text))
        at = datetime.fromisoformat(text)
    except ValueError:
        return ""
    return date_format(timezone.localtime(at), "DATETIME_FORMAT") if at.tzinfo else ""


def shown(choices: Mapping[object, object], value: object) -> str:
    if value in (None, "", [], {}):
        return gettext("nothing")
    if isinstance(value, bool):
        return gettext("yes") if value else gettext("no")
    if isinstance(value, float):
        return decimal(value, ".3g")
    if isinstance(value, str) and (written := moment_of(value)):
        return written
    if isinstance(value, list | dict):
        return several(choices, value)
    return str(choices.get(value, as_told(str(value)).replace("_", " ")))


def several(choices: Mapping[object, object], values: list[object] | dict[str, object]) -> str:
    if isinstance(values, dict):
        return "; ".join(f"{key}: {said}" for key, said in values.items())
    return ", ".join(str(choices.get(item, item)) for item in values)
