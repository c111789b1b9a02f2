"""AuditEvent: lines of the ledger, as IHE's Basic Audit Log Patterns have them. They tell who and what, never a text.

A search is one event for each patient that was in its result, so a line may be several: `<number>` or
`<number>-<patient>`.
"""

import base64
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import F, Q, QuerySet, Value

from skinclinic.api.fhir.elements import CLIENT, Dict, coding, concept, filled, moment, reference, resource
from skinclinic.api.fhir.resource import Resource
from skinclinic.api.fhir.searching import Asked, Search, any_of, as_uuid, by_date, no_modifier, referred
from skinclinic.audit.acting import Actor
from skinclinic.audit.models import AuditEvent

DCM = "http://dicom.nema.org/resources/ontology/DCM"
REST = coding("http://terminology.hl7.org/CodeSystem/audit-event-type", "rest", "RESTful Operation")
ENTITY_TYPE = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
ENTITY_ROLE = "http://terminology.hl7.org/CodeSystem/object-role"
INTERACTION = "http://hl7.org/fhir/restful-interaction"
CHANGES = {"insert": ("C", "create"), "update": ("U", "update"), "delete": ("D", "delete")}
REFUSED = {
    "refused", "upload_refused", "sign_in_failed", "second_factor_failed", "confirmation_failed", "unlock_failed",
    "provider_refused",
}  # fmt: skip
SERVER = {"identifier": {"system": "urn:skinclinic:installation", "value": settings.SITE_URL}, "display": "skinclinic"}


def by_patient(asked: Asked) -> Q:
    """Lines about her, and searches that found her."""
    no_modifier(asked)
    return any_of(
        Q(patient_id=key) | Q(action="api_listed", changes__patients__contains=[str(key)]) for key in keys_of(asked)
    )


def keys_of(asked: Asked) -> list[UUID]:
    return [key for value in asked.values if (key := as_uuid(referred(value, "Patient")))]


class AuditEventResource(Resource):
    name = "AuditEvent"
    model = AuditEvent
    scope = "audit"
    conditions = {"date": by_date("at"), "patient": by_patient}

    def rows(self, actor: Actor) -> QuerySet[Any]:
        return AuditEvent.objects.visible_to(actor).annotate(updated=F("at"))

    def condition(self, name: str) -> Any:
        return by_number if name == "_id" else super().condition(name)

    def narrowed(self, rows: QuerySet[Any], search: Search) -> QuerySet[Any]:
        """`wanted`: of a search that found several patients, whom is asked about."""
        wanted = [str(key) for asked in search.of("patient") for key in keys_of(asked)]
        return super().narrowed(rows, search).annotate(wanted=Value(" ".join(wanted)))

    def in_order(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """By the number of the line, as the ledger is written."""
        return rows.order_by("-id")

    def position(self, row: Any) -> tuple[str, str]:
        return "", str(row.pk)

    def from_position(self, rows: QuerySet[Any], at: str, key: str) -> QuerySet[Any]:
        return rows.filter(pk__lte=int(key))

    def find(self, actor: Actor, key: str) -> tuple[Any, Dict] | None:
        number = number_of(key)
        row = self.rows(actor).filter(pk=number).first() if number else None
        built = {each["id"]: each for each in self.build(row)} if row else {}
        return (row, built[key]) if key in built else None

    def build(self, row: Any) -> list[Dict]:
        wanted = getattr(row, "wanted", "")
        told = [event_of(row, patient) for patient in patients_of(row) if str(patient) in wanted or not wanted]
        return told or [event_of(row, row.patient_id)]


def by_number(asked: Asked) -> Q:
    no_modifier(asked)
    return Q(pk__in=[number for number in map(number_of, asked.values) if number])


def number_of(key: str) -> int | None:
    digits = key.partition("-")[0]
    return int(digits) if digits.isascii() and digits.isdecimal() and len(digits) < 19 else None


def is_search(row: AuditEvent) -> bool:
    return row.action.endswith("_listed")


def patients_of(row: AuditEvent) -> list[UUID | None]:
    """Of a search, who was in its result; of anything else nobody."""
    if not is_search(row):
        return []
    told = row.changes.get("patients")
    if told is None and row.subject_type == "patients_patient":
        told = row.changes.get("ids")
    return [key for key in map(as_uuid, told or []) if key]


def event_of(row: AuditEvent, patient: UUID | None) -> Dict:
    action, interaction = kind_of(row)
    return resource(
        "AuditEvent",
        f"{row.pk}-{patient}" if patients_of(row) else row.pk,
        row.at,
        type=REST,
        subtype=[coding(INTERACTION, interaction), coding("urn:skinclinic:deed", row.action)],
        action=action,
        recorded=moment(row.at),
        outcome="4" if row.action in REFUSED else "0",
        agent=agents_of(row, reads=action == "R"),
        source={
            "observer": SERVER,
            "type": [coding("http://terminology.hl7.org/CodeSystem/security-source-type", "4")],
        },
        entity=[*patient_entity(patient), *data_of(row), *query_of(row), *request_of(row)],
    )


def kind_of(row: AuditEvent) -> tuple[str, str]:
    if is_search(row):
        return "E", "search"
    return CHANGES.get(row.action, ("R", "read"))


def agents_of(row: AuditEvent, *, reads: bool) -> list[Dict]:
    """What is read flows from the server to the client; a query or a change, from the client to the server."""
    source, destination = coding(DCM, "110153", "Source Role ID"), coding(DCM, "110152", "Destination Role ID")
    client, server = (destination, source) if reads else (source, destination)
    who = {"identifier": {"system": CLIENT, "value": row.actor}, "display": row.actor_name}
    return [
        {"type": concept(client), "who": who, "name": row.actor_name, "requestor": True},
        {"type": concept(server), "who": SERVER, "requestor": False},
    ]


def patient_entity(patient: UUID | None) -> list[Dict]:
    if patient is None:
        return []
    return [
        {
            "what": reference("Patient", patient),
            "type": coding(ENTITY_TYPE, "1", "Person"),
            "role": coding(ENTITY_ROLE, "1", "Patient"),
        }
    ]


def data_of(row: AuditEvent) -> list[Dict]:
    """By its key in our tables: not every row is a resource, and not every one is published."""
    if not row.subject_type or is_search(row):
        return []
    what = {"identifier": filled(system=f"urn:skinclinic:{row.subject_type}", value=row.subject_id or "-")}
    return [
        {
            "what": what,
            "type": coding(ENTITY_TYPE, "2", "System Object"),
            "role": coding(ENTITY_ROLE, "4", "Domain Resource"),
        }
    ]


def query_of(row: AuditEvent) -> list[Dict]:
    """Without the names that were looked for: they are not on the ledger."""
    if not is_search(row):
        return []
    query = row.changes.get("query") or row.subject_type or row.action
    return [
        {
            "type": coding(ENTITY_TYPE, "2", "System Object"),
            "role": coding(ENTITY_ROLE, "24", "Query"),
            "query": base64.b64encode(query.encode()).decode(),
        }
    ]


def request_of(row: AuditEvent) -> list[Dict]:
    if not row.request_id:
        return []
    kind = coding("https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType", "XrequestId")
    return [{"what": {"identifier": {"value": row.request_id}}, "type": kind}]
