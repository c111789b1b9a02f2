"""What was done and seen, who by and when: narrowed, page by page, and as a table for an auditor."""

from collections.abc import Callable
from operator import itemgetter
from uuid import UUID

from django import forms
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_GET

from screening import deeds
from screening.deeds import DEEDS, Line, line_of
from screening.models import FollowUp, Prediction, ReadingProblem, Review, Screening
from screening.querysets import ScreeningQuerySet
from screening.tables import begins, ends, table_response
from skinclinic.accounts.models import User
from skinclinic.accounts.permissions import get_visible, member_required, require_role
from skinclinic.audit.acting import AUDITOR, MANAGER, Actor
from skinclinic.audit.models import AuditEvent, AuditEventQuerySet
from skinclinic.audit.record import record

Tell = Callable[[AuditEvent], Line]
PAGE = 120
# More than this is asked for day by day.
MOST_IN_TABLE = 50_000
CHANGES, LOOKS = "changes", "looks"
KINDS = [("", _("Everything")), (CHANGES, _("What was changed")), (LOOKS, _("Who looked"))]
SEEN_OR_DONE, CHANGED = "act", "thing"
COLUMNS = (_("number"), _("at"), _("who"), _("what"), _("details"), _("reason"))


class HistoryForm(forms.Form):
    """What a history is narrowed to. Wrong values narrow nothing."""

    kind = forms.ChoiceField(label=_("Show"), choices=KINDS, required=False)
    who = forms.ChoiceField(label=_("Who"), required=False)
    since = forms.DateField(
        label=_("Since"), required=False, widget=forms.DateInput({"type": "date"}, format="%Y-%m-%d")
    )
    until = forms.DateField(
        label=_("Until"), required=False, widget=forms.DateInput({"type": "date"}, format="%Y-%m-%d")
    )

    def __init__(self, *args: object, actor: Actor, **kwargs: object):
        super().__init__(*args, **kwargs)
        self.fields["who"].choices = [("", _("Anybody")), *people_of(actor)]

    def narrow(self, events: AuditEventQuerySet) -> AuditEventQuerySet:
        asked = self.cleaned_data if self.is_valid() else getattr(self, "cleaned_data", {})
        changes = Q(action__in=list(DEEDS))
        wanted = Q()
        if asked.get("kind"):
            wanted &= changes if asked["kind"] == CHANGES else ~changes
        if asked.get("who"):
            wanted &= Q(actor=asked["who"])
        return events.filter(wanted).between(begins(asked.get("since")), ends(asked.get("until")))


class LedgerForm(HistoryForm):
    """The whole ledger is narrowed to one kind of thing or of act as well."""

    what = forms.ChoiceField(label=_("What"), required=False)
    field_order = ("kind", "what", "who", "since", "until")

    def __init__(self, *args: object, **kwargs: object):
        super().__init__(*args, **kwargs)
        self.fields["what"].choices = what_can_be

    def narrow(self, events: AuditEventQuerySet) -> AuditEventQuerySet:
        found = super().narrow(events)
        way, _colon, name = self.cleaned_data.get("what", "").partition(":")
        if way == CHANGED:
            return found.filter(subject_type=name, action__in=list(DEEDS))
        return found.filter(action=name) if way == SEEN_OR_DONE else found


def what_can_be() -> list[tuple[str, object]]:
    """Things that are changed and acts that change nothing, by name."""
    things = [(f"{CHANGED}:{table}", str(name)) for table, name in deeds.THINGS.items()]
    acts = [(f"{SEEN_OR_DONE}:{act}", str(name)) for act, name in deeds.LOOKS.items()]
    by_name = itemgetter(1)
    return [
        ("", _("Anything")),
        (_("Changed"), sorted(things, key=by_name)),
        (_("Seen or done"), sorted(acts, key=by_name)),
    ]


@require_GET
@member_required(MANAGER, AUDITOR)
def clinic_history(request: HttpRequest) -> HttpResponse:
    """What managers decided for the clinic. It tells of no patient."""
    of_clinic = AuditEvent.objects.visible_to(request.actor).about_any([request.actor.own_clinic()])
    events = of_clinic.filter(subject_type="accounts_clinic")
    if "csv" in request.GET:
        return history_table(request, events)
    return render(request, "accounts/clinic_history.html", history_page(request, events))


