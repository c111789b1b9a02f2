"""Reading and searching."""

import base64
from typing import Any
from uuid import UUID

from django.http import HttpResponse, QueryDict
from rest_framework.exceptions import NotFound
from rest_framework.parsers import FormParser
from rest_framework.request import Request
from rest_framework.response import Response

from patients.erased import refuse_erased
from patients.models import Patient
from patients.services import ids_of_person
from screening.media import as_image, stored
from screening.models import LesionImage
from skinclinic.api.fhir.base import FhirView, base_of, resource_of
from skinclinic.api.fhir.codes import CodeSystem, code_systems
from skinclinic.api.fhir.models import SignedDocument
from skinclinic.api.fhir.outcomes import CONTENT_TYPE
from skinclinic.api.fhir.paging import Cursor, Entry, bundle, entries_from, open_token, parted, token_of
from skinclinic.api.fhir.provenance import ProvenanceResource, provenance_of
from skinclinic.api.fhir.registry import OF_PATIENT
from skinclinic.api.fhir.resource import Resource, without_erased
from skinclinic.api.fhir.searching import PERSONAL, Asked, Search, as_uuid, no_modifier, read_search, refuse_elsewhere
from skinclinic.audit.record import record


class SearchView(FhirView):
    """By GET, or by POST to `_search`, whose words are in no address."""

    parser_classes = [FormParser]
    required_right = "read"

    def get(self, request: Request, kind: str) -> Response:
        return self.search(request, resource_of(kind), request.query_params)

    def search(self, request: Request, resource: Resource, sent: QueryDict) -> Response:
        query, cursor = opened(sent, resource.name)
        search = read_search(query, resource.known, revinclude=resource.has_provenance)
        refuse_elsewhere(search, base_of(request))
        entries, after = found_in(resource, request.auth, search, cursor)
        record_search(resource, search, entries)
        if search.with_provenance:
            entries += [Entry(each.row, provenance_of(each.row, each.told), "include") for each in entries]
        links = links_of(request, resource.name, query, after, is_open=request.method == "GET")
        return self.told(request, bundle(base_of(request), entries, links))


class PostedSearchView(SearchView):
    def get(self, request: Request, kind: str) -> Response:
        return self.http_method_not_allowed(request, kind)

    def post(self, request: Request, kind: str) -> Response:
        """What stands in the address counts as well."""
        sent = request.query_params.copy()
        sent.update(request.data)
        return self.search(request, resource_of(kind), sent)


def opened(sent: QueryDict, place: str) -> tuple[QueryDict, Cursor | None]:
    return open_token(sent["_page"], place) if sent.get("_page") else (sent, None)


def found_in(
    resource: Resource, actor: Any, search: Search, cursor: Cursor | None
) -> tuple[list[Entry], Cursor | None]:
    if isinstance(resource, ProvenanceResource):
        return [Entry(row, told) for row, told in resource.targets(actor, search)], None
    rows = without_erased(resource.narrowed(resource.rows(actor), search))
    return parted(entries_from(resource, rows, cursor, search.count))


def record_search(resource: Resource, search: Search, entries: list[Entry]) -> None:
    """One line for the page, with what was on it and whose that is."""
    patients = dict.fromkeys(str(key) for each in entries if (key := resource.patient_of(each.row)))
    detail = {
        "ids": [each.told["id"] for each in entries],
        "patients": list(patients),
        "query": f"{resource.name}?{search.without_names()}",
    }
    record("api_listed", subject_type=resource.table, detail=detail)


def links_of(request: Request, place: str, query: QueryDict, after: Cursor | None, *, is_open: bool) -> dict[str, str]:
    """What names a person stands in no address; nor does what was sent so that it stands in none."""
    here = f"{base_of(request)}/{place}"
    text = query.urlencode()
    if not is_open or PERSONAL.intersection(name.partition(":")[0] for name in query):
        self_link = f"{here}?_page={token_of(place, text, None)}"
    else:
        self_link = f"{here}?{text}" if text else here
    return {"self": self_link} | ({"next": f"{here}?_page={token_of(place, text, after)}"} if after else {})


class ReadView(FhirView):
    def get(self, request: Request, kind: str, key: str) -> Response:
        resource = resource_of(kind)
        found = resource.find(request.auth, key) if "\0" not in key else None
        if found is None:
            raise NotFound(f"There is no {kind} of this id.")
        row, told = found
        patient = resource.patient_of(row)
        record("api_read", subject_type=resource.table, subject_id=key, patient_id=patient)
        return self.told(request, told)


