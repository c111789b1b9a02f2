"""The pages on which managers say which systems are told, and see what became of it."""

from datetime import timedelta
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.forms import Form
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from screening.codes import NoticeKind
from screening.services.notices import see_notices
from skinclinic.accounts.permissions import get_visible, member_required
from skinclinic.api.webhooks.documents import change_document_endpoint, create_document_endpoint, give_secret
from skinclinic.api.webhooks.forms import DocumentEndpointForm, EndpointForm, SecretForm, changing
from skinclinic.api.webhooks.models import EndpointKind, SentType, WebhookDelivery, WebhookEndpoint
from skinclinic.api.webhooks.sending import DELAYS
from skinclinic.api.webhooks.services import (
    change_endpoint,
    create_endpoint,
    disable_endpoint,
    enable_endpoint,
    rotate_endpoint_secret,
    send_again,
    send_test,
)
from skinclinic.audit.acting import AUDITOR, MANAGER
from skinclinic.errors import ClinicError

PAGE = 30
SOON = timedelta(minutes=2)  # so long a page asks by itself for what is about to be sent


@require_http_methods(["GET", "POST"])
@member_required(MANAGER, AUDITOR, to_post=(MANAGER,))
def webhooks(request: HttpRequest) -> HttpResponse:
    form = EndpointForm(request.POST or None, initial={"event_types": SentType.values})
    if request.method == "POST" and form.is_valid():
        try:
            made, secret = create_endpoint(actor=request.actor, **form.cleaned_data)
            return show_one(request, made, secret=secret)
        except ClinicError as refusal:
            form.add_error(None, str(refusal))
    return show_all(request, form, EndpointKind.MESSAGES)


@require_http_methods(["GET", "POST"])
@member_required(MANAGER, AUDITOR, to_post=(MANAGER,))
def webhooks_of_documents(request: HttpRequest) -> HttpResponse:
    form = DocumentEndpointForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            made = create_document_endpoint(actor=request.actor, **form.cleaned_data)
            messages.success(request, _("It is sent what is signed from now on. Send a test to see if it answers."))
            return redirect("webhook", made.pk)
        except ClinicError as refusal:
            form.add_error(None, str(refusal))
    return show_all(request, form, EndpointKind.DOCUMENTS)


def show_all(request: HttpRequest, form: Form, kind: EndpointKind) -> HttpResponse:
    """form: for another one of this kind."""
    endpoints = WebhookEndpoint.objects.visible_to(request.actor).order_by("-disabled_at", "created_at")
    return page_of(request, "accounts/webhooks.html", {"endpoints": list(endpoints), "form": form, "kind": kind})


@require_http_methods(["GET", "POST"])
@member_required(MANAGER, AUDITOR, to_post=(MANAGER,))
def webhook(request: HttpRequest, endpoint_id: UUID) -> HttpResponse:
    endpoint = get_visible(WebhookEndpoint.objects.all(), request.actor, endpoint_id)
    see_notices(actor=request.actor, kind=NoticeKind.WEBHOOK_DISABLED, endpoint=endpoint)
    if request.method == "GET":
        return show_one(request, endpoint)
    form = changing(endpoint, request.POST)
    if not form.is_valid():
        return show_one(request, endpoint, form=form)
    change = change_document_endpoint if endpoint.sends_documents else change_endpoint
    try:
        change(endpoint=endpoint, **form.cleaned_data)
    except ClinicError as refusal:
        form.add_error(None, str(refusal))
        return show_one(request, endpoint, form=form)
    messages.success(request, _("Saved. What waits goes to the new address too."))
    return redirect("webhook", endpoint.pk)


def show_one(
    request: HttpRequest,
    endpoint: WebhookEndpoint,
    *,
    form: Form | None = None,
    secret_form: Form | None = None,
    secret: str = "",
) -> HttpResponse:
    """`secret` is shown this once."""
    context = {
        "form": form or changing(endpoint),
        "secret_form": secret_form or SecretForm(auto_id="new_%s"),
        "secret": secret,
        "types": [each.label for each in SentType if each in endpoint.event_types],
        "waiting": endpoint.deliveries.waiting().count(),
        **log_of(request, endpoint),
    }
    return page_of(request, "accounts/webhook.html", context)


