"""Who takes a photograph again that could not be read."""

from django.utils import timezone
from django.utils.translation import gettext as _

from screening.models import Retake, Screening
from screening.services.errors import NotYours, StaleTransition
from skinclinic.accounts.models import Membership, User
from skinclinic.audit.acting import CLINICIAN, Actor
from skinclinic.events.models import EventType
from skinclinic.events.publish import publish


def assign_retake(*, actor: Actor, screening: Screening, assignee: User) -> None:
    """Give it to a clinician of the clinic, or to another one than before; she is told.

    Raises StaleTransition where there is nothing to take again, NotYours where the assignee takes no photographs here.
    """
    members = Membership.objects.active().filter(clinic=actor.own_clinic(), user=assignee, user__is_active=True)
    if not members.filter(roles__contains=[CLINICIAN]).exists():
        raise NotYours(_("%(name)s takes no photographs in this clinic.") % {"name": assignee.full_name})
    if not Screening.objects.to_be_retaken().filter(pk=screening.pk).exists():
        raise StaleTransition(_("There is nothing to take again: it was withdrawn, signed or taken again meanwhile."))
    given = {"assignee": assignee, "assigned_by_id": actor.person(), "assigned_at": timezone.now()}
    if not Retake.objects.filter(screening=screening).update(**given):
        Retake.objects.create(
            screening=screening, clinic_id=screening.clinic_id, patient_id=screening.patient_id, **given
        )
    publish(EventType.RETAKE_ASSIGNED, clinic_id=screening.clinic_id, screening=screening.pk)
