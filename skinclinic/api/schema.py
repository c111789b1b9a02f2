"""How the OpenAPI page describes signing in, and refusals."""

from typing import Any

from django.urls import reverse
from drf_spectacular.extensions import OpenApiAuthenticationExtension


class ClientTokenScheme(OpenApiAuthenticationExtension):
    target_class = "skinclinic.api.authentication.ClientToken"
    name = "oauth2"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        from django.conf import settings

        flow = {"tokenUrl": reverse("oauth2_token"), "scopes": settings.OAUTH2_PROVIDER["SCOPES"]}
        return {"type": "oauth2", "flows": {"clientCredentials": flow}}

    def get_security_requirement(self, auto_schema: Any) -> dict[str, list[str]]:
        right = auto_schema.view.required_right or ("read" if auto_schema.method == "GET" else "write")
        return {self.name: [f"{auto_schema.view.scope}:{right}"]}


PROBLEM = {
    "type": "object",
    "description": "A refusal (RFC 9457).",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"field": {"type": "string"}, "detail": {"type": "string"}},
                "required": ["field", "detail"],
            },
        },
    },
    "required": ["type", "title", "status", "detail", "instance"],
}
REFUSED = {
    "description": "Refused, and why: 400 what was sent, 401 the token, 403 its scope, 404, 409 and 412 what changed "
    "meanwhile, 410 a patient who was erased, 415 the kind of content, 422 a rule of the clinic, 428 a missing "
    "If-Match, 429 too much.",
    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
}


def describe_refusals(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """Every operation may answer with a problem document, such as to a field that it does not know."""
    for name, shape in result["components"]["schemas"].items():
        if name.endswith("Request"):
            shape["additionalProperties"] = False
    result["components"]["schemas"]["Problem"] = PROBLEM
    for path, item in result["paths"].items():
        if path.startswith("/api/v1/"):
            for operation in item.values():
                operation["responses"]["default"] = REFUSED
    return result
