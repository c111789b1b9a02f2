"""The page on which managers say where their people sign in."""

from uuid import UUID

from allauth.socialaccount.models import SocialAccount
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from skinclinic.accounts.middleware import request_acting
from skinclinic.accounts.models import IdentityProvider
from skinclinic.accounts.oidc import services
from skinclinic.accounts.oidc.confirming import bound_clinic
from skinclinic.accounts.oidc.errors import ProviderUnfit
from skinclinic.accounts.oidc.forms import IdentityProviderForm
from skinclinic.accounts.permissions import member_required, require_role, require_same_clinic
from skinclinic.audit.acting import AUDITOR, MANAGER
from skinclinic.errors import ClinicError

KEPT = ("name", "issuer", "client_id", "asks_second_factor")


@require_http_methods(["GET", "POST"])
@member_required(MANAGER, AUDITOR, to_post=(MANAGER,))
def identity_provider(request: HttpRequest) -> HttpResponse:
    provider = IdentityProvider.objects.visible_to(request.actor).first()
    kept = {name: getattr(provider, name) for name in KEPT} if provider else {}
    form = IdentityProviderForm(request.POST or None, initial=kept, is_new=provider is None)
    if request.method == "POST" and form.is_valid():
        try:
            services.keep_provider(actor=request.actor, **form.cleaned_data)
        except ClinicError as refusal:
            form.add_error(None, str(refusal))
        else:
            messages.success(request, _("Saved. Try it, then switch it on."))
            return redirect("identity_provider")
    return show(request, provider, form)


def show(request: HttpRequest, provider: IdentityProvider | None, form: IdentityProviderForm) -> HttpResponse:
    clinic_id = request.clinic.pk
    links = SocialAccount.objects.filter(provider=str(clinic_id)).select_related("user")
    context = {
        "provider": provider,
        "form": form,
        "links": links.order_by("user__full_name"),
        "addresses": {name: settings.SITE_URL + reverse(name, args=[clinic_id]) for name in ADDRESSES},
        "signed_out": settings.SITE_URL + reverse("account_login"),
        "came_by_it": bound_clinic(request) == clinic_id,
        "minutes": max(1, settings.PROVIDER_CHECK_EVERY // 60),
        "hours": settings.SIGN_OUT_AFTER // 3600,
        "may_change": request.actor.has_role(MANAGER),
    }
    return render(request, "accounts/identity_provider.html", context)


ADDRESSES = ("oidc_callback", "oidc_logout", "clinic_door")


@require_POST
def provider_try(request: HttpRequest) -> HttpResponse:
    """Reads what the provider says of itself, and says what it found."""
    if not request.user.is_authenticated:
        return redirect_to_login(reverse("identity_provider"))
    provider = ours(request)
    try:
        found = services.look(provider.issuer)
        with request_acting(request):
            services.note_found(provider=provider, issuer=provider.issuer, found=found)
    except ProviderUnfit as refusal:
        messages.error(request, str(refusal))
    else:
        messages.success(request, _("The provider answers, and people can be sent there. What it offers stands below."))
        for sentence in found.missing:
            messages.warning(request, sentence)
    return redirect("identity_provider")


provider_try.own_transaction = True  # the provider is asked meanwhile


def ours(request: HttpRequest) -> IdentityProvider:
    with request_acting(request) as actor:
        require_role(actor, MANAGER)
        require_same_clinic(request)
        provider = IdentityProvider.objects.visible_to(actor).first()
    if provider is None:
        raise Http404
    return provider


@require_POST
@member_required(MANAGER)
def provider_switch(request: HttpRequest) -> HttpResponse:
    is_enabled = request.POST.get("to") == "on"
    try:
        services.switch(actor=request.actor, is_enabled=is_enabled)
    except ClinicError as refusal:
        messages.error(request, str(refusal))
    else:
        messages.success(request, _("It is switched on.") if is_enabled else _("It is switched off."))
    return redirect("identity_provider")


@require_POST
@member_required(MANAGER)
def provider_require(request: HttpRequest) -> HttpResponse:
    is_required = request.POST.get("to") == "on"
    came_by_it = bound_clinic(request) == request.clinic.pk
    try:
        services.require(actor=request.actor, is_required=is_required, came_by_it=came_by_it)
    except ClinicError as refusal:
        messages.error(request, str(refusal))
    else:
        messages.success(
            request,
            _("From now on members come in by the hospital only.")
            if is_required
            else _("Members may come in by their password again."),
        )
    return redirect("identity_provider")


@require_POST
@member_required(MANAGER)
def provider_unlink(request: HttpRequest, person: UUID) -> HttpResponse:
    services.unlink(actor=request.actor, person=person)
    messages.success(
        request, _("The link is undone. At the next sign-in there this person is asked whether to join anew.")
    )
    return redirect("identity_provider")
