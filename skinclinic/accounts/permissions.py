"""The doors of the views: who may come in at all. What she then sees is each model's `visible_to`."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar
from uuid import UUID

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _

from skinclinic.accounts.approval import may_agree
from skinclinic.accounts.models import Role
from skinclinic.audit.acting import Actor
from skinclinic.errors import StaleForm
from skinclinic.text import in_sentence

# What is asked before a row is handed out, by those who know what it is: it raises, or lets it pass.
GUARDS: list[Callable[[Model, Actor], None]] = []
View = Callable[..., HttpResponse]
M = TypeVar("M", bound=Model)
NOT_KEPT = {"csrfmiddlewaretoken", "password"}


def member_required(*roles: str, or_approver: bool = False, to_post: tuple[str, ...] = ()) -> Callable[[View], View]:
    """Only people of a clinic, with one of `roles` where any are named; or_approver: the clinic's, whatever her role.
    to_post: who may send its form, where fewer may than see it.

    Every form carries the clinic it was drawn for; another one in the session is refused with 409, so that nothing is
    written into the wrong clinic from a page left open.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if not request.user.is_authenticated:
                return keep_form(request) or redirect_to_login(request.get_full_path())
            if not request.actor.is_member:
                return redirect("choose_clinic")
            if not (or_approver and may_agree(request.actor)):
                require_role(request.actor, *roles)
            if request.method == "POST":
                require_role(request.actor, *to_post)
                require_same_clinic(request)
            return view(request, *args, **kwargs)

        return guarded

    return decorate


def keep_form(request: HttpRequest) -> HttpResponse | None:
    """A form that came after the session's end goes back to who sent it, on a page from which it can be sent again.

    Nothing of it is stored. None for what a script of ours sends, which tells it itself, and for files, which would not
    come back.
    """
    if request.method != "POST" or request.FILES or request.headers.get("HX-Request") or asks_for_json(request):
        return None
    kept = [(name, value) for name, values in request.POST.lists() if name not in NOT_KEPT for value in values]
    context = {"kept": kept, "action": request.get_full_path()}
    answer = render(request, "accounts/signed_out.html", context, status=403)
    answer["Cache-Control"] = "no-store, private"
    return answer


def asks_for_json(request: HttpRequest) -> bool:
    return "application/json" in request.headers.get("Accept", "")


def require_role(actor: Actor, *roles: str) -> None:
    if roles and not actor.has_role(*roles):
        named = _("%(role)s or %(another)s")
        *others, last = (in_sentence(Role(role).label) for role in roles)
        for role in reversed(others):
            last = named % {"role": role, "another": last}
        raise PermissionDenied(
            _("This needs the role %(roles)s in this clinic. Ask a manager if it should be yours.") % {"roles": last}
        )


def require_same_clinic(request: HttpRequest) -> None:
    """Raises StaleForm when the form was drawn for another clinic than the session's, or for another person."""
    if request.POST.get("clinic") != str(request.actor.clinic_id):
        raise StaleForm(_("You have changed clinics since this page was opened. Load it again."))
    if request.POST.get("person", str(request.actor.user_id)) != str(request.actor.user_id):
        raise StaleForm(_("Somebody else has signed in here since this page was opened. Sign in as yourself again."))


def get_visible(queryset: QuerySet[M], actor: Actor, key: UUID) -> M:
    """The one row with this key that the actor may see, else 404, whether it exists or not."""
    found = queryset.visible_to(actor).filter(pk=key).first()
    if found is None:
        raise Http404
    for guard in GUARDS:
        guard(found, actor)
    return found