def page_of(request: HttpRequest, template: str, context: dict[str, object]) -> HttpResponse:
    context["may_change"] = request.actor.has_role(MANAGER)
    return render(request, template, context)


@require_GET
@member_required(MANAGER, AUDITOR)
def webhook_log(request: HttpRequest, endpoint_id: UUID) -> HttpResponse:
    endpoint = get_visible(WebhookEndpoint.objects.all(), request.actor, endpoint_id)
    return page_of(request, "accounts/_webhook_log.html", log_of(request, endpoint))


def log_of(request: HttpRequest, endpoint: WebhookEndpoint) -> dict[str, object]:
    soon = timezone.now() + SOON
    page = Paginator(endpoint.deliveries.all(), PAGE).get_page(request.GET.get("page"))
    is_moving = endpoint.is_enabled and page.number == 1 and endpoint.deliveries.due(soon).exists()
    return {"endpoint": endpoint, "page": page, "is_moving": is_moving, "tries": len(DELAYS)}


@require_POST
@member_required(MANAGER)
def webhook_rotate(request: HttpRequest, endpoint_id: UUID) -> HttpResponse:
    endpoint = get_visible(WebhookEndpoint.objects.all(), request.actor, endpoint_id)
    if endpoint.sends_documents:
        return take_secret(request, endpoint)
    try:
        return show_one(request, endpoint, secret=rotate_endpoint_secret(endpoint=endpoint))
    except ClinicError as refusal:
        messages.error(request, str(refusal))
        return redirect("webhook", endpoint.pk)


def take_secret(request: HttpRequest, endpoint: WebhookEndpoint) -> HttpResponse:
    form = SecretForm(request.POST, auto_id="new_%s")
    if form.is_valid():
        try:
            give_secret(endpoint=endpoint, secret=form.cleaned_data["secret"])
            messages.success(request, _("It is sent with this one from now on."))
            return redirect("webhook", endpoint.pk)
        except ClinicError as refusal:
            form.add_error("secret", str(refusal))
    return show_one(request, endpoint, secret_form=form)


@require_POST
@member_required(MANAGER)
def webhook_test(request: HttpRequest, endpoint_id: UUID) -> HttpResponse:
    endpoint = get_visible(WebhookEndpoint.objects.all(), request.actor, endpoint_id)
    try:
        send_test(endpoint=endpoint)
    except ClinicError as refusal:
        messages.error(request, str(refusal))
    return redirect("webhook", endpoint.pk)


@require_POST
@member_required(MANAGER)
def webhook_disable(request: HttpRequest, endpoint_id: UUID) -> HttpResponse:
    endpoint = get_visible(WebhookEndpoint.objects.all(), request.actor, endpoint_id)
    if disable_endpoint(endpoint=endpoint):
        messages.success(request, _("It is disabled; nothing is sent to it."))
    else:
        messages.error(request, _("This webhook is disabled already."))
    return redirect("webhook", endpoint.pk)


@require_POST
@member_required(MANAGER)
def webhook_enable(request: HttpRequest, endpoint_id: UUID) -> HttpResponse:
    endpoint = get_visible(WebhookEndpoint.objects.all(), request.actor, endpoint_id)
    try:
        enable_endpoint(endpoint=endpoint, missed="missed" in request.POST)
        messages.success(request, _("It is enabled."))
    except ClinicError as refusal:
        messages.error(request, str(refusal))
    return redirect("webhook", endpoint.pk)


@require_POST
@member_required(MANAGER)
def webhook_again(request: HttpRequest, endpoint_id: UUID, delivery_id: UUID) -> HttpResponse:
    of_endpoint = WebhookDelivery.objects.filter(endpoint=endpoint_id).select_related("endpoint")
    delivery = get_visible(of_endpoint, request.actor, delivery_id)
    try:
        send_again(delivery=delivery)
    except ClinicError as refusal:
        messages.error(request, str(refusal))
    return redirect("webhook", endpoint_id)
