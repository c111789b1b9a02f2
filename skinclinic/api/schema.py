"""How the OpenAPI page describes signing in."""

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
