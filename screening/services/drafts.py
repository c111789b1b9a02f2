"""Opinions that are not saved yet. A draft is its writer's alone, and gone with the opinion that comes of it."""

from collections.abc import Mapping

from django.utils import timezone

from screening.models import Draft, Review, Screening
from skinclinic.audit.acting import Actor
from skinclinic.text import uuid_or_none

# Of the opinion's form, and how much of each is kept.
KEPT = {
    "submission": 36,  # the form's own number
    "suspicious": 3,
    "diagnosis": 24,
    "recommendation": 12,
    "follow_up_months": 4,
    "difference_reason": 20,
    "words": 2000,
}


def keep_draft(*, actor: Actor, screening: Screening, typed: Mapping[str, str]) -> Draft | None:
    """In the place of her last one; None when nothing is typed any more."""
    fields = {name: typed[name][:limit] for name, limit in KEPT.items() if typed.get(name)}
    if uuid_or_none(fields.get("submission")) is None:
        fields.pop("submission", None)
    if fields.keys() <= {"submission"}:
        drop_draft(actor=actor, screening=screening)
        return None
    draft, _ = Draft.objects.update_or_create(
        screening=screening,
        reviewer_id=actor.person(),
        defaults={"fields": fields, "changed_at": timezone.now()},
        create_defaults={
            "clinic_id": screening.clinic_id,
            "patient_id": screening.patient_id,
            "fields": fields,
            "changed_at": timezone.now(),
        },
    )
    return draft


def find_draft(*, actor: Actor, screening: Screening) -> Draft | None:
    """None, too, when its form was saved: the last keystrokes may have been sent beside the opinion, and come later."""
    draft = Draft.objects.filter(screening=screening, reviewer=actor.user_id).first()
    if draft is None:
        return None
    saved = Review.objects.filter(reviewer=actor.user_id, submission=draft.fields.get("submission"))
    return None if saved.exists() else draft


def drop_draft(*, actor: Actor, screening: Screening) -> None:
    Draft.objects.filter(screening=screening, reviewer=actor.person()).delete()
