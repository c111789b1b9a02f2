"""A model's card, as it was released with it, and the plots that it shows."""

from pathlib import Path

from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.safestring import mark_safe
from django.views.decorators.http import require_GET
from markdown_it import MarkdownIt

from ml.predictor import installed_models
from screening.models import ModelVersion
from screening.reader import models_folder
from skinclinic.accounts.permissions import member_required
from skinclinic.audit.acting import AUDITOR, MANAGER, REVIEWER

CARD = "MODEL_CARD.md"
PLOTS = frozenset({"roc.png", "reliability.png", "confusion.png", "decision.png"})


@require_GET
@member_required(MANAGER, REVIEWER, AUDITOR)
def model_card(request: HttpRequest, version: str) -> HttpResponse:
    chosen = version_or_404(version)
    folder = folder_of(chosen.pk)
    card = folder / CARD if folder else None
    told = as_html(card.read_text()) if card and card.is_file() else ""
    return render(request, "screening/model_card.html", {"version": chosen, "card": told})


def version_or_404(version: str) -> ModelVersion:
    if not version.isprintable():  # a NUL, which Postgres would not take
        raise Http404
    return get_object_or_404(ModelVersion, pk=version)


@require_GET
@member_required(MANAGER, REVIEWER, AUDITOR)
def model_plot(request: HttpRequest, version: str, name: str) -> FileResponse:
    folder = folder_of(version)
    if folder is None or name not in PLOTS or not (folder / name).is_file():
        raise Http404
    return FileResponse((folder / name).open("rb"), content_type="image/png")


def folder_of(version: str) -> Path | None:
    """Where it is installed on this machine; a worker's may hold more."""
    return next((folder for folder in installed_models(models_folder()) if folder.name == version), None)


def as_html(card: str) -> str:
    """HTML in a card is text: it is written by whoever trained the model. Its title stands on the page already."""
    _title, _newline, body = card.partition("\n")
    rendered = MarkdownIt("commonmark", {"html": False}).enable("table").render(body)
    scrolled = rendered.replace("<table>", '<div class="table-responsive" tabindex="0"><table class="table table-sm">')
    return mark_safe(scrolled.replace("</table>", "</table></div>"))  # noqa: S308 (markdown-it escapes the text)
