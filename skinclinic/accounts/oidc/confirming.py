"""Who has no password here confirms a signature by signing in at the provider again."""

from uuid import UUID

from allauth.socialaccount.models import SocialAccount, SocialLogin
from django.http import HttpRequest
from django.utils.translation import gettext as _

from skinclinic.accounts.confirm import keep_confirmed
from skinclinic.accounts.entry import BOUND_TO
from skinclinic.accounts.models import IdentityProvider
from skinclinic.accounts.oidc.errors import NotConfirmedThere
from skinclinic.accounts.oidc.provider import provider_of
from skinclinic.accounts.oidc.tokens import LEEWAY
from skinclinic.audit.record import record


def bound_clinic(request: HttpRequest) -> UUID | None:
    """The clinic by whose provider she came in; None where she came by her password."""
    kept = request.session.get(BOUND_TO)
    return UUID(kept) if kept else None


def confirms_at(request: HttpRequest) -> IdentityProvider | None:
    """Where she goes to confirm that it is her, if she came in by it; else she gives her password."""
    clinic_id = bound_clinic(request)
    return provider_of(clinic_id) if clinic_id else None


def confirm_there(request: HttpRequest, login: SocialLogin) -> None:
    """Raises NotConfirmedThere unless it is she who came back, and she signed in there after she was sent."""
    provider = login.provider.app.row
    link = SocialAccount.objects.filter(provider=str(provider.clinic_id), uid=login.account.uid).first()
    if bound_clinic(request) != provider.clinic_id or link is None or link.user_id != request.user.pk:
        raise NotConfirmedThere(_("You signed in there as somebody else than here, so nothing is confirmed."))
    at = login.claims.get("auth_time")
    if not isinstance(at, (int, float)) or at < login.state.get("begun", 0) - LEEWAY:
        raise NotConfirmedThere(
            _("%(name)s did not ask you to sign in again, so nothing is confirmed. Tell a manager of your clinic.")
            % {"name": provider.name}
        )
    record("confirmed_there", subject_type="accounts_user", subject_id=request.user.pk)
    keep_confirmed(request)
