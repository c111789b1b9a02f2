"""The shapes of version 1. Ids are opaque; a photograph's bytes have addresses of their own."""

from typing import Any

from rest_framework import serializers

from ml.labels import DIAGNOSES
from patients.codes import (
    BodySite,
    ConsentDecision,
    ConsentKind,
    HistoryItem,
    IdentifierType,
    Laterality,
    MapView,
    RiskFactor,
    Sex,
    SkinType,
)
from patients.models import Consent, Lesion, Patient, PatientIdentifier, PatientIdentity, Visit
from screening.cautions import cautions_of, shown_band
from screening.codes import Diagnosis, FailureCode, Finding, FollowUpStatus, WithdrawalReason
from screening.models import FollowUp, ModelVersion, Outcome, Prediction, Review, Screening, Signature
from skinclinic.audit.models import AuditEvent
from skinclinic.events.models import Event

MOST_NUMBERS = 20  # that one request may give a patient
NOT_HERE = "There is no such field here, or it cannot be set."


class IdentitySerializer(serializers.ModelSerializer):
    class Meta:
        model = PatientIdentity
        fields = ("family_name", "given_name", "birth_date", "phone", "email", "address")


class IdentifierSerializer(serializers.ModelSerializer):
    type = serializers.ChoiceField(choices=IdentifierType.choices, default=IdentifierType.RECORD)

    class Meta:
        model = PatientIdentifier
        fields = ("system", "value", "type")
        # The service says which patient has the number already; the serializer's own check would only say "exists".
        validators: list[Any] = []


class PatientSerializer(serializers.ModelSerializer):
    identity = IdentitySerializer()
    identifiers = IdentifierSerializer(many=True, required=False, max_length=MOST_NUMBERS)
    sex = serializers.ChoiceField(choices=Sex.choices, default=Sex.UNKNOWN)
    skin_type = serializers.ChoiceField(choices=SkinType.choices, allow_null=True, default=None)
    risk_factors = serializers.ListField(
        child=serializers.ChoiceField(choices=RiskFactor.choices),
        required=False,
        max_length=len(RiskFactor),
        help_text="Empty: nobody has asked. `none_known` stands alone.",
    )

    class Meta:
        model = Patient
        fields = ("id", "identity", "identifiers", "sex", "skin_type", "risk_factors", "merged_into", "created_at")
        read_only_fields = ("id", "merged_into", "created_at")

    def validate_risk_factors(self, factors: list[str]) -> list[str]:
        if RiskFactor.NONE_KNOWN in factors and len(factors) > 1:
            raise serializers.ValidationError("Either none is known, or those that are.")
        return factors


class PatientCorrectionSerializer(PatientSerializer):
    class Meta:
        model = Patient
        fields = ("identity", "sex", "skin_type", "risk_factors")


class MergeSerializer(serializers.Serializer):
    into = serializers.UUIDField(help_text="The record that remains.")


class NumberSerializer(serializers.Serializer):
    value = serializers.CharField(max_length=PatientIdentifier.value.field.max_length)
    system = serializers.CharField(max_length=PatientIdentifier.system.field.max_length, required=False)


class LinkSerializer(serializers.Serializer):
    url = serializers.URLField(help_text="Open it in her browser; it is good once, and tells nothing of the patient.")
    ends_at = serializers.DateTimeField()


