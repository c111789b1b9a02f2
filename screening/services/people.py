"""What leaves a clinic with a person: her claims on visits."""

from django.db import transaction

from patients.models import Visit
from skinclinic.accounts import people
from skinclinic.accounts.models import Membership
from skinclinic.audit.acting import Actor


def disable_member(*, actor: Actor, membership: Membership) -> int:
    """As `people.disable_member`, and the visits that she has taken are free for others."""
    with transaction.atomic():
        ended = people.disable_member(actor=actor, membership=membership)
        taken = Visit.objects.visible_to(actor).filter(taken_by=membership.user_id)
        taken.update(taken_by=None, taken_until=None)
        return ended
