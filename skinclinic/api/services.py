"""The systems that use a clinic's API: made, given another secret, disabled."""

from collections.abc import Sequence

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext as _
from oauth2_provider.generators import generate_client_secret
from oauth2_provider.models import get_access_token_model

from skinclinic.accounts.models import Clinic
from skinclinic.api.models import Client
from skinclinic.audit.acting import Actor, acting, system
from skinclinic.errors import ClinicError


class UnknownScope(ClinicError):
    """A scope that the API does not have."""


class ClientGone(ClinicError):
    """It was disabled meanwhile."""


def create_client(
    *, clinic: Clinic, name: str, scopes: Sequence[str], actor: Actor | None = None
) -> tuple[Client, str]:
    """Make an API client of the clinic; returns it with its secret, which is stored only as a hash."""
    if unknown := sorted(set(scopes) - set(settings.OAUTH2_PROVIDER["SCOPES"])):
        raise UnknownScope(
            f"There is no scope {', '.join(unknown)}. There are {', '.join(settings.OAUTH2_PROVIDER['SCOPES'])}."
        )
    secret = generate_client_secret()
    with acting(actor or system(clinic_id=clinic.pk)):
        client = Client.objects.create(
            clinic=clinic,
            name=name,
            client_type=Client.CLIENT_CONFIDENTIAL,
            authorization_grant_type=Client.GRANT_CLIENT_CREDENTIALS,
            client_secret=secret,
            allowed_scopes=" ".join(scopes),
        )
    return client, secret


def rotate_secret(*, client: Client) -> str:
    """Another secret; the one before fetches no token any more, and those that it fetched end by themselves.

    Raises ClientGone.
    """
    if client.disabled_at:
        raise ClientGone(_("This system is disabled. Make another one."))
    secret = generate_client_secret()
    client.client_secret = secret
    client.save(update_fields=["client_secret", "updated"])
    return secret


def disable_client(*, client: Client) -> None:
    """At once, with every token that it holds. Raises ClientGone."""
    if not Client.objects.filter(pk=client.pk, disabled_at__isnull=True).update(disabled_at=timezone.now()):
        raise ClientGone(_("It is disabled already."))
    get_access_token_model().objects.filter(application=client).delete()
