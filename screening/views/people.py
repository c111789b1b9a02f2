"""The clinic's people: who they are, how they come in, and what a manager does about it."""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_GET, require_POST

from screening.services.people import disable_member
from screening.views.history import history_page
from skinclinic.accounts import invitations, people
from skinclinic.accounts.forms import InvitationForm, ReasonForm, RolesForm
from skinclinic.accounts.models import Invitation, Membership
from skinclinic.accounts.permissions import View, get_visible, member_required
from skinclinic.accounts.second_factor import factors_of
from skinclinic.accounts.sessions import open_sessions
from skinclinic.audit.acting import AUDITOR, MANAGER, Actor, acting
from skinclinic.audit.models import AuditEvent
from skinclinic.audit.record import record, record_page
from skinclinic.errors import ClinicError

# That her page was looked at says nothing of her.
NOT_TOLD = ("person_seen",)


@dataclass(frozen=True)
class Member:
    """One line of the list."""

    membership: Membership
    factors: list[str]
    sessions: int


def members_of(actor: Actor) -> list[Member]:
    memberships = Membership.objects.visible_to(actor).select_related("user")
    listed = list(memberships.order_by("-is_active", "user__full_name", "user__email"))
    keys = [each.user_id for each in listed]
    factors, sessions = factors_of(keys), open_sessions(keys)
    return [Member(each, factors[each.user_id], sessions[each.user_id]) for each in listed]


@require_GET
@member_required(MANAGER, AUDITOR)
def people_list(request: HttpRequest) -> HttpResponse:
    return show(request, InvitationForm())


def show(request: HttpRequest, form: InvitationForm) -> HttpResponse:
    listed = members_of(request.actor)
    invited = Invitation.objects.visible_to(request.actor).open().select_related("invited_by")
    record_page("people_listed", subject_type="accounts_membership", ids=[each.membership.pk for each in listed])
    context = {
        "members": listed,
        "invitations": invited,
        "form": form,
        "is_manager": request.actor.has_role(MANAGER),
    }
    return render(request, "dashboard/people.html", context)


@require_GET
@member_required(MANAGER, AUDITOR)
def member(request: HttpRequest, membership_id: UUID) -> HttpResponse:
    return show_member(request, found(request, membership_id))


def found(request: HttpRequest, membership_id: UUID) -> Membership:
    return get_visible(Membership.objects.select_related("user"), request.actor, membership_id)


def show_member(request: HttpRequest, shown: Membership, form: RolesForm | None = None) -> HttpResponse:
    record("person_seen", subject_type="accounts_membership", subject_id=shown.pk)
    about = AuditEvent.objects.visible_to(request.actor).about_any([shown.pk, shown.user_id])
    is_hers = shown.user_id == request.actor.user_id
    context = {
        "member": Member(shown, factors_of([shown.user_id])[shown.user_id], open_sessions([shown.user_id]).total()),
        "is_hers": is_hers,
        "may_act": request.actor.has_role(MANAGER) and not is_hers,
        "form": form or RolesForm(initial={"roles": shown.roles}),
        **history_page(request, about.exclude(action__in=NOT_TOLD)),
    }
    return render(request, "dashboard/member.html", context)


@require_POST
@member_required(MANAGER)
def member_roles(request: HttpRequest, membership_id: UUID) -> HttpResponse:
    shown, form = found(request, membership_id), RolesForm(request.POST)
    if not form.is_valid():
        return show_member(request, shown, form)
    roles = form.cleaned_data["roles"]
    return act(
        request,
        form.cleaned_data["reason"],
        lambda: people.change_roles(actor=request.actor, membership=shown, roles=roles),
        always(_("The roles are changed. They hold from this person's next click on.")),
        redirect("member", shown.pk),
    )


def member_act(do: Callable[..., object], said: Callable[[object], str]) -> View:
    """An act of a manager on a member, with its reason; `said` tells what became of it."""

    @require_POST
    @member_required(MANAGER)
    def view(request: HttpRequest, membership_id: UUID) -> HttpResponse:
        shown = found(request, membership_id)
        return with_reason(
            request, lambda: do(actor=request.actor, membership=shown), said, redirect("member", shown.pk)
        )

    return view


def invitation_act(do: Callable[..., object], said: Callable[[object], str]) -> View:
    @require_POST
    @member_required(MANAGER)
    def view(request: HttpRequest, invitation_id: UUID) -> HttpResponse:
        asked = get_visible(Invitation.objects.select_related("clinic"), request.actor, invitation_id)
        return with_reason(request, lambda: do(actor=request.actor, invitation=asked), said, redirect("people"))

    return view


def with_reason(
    request: HttpRequest, do: Callable[[], object], said: Callable[[object], str], back: HttpResponse
) -> HttpResponse:
    form = ReasonForm(request.POST)
    if not form.is_valid():
        kept = _("The reason is kept on the ledger. %(problem)s")
        messages.error(request, kept % {"problem": form.errors["reason"][0]})
        return back
    return act(request, form.cleaned_data["reason"], do, said, back)


def act(
    request: HttpRequest,
    reason: str,
    do: Callable[[], object],
    said: Callable[[object], str],
    back: HttpResponse,
) -> HttpResponse:
    try:
        with acting(request.actor, reason=reason):
            done = do()
        messages.success(request, said(done))
    except ClinicError as refusal:
        messages.error(request, str(refusal))
    return back


@require_POST
@member_required(MANAGER)
def invite(request: HttpRequest) -> HttpResponse:
    form = InvitationForm(request.POST)
    if not form.is_valid():
        return show(request, form)
    told = form.cleaned_data
    try:
        with acting(request.actor, reason=told["reason"]):
            invitations.invite(actor=request.actor, email=told["email"], roles=told["roles"])
    except ClinicError as refusal:
        form.add_error(None, str(refusal))
        return show(request, form)
    messages.success(request, _("Invited. The link in the mail is good once, for seven days."))
    return redirect("people")


def ended_sessions(count: object) -> str:
    told = ngettext("%(count)d session is ended.", "%(count)d sessions are ended.", count)
    return told % {"count": count}


def always(sentence: object) -> Callable[[object], str]:
    return lambda _: str(sentence)


member_disable = member_act(
    disable_member,
    always(
        gettext_lazy("This person is disabled in this clinic and signed out of it. Their visits are free for others.")
    ),
)
member_enable = member_act(people.enable_member, always(gettext_lazy("This person may sign in to this clinic again.")))
member_end_sessions = member_act(people.end_sessions_of, ended_sessions)
member_reset_factor = member_act(
    people.reset_second_factor,
    always(
        gettext_lazy("The second factor is removed and the person signed out. Another is set up at the next sign-in.")
    ),
)
invitation_resend = invitation_act(
    invitations.resend, always(gettext_lazy("Sent again, with a new link. The old one is no good any more."))
)
invitation_withdraw = invitation_act(
    invitations.withdraw, always(gettext_lazy("The invitation is withdrawn. Its link is no good any more."))
)
