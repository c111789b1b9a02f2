"""Signed reports on their way to a FHIR server that the clinic names.

What is sent is what the report says now, under the identifier of its visit: sent twice it is there once. Requests are
rows of the webhooks', with their schedule, and this is their kind of it.
"""

import http.client
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote
from uuid import UUID

from django.utils import timezone, translation

from patients.models import Visit
from screening.models import Screening
from skinclinic.accounts.models import Clinic
from skinclinic.api.fhir.diagnostic_report import reported_visits
from skinclinic.api.fhir.document import document_to_send
from skinclinic.api.fhir.elements import VISIT
from skinclinic.api.fhir.outcomes import CONTENT_TYPE, ISSUE_TYPES
from skinclinic.api.fhir.tokens import Key, NoToken, as_object, forget, key_of, token_for
from skinclinic.api.webhooks.documents import at_server
from skinclinic.api.webhooks.kinds import KINDS, Kind
from skinclinic.api.webhooks.models import EndpointKind, SentType, Trouble, WebhookDelivery, WebhookEndpoint
from skinclinic.api.webhooks.post import (
    LONGEST_LINE,
    Answer,
    answer_or_trouble,
    pause_of,
)
from skinclinic.audit.acting import acting, current_actor, system
from skinclinic.audit.record import record
from skinclinic.events.models import Event
from skinclinic.outgoing.wire import Call, deadline, exchange

LONGEST_STATEMENT = 8 * 1024 * 1024
LONGEST_OUTCOME = 64 * 1024
PLACE = re.compile(r"DocumentReference(\.[a-z][A-Za-z]{0,39}(\[\d{1,3}\])?){0,8}")
REFUSED_FOR = {401: Trouble.TOKEN_REFUSED, 403: Trouble.NOT_ALLOWED}


@dataclass(frozen=True)
class Request:
    """`path`: at the server. Without a body it is asked what it can do."""

    url: str
    path: str
    credentials: Key = field(repr=False)
    body: bytes | None = field(default=None, repr=False)

    def send(self) -> Answer:
        return answer_or_trouble(self.ask)

    def ask(self) -> Answer:
        ends = deadline()
        try:
            token = token_for(self.credentials, ends)
        except NoToken as refusal:
            return refusal.answer
        answer = exchange(self.call(token), read_answer if self.body else read_statement, ends)
        if answer.trouble == Trouble.TOKEN_REFUSED:
            forget(self.credentials)
        return answer

    def call(self, token: str) -> Call:
        headers = {"Authorization": f"Bearer {token}", "Accept": CONTENT_TYPE, "User-Agent": "skinclinic-documents/1"}
        if self.body is None:
            return Call(at_server(self.url, self.path), headers, method="GET")
        return Call(at_server(self.url, self.path), headers | {"Content-Type": CONTENT_TYPE}, self.body, "PUT")


def request_of(endpoint: WebhookEndpoint, delivery: WebhookDelivery) -> Request:
    if delivery.event is None:
        return Request(endpoint.url, "/metadata", key_of(endpoint))
    with acting(system(clinic_id=endpoint.clinic_id)):
        zone = Clinic.objects.get(pk=endpoint.clinic_id).time_zone
        with timezone.override(zone), translation.override("en"):
            visit_id, body = document_of(delivery.event)
    identifier = quote(f"{VISIT}|{visit_id}", safe="")
    return Request(endpoint.url, f"/DocumentReference?identifier={identifier}", key_of(endpoint), body)


def document_of(event: Event) -> tuple[UUID, bytes]:
    """The visit, and its document as it is sent."""
    visit = reported_visits(current_actor()).get(pk=visits_of([event])[event.pk])
    return visit.pk, json.dumps(document_to_send(visit)).encode()


def record_taken(endpoint: WebhookEndpoint, delivery: WebhookDelivery) -> None:
    """What has left the clinic is on the ledger of its patient."""
    if delivery.event is not None:
        visit = Visit.objects.get(pk=visits_of([delivery.event])[delivery.event.pk])
        detail = {"webhook": endpoint.pk, "delivery": delivery.pk}
        subject = {"subject_type": "patients_visit", "subject_id": visit.pk, "patient_id": visit.patient_id}
        record("document_sent", **subject, detail=detail)


def of_reports(events: list[Event]) -> list[Event]:
    """A photograph that is withdrawn from a visit of which nothing was ever signed changes no report; of a patient who
    was erased meanwhile there is none."""
    visits = visits_of(events)
    told = reported_visits(current_actor()).without_erased()
    reported = set(told.filter(pk__in=visits.values()).values_list("pk", flat=True))
    return [event for event in events if visits.get(event.pk) in reported]


def visits_of(events: list[Event]) -> dict[int, UUID]:
    """By event."""
    signed = {event.pk: UUID(event.ids["visit"]) for event in events if event.type != SentType.SCREENING_WITHDRAWN}
    withdrawn = {event.ids["screening"]: event.pk for event in events if event.type == SentType.SCREENING_WITHDRAWN}
    of_screening = Screening.objects.filter(pk__in=withdrawn).values_list("pk", "visit")
    return signed | {withdrawn[str(screening)]: visit for screening, visit in of_screening}


def read_answer(response: http.client.HTTPResponse) -> Answer:
    """Of a refusal the codes are kept and none of its words, which may repeat what was sent."""
    with response:
        is_refusal = not 200 <= response.status < 300
        words = "; ".join(issues_of(as_object(as_far_as_sent(response)))) if is_refusal else ""
        return answer_of(response, REFUSED_FOR.get(response.status, ""), words)


def as_far_as_sent(response: http.client.HTTPResponse) -> bytes:
    """The status is told already, and counts without it."""
    try:
        return response.read(LONGEST_OUTCOME)
    except (OSError, http.client.HTTPException):
        return b""


def read_statement(response: http.client.HTTPResponse) -> Answer:
    """Of a CapabilityStatement: which FHIR it speaks, and whether it takes what is to be sent."""
    with response:
        if response.status != 200:
            return answer_of(response, REFUSED_FOR.get(response.status, ""), "")
        told = as_object(response.read(LONGEST_STATEMENT))
        if told.get("resourceType") != "CapabilityStatement":
            return answer_of(response, Trouble.NOT_FHIR, "")
        version = re.fullmatch(r"[\w.-]{1,20}", str(told.get("fhirVersion")))
        trouble = "" if takes_documents(told) else Trouble.NO_UPDATES
        return answer_of(response, trouble, f"FHIR {version[0]}" if version else "")


def answer_of(response: http.client.HTTPResponse, trouble: str, words: str) -> Answer:
    pause = pause_of(response.headers.get("Retry-After", ""))
    return Answer(response.status, trouble, words[:LONGEST_LINE], pause)


def takes_documents(statement: dict[str, Any]) -> bool:
    return any(
        resource.get("type") == "DocumentReference" and resource.get("conditionalUpdate") is True
        for rest in objects_in(statement.get("rest"))
        for resource in objects_in(rest.get("resource"))
    )


def issues_of(outcome: dict[str, Any]) -> Iterator[str]:
    for issue in objects_in(outcome.get("issue")):
        if str(issue.get("code")) in ISSUE_TYPES:
            places = issue.get("expression")
            told = [str(place) for place in places if PLACE.fullmatch(str(place))] if isinstance(places, list) else []
            yield " ".join([issue["code"], *told])


def objects_in(listed: Any) -> list[dict[str, Any]]:
    return [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []


KINDS[EndpointKind.DOCUMENTS] = Kind(request_of, at_once=1, wanted=of_reports, taken=record_taken)
