"""A signature is held for a few seconds before it is given, so that a slip of the finger can be undone."""

import logging
from collections.abc import Collection
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from patients.models import Visit
from screening.codes import HeldStatus
from screening.models import HeldSignature, Signature
from screening.services.errors import NotYours, StaleTransition
from screening.services.reviews import take_visit
from screening.services.signing import lock_signable, sign_visit
from skinclinic.accounts.language import spoken_by
from skinclinic.accounts.models import Clinic
from skinclinic.accounts.services import actor_in
from skinclinic.audit.acting import REVIEWER, Actor, acting, system
from skinclinic.errors import ClinicError
from skinclinic.locks import next_in_spite_of_it

logger = logging.getLogger(__name__)
# The page gives it when it is due; only where that is gone does the sweep, a little later.
SWEPT_AFTER = timedelta(seconds=3)
REVIEWS_NO_MORE = gettext_lazy("The reviewer does not review here any more.")


def hold_signature(*, actor: Actor, visit: Visit, opinions_shown: Collection[UUID]) -> HeldSignature:
    """Sign the visit in a few seconds. Nothing is held that could not be signed now: raises as `lock_signable` does.

    Raises StaleTransition when a signature of this visit is held already.
    """
    with transaction.atomic():
        signable = lock_signable(actor=actor, visit=visit, opinions_shown=opinions_shown)
        if HeldSignature.objects.held().filter(visit=visit).exists():
            raise StaleTransition(_("This visit is signed already; it goes out within seconds."))
        take_visit(actor=actor, visit=visit)
        return HeldSignature.objects.create(
            clinic_id=visit.clinic_id,
            patient_id=visit.patient_id,
            visit=visit,
            reviewer_id=actor.person(),
            opinions=list(opinions_shown),
            differs=bool(signable.differing),
            due_at=timezone.now() + timedelta(seconds=settings.SIGNATURE_HOLD),
        )


def undo_signature(*, actor: Actor, held: HeldSignature) -> None:
    """Raises StaleTransition when it was given in the meantime, NotYours when it is another reviewer's."""
    if held.reviewer_id != actor.user_id:
        raise NotYours(_("Only the reviewer who signed can undo it."))
    if not close(held, HeldStatus.UNDONE):
        raise StaleTransition(_("It is too late to undo: the visit is signed. A signed review can be amended."))


def give_signature(*, actor: Actor, held: HeldSignature) -> Signature | None:
    """Sign as the reviewer asked. None when two readers differ, or when it was closed in the meantime.

    What `sign_visit` refuses is kept as the reason, and raised.
    """
    if held.reviewer_id != actor.user_id:
        raise NotYours(_("Only the reviewer who signed can send it."))
    if not close(held, HeldStatus.GIVEN):
        return None
    try:
        with transaction.atomic():
            return sign_visit(actor=actor, visit=held.visit, opinions_shown=held.opinions)
    except ClinicError as refusal:
        HeldSignature.objects.filter(pk=held.pk).update(status=HeldStatus.REFUSED, refusal=str(refusal)[:300])
        raise


def close(held: HeldSignature, status: HeldStatus) -> bool:
    return HeldSignature.objects.held().filter(pk=held.pk).update(status=status, closed_at=timezone.now()) == 1


def sweep_signatures() -> int:
    """Give those that are due and whose page is gone, in their reviewers' names; returns how many."""
    swept = 0
    with acting(system()):
        clinics = list(Clinic.objects.all())
    for clinic in clinics:
        with acting(system(clinic_id=clinic.pk)):
            due = HeldSignature.objects.due().filter(due_at__lt=timezone.now() - SWEPT_AFTER)
            waiting = list(due.select_related("visit", "reviewer"))
        for held in waiting:
            # Why it is refused is kept in words for the reviewer.
            with next_in_spite_of_it("signatures", clinic), translation.override(spoken_by(held.reviewer)):
                give_in_her_name(held)
                swept += 1
    return swept


def give_in_her_name(held: HeldSignature) -> None:
    with acting(system(clinic_id=held.clinic_id)):
        reviewer = actor_in(held.clinic_id, held.reviewer, REVIEWER)
    if reviewer is None:
        with acting(system(clinic_id=held.clinic_id)):
            HeldSignature.objects.held().filter(pk=held.pk).update(
                status=HeldStatus.REFUSED,
                closed_at=timezone.now(),
                refusal=str(REVIEWS_NO_MORE),
            )
        return
    with acting(reviewer, reason="held signature is due"):
        try:
            give_signature(actor=reviewer, held=held)
        except ClinicError as refusal:
            logger.warning("Held signature %s was refused: %s", held.pk, type(refusal).__name__)
