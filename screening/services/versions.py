"""Which model reads for a clinic: switched by two, joined by silent ones, suspended by one, resumed by two."""

from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from screening.models import ModelVersion, ReadingPolicy, ShadowVersion, Suspension, SwitchRequest
from screening.services.errors import NotYours, ReadingsSuspended, StaleTransition
from skinclinic.accounts.approval import refuse_who_may_not_agree
from skinclinic.audit.acting import Actor
from skinclinic.events.models import EventType
from skinclinic.events.publish import publish


def policy_of(*, actor: Actor) -> ReadingPolicy | None:
    """The clinic's policy; one without it begins with the newest registered version. None where no model ever ran."""
    policy = ReadingPolicy.objects.select_related("active", "previous").filter(clinic=actor.own_clinic()).first()
    if policy is None and (newest := ModelVersion.objects.newest()):
        policy = begin_policy(actor=actor, version=newest)
    return policy


def begin_policy(*, actor: Actor, version: ModelVersion) -> ReadingPolicy:
    """What another process has begun meanwhile stands."""
    policy, _is_new = ReadingPolicy.objects.get_or_create(clinic_id=actor.own_clinic(), defaults={"active": version})
    return policy


def ask_to_switch(*, actor: Actor, version: ModelVersion, reason: str) -> SwitchRequest | None:
    """`version` decides once another person has agreed. None where it decides at once: nothing was read here yet.

    Raises StaleTransition, ReadingsSuspended.
    """
    refuse_switch(actor, version)
    if not ReadingPolicy.objects.visible_to(actor).exists():
        begin_policy(actor=actor, version=version)
        return None
    try:
        with transaction.atomic():
            asked = SwitchRequest.objects.create(
                clinic_id=actor.own_clinic(), version=version, reason=reason, asked_by_id=actor.person()
            )
            publish(EventType.SWITCH_ASKED, clinic_id=asked.clinic_id, switch=asked.pk)
            return asked
    except IntegrityError as error:
        raise StaleTransition(
            _("A switch is asked for already. It has to be agreed to or taken back first.")
        ) from error


def agree_to_switch(*, actor: Actor, request: SwitchRequest) -> None:
    """By another person than the one who asked: from the next photograph on that version decides, and is no shadow.

    Raises NotYours, NotAllowed, StaleTransition, ReadingsSuspended.
    """
    refuse_who_may_not_agree(actor)
    if request.asked_by_id == actor.person():
        raise NotYours(_("You asked for this switch. Another manager or a reviewer has to agree."))
    with transaction.atomic():
        end_request(request, agreed_by=actor.person())
        refuse_switch(actor, request.version)
        policy = ReadingPolicy.objects.select_for_update(no_key=True).get(clinic=actor.own_clinic())
        policy.active, policy.previous_id = request.version, policy.active_id
        policy.save(update_fields=["active", "previous"])
        ShadowVersion.objects.visible_to(actor).filter(model_version=request.version).delete()


def take_back_switch(*, actor: Actor, request: SwitchRequest) -> None:
    end_request(request, agreed_by=None)


def end_request(request: SwitchRequest, *, agreed_by: UUID | None) -> None:
    ended = SwitchRequest.objects.open().filter(pk=request.pk).update(agreed_by=agreed_by, ended_at=timezone.now())
    if ended != 1:
        raise StaleTransition(_("This was agreed to or taken back already."))


def refuse_switch(actor: Actor, version: ModelVersion) -> None:
    if ReadingPolicy.objects.visible_to(actor).filter(active=version).exists():
        raise StaleTransition(_("Model %(version)s reads for this clinic already.") % {"version": version})
    if Suspension.objects.visible_to(actor).open().filter(model_version=version).exists():
        raise ReadingsSuspended(
            _("Model %(version)s is suspended. It has to be resumed by two people first.") % {"version": version}
        )


def begin_shadow(*, actor: Actor, version: ModelVersion) -> ShadowVersion:
    if ReadingPolicy.objects.visible_to(actor).filter(active=version).exists():
        raise StaleTransition(
            _("Model %(version)s is the active one; it cannot read beside itself.") % {"version": version}
        )
    shadow, created = ShadowVersion.objects.get_or_create(clinic_id=actor.own_clinic(), model_version=version)
    if not created:
        raise StaleTransition(_("Model %(version)s reads in the shadow already.") % {"version": version})
    return shadow


def end_shadow(*, actor: Actor, version: ModelVersion) -> None:
    ended, _by_table = ShadowVersion.objects.visible_to(actor).filter(model_version=version).delete()
    if not ended:
        raise StaleTransition(_("Model %(version)s does not read in the shadow.") % {"version": version})


def suspend_readings(*, actor: Actor, version: ModelVersion | None, reason: str) -> Suspension:
    """At once and alone. version: None for all readings of the clinic."""
    if version:
        # A worker holds a suspension against the version that the policy names, so there has to be one.
        policy_of(actor=actor)
    try:
        with transaction.atomic():
            return Suspension.objects.create(
                clinic_id=actor.own_clinic(), model_version=version, reason=reason, suspended_by_id=actor.person()
            )
    except IntegrityError as error:
        raise StaleTransition(_("This is suspended already.")) from error


def ask_to_resume(*, actor: Actor, suspension: Suspension) -> None:
    with transaction.atomic():
        asked = (
            Suspension.objects.open()
            .filter(pk=suspension.pk, resume_asked_by=None)
            .update(resume_asked_by=actor.person(), resume_asked_at=timezone.now())
        )
        if asked != 1:
            raise StaleTransition(_("Somebody has asked for this already, or it is resumed."))
        publish(EventType.RESUME_ASKED, clinic_id=suspension.clinic_id, suspension=suspension.pk)


def take_back_request(*, actor: Actor, suspension: Suspension) -> None:
    """Nobody asks to resume any more; by any manager. The ledger keeps who asked."""
    taken_back = (
        Suspension.objects.open()
        .filter(pk=suspension.pk, resume_asked_by__isnull=False)
        .update(resume_asked_by=None, resume_asked_at=None)
    )
    if taken_back != 1:
        raise StaleTransition(_("Nobody asks for this any more, or it is resumed."))


def agree_to_resume(*, actor: Actor, suspension: Suspension) -> None:
    """By another person than the one who asked; raises NotYours, NotAllowed."""
    refuse_who_may_not_agree(actor)
    if suspension.resume_asked_by_id == actor.person():
        raise NotYours(_("You asked to resume. Another manager or a reviewer has to agree."))
    resumed = (
        Suspension.objects.open()
        .filter(pk=suspension.pk, resume_asked_by=suspension.resume_asked_by_id, resume_asked_by__isnull=False)
        .update(resumed_by=actor.person(), resumed_at=timezone.now())
    )
    if resumed != 1:
        raise StaleTransition
