"""Provenance: who made an Observation or a report, of what, with the SHA-256 of what it was made of.

`reading-…` and `review-…` are of the Observations of the same id, `report-…` is of a DiagnosticReport and its document.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any

from django.db.models import Q, QuerySet

from patients.erased import RecordErased, refuse_erased
from screening.models import Screening
from skinclinic.api.fhir.diagnostic_report import doctors_of, is_void, reported_visits, shown, signed_document
from skinclinic.api.fhir.elements import (
    SHA256,
    Dict,
    clinic,
    coding,
    concept,
    doctor,
    filled,
    moment,
    reference,
    resource,
)
from skinclinic.api.fhir.errors import BadSearch
from skinclinic.api.fhir.observation import KINDS, has, key_of, published_screenings
from skinclinic.api.fhir.resource import Resource
from skinclinic.api.fhir.searching import MOST, Asked, Search, as_uuid
from skinclinic.audit.acting import Actor

PARTICIPANT = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
REPORT = "report"
OF_VISITS = {"DiagnosticReport", "DocumentReference"}


def agent(kind: str, who: Dict, on_behalf_of: Dict | None = None) -> Dict:
    role = concept(coding(PARTICIPANT, kind, kind.title()))
    return filled(type=role, who=who, onBehalfOf=on_behalf_of)


def hashed(kind: str, key: object, sha256: str) -> Dict:
    return {"role": "source", "what": reference(kind, key) | {"identifier": {"system": SHA256, "value": sha256}}}


def of_reading(row: Any) -> Dict:
    prediction = row.prediction
    owner = clinic(row.clinic_id, row.clinic.name)
    author = reference("Device", prediction.model_version_id) if prediction else owner
    agents = [agent("author", author, owner if prediction else None)]
    if has(row, "review") and prediction and row.signed_review.reading_shown_id == prediction.pk:
        agents.append(agent("verifier", doctor(row.signed_review.reviewer), owner))
    return resource(
        "Provenance",
        f"reading-{row.pk}",
        row.updated,
        ai=True,
        target=[reference("Observation", f"reading-{row.pk}")],
        occurredDateTime=moment(row.finished_at or row.updated),
        recorded=moment(row.finished_at or row.updated),
        agent=agents,
        entity=[hashed("Media", row.image_id, row.image.sha256)],
    )


def of_review(row: Any) -> Dict:
    owner = clinic(row.clinic_id, row.clinic.name)
    return resource(
        "Provenance",
        f"review-{row.pk}",
        row.updated,
        target=[reference("Observation", f"review-{row.pk}")],
        recorded=moment(row.signature.created_at),
        agent=[agent("author", doctor(row.signed_review.reviewer), owner)],
        entity=[hashed("Media", row.image_id, row.image.sha256)],
    )


def of_report(row: Any) -> Dict:
    owner = clinic(row.clinic_id, row.clinic.name)
    document = None if is_void(row) else signed_document(row)
    return resource(
        "Provenance",
        f"{REPORT}-{row.pk}",
        row.updated,
        target=[reference(kind, row.pk) for kind in sorted(OF_VISITS)],
        recorded=moment(row.signed_at),
        agent=[agent("author", who, owner) for who in doctors_of(shown(row))],
        entity=[hashed("Binary", document.pk, document.sha256)] if document else None,
    )


OF_KIND: dict[str, Callable[[Any], Dict]] = {"reading": of_reading, "review": of_review, REPORT: of_report}


def provenance_of(row: Any, told: Dict) -> Dict:
    """Of a resource that was built from the row."""
    kind = REPORT if told["resourceType"] in OF_VISITS else key_of(told["id"])[0]
    return OF_KIND[kind](row)


class ProvenanceResource(Resource):
    """Looked for by what it is of, which is one thing each."""

    name = "Provenance"
    model = Screening

    @property
    def known(self) -> set[str]:
        return {"target"}

    def rows(self, actor: Actor) -> QuerySet[Any]:
        return published_screenings(actor)

    def find(self, actor: Actor, key: str) -> tuple[Any, Dict] | None:
        kind, _, rest = key.partition("-")
        pk = as_uuid(rest)
        if pk is None or kind not in OF_KIND:
            return None
        rows = reported_visits(actor) if kind == REPORT else self.rows(actor)
        row = rows.filter(pk=pk).first()
        if row is None or (kind in KINDS and not has(row, kind)):
            return None
        refuse_erased(row)
        return row, OF_KIND[kind](row)

    def targets(self, actor: Actor, search: Search) -> list[tuple[Any, Dict]]:
        """Raises BadSearch where no target is named."""
        asked = search.of("target")
        if len(asked) != 1 or len(asked[0].values) > MOST:
            raise BadSearch(f"Name one target, or up to {MOST} with commas between them.")
        keys = dict.fromkeys(key for value in asked[0].values if (key := key_of_target(asked[0], value)))
        return list(self.found(actor, keys))

    def found(self, actor: Actor, keys: Iterable[str]) -> Iterator[tuple[Any, Dict]]:
        for key in keys:
            with suppress(RecordErased):
                if found := self.find(actor, key):
                    yield found

    def narrowed(self, rows: QuerySet[Any], search: Search) -> QuerySet[Any]:
        return rows.filter(Q(pk__in=[]))


def key_of_target(asked: Asked, value: str) -> str:
    """The id of the Provenance of what is referred to; empty where that has none."""
    *before, key = value.split("/")
    kind = before[-1] if before else asked.modifier
    if kind in OF_VISITS:
        return f"{REPORT}-{key}"
    return key if kind in ("", "Observation") else ""
