"""The shapes of webhooks: where messages go, and what became of them."""

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema_serializer
from rest_framework import serializers

from skinclinic.api.models import WebhookDelivery, WebhookEndpoint
from skinclinic.api.webhooks.models import DeliveryState, DisabledBecause, EndpointKind, SentType, Trouble
from skinclinic.outgoing.guard import MOST_CHARACTERS, validate_address
from skinclinic.text import validate_one_line

WANTED = {
    "url": "https://records.example/skinclinic",
    "description": "Record system",
    "event_types": ["report.signed", "report.amended"],
}
KEPT = {
    "id": "0b2d9c1e-6f0f-4a2c-8f0e-0d9a1c5b7e11",
    "kind": "messages",
    **WANTED,
    "disabled_at": None,
    "disabled_because": None,
    "previous_until": None,
    "created_at": "2026-11-22T14:05:00Z",
}


@extend_schema_serializer(
    examples=[
        OpenApiExample("What is wanted", WANTED, request_only=True),
        OpenApiExample("What is kept", KEPT, response_only=True),
    ]
)
class WebhookSerializer(serializers.ModelSerializer):
    url = serializers.CharField(
        max_length=MOST_CHARACTERS,
        validators=[validate_address],
        help_text="https, on the public internet; no user, no password, no fragment.",
    )
    description = serializers.CharField(
        max_length=200, required=False, default="", allow_blank=True, validators=[validate_one_line]
    )
    event_types = serializers.ListField(
        child=serializers.ChoiceField(choices=SentType.choices), min_length=1, max_length=len(SentType)
    )

    kind = serializers.ChoiceField(
        choices=EndpointKind.choices,
        read_only=True,
        help_text="Those that are sent documents are made, changed and given another token on their page.",
    )
    disabled_because = serializers.ChoiceField(choices=DisabledBecause.choices, allow_null=True, read_only=True)

    class Meta:
        model = WebhookEndpoint
        fields = (
            "id", "kind", "url", "description", "event_types", "disabled_at", "disabled_because", "previous_until",
            "created_at",
        )  # fmt: skip
        read_only_fields = ("id", "disabled_at", "disabled_because", "previous_until", "created_at")
        extra_kwargs = {"previous_until": {"help_text": "Until then the secret before the last one signs along."}}

    def to_representation(self, instance: WebhookEndpoint) -> dict[str, Any]:
        return super().to_representation(instance) | {"disabled_because": instance.disabled_because or None}

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if self.initial_data.get("kind", EndpointKind.MESSAGES) != EndpointKind.MESSAGES:
            raise serializers.ValidationError({"kind": "A webhook that is sent documents is made on its page."})
        return attrs


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "With its secret",
            KEPT | {"secret": "whsec_b3VyIG93biBzZWNyZXQgb2YgdGhpcnR5LXR3byBieXQ="},
            response_only=True,
        )
    ]
)
class WebhookWithSecretSerializer(WebhookSerializer):
    """Told this once, and again to who repeats the request under its key."""

    secret = serializers.CharField(read_only=True)

    class Meta(WebhookSerializer.Meta):
        fields = (*WebhookSerializer.Meta.fields, "secret")


class DeliverySerializer(serializers.ModelSerializer):
    next_at = serializers.DateTimeField(allow_null=True, read_only=True, help_text="While it waits.")
    trouble = serializers.ChoiceField(
        choices=Trouble.choices, allow_null=True, read_only=True, help_text="Why there was no answer."
    )

    class Meta:
        model = WebhookDelivery
        fields = (
            "id", "message_id", "type", "state", "attempts", "next_at", "last_at", "last_status", "trouble", "words",
            "created_at",
        )  # fmt: skip
        read_only_fields = fields

    def to_representation(self, instance: WebhookDelivery) -> dict[str, Any]:
        shown = super().to_representation(instance)
        next_at = shown["next_at"] if instance.state == DeliveryState.WAITING else None
        return shown | {"next_at": next_at, "trouble": instance.trouble or None}


class EnableSerializer(serializers.Serializer):
    missed = serializers.BooleanField(
        default=True, help_text="Send what waits and what has happened while it was disabled, too."
    )


class ReplaySerializer(serializers.Serializer):
    delivery = serializers.UUIDField()