@require_GET
@member_required()
def screening_history(request: HttpRequest, screening_id: UUID) -> HttpResponse:
    screening = get_visible(Screening.objects.with_everything(), request.actor, screening_id)
    itself = Screening.objects.visible_to(request.actor).filter(pk=screening.pk)
    record(
        "history_seen",
        subject_type="screening_screening",
        subject_id=screening.pk,
        patient_id=screening.patient_id,
    )
    events = AuditEvent.objects.visible_to(request.actor).about_any(ids_of_screening(screening))
    events = without_hidden(events, request.actor, itself)
    if "csv" in request.GET:
        return history_table(request, events)
    context = {"screening": screening, "patient": screening.patient, **history_page(request, events)}
    return render(request, "screening/history.html", context)


def without_hidden(events: AuditEventQuerySet, actor: Actor, screenings: ScreeningQuerySet) -> AuditEventQuerySet:
    """Leave out what became of those of `screenings` that the actor is to judge first, and what others said of them."""
    hidden = list(screenings.shown_to(actor).filter(is_hidden=True).values_list("pk", flat=True))
    if not hidden:
        return events
    of_hidden = {
        "screening_screening": hidden,
        "screening_prediction": Prediction.objects.filter(screening__in=hidden).values_list("pk", flat=True),
        "screening_review": Review.objects.filter(screening__in=hidden).values_list("pk", flat=True),
        "screening_readingproblem": ReadingProblem.objects.filter(screening__in=hidden).values_list("pk", flat=True),
        "screening_followup": FollowUp.objects.filter(review__screening__in=hidden).values_list("pk", flat=True),
    }
    for subject_type, ids in of_hidden.items():
        events = events.not_about(subject_type, ids)
    return events


def ids_of_screening(screening: Screening) -> list[UUID]:
    """The screening's own id and those of its photograph, readings, reviews, follow-ups and signatures."""
    reviews = list(screening.reviews.values_list("pk", "follow_up"))
    return [
        screening.pk,
        screening.image_id,
        *screening.predictions.deciding().values_list("pk", flat=True),
        *(key for pair in reviews for key in pair if key),
        *screening.visit.signatures.values_list("pk", flat=True),
    ]


def history_page(
    request: HttpRequest, events: AuditEventQuerySet, tell: Tell = line_of, form_class: type[HistoryForm] = HistoryForm
) -> dict[str, object]:
    """The newest lines, or those before the line that `?before=` names; `older` leads to the next page."""
    form = form_class(request.GET, actor=request.actor)
    before = request.GET.get("before", "")
    is_first = not (before.isdecimal() and len(before) < 19)
    events = form.narrow(events)
    if not is_first:
        events = events.filter(pk__lt=int(before))
    found = list(events[: PAGE + 1])
    asked = request.GET.copy()
    asked.pop("before", None)
    return {
        "lines": [tell(event) for event in found[:PAGE]],
        "older": found[PAGE - 1].pk if len(found) > PAGE else None,
        "is_first": is_first,
        "history_form": form,
        "asked": asked.urlencode(),
        "is_narrowed": any(asked.get(name) for name in form.fields),
        "may_export": request.actor.has_role(AUDITOR, MANAGER),
    }


def people_of(actor: Actor) -> list[tuple[str, str]]:
    """Who belongs, or belonged, to the actor's clinic."""
    members = User.objects.filter(memberships__clinic=actor.clinic_id).order_by("full_name")
    return [(str(key), name) for key, name in members.values_list("pk", "full_name")]


def history_table(
    request: HttpRequest, events: AuditEventQuerySet, tell: Tell = line_of, form_class: type[HistoryForm] = HistoryForm
) -> HttpResponse:
    """The same lines as CSV, the newest first, for auditors and managers. That it was made is on the ledger."""
    require_role(request.actor, AUDITOR, MANAGER)
    events = form_class(request.GET, actor=request.actor).narrow(events)
    rows = [cells_of(event.pk, tell(event)) for event in events[:MOST_IN_TABLE].iterator()]
    record("history_exported", detail={"lines": len(rows), "asked": request.GET.urlencode()})
    return table_response("history", COLUMNS, rows)


def cells_of(number: int, line: Line) -> list[object]:
    told = "; ".join(f"{name}: {change}" for name, change in line.details)
    at = timezone.localtime(line.at).isoformat(timespec="seconds")
    return [number, at, line.who, line.what, told, line.reason]
