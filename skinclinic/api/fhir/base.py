"""What every view of the FHIR side stands on."""

from typing import Any

from django.utils import translation
from rest_framework.exceptions import NotAcceptable, NotFound
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from skinclinic.api.fhir.outcomes import CONTENT_TYPE, outcome_response
from skinclinic.api.fhir.paging import with_addresses
from skinclinic.api.fhir.registry import RESOURCES
from skinclinic.api.fhir.resource import Resource
from skinclinic.api.parsers import BoundedJSONParser

JSON = {"json", "application/json", CONTENT_TYPE, "text/json"}


class FhirRenderer(JSONRenderer):
    media_type = CONTENT_TYPE
    charset = "utf-8"


class PlainRenderer(FhirRenderer):
    """For who asks for JSON and knows no other name for it."""

    media_type = "application/json"


class FhirParser(BoundedJSONParser):
    media_type = CONTENT_TYPE


class FhirNegotiation(DefaultContentNegotiation):
    """`_format` goes before what the header says."""

    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> Any:
        asked = request.query_params.get("_format", "").partition(";")[0]
        if asked in JSON:
            return renderers[0], renderers[0].media_type
        if asked:
            raise NotAcceptable("Answers are in JSON here: application/fhir+json.")
        return super().select_renderer(request, renderers, format_suffix)


class FhirView(APIView):
    """English throughout: displays of codes do not change with who asks. No part of the REST API's schema."""

    schema = None
    renderer_classes = [FhirRenderer, PlainRenderer]
    parser_classes = [FhirParser, BoundedJSONParser]
    content_negotiation_class = FhirNegotiation
    required_right: str | None = None

    @property
    def scope(self) -> str:
        found = RESOURCES.get(self.kwargs.get("kind", ""))
        return found.scope if found else "fhir"

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        with translation.override("en"):
            return super().dispatch(request, *args, **kwargs)

    def get_exception_handler(self) -> Any:
        return outcome_response

    def told(self, request: Request, body: Any, **options: Any) -> Response:
        return Response(with_addresses(body, base_of(request)), **options)


def base_of(request: Request) -> str:
    return str(request.build_absolute_uri("/fhir"))


def resource_of(kind: str) -> Resource:
    if kind not in RESOURCES:
        raise NotFound(f"There is no {kind} here. There is: {', '.join((*RESOURCES, 'CodeSystem'))}.")
    return RESOURCES[kind]
