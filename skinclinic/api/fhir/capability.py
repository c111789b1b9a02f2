"""What this FHIR side can do, for programs: the CapabilityStatement, and where a token is fetched."""

from django.conf import settings
from django.http import HttpRequest, JsonResponse
from django.urls import reverse

from skinclinic.api.fhir.codes import code_systems
from skinclinic.api.fhir.elements import Dict, coding, concept, filled
from skinclinic.api.fhir.outcomes import CONTENT_TYPE, issue, outcome
from skinclinic.api.fhir.registry import RESOURCES
from skinclinic.api.fhir.resource import Resource

SINCE = "2026-11-28"
FHIR_VERSION = "4.0.1"
KINDS = {
    "_id": "token",
    "_lastUpdated": "date",
    "birthdate": "date",
    "category": "token",
    "code": "token",
    "date": "date",
    "identifier": "token",
    "name": "string",
    "patient": "reference",
    "status": "token",
    "target": "reference",
}
WRITTEN = ("Patient", "Media")
OAUTH = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris"
EVERYTHING = "http://hl7.org/fhir/OperationDefinition/Patient-everything"


def metadata(request: HttpRequest) -> JsonResponse:
    return answer(request, capability_statement(request))


def smart_configuration(request: HttpRequest) -> JsonResponse:
    """SMART App Launch 2, of which systems use client credentials only: nobody signs in here."""
    told = {
        "issuer": request.build_absolute_uri("/fhir"),
        "token_endpoint": request.build_absolute_uri(reverse("oauth2_token")),
        "grant_types_supported": ["client_credentials"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "scopes_supported": [each for each in settings.OAUTH2_PROVIDER["SCOPES"] if each in OURS],
        "code_challenge_methods_supported": ["S256"],
        "capabilities": ["client-confidential-symmetric"],
    }
    return answer(request, told, "application/json")


OURS = ("fhir:read", "fhir:write", "audit:read")
# Told to anybody, before any transaction.
metadata.no_acting = True  # type: ignore[attr-defined]
smart_configuration.no_acting = True  # type: ignore[attr-defined]


def answer(request: HttpRequest, told: Dict, content_type: str = CONTENT_TYPE) -> JsonResponse:
    if request.method not in ("GET", "HEAD"):
        sentence = f"This is only read: GET {request.path}."
        refused = outcome(405, issue(405, sentence))
        return JsonResponse(refused, status=405, content_type=CONTENT_TYPE, headers={"Allow": "GET, HEAD"})
    return JsonResponse(told, content_type=content_type)


def capability_statement(request: HttpRequest) -> Dict:
    base = request.build_absolute_uri("/fhir")
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": SINCE,
        "kind": "instance",
        "software": {"name": "skinclinic"},
        "implementation": {"description": str(settings.SPECTACULAR_SETTINGS["DESCRIPTION"]), "url": base},
        "fhirVersion": FHIR_VERSION,
        "format": ["json"],
        "rest": [
            {
                "mode": "server",
                "documentation": "Names are looked for by POST to _search: an address stands in many logs. "
                f"Scopes: {', '.join(OURS)}.",
                "security": security(request),
                "resource": [described(each) for each in RESOURCES.values()] + [code_system(), binary()],
            }
        ],
    }


def security(request: HttpRequest) -> Dict:
    token = {"url": "token", "valueUri": request.build_absolute_uri(reverse("oauth2_token"))}
    service = coding("http://terminology.hl7.org/CodeSystem/restful-security-service", "OAuth", "OAuth")
    return {"cors": False, "service": [concept(service)], "extension": [{"url": OAUTH, "extension": [token]}]}


def described(of: Resource) -> Dict:
    written = of.name in WRITTEN
    return filled(
        type=of.name,
        interaction=[{"code": code} for code in ("read", "search-type", *(["create"] if written else []))],
        versioning="no-version",
        conditionalCreate=written or None,
        searchRevInclude=["Provenance:target"] if of.has_provenance else None,
        searchParam=[{"name": name, "type": KINDS[name]} for name in sorted(of.known)],
        operation=[{"name": "everything", "definition": EVERYTHING}] if of.name == "Patient" else None,
    )


def code_system() -> Dict:
    systems = ", ".join(sorted(system.url for system in code_systems().values()))
    return {
        "type": "CodeSystem",
        "documentation": systems,
        "interaction": [{"code": "read"}, {"code": "search-type"}],
        "searchParam": [{"name": "_id", "type": "token"}, {"name": "url", "type": "uri"}],
    }


def binary() -> Dict:
    return {"type": "Binary", "interaction": [{"code": "read"}]}
