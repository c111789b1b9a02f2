"""Media: a photograph, whose bytes are at its Binary."""

from typing import Any

from django.db.models import Q, QuerySet

from screening.codes import PhotographKind
from screening.models import LesionImage
from skinclinic.api.fhir.body_structure import location_of
from skinclinic.api.fhir.codes import KINDS, PHOTOGRAPHY, found
from skinclinic.api.fhir.elements import (
    SHA256,
    Dict,
    body_site,
    coding,
    concept,
    filled,
    moment,
    notes,
    reference,
    resource,
)
from skinclinic.api.fhir.models import PhotographNumber
from skinclinic.api.fhir.resource import Resource, latest
from skinclinic.api.fhir.searching import Asked, any_of, by_reference, no_modifier, number, token
from skinclinic.audit.acting import Actor

IMAGE = concept(coding("http://terminology.hl7.org/CodeSystem/media-type", "image", "Image"))


def by_identifier(asked: Asked) -> Q:
    no_modifier(asked)
    return any_of(numbered(*token(value)) for value in asked.values)


def numbered(system: str | None, value: str) -> Q:
    """A number that another system gave, or the SHA-256 of the bytes, as they are here or as they were sent."""
    if system == SHA256:
        return Q(sha256=value) | Q(upload_sha256=value)
    return Q(pk__in=PhotographNumber.objects.filter(**number(system, value)).values("image"))


class MediaResource(Resource):
    name = "Media"
    model = LesionImage
    conditions = {"patient": by_reference("patient"), "identifier": by_identifier}

    def rows(self, actor: Actor) -> QuerySet[Any]:
        seen = LesionImage.objects.visible_to(actor).select_related("lesion", "screening", "overview")
        times = latest("created_at", "screening__withdrawn_at", "overview__withdrawn_at")
        return seen.prefetch_related("numbers").annotate(updated=times)

    def build(self, row: Any) -> list[Dict]:
        return [
            resource(
                "Media",
                row.pk,
                row.updated,
                identifier=[filled(system=SHA256, value=row.sha256), *map(number_of, row.numbers.all())],
                status="entered-in-error" if is_withdrawn(row) else "completed",
                type=IMAGE,
                modality=modality_of(row),
                subject=reference("Patient", row.patient_id),
                createdDateTime=moment(row.taken_at),
                issued=moment(row.created_at),
                bodySite=body_site(location_of(row.lesion), row.lesion_id),
                deviceName=row.camera,
                height=row.height,
                width=row.width,
                content=content_of(row),
                note=notes(found(row.findings)),
            )
        ]


def number_of(number: PhotographNumber) -> Dict:
    return filled(system=number.system, value=number.value)


def is_withdrawn(image: LesionImage) -> bool:
    return any(use is not None and use.is_withdrawn for use in uses_of(image))


def uses_of(image: LesionImage) -> list[Any]:
    """Its screening, or where it is an overview, that."""
    return [getattr(image, name, None) for name in ("screening", "overview")]


def modality_of(image: LesionImage) -> Dict:
    if getattr(image, "overview", None) is not None:
        return KINDS.concept(PhotographKind.OVERVIEW)
    return KINDS.concept(PhotographKind.DERMOSCOPIC, PHOTOGRAPHY)


def content_of(image: LesionImage) -> Dict:
    return {"contentType": "image/jpeg", "url": f"Binary/{image.pk}", "size": image.size}
