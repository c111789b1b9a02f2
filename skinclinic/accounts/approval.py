"""Who may agree to what a manager asked for: it takes two, and a clinic with one manager names the second."""

from uuid import UUID

from django.utils.translation import gettext as _

from skinclinic.accounts.models import Clinic, Membership, MembershipQuerySet
from skinclinic.accounts.people import managers_of
from skinclinic.audit.acting import MANAGER, REVIEWER, Actor
from skinclinic.errors import ClinicError, NotAllowed


class NoApprover(ClinicError):
    """This person cannot be the second one."""


def may_agree(actor: Actor) -> bool:
    return actor.has_role(MANAGER, REVIEWER) or is_approver(actor)


def is_approver(actor: Actor) -> bool:
    """Named, and needed: as long as the clinic has one manager."""
    if actor.clinic_id is None or actor.user_id is None:
        return False
    named = Clinic.objects.filter(pk=actor.clinic_id, approver=actor.user_id).exists()
    return named and managers_of(actor.clinic_id).count() == 1


def refuse_who_may_not_agree(actor: Actor) -> None:
    if not may_agree(actor):
        raise NotAllowed(_("Another manager or a reviewer has to agree, or the approver of a clinic with one manager."))


def could_approve(actor: Actor) -> MembershipQuerySet:
    """Every member but the managers: who asks does not approve."""
    members = Membership.objects.visible_to(actor).active().filter(user__is_active=True)
    return members.exclude(roles__contains=[MANAGER]).select_related("user").order_by("user__full_name")


def name_approver(*, actor: Actor, person: UUID | None) -> None:
    """Raises NoApprover. None: nobody any more."""
    if person and not could_approve(actor).filter(user=person).exists():
        raise NoApprover(_("Name an active member of this clinic who is no manager."))
    Clinic.objects.filter(pk=actor.own_clinic()).update(approver=person)
