from typing import Any

from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request


class HasScope(BasePermission):
    """The view names its scope: `scope = "patients"` asks for patients:read, and patients:write to change something.

    `required_right` says it where the method does not: a search is a POST that reads.
    """

    message = "The token does not carry the scope that this needs. Ask for it when you fetch the token."

    def has_permission(self, request: Request, view: Any) -> bool:
        if request.auth is None:
            return False
        right = view.required_right or ("read" if request.method in SAFE_METHODS else "write")
        return f"{view.scope}:{right}" in request.auth.scopes
