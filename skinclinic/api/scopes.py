from typing import Any

from oauth2_provider.scopes import SettingsScopes

from skinclinic.api.models import Client


class ClientScopes(SettingsScopes):
    """A client gets no scope that its clinic did not allow it."""

    def get_available_scopes(
        self, application: Client | None = None, request: Any = None, *args, **kwargs
    ) -> list[str]:
        known = super().get_available_scopes(application, request, *args, **kwargs)
        allowed = application.allowed_scopes.split() if application else known
        return [scope for scope in known if scope in allowed]

    def get_default_scopes(self, application: Client | None = None, request: Any = None, *args, **kwargs) -> list[str]:
        return self.get_available_scopes(application, request)
