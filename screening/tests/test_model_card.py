"""The card of a model that is installed here, its plots, and what stands there where it is not."""

import pytest
from django.urls import reverse

from ml.manifest import load_manifest
from ml.predictor import newest_model
from screening.models import ModelVersion
from screening.reader import models_folder, register_version
from screening.tests.test_pages import INLINE
from screening.views.model_card import as_html


@pytest.fixture
def installed(db) -> ModelVersion:
    return register_version(load_manifest(newest_model(models_folder())))


def test_it_works(cast, installed):
    response = cast.rita.client.get(reverse("model_card", args=[installed.pk]))
    page = response.content.decode()
    assert "<h2>Data</h2>" in page
    assert "<table" in page
    assert installed.weights_sha256 in page
    assert installed.manifest["files"]["oof.csv"] in page
    assert not INLINE.search(response.content)
    listed = cast.ada.client.get(reverse("models")).content.decode()
    assert reverse("model_card", args=[installed.pk]) in listed


@pytest.mark.parametrize("name", ["roc.png", "reliability.png", "confusion.png", "decision.png"])
def test_its_plots_are_shown(cast, installed, name):
    response = cast.rita.client.get(reverse("model_plot", args=[installed.pk, name]))
    assert response["Content-Type"] == "image/png"
    assert b"".join(response.streaming_content).startswith(b"\x89PNG")
    page = cast.rita.client.get(reverse("model_card", args=[installed.pk])).content.decode()
    assert f'src="{name}"' in page


@pytest.mark.parametrize("name", ["manifest.json", "model.keras", "roc.png.bak", "..%2Fmanifest.json"])
def test_nothing_else_of_its_folder_is_given_away(cast, installed, name):
    assert cast.rita.client.get(f"/models/{installed.pk}/card/{name}").status_code == 404


def test_version_of_another_machine_has_no_card_here(cast):
    version = ModelVersion.objects.create(version="x", weights_sha256="0" * 64, preprocessing="1", manifest={})
    page = cast.ada.client.get(reverse("model_card", args=[version.pk])).content.decode()
    assert "The card is not on this machine" in page
    assert cast.ada.client.get(reverse("model_card", args=["unknown"])).status_code == 404
    assert cast.ada.client.get(reverse("model_plot", args=["x", "roc.png"])).status_code == 404
    assert cast.alice.client.get(reverse("model_card", args=[version.pk])).status_code == 403


def test_html_in_a_card_is_text():
    assert "<script>" not in as_html("# T\n<script>alert(1)</script>\n\n[x](javascript:alert)\n")
    assert 'href="javascript' not in as_html("# T\n[x](javascript:alert)\n")


@pytest.mark.parametrize("name", ["model_card", "look_back"])
def test_a_version_that_no_text_can_hold_is_not_found(cast, name):
    assert cast.ada.client.get(reverse(name, args=["1\x00"])).status_code == 404
