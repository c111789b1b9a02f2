"""Device: a version of the model, as its manifest describes it."""

from typing import Any
from uuid import UUID

from django.db.models import F, Q, QuerySet

from screening.models import ModelVersion
from skinclinic.api.fhir.elements import Dict, concept, resource
from skinclinic.api.fhir.resource import Resource
from skinclinic.api.fhir.searching import Asked, Condition, no_modifier
from skinclinic.audit.acting import Actor


def by_version(asked: Asked) -> Q:
    no_modifier(asked)
    return Q(pk__in=asked.values)


class DeviceResource(Resource):
    name = "Device"
    model = ModelVersion
    moment = "registered_at"

    def rows(self, actor: Actor) -> QuerySet[Any]:
        """The same for every clinic."""
        return ModelVersion.objects.for_clinic(actor).annotate(updated=F("registered_at"))

    def condition(self, name: str) -> Condition:
        return by_version if name == "_id" else super().condition(name)

    def of_patients(self, rows: QuerySet[Any], patients: list[UUID]) -> QuerySet[Any]:
        return rows.none()

    def find(self, actor: Actor, key: str) -> tuple[Any, Dict] | None:
        row = self.rows(actor).filter(pk=key).first()
        return (row, self.build(row)[0]) if row is not None else None

    def patient_of(self, row: Any) -> None:
        return None

    def build(self, row: Any) -> list[Dict]:
        return [
            resource(
                "Device",
                row.pk,
                row.updated,
                identifier=[{"system": "urn:skinclinic:model", "value": row.pk}],
                status="active",
                manufacturer="skinclinic",
                deviceName=[{"name": f"MobileNetV2, model {row.pk}", "type": "model-name"}],
                modelNumber=row.pk,
                type=concept(text="Software that reads dermoscopic photographs, for research and education"),
                version=[
                    {"type": {"text": kind}, "value": value}
                    for kind, value in {
                        "weights sha256": row.weights_sha256,
                        "preprocessing": row.preprocessing,
                        "thresholds": row.thresholds,
                    }.items()
                    if value
                ],
                note=[{"text": "Not a medical device; cleared nowhere."}],
            )
        ]
