import json
import math
from functools import lru_cache
from typing import Any

from django import template
from django.core.serializers.json import DjangoJSONEncoder
from django.template import Context
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from patients.body_map import OUTLINE
from screening.cautions import shown_band
from screening.codes import Band
from screening.dashboard.alarms import sentence
from screening.models import Alarm, HeldSignature, Notice, Screening
from screening.presentation import ShownReading, shown_score
from screening.querysets import HIDDEN_UNTIL_REVIEW
from screening.status import ReadingStatus
from screening.words import unfit_reason
from skinclinic.accounts.models import Role
from skinclinic.accounts.sessions import browser_name
from skinclinic.audit.acting import REVIEWER, Actor
from skinclinic.text import in_sentence

register = template.Library()

# What a person would otherwise rely on, or wait for.
SUSPENDABLE = {ReadingStatus.PREDICTED, ReadingStatus.QUEUED}


@register.simple_tag
def reading_chip(screening: Screening, reading: ShownReading | None = None) -> SafeString:
    """The state of a screening's reading in a word, a shape and a colour."""
    if screening.is_hidden:
        return chip("unreviewed" if screening.hidden_until == HIDDEN_UNTIL_REVIEW else "hidden", "", "")
    prediction = screening.prediction
    if screening.is_suspended and screening.reading_status in SUSPENDABLE:
        return chip("suspended", "", "")
    if prediction is None:
        return chip(screening.reading_status, "", "")
    # A list goes by the cautions of the day of the reading; the page has asked again, and hands over what it shows.
    band = reading.band if reading else shown_band(prediction.band, prediction.cautions)
    return chip(screening.reading_status, band, shown_score(prediction.malignancy))


@register.inclusion_tag("screening/_held.html", takes_context=True)
def held_signatures(context: Context) -> dict[str, Any]:
    """Her own, on every page, until they are given."""
    actor = context.get("actor")
    held = []
    if actor is not None and actor.has_role(REVIEWER):
        mine = HeldSignature.objects.visible_to(actor).held().filter(reviewer=actor.user_id)
        held = list(mine.select_related("visit__patient__identity").order_by("due_at"))
    for each in held:
        each.seconds_left = max(0, math.ceil((each.due_at - timezone.now()).total_seconds()))
    # The forms in it need what every form carries.
    return {"held_signatures": held, "actor": actor, "csrf_token": context.get("csrf_token")}


@register.filter
def lasting(seconds: float) -> str:
    """So long, in the largest unit that leaves a whole number above one."""
    for size, words in ((86_400, _("%d days")), (3600, _("%d hours")), (60, _("%d minutes"))):
        if seconds >= 2 * size:
            return words % (seconds // size)
    return _("%d seconds") % seconds if seconds >= 2 else _("%.1f seconds") % seconds


@register.inclusion_tag("screening/_bell.html", takes_context=True)
def bell(context: Context) -> dict[str, Any]:
    return bell_of(context["actor"])


def bell_of(actor: Actor) -> dict[str, int]:
    """How many things she was told of and has not looked at."""
    return {"unseen_notices": Notice.objects.count_unseen(actor)}


@register.filter
def alarm_sentence(alarm: Alarm) -> str:
    """As it was last seen."""
    return sentence(alarm.code, alarm.facts)


@register.filter
def band_word(band: str) -> str:
    return str(Band(band).label)


@register.filter
def role_word(role: str) -> str:
    return str(Role(role).label)


@register.filter
def as_json(value: object) -> str:
    """For an attribute that a script reads."""
    return json.dumps(value, cls=DjangoJSONEncoder)


@register.simple_tag
def body_outline() -> str:
    return OUTLINE


@register.filter
def plain(figure: float) -> str:
    """For programs, such as a coordinate: with a point, whatever the language writes."""
    return str(figure)


register.filter(browser_name)
register.filter(in_sentence)
register.filter(unfit_reason)


def chip(status: str, band: str, score: str) -> SafeString:
    return drawn_chip(get_language(), status, band, score)


@lru_cache(maxsize=1024)
def drawn_chip(language: str, status: str, band: str, score: str) -> SafeString:
    """A list has dozens of few kinds: including the template for each took a third of the worklist's time."""
    return render_to_string("partials/reading_chip.html", {"status": status, "band": band, "score": score})
