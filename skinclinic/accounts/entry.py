"""From a request to the actor behind it, inside the request's own transaction."""

from uuid import UUID

from django.http import HttpRequest

from skinclinic.accounts.models import Membership
from skinclinic.audit.acting import ANONYMOUS, Actor, narrow_to

ACTIVE_CLINIC = "clinic"


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
    memberships = list(
        Membership.objects.active().filter(user_id=actor.user_id).select_related("clinic").order_by("clinic__name")
    )
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
