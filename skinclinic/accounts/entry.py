"""From a request to the actor behind it, inside the request's own transaction."""

from uuid import UUID

from django.db.models import Exists, OuterRef
from django.http import HttpRequest

from skinclinic.accounts.models import IdentityProvider, Membership, MembershipQuerySet, User
from skinclinic.audit.acting import ANONYMOUS, Actor, narrow_to

ACTIVE_CLINIC = "clinic"
SIGNED_IN_AT, ACTIVE_AT = "signed_in_at", "active_at"
BOUND_TO = "bound_clinic"  # in a session that began at a clinic's identity provider: that clinic


def signed_in(request: HttpRequest) -> Actor:
    """The person of the session, in the clinic that the session claims (not yet believed)."""
    user = request.user
    if not user.is_authenticated:
        return ANONYMOUS
    return user.actor()


def enter_clinic(request: HttpRequest, actor: Actor) -> Actor:
    """Narrow the act to the session's clinic, if the person is a member there; else to her only one, or to none.

    The memberships are left on `request.memberships`, for the clinic switch in the top bar.
    """
    memberships = list(open_to(request).select_related("clinic").order_by("clinic__name"))
    request.memberships = memberships
    chosen = choose(memberships, request.session.get(ACTIVE_CLINIC))
    if chosen is None:
        return actor
    if request.session.get(ACTIVE_CLINIC) != str(chosen.clinic_id):
        request.session[ACTIVE_CLINIC] = str(chosen.clinic_id)
    request.clinic = chosen.clinic
    member = actor.in_clinic(chosen.clinic_id, chosen.roles)
    narrow_to(member)
    return member


def choose(memberships: list[Membership], claimed: str | None) -> Membership | None:
    for membership in memberships:
        if claimed and membership.clinic_id == UUID(claimed):
            return membership
    return memberships[0] if len(memberships) == 1 else None


def open_to(request: HttpRequest) -> MembershipQuerySet:
    """Of her memberships those that this session may act in: whoever came by a clinic's provider acts there alone, and
    whoever did not, in none that lets its members in by it only."""
    hers = Membership.objects.active().filter(user=request.user.pk)
    if bound := request.session.get(BOUND_TO):
        return hers.filter(clinic=bound)
    return hers.exclude(asks_for_provider()) if not is_operator(request.user) else hers


def asks_for_provider() -> Exists:
    return Exists(IdentityProvider.objects.filter(clinic=OuterRef("clinic"), is_required=True))


def is_operator(user: User) -> bool:
    """Who runs the installation comes in by a password always, so that somebody can when a provider is broken."""
    return user.is_staff or user.is_superuser
