"""The systems that use the API."""

from django.db import models
from oauth2_provider.models import AbstractApplication

from skinclinic.accounts.models import Clinic


class Client(AbstractApplication):
    """An OAuth2 client of one clinic; it signs in with client credentials and never as a person."""

    clinic = models.ForeignKey(Clinic, on_delete=models.PROTECT, related_name="api_clients")
    allowed_scopes = models.TextField(blank=True, help_text="Scopes this client may ask for, separated by spaces.")

    class Meta(AbstractApplication.Meta):
        swappable = "OAUTH2_PROVIDER_APPLICATION_MODEL"