class EverythingView(FhirView):
    """All that is of a patient, in all records of the person; her ledger is not among it."""

    def get(self, request: Request, key: UUID) -> Response:
        patient = Patient.objects.visible_to(request.auth).filter(pk=key).first()
        if patient is None:
            raise NotFound("There is no Patient of this id.")
        refuse_erased(patient)
        place = f"Patient/{key}/$everything"
        query, cursor = opened(request.query_params, place)
        search = read_search(query, set(), revinclude=False)
        entries, after = everything_of(request.auth, ids_of_person(patient.pk), cursor, search.count)
        ids = [f"{each.told['resourceType']}/{each.told['id']}" for each in entries]
        record("api_read", subject_type="patients_patient", subject_id=key, patient_id=key, detail={"ids": ids})
        links = links_of(request, place, query, after, is_open=True)
        return self.told(request, bundle(base_of(request), with_provenances(entries), links))


def everything_of(
    actor: Any, patients: list[UUID], cursor: Cursor | None, count: int
) -> tuple[list[Entry], Cursor | None]:
    entries: list[Entry] = []
    begin = cursor.part if cursor else 0
    for part, resource in enumerate(OF_PATIENT[begin:], begin):
        if len(entries) == count:
            return entries, Cursor("", "", 0, part)
        rows = resource.of_patients(resource.rows(actor), patients)
        here = cursor if cursor and part == begin else None
        more, after = parted(entries_from(resource, rows, here, count - len(entries)))
        entries += more
        if after:
            return entries, Cursor(after.at, after.key, after.skip, part)
    return entries, None


def with_provenances(entries: list[Entry]) -> list[Entry]:
    """A report and its document have one Provenance, which comes with the report."""
    of = [each for each in entries if each.told["resourceType"] in ("Observation", "DiagnosticReport")]
    return entries + [Entry(each.row, provenance_of(each.row, each.told), "include") for each in of]


class CodeSystemView(FhirView):
    def get(self, request: Request, key: str = "") -> Response:
        if key:
            if key not in code_systems():
                raise NotFound("There is no CodeSystem of this id.")
            return self.told(request, code_systems()[key].as_resource())
        asked = read_search(request.query_params, {"_id", "url"}, revinclude=False).asked
        found = [each for each in code_systems().values() if all(is_asked_for(each, one) for one in asked)]
        links = {"self": f"{base_of(request)}/CodeSystem"}
        return self.told(request, bundle(base_of(request), [Entry(None, each.as_resource()) for each in found], links))


def is_asked_for(system: CodeSystem, asked: Asked) -> bool:
    no_modifier(asked)
    return (system.key if asked.name == "_id" else system.url) in asked.values


class BinaryView(FhirView):
    """The bytes of a photograph or of a signed document as they are; as a resource where FHIR's JSON is asked for."""

    def get(self, request: Request, key: str) -> HttpResponse:
        pk = as_uuid(key)
        image = LesionImage.objects.visible_to(request.auth).filter(pk=pk).first() if pk else None
        if image is not None:
            refuse_erased(image)
            record_look("photograph_seen", image)
            return self.bytes_of(request, key, stored(image.photograph), "image/jpeg")
        document = SignedDocument.objects.visible_to(request.auth).filter(pk=pk).first() if pk else None
        if document is None:
            raise NotFound("There is no Binary of this id.")
        refuse_erased(document)
        record_look("report_seen", document)
        return self.bytes_of(request, key, document.pdf.read(), "application/pdf")

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        """Whatever is accepted, even an image alone; an error is still FHIR."""
        return super().perform_content_negotiation(request, force=True)

    def bytes_of(self, request: Request, key: str, data: bytes, kind: str) -> HttpResponse:
        if CONTENT_TYPE in request.headers.get("Accept", ""):
            return Response(binary(key, kind, data))
        return as_image(data, kind)


def record_look(deed: str, row: Any) -> None:
    record(deed, subject_type=row._meta.db_table, subject_id=row.pk, patient_id=row.patient_id)


def binary(key: str, kind: str, data: bytes) -> dict[str, Any]:
    encoded = base64.b64encode(data).decode()
    return {"resourceType": "Binary", "id": key, "contentType": kind, "data": encoded}
