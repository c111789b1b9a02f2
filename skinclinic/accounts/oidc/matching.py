"""Who comes in by a clinic's provider: members and invited people of that clinic, into that clinic alone."""

from typing import Any

from allauth.socialaccount.models import SocialAccount, SocialLogin
from allauth.socialaccount.providers.base.constants import AuthProcess
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _

from skinclinic.accounts.invitations import account_of, take
from skinclinic.accounts.models import IdentityProvider, Invitation, Membership, User
from skinclinic.accounts.oidc.errors import JoinFirst, NotLetIn
from skinclinic.accounts.oidc.provider import PURPOSE
from skinclinic.audit.record import record
from skinclinic.ciphers import seal
from skinclinic.text import one_line

TRUSTED = "provider_asked_second_factor"


def let_in_by_provider(request: HttpRequest, login: SocialLogin) -> None:
    """Called while the clinic acts. Raises NotLetIn."""
    provider: IdentityProvider = login.provider.app.row
    if login.state.get("process") != AuthProcess.LOGIN:
        raise NotLetIn(_("This sign-in was begun in a way that is not ours. Begin again."))
    login.account = link_of(provider, login.claims)
    login.user = login.account.user
    # For allauth's next step, within this request; the rest is kept while her second factor is asked for.
    setattr(request, TRUSTED, provider.asks_second_factor)
    login.state["began"] = {
        "clinic": str(provider.clinic_id),
        "subject": login.account.uid,
        "sid": text_claim(login.claims, "sid")[:255],
        "auth_time": login.claims.get("auth_time"),
        "second_factor": provider.asks_second_factor,
        "refresh_token": seal(PURPOSE, login.token.token_secret) if login.token.token_secret else "",
    }
    login.token = None


def link_of(provider: IdentityProvider, claims: dict[str, Any]) -> SocialAccount:
    """What links who the provider means with who she is here; made when somebody who was invited comes for the first
    time. Raises JoinFirst for who has an account."""
    key = str(provider.clinic_id)
    links = SocialAccount.objects.filter(provider=key).select_related("user")
    if found := links.filter(uid=claims["sub"]).first():
        refuse_unfit(provider, found.user)
        return found
    email = verified_email(provider, claims)
    hers = Membership.objects.active().filter(clinic=provider.clinic_id, user__email__iexact=email)
    member = hers.select_related("user").first()
    if member is None:
        return link(provider, join(provider, invitation_of(provider, email), claims), claims["sub"])
    refuse_unfit(provider, member.user)
    if links.filter(user=member.user).exists():
        raise NotLetIn(
            _(
                "This address belongs to a member who came in as somebody else at %(name)s before. "
                "A manager of the clinic can undo that link."
            )
            % {"name": provider.name}
        )
    raise JoinFirst(provider, member.user, claims["sub"])


def link(provider: IdentityProvider, user: User, subject: str) -> SocialAccount:
    made, _is_new = SocialAccount.objects.get_or_create(
        provider=str(provider.clinic_id), uid=subject, defaults={"user": user}
    )
    record("provider_linked", subject_type="accounts_user", subject_id=user.pk)
    return made


def invitation_of(provider: IdentityProvider, email: str) -> Invitation:
    invitations = Invitation.objects.open().filter(
        clinic=provider.clinic_id, email__iexact=email, expires_at__gt=timezone.now()
    )
    invitation = invitations.select_related("clinic").select_for_update(no_key=True, of=("self",)).first()
    if invitation is None:
        raise NotLetIn(
            _("%(name)s knows you, but nobody in this clinic has let in %(email)s. Ask a manager to invite you.")
            % {"name": provider.name, "email": email}
        )
    return invitation


def join(provider: IdentityProvider, invitation: Invitation, claims: dict[str, Any]) -> User:
    """Who is new takes her invitation by coming in. Whoever has an account takes it herself, so that no provider
    brings an account of other clinics into its own."""
    if account_of(invitation):
        raise NotLetIn(
            _("You are invited. Take the invitation first: open the link in its mail and sign in with your password.")
        )
    names = (text_claim(claims, "name"), f"{text_claim(claims, 'given_name')} {text_claim(claims, 'family_name')}")
    full_name = next(filter(None, (one_line(name, 150) for name in names)), invitation.email)
    user = User.objects.create_user(invitation.email, None, full_name=full_name)
    take(invitation, user)
    return user


def refuse_unfit(provider: IdentityProvider, user: User) -> None:
    if user.is_staff or user.is_superuser:
        raise NotLetIn(_("Operators sign in with their password."))
    if not user.is_active or not Membership.objects.active().filter(clinic=provider.clinic_id, user=user).exists():
        raise NotLetIn(_("You are disabled in this clinic. Ask one of its managers."))


def verified_email(provider: IdentityProvider, claims: dict[str, Any]) -> str:
    """`xms_edov` is how Microsoft Entra says that the address is verified."""
    email = text_claim(claims, "email")
    if not email or not (claims.get("email_verified") is True or claims.get("xms_edov") in (True, 1, "1", "true")):
        raise NotLetIn(
            _("%(name)s does not say that your e-mail address is verified, so you are not known here by it yet.")
            % {"name": provider.name}
        )
    return email


def text_claim(claims: dict[str, Any], name: str) -> str:
    value = claims.get(name)
    return value if isinstance(value, str) else ""
