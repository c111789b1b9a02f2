"""BodyStructure: a lesion, followed over the years."""

from typing import Any

from django.db.models import F, QuerySet

from patients.models import Lesion
from skinclinic.api.fhir.codes import LATERALITY, SKIN_LESION, site
from skinclinic.api.fhir.elements import Dict, concept, reference, resource
from skinclinic.api.fhir.resource import Resource
from skinclinic.api.fhir.searching import by_reference
from skinclinic.audit.acting import Actor


class BodyStructureResource(Resource):
    name = "BodyStructure"
    model = Lesion
    conditions = {"patient": by_reference("patient")}

    def rows(self, actor: Actor) -> QuerySet[Any]:
        return Lesion.objects.visible_to(actor).annotate(updated=F("created_at"))

    def build(self, row: Any) -> list[Dict]:
        return [
            resource(
                "BodyStructure",
                row.pk,
                row.updated,
                active=True,
                morphology=concept(SKIN_LESION),
                location=location_of(row),
                locationQualifier=[concept(LATERALITY[row.laterality])] if row.laterality in LATERALITY else None,
                description=f"Lesion {row.label}",
                patient=reference("Patient", row.patient_id),
            )
        ]


def location_of(lesion: Lesion) -> Dict:
    return site(lesion.site, str(lesion.get_site_display()))
