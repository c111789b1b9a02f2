"""For a recall: everything that one model version read, who was shown it, and what they recommended."""

from django.core.paginator import Paginator
from django.db.models import Prefetch
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_GET

from screening.codes import BAND_SCORES, Band
from screening.dashboard.by_version import by_version, counted_by_version, of
from screening.models import ModelVersion, Prediction, Review, Screening
from screening.querysets import ScreeningQuerySet
from screening.tables import table_response
from screening.views.model_card import version_or_404
from skinclinic.accounts.permissions import member_required
from skinclinic.audit.acting import AUDITOR, MANAGER, Actor
from skinclinic.audit.record import record, record_page

PAGE = 50
MOST_IN_TABLE = 50_000
COLUMNS = (
    _("patient"), _("record number"), _("lesion"), _("taken in"), _("reading"), _("decided"), _("shown to"),
    _("recommended"), _("signed by"), _("signed"), _("withdrawn"),
)  # fmt: skip


@require_GET
@member_required(MANAGER, AUDITOR)
def look_back(request: HttpRequest, version: str) -> HttpResponse:
    """Photographs that are withdrawn by now are among them: a recall asks what was read, not what still counts."""
    chosen = version_or_404(version)
    read = read_by(request.actor, chosen)
    if "csv" in request.GET:
        screenings = read.prefetch_related("patient__identifiers")[:MOST_IN_TABLE]
        rows = [cells_of(screening, chosen) for screening in screenings]
        record("look_back_exported", detail={"version": chosen.pk, "lines": len(rows)})
        return table_response(f"look-back-{chosen.pk}", COLUMNS, rows)
    figures, panel = counted_by_version(request.actor, by_version)
    found = of(chosen, figures)
    pages = Paginator(read, PAGE)
    pages.count = found["photographs"]  # it would ask once more
    page = pages.get_page(request.GET.get("page"))
    for screening in page:
        screening.shown_to_readers = [] if is_kept_back(screening) else reviews_beside(screening, chosen)
    record_page("screenings_listed", subject_type="screening_screening", ids=[screening.pk for screening in page])
    context = {"version": chosen, "page": page, "panel": panel, **found}
    return render(request, "dashboard/look_back.html", context)


def read_by(actor: Actor, version: ModelVersion) -> ScreeningQuerySet:
    """The newest first, each with this version's reading, and with the reviews that had it beside them."""
    reviews = Review.objects.select_related("reviewer", "reading_shown").order_by("created_at", "id")
    return (
        Screening.objects.visible_to(actor)
        .filter(predictions__model_version=version)
        .shown_to(actor)
        .with_closed_charts_marked(actor)
        .select_related("patient__identity", "image__lesion", "signature__reviewer")
        .prefetch_related(
            Prefetch("predictions", Prediction.objects.filter(model_version=version), to_attr="by_version"),
            Prefetch("reviews", reviews),
        )
        .order_by("-created_at", "-id")
    )


def reviews_beside(screening: Screening, version: ModelVersion) -> list[Review]:
    return [
        review
        for review in screening.reviews.all()
        if review.reading_shown is not None and review.reading_shown.model_version_id == version.pk
    ]


def is_kept_back(screening: Screening) -> bool:
    """What others said beside a reading tells as much as the reading."""
    return screening.is_hidden or screening.chart_is_closed


def cells_of(screening: Screening, version: ModelVersion) -> list[object]:
    (prediction,) = screening.by_version
    identifier = next(iter(screening.patient.identifiers.all()), None)
    kept_back = is_kept_back(screening)
    beside = [] if kept_back else reviews_beside(screening, version)
    band = BAND_SCORES[Band(prediction.band)] if prediction.band else _("Not fit to be read")
    return [
        screening.patient.identity.name,
        identifier.value if identifier else "",
        "" if screening.chart_is_closed else screening.image.lesion.label,
        timezone.localtime(screening.created_at).isoformat(timespec="minutes"),
        "" if kept_back else str(band),
        str(_("yes") if screening.prediction_id == prediction.pk else _("no, beside")),
        "; ".join(review.reviewer.full_name for review in beside),
        "; ".join(review.recommended for review in beside),
        screening.signature.reviewer.full_name if screening.signature else "",
        timezone.localtime(screening.signature.created_at).isoformat(timespec="minutes") if screening.signature else "",
        str(_("yes")) if screening.is_withdrawn else "",
    ]
