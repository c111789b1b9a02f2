"""How much each model version read, and who was shown it: counted ahead, since a clinic has read for years."""

from collections.abc import Callable
from typing import Any

from django.db.models import Count, F, Q

from screening.codes import Panel
from screening.models import CountedPanel, ModelVersion, Prediction, Review
from skinclinic.audit.acting import Actor

Figures = dict[str, dict[str, Any]]
NONE_READ = {"photographs": 0, "patients": 0, "decided": 0, "beside": 0, "readers": []}


def by_version(actor: Actor) -> Figures:
    """Of each that read: how much, and who was shown it, the most exposed first."""
    found = read_by_version(actor)
    shown = Review.objects.filter(clinic=actor.own_clinic(), reading_shown__isnull=False).order_by()
    people = shown.values(version=F("reading_shown__model_version"), name=F("reviewer__full_name"))
    for row in people.annotate(shown=Count("pk"), signed=Count("signed_for")).order_by("-signed", "-shown", "name"):
        found[row.pop("version")]["readers"].append(row)
    return found


def read_by_version(actor: Actor) -> Figures:
    """decided: photographs whose reading is this version's; beside: the others that it read."""
    decides = Q(decides__isnull=False)
    read = Prediction.objects.visible_to(actor).order_by().values("model_version")
    counts = read.annotate(
        photographs=Count("pk"),
        patients=Count("patient", distinct=True),
        decided=Count("pk", filter=decides),
        beside=Count("pk", filter=~decides),
    )
    return {row.pop("model_version"): row | {"readers": []} for row in counts}


def counted_by_version(actor: Actor, now: Callable[[Actor], Figures]) -> tuple[Figures, CountedPanel | None]:
    """As the beat last counted it, with its age; while it has counted nothing, as it is `now`."""
    panel = CountedPanel.objects.visible_to(actor).filter(panel=Panel.VERSIONS).first()
    return (panel.figures if panel else now(actor)), panel


def of(version: ModelVersion, figures: Figures) -> dict[str, Any]:
    return figures.get(version.pk, NONE_READ)
