"""Endpoints of the kind that takes signed reports as FHIR documents: made, changed, given another token.

What a document is and how it is sent is the FHIR side's to know.
"""

from dataclasses import replace

from django.utils.translation import gettext as _

from skinclinic.api.webhooks.models import EndpointKind, SentType, WebhookEndpoint
from skinclinic.api.webhooks.services import add_endpoint
from skinclinic.api.webhooks.signing import encrypt
from skinclinic.audit.acting import Actor
from skinclinic.errors import ClinicError
from skinclinic.outgoing.guard import AddressRefused, Target, target_of

# A withdrawn photograph changes the report of its visit, where that is signed.
DOCUMENT_EVENTS = (SentType.REPORT_SIGNED, SentType.REPORT_AMENDED, SentType.SCREENING_WITHDRAWN)
LONGEST_SECRET = 4000


class CredentialsUnfit(ClinicError):
    code = "webhook-credentials-unfit"


class SecretWanted(ClinicError):
    code = "webhook-secret-wanted"


def create_document_endpoint(
    *,
    actor: Actor,
    url: str,
    secret: str,
    token_url: str = "",
    client_id: str = "",
    token_scope: str = "",
    description: str = "",
) -> WebhookEndpoint:
    """Sent what is signed from now on. Raises AddressRefused, CredentialsUnfit, TooManyEndpoints.

    url: the base of the FHIR server. secret: the token that it takes, or with a token address the client's secret.
    """
    refuse_unfit(url=url, secret=secret, token_url=token_url, client_id=client_id, token_scope=token_scope)
    return add_endpoint(
        actor=actor,
        kind=EndpointKind.DOCUMENTS,
        url=url,
        description=description,
        event_types=list(DOCUMENT_EVENTS),
        secret=secret,
        token_url=token_url,
        client_id=client_id,
        token_scope=token_scope,
    )


def change_document_endpoint(
    *,
    endpoint: WebhookEndpoint,
    url: str,
    description: str,
    token_url: str,
    client_id: str,
    token_scope: str = "",
    secret: str = "",
) -> None:
    """Without a secret it keeps its own. Raises AddressRefused, CredentialsUnfit, SecretWanted."""
    moved = (url, token_url, client_id) != (endpoint.url, endpoint.token_url, endpoint.client_id)
    if moved and not secret:
        raise SecretWanted(
            _("Give its token or secret again as well: what it has is not sent to another address, or for another id.")
        )
    refuse_unfit(url=url, secret=secret or "kept", token_url=token_url, client_id=client_id, token_scope=token_scope)
    endpoint.url, endpoint.description = url, description
    endpoint.token_url, endpoint.client_id, endpoint.token_scope = token_url, client_id, token_scope
    endpoint.secret = encrypt(secret) if secret else endpoint.secret
    endpoint.save(update_fields=["url", "description", "token_url", "client_id", "token_scope", "secret"])


def give_secret(*, endpoint: WebhookEndpoint, secret: str) -> None:
    """In place of the one it has, also while it is disabled. Raises CredentialsUnfit."""
    refuse_unfit_signs(secret)
    endpoint.secret = encrypt(secret)
    endpoint.save(update_fields=["secret"])


def refuse_unfit(*, url: str, secret: str, token_url: str, client_id: str, token_scope: str) -> None:
    at_server(url, "")
    if bool(token_url) != bool(client_id):
        raise CredentialsUnfit(_("Give both the address where tokens are given and the client id, or neither of them."))
    if token_scope and not token_url:
        raise CredentialsUnfit(_("A scope is asked for where tokens are given: give that address, or leave it empty."))
    if token_url:
        target_of(token_url)
    refuse_unfit_signs(secret, client_id or "none", *token_scope.split())


def refuse_unfit_signs(*texts: str) -> None:
    """Raises CredentialsUnfit."""
    if not all(map(is_fit, texts)):
        raise CredentialsUnfit(
            _(
                "A token, a secret, a client id and each scope are letters, digits and signs without spaces. Copy it "
                "again."
            )
        )


def is_fit(text: str) -> bool:
    """It goes into a header."""
    return 0 < len(text) <= LONGEST_SECRET and all("!" <= sign <= "~" for sign in text)


def at_server(url: str, path: str) -> Target:
    """A place of the FHIR server with this base. Raises AddressRefused."""
    target = target_of(url)
    if "?" in target.path:
        raise AddressRefused(_("Write the base of the FHIR server, without a ?: https://records.example/fhir."))
    return replace(target, path=target.path.rstrip("/") + path)
