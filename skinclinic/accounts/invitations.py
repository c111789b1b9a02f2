"""Letting people in by e-mail: a link, good once, whose token is kept only as a digest."""

import secrets
import smtplib
from collections.abc import Iterable
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.core.mail import send_mail
from django.db import IntegrityError, transaction
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from skinclinic.accounts.language import is_spoken
from skinclinic.accounts.models import Clinic, Invitation, Membership, User, digest
from skinclinic.accounts.services import AlreadyMember
from skinclinic.audit.acting import Actor, acting, system
from skinclinic.errors import ClinicError, StaleForm

GOOD_FOR = timedelta(days=7)


class InvitedAlready(ClinicError):
    """There is an open invitation for this address."""


class MailNotSent(ClinicError):
    """The mail server does not take the mail, so that nothing was done."""


class InvitationGone(ClinicError):
    """Used, withdrawn, sent anew, or too old."""

    def __init__(self) -> None:
        super().__init__(
            _("This invitation was used or withdrawn, or is too old. Ask the manager who sent it for a new one.")
        )


class InvitedAnother(ClinicError):
    """She is signed in with another address than the one that was invited."""


def invite(*, actor: Actor, email: str, roles: Iterable[str], as_approver: bool = False) -> Invitation:
    """Raises AlreadyMember, InvitedAlready, MailNotSent."""
    clinic_id = actor.own_clinic()
    member = Membership.objects.filter(clinic=clinic_id, user__email__iexact=email).first()
    if member:
        raise AlreadyMember(
            _("This address belongs to a member of this clinic. Change that member's roles instead.")
            if member.is_active
            else _("This address belongs to a member who is disabled. Enable that member again instead.")
        )
    token = secrets.token_urlsafe(32)
    try:
        with transaction.atomic():
            invitation = Invitation.objects.create(
                clinic_id=clinic_id,
                email=email.lower(),
                roles=sorted(set(roles)),
                as_approver=as_approver,
                token_hash=digest(token),
                invited_by_id=actor.person(),
                expires_at=timezone.now() + GOOD_FOR,
            )
    except IntegrityError as error:
        raise InvitedAlready(_("This address is invited already. Send that invitation again instead.")) from error
    mail(invitation, token, actor)
    return invitation


def resend(*, actor: Actor, invitation: Invitation) -> None:
    """With a new link; the old one is no good any more. Raises InvitationGone, MailNotSent."""
    token, now = secrets.token_urlsafe(32), timezone.now()
    with transaction.atomic():
        sent = Invitation.objects.open().filter(pk=invitation.pk)
        if sent.update(token_hash=digest(token), sent_at=now, expires_at=now + GOOD_FOR) != 1:
            raise StaleForm(_("This invitation was taken or withdrawn already. Load the page again and look."))
        mail(invitation, token, actor)


def withdraw(*, actor: Actor, invitation: Invitation) -> None:
    if Invitation.objects.open().filter(pk=invitation.pk).update(withdrawn_at=timezone.now()) != 1:
        raise StaleForm(_("This invitation was taken or withdrawn already. Load the page again and look."))


def mail(invitation: Invitation, token: str, actor: Actor) -> None:
    """Whose clinic it is and who invites; of no patient. Raises MailNotSent, which undoes the rest."""
    invited = User.objects.filter(email__iexact=invitation.email).first()
    chosen = invited.language if invited and is_spoken(invited.language) else translation.get_language()
    address = reverse("invitation", args=[invitation.clinic_id, token])
    context = {
        "clinic": invitation.clinic.name,
        "inviter": actor.name,
        "address": f"{settings.SITE_URL}{address}",
        "days": GOOD_FOR.days,
    }
    with translation.override(chosen):
        subject = _("Invitation to %(clinic)s") % {"clinic": " ".join(invitation.clinic.name.split())}
        text = render_to_string("accounts/invitation_mail.txt", context)
    try:
        send_mail(subject, text, settings.DEFAULT_FROM_EMAIL, [invitation.email])
    except (OSError, smtplib.SMTPException) as error:
        raise MailNotSent(_("The mail could not be sent, so nobody is invited. Try again in a minute.")) from error


def find(clinic_id: UUID, token: str) -> Invitation | None:
    """The invitation that this link opens, if it is still good."""
    with acting(system(clinic_id=clinic_id)):
        found = Invitation.objects.with_token(token).select_related("clinic", "invited_by")
        return found.filter(clinic=clinic_id).first()


def account_of(invitation: Invitation) -> User | None:
    return User.objects.filter(email__iexact=invitation.email).first()


def join_as_new(*, clinic_id: UUID, token: str, full_name: str, password: str) -> Membership:
    """She makes her account and is in. Raises InvitationGone, also when there is an account by now."""
    with acting(system(clinic_id=clinic_id)):
        invitation = lock(clinic_id, token)
        if account_of(invitation):
            raise InvitationGone
        user = User.objects.create_user(invitation.email, password, full_name=full_name)
        return take(invitation, user)


def join_as(*, user: User, clinic_id: UUID, token: str) -> Membership:
    """With the account that she has. Raises InvitationGone, InvitedAnother, AlreadyMember."""
    with acting(system(clinic_id=clinic_id)):
        invitation = lock(clinic_id, token)
        if invitation.email.casefold() != user.email.casefold():
            raise InvitedAnother(
                _(
                    "This invitation is for %(invited)s, and you are signed in as %(other)s. "
                    "Sign out, then open it again."
                )
                % {"invited": invitation.email, "other": user.email}
            )
        return take(invitation, user)


def lock(clinic_id: UUID, token: str) -> Invitation:
    """Two browsers with one link: the second finds it used."""
    found = Invitation.objects.with_token(token).filter(clinic=clinic_id).select_for_update(no_key=True).first()
    if found is None:
        raise InvitationGone
    return found


def take(invitation: Invitation, user: User) -> Membership:
    """Her own act, on the ledger under her name."""
    with acting(user.actor().in_clinic(invitation.clinic_id, invitation.roles)):
        membership, is_new = Membership.objects.get_or_create(
            clinic_id=invitation.clinic_id, user=user, defaults={"roles": invitation.roles}
        )
        if not is_new:
            raise AlreadyMember(_("You belong to this clinic already. If you cannot get in, ask its manager."))
        if invitation.as_approver:
            Clinic.objects.filter(pk=invitation.clinic_id, approver=None).update(approver=user)
        Invitation.objects.filter(pk=invitation.pk).update(accepted_at=timezone.now(), accepted_by=user)
    return membership
