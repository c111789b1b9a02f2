"""Clinics whose members come in by the hospital only."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from skinclinic.accounts.entry import asks_for_provider, is_operator
from skinclinic.accounts.models import Membership, User
from skinclinic.accounts.oidc.joining import is_offered_to


def refuse_password(request: HttpRequest, user: User) -> HttpResponse | None:
    """Said to nobody but who gave the right password. Who belongs elsewhere too, or joins her account to the
    hospital's, comes in, and acts elsewhere only."""
    hers = Membership.objects.active().filter(user=user)
    if is_offered_to(request, user) or is_operator(user) or not hers or hers.exclude(asks_for_provider()).exists():
        return None
    clinic = hers[0].clinic_id
    messages.error(
        request, _("Your clinic lets its members in by the hospital's own sign-in only. Use the button here.")
    )
    return redirect("clinic_door", clinic)
