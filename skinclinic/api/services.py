from collections.abc import Sequence

from django.conf import settings
from oauth2_provider.generators import generate_client_secret

from skinclinic.accounts.models import Clinic
from skinclinic.api.models import Client
from skinclinic.audit.acting import acting, system
from skinclinic.errors import ClinicError


class UnknownScope(ClinicError):
    """A scope that the API does not have."""


def create_client(*, clinic: Clinic, name: str, scopes: Sequence[str]) -> tuple[Client, str]:
    """Make an API client of the clinic; returns it with its secret, which is stored only as a hash."""
    if unknown := sorted(set(scopes) - set(settings.OAUTH2_PROVIDER["SCOPES"])):
        raise UnknownScope(
            f"There is no scope {', '.join(unknown)}. There are {', '.join(settings.OAUTH2_PROVIDER['SCOPES'])}."
        )
    secret = generate_client_secret()
    with acting(system(clinic_id=clinic.pk)):
        client = Client.objects.create(
            clinic=clinic,
            name=name,
            client_type=Client.CLIENT_CONFIDENTIAL,
            authorization_grant_type=Client.GRANT_CLIENT_CREDENTIALS,
            client_secret=secret,
            allowed_scopes=" ".join(scopes),
        )
    return client, secret
