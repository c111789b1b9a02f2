"""What a manager does to the people of her clinic. Each act touches the membership, never the account."""

from collections.abc import Iterable

from allauth.mfa.models import Authenticator
from django.db import transaction
from django.utils.translation import gettext as _

from skinclinic.accounts.models import Clinic, Membership, MembershipQuerySet, Role
from skinclinic.accounts.second_factor import tell_ledger
from skinclinic.accounts.sessions import end_sessions
from skinclinic.audit.acting import MANAGER, Actor
from skinclinic.audit.record import record
from skinclinic.errors import ClinicError, StaleForm


class OwnMembership(ClinicError):
    """Nobody decides of herself."""

    def __init__(self) -> None:
        super().__init__(_("This is your own membership. Another manager has to do it."))


class LastManager(ClinicError):
    """A clinic without a manager could let nobody in any more."""

    def __init__(self) -> None:
        super().__init__(_("This is the last active manager of this clinic. Make somebody else a manager first."))


class LeftAlready(ClinicError):
    """Her account is nothing of this clinic's any more."""

    def __init__(self) -> None:
        super().__init__(_("This person is disabled in this clinic. What they do elsewhere is not yours to end."))


class NothingToReset(ClinicError):
    """She has no second factor."""


def change_roles(*, actor: Actor, membership: Membership, roles: Iterable[str]) -> None:
    """Raises OwnMembership, LastManager, StaleForm."""
    wanted = sorted(set(roles))
    with transaction.atomic():
        now = lock(actor, membership)
        if Role.MANAGER not in wanted:
            refuse_last_manager(now)
        change(now, roles=wanted)


def disable_member(*, actor: Actor, membership: Membership) -> int:
    """She is out at once, in this clinic; returns how many of her sessions ended. Raises OwnMembership, LastManager."""
    with transaction.atomic():
        now = lock(actor, membership)
        refuse_last_manager(now)
        # While she is a member: the database shows a clinic nothing of who has left.
        ended = end_sessions(now.user, clinic_id=now.clinic_id)
        change(now, is_active=False)
        Clinic.objects.filter(pk=now.clinic_id, approver=now.user_id).update(approver=None)
        return ended


def enable_member(*, actor: Actor, membership: Membership) -> None:
    with transaction.atomic():
        change(lock(actor, membership), is_active=True)


def end_sessions_of(*, actor: Actor, membership: Membership) -> int:
    """Wherever she is signed in: it is for what is lost. Raises LeftAlready."""
    refuse_who_left(membership)
    with transaction.atomic():
        ended = end_sessions(membership.user)
        record("sessions_ended", subject_type="accounts_user", subject_id=membership.user_id, detail={"ended": ended})
        return ended


def reset_second_factor(*, actor: Actor, membership: Membership) -> None:
    """She sets one up again when she signs in next. Raises OwnMembership, LeftAlready, NothingToReset."""
    refuse_own(actor, membership)
    refuse_who_left(membership)
    with transaction.atomic():
        hers = Authenticator.objects.filter(user=membership.user_id)
        kinds = set(hers.values_list("type", flat=True))
        if not kinds:
            raise NothingToReset(_("This person has no second factor. One is set up at the next sign-in."))
        hers.delete()
        end_sessions(membership.user)
        tell_ledger("second_factor_reset", membership.user, kinds)


def lock(actor: Actor, membership: Membership) -> Membership:
    """As it is now: two managers at once, each about the other, come one after the other."""
    refuse_own(actor, membership)
    Clinic.objects.select_for_update(no_key=True).get(pk=actor.own_clinic())
    return Membership.objects.select_related("user").get(pk=membership.pk)


def refuse_own(actor: Actor, membership: Membership) -> None:
    if membership.user_id == actor.user_id:
        raise OwnMembership


def refuse_who_left(membership: Membership) -> None:
    if not membership.is_active:
        raise LeftAlready


def refuse_last_manager(membership: Membership) -> None:
    if not membership.is_active or MANAGER not in membership.roles:
        return
    if not managers_of(membership.clinic_id).exclude(pk=membership.pk).exists():
        raise LastManager


def managers_of(clinic_id: object) -> MembershipQuerySet:
    return Membership.objects.active().filter(clinic=clinic_id, user__is_active=True, roles__contains=[MANAGER])


def change(membership: Membership, **values: object) -> None:
    if all(getattr(membership, name) == value for name, value in values.items()):
        raise StaleForm(_("It is so already. Load the page again and look."))
    Membership.objects.filter(pk=membership.pk).update(**values)
