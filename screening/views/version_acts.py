"""What managers, and who agrees with them, do to the clinic's models: each act with its reason."""

from collections.abc import Callable
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from screening.forms import VersionForm
from screening.models import ModelVersion, ReadingPolicy, Suspension, SwitchRequest
from screening.services import versions as services
from screening.views.model_card import version_or_404
from skinclinic.accounts.permissions import View, get_visible, member_required
from skinclinic.audit.acting import MANAGER, REVIEWER, Actor, acting
from skinclinic.errors import ClinicError


def version_act(do: Callable[[Actor, ModelVersion, str], object], said: str, said_of_the_first: str = "") -> View:
    """A manager's act on one version, with its reason; `said` tells what holds from then on, or `said_of_the_first`
    where nothing was read in the clinic yet."""

    @require_POST
    @member_required(MANAGER)
    def view(request: HttpRequest, version: str) -> HttpResponse:
        chosen = version_or_404(version)
        is_first = said_of_the_first and not ReadingPolicy.objects.visible_to(request.actor).exists()
        sentence = said_of_the_first if is_first else said
        return act(request, lambda reason: do(request.actor, chosen, reason), sentence % {"version": chosen})

    return view


def resume_act(do: Callable[..., None], said: str, *roles: str, or_approver: bool = False) -> View:
    """A step of one of `roles` on the way back from a suspension."""

    @require_POST
    @member_required(*roles, or_approver=or_approver)
    def view(request: HttpRequest, suspension_id: UUID) -> HttpResponse:
        suspension = get_visible(Suspension.objects.all(), request.actor, suspension_id)
        return act(request, lambda _: do(actor=request.actor, suspension=suspension), said)

    return view


def switch_act(do: Callable[..., None], said: str, *roles: str, or_approver: bool = False) -> View:
    """A step of one of `roles` on the way to another version."""

    @require_POST
    @member_required(*roles, or_approver=or_approver)
    def view(request: HttpRequest, request_id: UUID) -> HttpResponse:
        asked = get_visible(SwitchRequest.objects.select_related("version"), request.actor, request_id)
        return act(request, lambda _: do(actor=request.actor, request=asked), said)

    return view


def act(request: HttpRequest, do: Callable[[str], object], said: str) -> HttpResponse:
    """Do it with the reason that the form gives, which goes onto the ledger, and say how it went."""
    form = VersionForm(request.POST)
    try:
        if form.is_valid():
            reason = form.cleaned_data["reason"]
            with acting(request.actor, reason=reason):
                do(reason)
            messages.success(request, said)
        else:
            kept = gettext("The reason is kept on the ledger. %(problem)s")
            messages.error(request, kept % {"problem": form.errors["reason"][0]})
    except ClinicError as refusal:
        messages.error(request, str(refusal))
    return redirect("models")


version_switch = version_act(
    lambda actor, version, reason: services.ask_to_switch(actor=actor, version=version, reason=reason),
    _("Asked. Another manager or a reviewer has to agree on this page; nothing changes before."),
    _("Model %(version)s reads from the first photograph on."),
)
switch_agree = switch_act(
    services.agree_to_switch,
    _("It reads from the next photograph on: two people agreed."),
    MANAGER,
    REVIEWER,
    or_approver=True,
)
switch_take_back = switch_act(services.take_back_switch, _("The switch is taken back. All stays as it was."), MANAGER)
shadow_begin = version_act(
    lambda actor, version, _: services.begin_shadow(actor=actor, version=version),
    _("Model %(version)s reads beside the active one from the next photograph on."),
)
shadow_end = version_act(
    lambda actor, version, _: services.end_shadow(actor=actor, version=version),
    _("Model %(version)s does not read any more. What it read is kept."),
)
version_suspend = version_act(
    lambda actor, version, reason: services.suspend_readings(actor=actor, version=version, reason=reason),
    _("Model %(version)s is suspended in this clinic."),
)
resume_ask = resume_act(services.ask_to_resume, _("Another manager or a reviewer has to agree on this page."), MANAGER)
resume_take_back = resume_act(services.take_back_request, _("The request is taken back. It stays suspended."), MANAGER)
resume_agree = resume_act(
    services.agree_to_resume, _("This suspension is ended by two people."), MANAGER, REVIEWER, or_approver=True
)


@require_POST
@member_required(MANAGER)
def readings_suspend(request: HttpRequest) -> HttpResponse:
    return act(
        request,
        lambda reason: services.suspend_readings(actor=request.actor, version=None, reason=reason),
        gettext("All readings of this clinic are suspended. Photographs wait; doctors review them without."),
    )
