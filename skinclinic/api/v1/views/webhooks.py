"""Webhooks: where messages go, what became of each, and sending one again."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.generics import get_object_or_404
from rest_framework.request import Request
from rest_framework.response import Response

from skinclinic.api.etags import refuse_stale, tagged
from skinclinic.api.idempotency import PARAMETER, once
from skinclinic.api.models import WebhookDelivery, WebhookEndpoint
from skinclinic.api.v1.serializers import checked
from skinclinic.api.v1.views.base import ClinicViewSet, Listed, Retrieved, visible
from skinclinic.api.v1.views.patients import IF_MATCH
from skinclinic.api.v1.webhooks import (
    DeliverySerializer,
    EnableSerializer,
    ReplaySerializer,
    WebhookSerializer,
    WebhookWithSecretSerializer,
)
from skinclinic.api.webhooks.services import (
    change_endpoint,
    create_endpoint,
    disable_endpoint,
    enable_endpoint,
    rotate_endpoint_secret,
    send_again,
    send_test,
)
from skinclinic.api.webhooks.signing import decrypt
from skinclinic.audit.record import record_page


class WebhookViewSet(Listed, Retrieved, ClinicViewSet):
    """Where this clinic's messages go, by the Standard Webhooks. They hold ids only."""

    queryset = WebhookEndpoint.objects.order_by("-created_at", "-id")
    serializer_class = WebhookSerializer
    scope = "webhooks"
    required_right = "manage"

    @extend_schema(responses={201: WebhookWithSecretSerializer}, parameters=[PARAMETER])
    def create(self, request: Request) -> Response:
        """It is told of what happens from now on. The secret is in this answer alone."""
        return self.with_secret(request, self.make(request))

    @once
    def make(self, request: Request) -> Response:
        endpoint, _secret = create_endpoint(actor=request.auth, **checked(self.get_serializer(data=request.data)))
        return Response(self.get_serializer(endpoint).data, status=status.HTTP_201_CREATED)

    def with_secret(self, request: Request, answer: Response) -> Response:
        """The answer is kept for who asks again, the secret in it is not: it is where it always is, encrypted."""
        kept = visible(WebhookEndpoint, request.auth, answer.data["id"]).secret
        answer.data = answer.data | {"secret": decrypt(kept)}
        return answer

    @extend_schema(request=WebhookSerializer, responses=WebhookSerializer, parameters=[IF_MATCH])
    def partial_update(self, request: Request, pk: UUID) -> Response:
        """What waits already goes to the new address, too."""
        endpoint = self.held(pk)
        refuse_stale(request, self.get_serializer(endpoint).data)
        wanted = checked(self.get_serializer(endpoint, data=request.data, partial=True))
        kept = {name: getattr(endpoint, name) for name in ("url", "event_types", "description")}
        change_endpoint(endpoint=endpoint, **(kept | wanted))
        return tagged(request, self.get_serializer(endpoint).data)

    def held(self, pk: UUID) -> WebhookEndpoint:
        """For this transaction: who changes it at the same moment waits, and is then refused."""
        held: WebhookEndpoint = get_object_or_404(self.get_queryset().select_for_update(no_key=True), pk=pk)
        return held

    def destroy(self, request: Request, pk: UUID) -> Response:
        """Disables it: nothing is sent any more. What it was told stays in its log."""
        disable_endpoint(endpoint=self.get_object())
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(request=EnableSerializer, responses=WebhookSerializer)
    @action(detail=True, methods=["post"])
    def enable(self, request: Request, pk: UUID) -> Response:
        enable_endpoint(endpoint=self.held(pk), **checked(EnableSerializer(data=request.data)))
        return Response(self.get_serializer(self.get_object()).data)

    @extend_schema(request=None, responses={201: WebhookWithSecretSerializer}, parameters=[PARAMETER])
    @action(detail=True, methods=["post"])
    def rotate(self, request: Request, pk: UUID) -> Response:
        """Another secret, in this answer alone; the one before signs along for 24 hours."""
        return self.with_secret(request, self.rotate_once(request, pk))

    @once
    def rotate_once(self, request: Request, pk: UUID) -> Response:
        endpoint = self.held(pk)
        rotate_endpoint_secret(endpoint=endpoint)
        return Response(self.get_serializer(endpoint).data, status=status.HTTP_201_CREATED)

    @extend_schema(request=None, responses={202: DeliverySerializer})
    @action(detail=True, methods=["post"])
    def test(self, request: Request, pk: UUID) -> Response:
        """Sends a `webhook.test`, tried once."""
        delivery = send_test(endpoint=self.get_object())
        return Response(DeliverySerializer(delivery).data, status=status.HTTP_202_ACCEPTED)

    @extend_schema(responses=DeliverySerializer(many=True))
    @action(detail=True, methods=["get"])
    def deliveries(self, request: Request, pk: UUID) -> Response:
        """What it was told and is to be told, the newest first."""
        page = self.paginate_queryset(self.get_object().deliveries.order_by("-created_at", "-id"))
        record_page("api_listed", subject_type="api_webhookdelivery", ids=[each.pk for each in page or ()])
        return self.get_paginated_response(DeliverySerializer(page, many=True).data)

    @extend_schema(request=ReplaySerializer, responses={202: DeliverySerializer})
    @action(detail=True, methods=["post"])
    def replay(self, request: Request, pk: UUID) -> Response:
        """Sends one again, under its old id, whatever became of it."""
        of_endpoint = WebhookDelivery.objects.filter(endpoint=self.get_object()).select_related("endpoint")
        wanted: dict[str, Any] = checked(ReplaySerializer(data=request.data))
        delivery = get_object_or_404(of_endpoint.visible_to(request.auth), pk=wanted["delivery"])
        send_again(delivery=delivery)
        delivery.refresh_from_db()
        return Response(DeliverySerializer(delivery).data, status=status.HTTP_202_ACCEPTED)
