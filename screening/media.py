"""The only door to the bytes of photographs: it asks whether, records the look, and lets nothing run."""

from uuid import UUID

import numpy as np
from django.db.models.fields.files import FieldFile
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from ml.labels import DIAGNOSES
from ml.overlay import map_png
from screening.models import LesionImage, Prediction, Screening
from screening.services.errors import PhotographErased
from skinclinic.accounts.permissions import get_visible, member_required
from skinclinic.audit.record import record

MAP_SIDE = 448
AHEAD_FOR = 300  # seconds
SANDBOX = "default-src 'none'; sandbox"


@require_GET
@member_required()
def photograph(request: HttpRequest, image_id: UUID) -> HttpResponse:
    image = get_visible(LesionImage.objects.all(), request.actor, image_id)
    ahead = "prefetch" in request.headers.get("Sec-Purpose", "")
    record(
        "photograph_seen",
        subject_type="screening_lesionimage",
        subject_id=image.pk,
        patient_id=image.patient_id,
        detail={"ahead": True} if ahead else None,
    )
    response = as_image(stored(image.photograph), "image/jpeg")
    if ahead:
        # Of the visit that comes next: the browser keeps it until that is opened.
        response["Cache-Control"] = f"private, max-age={AHEAD_FOR}"
    return response


@require_GET
@member_required()
def dicom(request: HttpRequest, screening_id: UUID) -> HttpResponse:
    """The photograph with who and where it is of, for another system to keep."""
    screening = get_visible(
        Screening.objects.select_related("visit", "image__lesion", "image__patient__identity"),
        request.actor,
        screening_id,
    )
    return as_dicom_file(screening)


def as_dicom_file(screening: Screening) -> HttpResponse:
    """It names the patient, so the ledger says in which shape the photograph was given."""
    if not screening.image.photograph:
        raise PhotographErased
    from screening.dicom.writing import as_dicom  # 20 MB of pydicom, for processes that are asked for an object

    record(
        "photograph_seen",
        subject_type="screening_lesionimage",
        subject_id=screening.image_id,
        patient_id=screening.patient_id,
        detail={"as": "dicom"},
    )
    response = as_image(as_dicom(screening), "application/dicom")
    response["Content-Disposition"] = f'attachment; filename="{screening.image_id}.dcm"'
    return response


@require_GET
@member_required()
def thumbnail(request: HttpRequest, image_id: UUID) -> HttpResponse:
    """Small and on many lists: the page that shows it has its own line on the ledger."""
    image = get_visible(LesionImage.objects.all(), request.actor, image_id)
    response = as_image(stored(image.thumbnail), "image/jpeg")
    # Lists are drawn anew every few seconds; for so long a thumbnail stays with the browser that was shown it.
    response["Cache-Control"] = "private, max-age=60"
    return response


@require_GET
@member_required()
def activation_map(request: HttpRequest, screening_id: UUID) -> HttpResponse:
    """Where the score came from, as a transparent picture to lay over the photograph; `?diagnosis=` names one."""
    screenings = Screening.objects.select_related("prediction", "image").shown_to(request.actor)
    screening = get_visible(screenings, request.actor, screening_id)
    diagnosis = request.GET.get("diagnosis") or None
    if screening.is_hidden or screening.prediction is None or diagnosis not in (None, *DIAGNOSES):
        raise Http404
    record("map_seen", subject_type="screening_screening", subject_id=screening.pk, patient_id=screening.patient_id)
    return as_image(draw_map(screening.prediction, screening.image, diagnosis), "image/png")


def draw_map(prediction: Prediction, image: LesionImage, diagnosis: str | None) -> bytes:
    cells = np.frombuffer(bytes(prediction.activation_map), "<f4").reshape(7, 7, 7)
    scale = MAP_SIDE / max(image.width, image.height)
    return map_png(cells, diagnosis, (round(image.width * scale), round(image.height * scale)))


def stored(file: FieldFile) -> bytes:
    """Raises PhotographErased: it may show another patient than the one in whose record it was by mistake."""
    if not file:
        raise PhotographErased
    return bytes(file.read())


def as_image(data: bytes, content_type: str) -> HttpResponse:
    response = HttpResponse(data, content_type=content_type)
    response["Content-Security-Policy"] = SANDBOX
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Disposition"] = "inline"
    response["Cross-Origin-Resource-Policy"] = "same-origin"
    return response