class SearchSerializer(serializers.Serializer):
    words = serializers.CharField(
        max_length=100, required=False, help_text="Parts of a name or of a number, or a birth date."
    )
    identifier = NumberSerializer(required=False, help_text="A number as it is, of whichever system or of this one.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if len(attrs) != 1:
            raise serializers.ValidationError("Send either words or an identifier.")
        return attrs


class ConsentSerializer(serializers.ModelSerializer):
    kind = serializers.ChoiceField(choices=ConsentKind.choices)
    decision = serializers.ChoiceField(choices=ConsentDecision.choices)

    class Meta:
        model = Consent
        fields = ("id", "kind", "decision", "decided_on", "ended_at", "created_at")
        read_only_fields = ("id", "ended_at", "created_at")


class VisitSerializer(serializers.ModelSerializer):
    patient = serializers.PrimaryKeyRelatedField(queryset=Patient.objects.none())
    history = serializers.ListField(
        child=serializers.ChoiceField(choices=HistoryItem.choices), required=False, max_length=len(HistoryItem)
    )

    class Meta:
        model = Visit
        fields = (
            "id", "patient", "question", "history", "diameter_mm", "urgency", "photographed_on", "due_at", "created_at",
        )  # fmt: skip
        read_only_fields = ("id", "photographed_on", "due_at", "created_at")

    def get_fields(self) -> dict[str, Any]:
        return within_clinic(super().get_fields(), self.context, patient=Patient)


class LesionSerializer(serializers.ModelSerializer):
    patient = serializers.PrimaryKeyRelatedField(queryset=Patient.objects.none())
    site = serializers.ChoiceField(choices=BodySite.choices)
    laterality = serializers.ChoiceField(choices=Laterality.choices)
    view = serializers.ChoiceField(choices=MapView.choices)
    x = serializers.FloatField(min_value=0, max_value=1, help_text="From the left edge of the body map.")
    y = serializers.FloatField(min_value=0, max_value=1, help_text="From the top edge of the body map.")

    class Meta:
        model = Lesion
        fields = ("id", "patient", "number", "site", "laterality", "view", "x", "y", "created_at")
        read_only_fields = ("id", "number", "created_at")

    def get_fields(self) -> dict[str, Any]:
        return within_clinic(super().get_fields(), self.context, patient=Patient)


class ReadingSerializer(serializers.ModelSerializer):
    """The deciding reading: a calibrated score for malignant or pre-malignant, never a diagnosis."""

    model_version = serializers.CharField(source="model_version_id")
    band = serializers.CharField(
        allow_null=True,
        help_text="low, intermediate or high; null when unscorable or suspended, and in place of low under a caution.",
    )
    suspended = serializers.BooleanField(
        source="decides.is_suspended", help_text="The clinic does not rely on this reading now: its model is stopped."
    )
    cautions = serializers.ListField(
        child=serializers.CharField(), help_text="Why the score may be wrong either way, as the record stands now."
    )
    probabilities = serializers.DictField(
        child=serializers.FloatField(), help_text=f"By diagnosis ({', '.join(DIAGNOSES)}); they sum to 1."
    )

    class Meta:
        model = Prediction
        fields = (
            "model_version", "weights_sha256", "preprocessing", "malignancy", "band", "refer", "suspended",
            "probabilities", "unscorable_reasons", "cautions", "quality", "created_at",
        )  # fmt: skip

    def to_representation(self, instance: Prediction) -> dict[str, Any]:
        shown = super().to_representation(instance)
        rules = cautions_of(instance.decides, instance)
        band = None if shown["suspended"] else shown_band(instance.band, rules) or None
        return shown | {"band": band, "cautions": [rule.sentence for rule in rules]}


class ReviewSerializer(serializers.ModelSerializer):
    reviewer = serializers.CharField(source="reviewer.full_name")

    class Meta:
        model = Review
        fields = (
            "id", "kind", "reviewer", "suspicious", "diagnosis", "recommendation", "follow_up_months",
            "difference_reason", "words", "supersedes", "created_at",
        )  # fmt: skip


class ScreeningSerializer(serializers.ModelSerializer):
    lesion = serializers.UUIDField(source="image.lesion_id", read_only=True)
    findings = serializers.ListField(child=serializers.CharField(), source="image.findings", read_only=True)
    photograph_sha256 = serializers.CharField(source="image.sha256", read_only=True)
    upload_sha256 = serializers.CharField(
        source="image.upload_sha256", read_only=True, help_text="Of the file as it was sent."
    )
    reading = ReadingSerializer(source="prediction", read_only=True, allow_null=True)
    failure_code = serializers.ChoiceField(choices=FailureCode.choices, allow_blank=True, read_only=True)
    withdrawn_reason = serializers.ChoiceField(choices=WithdrawalReason.choices, allow_blank=True, read_only=True)
    url = serializers.HyperlinkedIdentityField(view_name="api_screening-detail")

    class Meta:
        model = Screening
        fields = (
            "id", "url", "patient", "visit", "lesion", "reading_status", "review_status", "failure_code", "reading",
            "findings", "photograph_sha256", "upload_sha256", "created_at", "finished_at", "withdrawn_at",
            "withdrawn_reason", "moved_to",
        )  # fmt: skip
        read_only_fields = fields


class UploadSerializer(serializers.Serializer):
    visit = serializers.UUIDField()
    lesion = serializers.UUIDField()
    # An empty one is refused like any other that is no photograph: with its reason, and on the ledger.
    photograph = serializers.FileField(
        allow_empty_file=True, help_text="JPEG, PNG, WebP or a DICOM photograph, at most 25 MB."
    )
    findings = serializers.MultipleChoiceField(
        choices=Finding.choices, required=False, help_text="What the clinician sees that the model was not tested on."
    )


class BulkSerializer(serializers.Serializer):
    items = serializers.CharField(
        help_text='A JSON list: {"visit": "…", "lesion": "…", "photograph": "name of the file in this form"}.'
    )


class BulkAnswerSerializer(serializers.Serializer):
    status = serializers.IntegerField()
    screening = ScreeningSerializer(required=False)
    problem = serializers.DictField(required=False, help_text="A problem document, where it was refused.")


class WithdrawSerializer(serializers.Serializer):
    reason = serializers.ChoiceField(choices=WithdrawalReason.choices)
    words = serializers.CharField(max_length=500, required=False, default="", allow_blank=True)


CLOSED = (FollowUpStatus.DONE, FollowUpStatus.DECLINED, FollowUpStatus.LOST)


class FollowUpSerializer(serializers.ModelSerializer):
    class Meta:
        model = FollowUp
        fields = ("id", "patient", "lesion", "review", "what", "due_on", "status", "created_at", "closed_at")
        read_only_fields = fields


class CloseSerializer(serializers.Serializer):
    status = serializers.ChoiceField(choices=[(each.value, each.label) for each in CLOSED])


class OutcomeSerializer(serializers.ModelSerializer):
    """What pathology found. To take one back, supersede it with an empty diagnosis and say why in `words`."""

    lesion = serializers.UUIDField(source="lesion_id")
    diagnosis = serializers.ChoiceField(choices=Diagnosis.choices, allow_blank=True)
    supersedes = serializers.UUIDField(source="supersedes_id", required=False, allow_null=True)
    words = serializers.CharField(max_length=2000, required=False, default="", allow_blank=True)

    class Meta:
        model = Outcome
        fields = ("id", "patient", "lesion", "diagnosis", "reported_on", "words", "supersedes", "created_at")
        read_only_fields = ("id", "patient", "created_at")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["diagnosis"] == Diagnosis.OTHER and not attrs["words"]:
            raise serializers.ValidationError({"words": "Say in words what was found."})
        return attrs


class ReportSerializer(serializers.ModelSerializer):
    reviewer = serializers.CharField(source="reviewer.full_name")
    pdf = serializers.HyperlinkedIdentityField(view_name="api_report-pdf")

    class Meta:
        model = Signature
        fields = ("id", "visit", "patient", "reviewer", "amends", "acknowledged_at", "created_at", "pdf")
        read_only_fields = fields


class ModelVersionSerializer(serializers.ModelSerializer):
    active = serializers.BooleanField(source="is_active", help_text="It reads for this clinic.")
    beside = serializers.BooleanField(source="is_shadow", help_text="It reads beside the active one, silently.")
    suspended = serializers.BooleanField(source="is_suspended")

    class Meta:
        model = ModelVersion
        fields = (
            "version", "weights_sha256", "preprocessing", "thresholds", "registered_at",
            "active", "beside", "suspended",
        )  # fmt: skip
        read_only_fields = fields


class ChangeSerializer(serializers.ModelSerializer):
    """One event of the outbox: what happened, to the things with these ids."""

    class Meta:
        model = Event
        fields = ("number", "id", "type", "at", "ids")

    id = serializers.UUIDField(source="key")


class ChangesSerializer(serializers.Serializer):
    results = ChangeSerializer(many=True)
    since = serializers.IntegerField(help_text="Ask on from here.")


class HistorySerializer(serializers.ModelSerializer):
    class Meta:
        model = AuditEvent
        fields = ("id", "at", "actor_name", "action", "subject_type", "subject_id", "changes", "reason")


def checked(serializer: serializers.BaseSerializer) -> Any:
    """What was sent, once it is known to be good; else the exception that becomes a 400 with its reasons.

    A field that is not here is refused rather than passed over: whoever misspelt one would believe it kept.
    """
    serializer.is_valid(raise_exception=True)
    if unknown := unknown_in(serializer, serializer.initial_data):
        raise serializers.ValidationError(unknown)
    return serializer.validated_data


def unknown_in(field: serializers.Field, sent: Any) -> Any:
    """What was sent for this field and cannot be set, in the shape of its errors; empty where there is nothing."""
    if isinstance(field, serializers.ListSerializer):
        inner = [unknown_in(field.child, each) for each in sent]
        return inner if any(inner) else []
    if not isinstance(field, serializers.Serializer) or sent is None:
        return {}
    known = {name: each for name, each in field.fields.items() if not each.read_only}
    refused = {name: [NOT_HERE] for name in sent if name not in known}
    within = {name: unknown_in(each, sent[name]) for name, each in known.items() if name in sent}
    return refused | {name: inner for name, inner in within.items() if inner}


def within_clinic(fields: dict[str, Any], context: dict[str, Any], **models: Any) -> dict[str, Any]:
    """Related rows are looked for among those of the caller's clinic only, so that another's id is an unknown one."""
    request = context.get("request")
    if request is not None and request.auth is not None:
        for name, model in models.items():
            fields[name].queryset = model.objects.visible_to(request.auth)
    return fields
